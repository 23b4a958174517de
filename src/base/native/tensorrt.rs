//! TensorRT from a folder of the user's: found by name, put beside the libraries of CUDA, known by its hashes from then on.
//!
//! NVIDIA hands it out itself: as an archive, and as packages that fetch from an index of its own. So nothing can be pinned.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs, io,
    path::{Path, PathBuf},
};

use walkdir::WalkDir;

use super::{super::fault::Fatal, manifest::sha256, pip::cannot, signpost};

/// What it is called in `installed.json`.
pub const PACKAGE: &str = "tensorrt";

/// Where its libraries lie inside the folder of native libraries.
pub const FOLDER: &str = "tensorrt";

/// What ONNX Runtime's TensorRT provider needs outright, and the plugins, which it opens while it runs; each behind those
/// that it needs.
pub const LIBRARIES: [&str; 3] = ["libnvinfer.so.10", "libnvinfer_plugin.so.10", "libnvonnxparser.so.10"];

/// How the names begin of what builds engines: one library for each kind of card (`_sm90`) and one for all others (`_ptx`), in
/// older versions a single one. Those for engines that run on Windows (`_win`) are left out.
const BUILDER: &str = "libnvinfer_builder_resource";

/// How the names go on: the version behind it is whole, and asked for as it stands.
const OF_TEN: &str = ".so.10.";

/// How deep below the folder that the user names: enough for an archive, and for an environment of Python.
const DEPTH: usize = 8;

/// TensorRT 10, all of it, in a folder.
#[derive(Debug, PartialEq, Eq)]
pub struct Found {
    /// Where its libraries lie.
    pub folder: PathBuf,
    /// As a file's name says it: `10.16.1`, or no more than `10`.
    pub version: String,
    /// What is taken: under which name, from which file.
    files: BTreeMap<String, PathBuf>,
}

/// Looks for TensorRT 10 in `folder` and below: an unpacked archive, its `lib`, or `site-packages/tensorrt_libs`.
///
/// # Errors
/// When it is not there: what is missing, all at once, and which other TensorRT is.
pub fn find(folder: &Path) -> Result<Found, Fatal> {
    let mut lacking = None;
    let (mut others, homes) = (BTreeSet::new(), homes(folder)?);
    for home in &homes {
        let files = files_of(home);
        match complete(home, &files) {
            Ok(found) => return Ok(found),
            Err(missing) if missing.len() <= LIBRARIES.len() => lacking = lacking.or(Some((home, missing))),
            Err(_) => others.extend(files.into_keys().filter(|name| name.starts_with("libnvinfer.so."))),
        }
    }
    let message = match lacking {
        Some((home, missing)) => {
            format!("TensorRT in `{}` is not whole: missing {}", home.display(), missing.join(", "))
        }
        None if others.is_empty() => {
            format!("there is no TensorRT in `{}`: missing {}", folder.display(), all().join(", "))
        }
        None => {
            let others = Vec::from_iter(others).join(", ");
            format!("ONNX Runtime wants TensorRT 10, and `{}` holds another ({others})", folder.display())
        }
    };
    Err(Fatal::new(message, HINT))
}

const HINT: &str = "name the folder of an unpacked archive of TensorRT 10 for CUDA 13 \
    (https://developer.nvidia.com/tensorrt), or `site-packages/tensorrt_libs` where the package tensorrt-cu13 10 is installed";

/// All that there must be, as it is called where it is missing.
fn all() -> Vec<String> {
    LIBRARIES.iter().map(|name| (*name).to_owned()).chain([format!("{BUILDER}*{OF_TEN}*")]).collect()
}

/// The folders that hold a `libnvinfer`, of whatever version, in a stable order.
fn homes(folder: &Path) -> Result<Vec<PathBuf>, Fatal> {
    let cannot = |error: io::Error| Fatal::new(format!("cannot read `{}`: {error}", folder.display()), HINT);
    let root = folder.canonicalize().map_err(cannot)?;
    fs::read_dir(&root).map_err(cannot)?;
    // In an archive `lib` may be a link.
    let linked = root.join("lib").canonicalize().ok().filter(|lib| !lib.starts_with(&root));
    let entries = [Some(root), linked]
        .into_iter()
        .flatten()
        .flat_map(|root| WalkDir::new(root).max_depth(DEPTH).sort_by_file_name().into_iter().filter_map(Result::ok));
    let libraries = entries.filter(|entry| entry.file_name().to_string_lossy().starts_with("libnvinfer.so."));
    let mut homes: Vec<PathBuf> = Vec::new();
    for home in libraries.filter_map(|entry| entry.path().parent().map(Path::to_owned)) {
        if !homes.contains(&home) {
            homes.push(home);
        }
    }
    Ok(homes)
}

/// The files of a folder by name, with what they are in the end, where they are links.
fn files_of(folder: &Path) -> BTreeMap<String, PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let file = |entry: fs::DirEntry| {
        let real = entry.path().canonicalize().ok().filter(|path| path.is_file())?;
        Some((entry.file_name().into_string().ok()?, real))
    };
    entries.filter_map(file).collect()
}

/// All of TensorRT 10 in a folder of these files; else the names of what is missing.
fn complete(folder: &Path, there: &BTreeMap<String, PathBuf>) -> Result<Found, Vec<String>> {
    let libraries: Vec<Option<&PathBuf>> = LIBRARIES.iter().map(|name| named(there, name)).collect();
    let told = libraries[0].and_then(|path| version_of(path));
    let builders = there.iter().filter(|(name, _)| is_builder(name, told.as_deref()));
    let builders: BTreeMap<String, PathBuf> = builders.map(|(name, path)| (name.clone(), path.clone())).collect();
    let missing = libraries.iter().map(Option::is_none).chain([builders.is_empty()]);
    let missing: Vec<String> = all().into_iter().zip(missing).filter_map(|(name, gone)| gone.then_some(name)).collect();
    if !missing.is_empty() {
        return Err(missing);
    }
    let by_builder = builders.keys().find_map(|name| Some(format!("10.{}", name.split_once(OF_TEN)?.1)));
    let own = LIBRARIES.iter().zip(libraries).filter_map(|(name, path)| Some(((*name).to_owned(), path?.clone())));
    Ok(Found {
        folder: folder.to_owned(),
        version: told.or(by_builder).unwrap_or_else(|| "10".to_owned()),
        files: own.chain(builders).collect(),
    })
}

/// The library of that name, or where an archive was unpacked without its links, the one whose name goes on from there.
fn named<'a>(there: &'a BTreeMap<String, PathBuf>, name: &str) -> Option<&'a PathBuf> {
    let longer =
        || there.iter().filter(|(other, _)| other.starts_with(&format!("{name}."))).map(|(_, path)| path).next_back();
    there.get(name).or_else(longer)
}

/// The version in the name of the file itself, `libnvinfer.so.10.16.1`, where there is more of it than the 10.
fn version_of(library: &Path) -> Option<String> {
    let name = library.file_name()?.to_str()?;
    let (_, rest) = name.split_once(OF_TEN)?;
    Some(format!("10.{rest}"))
}

/// Of that version, where the library's own file says which it is: another's would not be asked for.
fn is_builder(name: &str, version: Option<&str>) -> bool {
    let fits = version.is_none_or(|version| name.ends_with(&format!(".so.{version}")));
    name.starts_with(BUILDER) && name.contains(OF_TEN) && !name.contains("_win") && fits
}

/// The names of what builds engines in a folder that TensorRT was put into.
pub fn builders_in(folder: &Path) -> Vec<String> {
    files_of(folder).into_keys().filter(|name| is_builder(name, None)).collect()
}

impl Found {
    /// The SHA-256 of what would be taken, by name relative to the folder of native libraries.
    ///
    /// # Errors
    /// When a file cannot be read.
    pub fn hashes(&self) -> Result<BTreeMap<String, String>, Fatal> {
        self.files.iter().map(|(name, path)| Ok((format!("{FOLDER}/{name}"), hash_of(path)?))).collect()
    }

    /// Puts all of it and the signpost into `aside`, and then that folder in the place of an older one below `native`. The
    /// files are linked where the file system can, since they are gigabytes, and copied else. `old` is where the older one goes.
    ///
    /// # Errors
    /// When something cannot be read or written.
    pub fn put(&self, aside: &Path, native: &Path, old: &Path) -> Result<BTreeMap<String, String>, Fatal> {
        fs::create_dir_all(aside).map_err(|error| cannot("create", aside, &error))?;
        for (name, path) in &self.files {
            let to = aside.join(name);
            let put = fs::hard_link(path, &to).or_else(|_| fs::copy(path, &to).map(drop));
            put.map_err(|error| cannot("write", &to, &error))?;
        }
        let post = aside.join(signpost::NAME);
        fs::write(&post, signpost::library(LIBRARIES[0])).map_err(|error| cannot("write", &post, &error))?;
        let names = self.files.keys().map(String::as_str).chain([signpost::NAME]);
        let hashes = names.map(|name| Ok((format!("{FOLDER}/{name}"), hash_of(&aside.join(name))?)));
        let hashes: BTreeMap<String, String> = hashes.collect::<Result<_, Fatal>>()?;
        swap(aside, &native.join(FOLDER), old)?;
        Ok(hashes)
    }
}

fn hash_of(path: &Path) -> Result<String, Fatal> {
    sha256(path).map_err(|error| cannot("read", path, &error))
}

fn swap(fresh: &Path, place: &Path, old: &Path) -> Result<(), Fatal> {
    match fs::rename(place, old) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(cannot("replace", place, &error)),
        _ => fs::rename(fresh, place).map_err(|error| {
            // The older one is better than none.
            let _ = fs::rename(old, place);
            cannot("write", place, &error)
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What an archive of version 10.16.1 has in its `lib`, besides what nobody takes.
    const ARCHIVE: [&str; 8] = [
        "libnvinfer.so.10.16.1",
        "libnvinfer_plugin.so.10.16.1",
        "libnvonnxparser.so.10.16.1",
        "libnvinfer_builder_resource_sm90.so.10.16.1",
        "libnvinfer_builder_resource_ptx.so.10.16.1",
        "libnvinfer_builder_resource_win_sm90.so.10.16.1",
        "libnvinfer_dispatch.so.10.16.1",
        "libnvinfer_static.a",
    ];

    /// What the package has in `tensorrt_libs`.
    const WHEEL: [&str; 4] = [
        "libnvinfer.so.10",
        "libnvinfer_plugin.so.10",
        "libnvonnxparser.so.10",
        "libnvinfer_builder_resource.so.10.9.0",
    ];

    fn fill(folder: &Path, names: &[&str]) {
        fs::create_dir_all(folder).unwrap();
        for name in names {
            fs::write(folder.join(name), format!("this is {name}")).unwrap();
        }
    }

    /// As it is unpacked: the libraries below `targets`, `lib` a link, and each library with its chain of links.
    #[cfg(unix)]
    fn archive() -> tempfile::TempDir {
        use std::os::unix::fs::symlink;
        let folder = tempfile::tempdir().unwrap();
        let lib = folder.path().join("TensorRT-10.16.1.11/targets/x86_64-linux-gnu/lib");
        fill(&lib, &ARCHIVE);
        symlink("targets/x86_64-linux-gnu/lib", folder.path().join("TensorRT-10.16.1.11/lib")).unwrap();
        for name in &ARCHIVE[..3] {
            let (short, _) = name.rsplit_once(".16.1").unwrap();
            symlink(name, lib.join(short)).unwrap();
            symlink(short, lib.join(short.strip_suffix(".10").unwrap())).unwrap();
        }
        folder
    }

    fn put(found: &Found) -> (tempfile::TempDir, BTreeMap<String, String>) {
        let native = tempfile::tempdir().unwrap();
        let hashes = put_into(found, native.path());
        (native, hashes)
    }

    fn put_into(found: &Found, native: &Path) -> BTreeMap<String, String> {
        let aside = tempfile::tempdir_in(native).unwrap();
        found.put(&aside.path().join("fresh"), native, &aside.path().join("old")).unwrap()
    }

    #[cfg(unix)]
    #[test]
    fn an_archive_is_found_from_its_root_and_from_its_lib() {
        let folder = archive();
        for named in ["", "TensorRT-10.16.1.11", "TensorRT-10.16.1.11/lib"] {
            let found = find(&folder.path().join(named)).unwrap();
            assert_eq!(found.version, "10.16.1");
            let taken: Vec<&str> = found.files.keys().map(String::as_str).collect();
            assert_eq!(
                taken,
                [
                    "libnvinfer.so.10",
                    "libnvinfer_builder_resource_ptx.so.10.16.1",
                    "libnvinfer_builder_resource_sm90.so.10.16.1",
                    "libnvinfer_plugin.so.10",
                    "libnvonnxparser.so.10",
                ]
            );
        }
    }

    #[cfg(unix)]
    #[test]
    fn what_is_taken_has_the_names_that_are_asked_for_and_is_no_link() {
        let folder = archive();
        let (native, hashes) = put(&find(folder.path()).unwrap());
        for (name, hash) in &hashes {
            let path = native.path().join(name);
            assert!(path.symlink_metadata().unwrap().is_file(), "{name}");
            assert_eq!(*hash, sha256(&path).unwrap());
        }
        assert_eq!(hashes.len(), 6);
        assert!(hashes.contains_key("tensorrt/liblapidary_tensorrt.so"));
        let taken = fs::read_to_string(native.path().join("tensorrt/libnvinfer.so.10")).unwrap();
        assert_eq!(taken, "this is libnvinfer.so.10.16.1");
    }

    #[test]
    fn the_folder_of_the_package_is_taken_with_the_version_of_its_builder() {
        let folder = tempfile::tempdir().unwrap();
        fill(&folder.path().join("lib/python3.12/site-packages/tensorrt_libs"), &WHEEL);
        let found = find(folder.path()).unwrap();
        assert_eq!((found.version.as_str(), found.files.len()), ("10.9.0", 4));
        let (native, hashes) = put(&found);
        assert!(found.hashes().unwrap().iter().all(|(name, hash)| hashes[name] == *hash));
        assert_eq!(builders_in(&native.path().join(FOLDER)), ["libnvinfer_builder_resource.so.10.9.0"]);
    }

    #[test]
    fn an_archive_that_was_unpacked_without_its_links_is_taken_too() {
        let folder = tempfile::tempdir().unwrap();
        fill(folder.path(), &ARCHIVE);
        let found = find(folder.path()).unwrap();
        assert_eq!((found.version.as_str(), found.files.len()), ("10.16.1", 5));
    }

    #[test]
    fn a_newer_one_takes_the_place_of_an_older_one_and_its_builders() {
        let (old, new) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        fill(old.path(), &WHEEL);
        fill(new.path(), &ARCHIVE);
        let (native, _) = put(&find(old.path()).unwrap());
        put_into(&find(new.path()).unwrap(), native.path());
        let builders = builders_in(&native.path().join(FOLDER));
        assert_eq!(builders.len(), 2);
        assert!(builders.iter().all(|name| name.ends_with(".10.16.1")), "{builders:?}");
        // The folder where it already lies may be named, too.
        put_into(&find(&native.path().join(FOLDER)).unwrap(), native.path());
        assert_eq!(builders_in(&native.path().join(FOLDER)), builders);
    }

    #[test]
    fn what_is_missing_is_named_all_at_once() {
        let folder = tempfile::tempdir().unwrap();
        let fatal = find(folder.path()).unwrap_err();
        for name in [&LIBRARIES[..], &["libnvinfer_builder_resource*.so.10.*"]].concat() {
            assert!(fatal.message.contains(name), "{fatal}");
        }
        fill(folder.path(), &WHEEL[..2]);
        let fatal = find(folder.path()).unwrap_err();
        assert!(
            fatal.message.contains("not whole: missing libnvonnxparser.so.10, libnvinfer_builder_resource"),
            "{fatal}"
        );
        assert!(!fatal.message.contains("plugin"), "{fatal}");
        // Builders of another version would not be asked for.
        fill(folder.path(), &ARCHIVE[..3]);
        fs::remove_file(folder.path().join("libnvinfer.so.10")).unwrap();
        fill(folder.path(), &WHEEL[3..]);
        assert!(find(folder.path()).unwrap_err().message.contains("missing libnvinfer_builder_resource"));
        assert!(find(Path::new("/nowhere")).unwrap_err().message.contains("/nowhere"));
    }

    #[test]
    fn another_version_is_told_apart() {
        let folder = tempfile::tempdir().unwrap();
        let eleven = ["libnvinfer.so.11", "libnvinfer_plugin.so.11", "libnvinfer_builder_resource_sm90.so.11.3.0"];
        fill(folder.path(), &eleven);
        let fatal = find(folder.path()).unwrap_err();
        assert!(fatal.message.contains("wants TensorRT 10") && fatal.message.contains("libnvinfer.so.11"), "{fatal}");
        assert!(fatal.hint.contains("TensorRT 10 for CUDA 13"), "{}", fatal.hint);
        // Where both lie, the right one is taken.
        fill(&folder.path().join("older"), &WHEEL);
        assert_eq!(find(folder.path()).unwrap().version, "10.9.0");
    }
}
