//! `lapidary runtime install`: pinned packages into the folder of native libraries, checked and idempotent, and TensorRT from a
//! folder of the user's.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use super::{
    super::fault::Fatal,
    claim::{Aside, Claim},
    driver::{before_fetching, find_driver},
    folder,
    manifest::{Entry, Manifest, sha256},
    packages::{CUDA, FFMPEG, Machine, PDFIUM, Package, RUNTIME, RUNTIME_CUDA},
    pip::{Pip, cannot},
    tensorrt,
};

/// What to install, and where.
#[derive(Debug, Clone, Default)]
pub struct InstallRequest {
    /// The folder; [`folder`] when not given.
    pub folder: Option<PathBuf>,
    /// ONNX Runtime with CUDA and the CUDA libraries (over 1 GB) instead of the plain one.
    pub cuda: bool,
    /// A folder with TensorRT 10, to be taken as well.
    pub tensorrt: Option<PathBuf>,
}

/// What is in the folder now.
#[derive(Debug, Clone)]
pub struct Installed {
    /// The folder.
    pub folder: PathBuf,
    /// Libraries and licences.
    pub files: Vec<InstalledFile>,
}

/// One file in the folder of native libraries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InstalledFile {
    /// Its name relative to the folder.
    pub name: String,
    /// Its SHA-256 in hexadecimal.
    pub sha256: String,
    /// True when this call put it there.
    pub fresh: bool,
}

/// Installs what is missing or damaged and leaves the rest alone. `progress` is told each step in one line.
///
/// # Errors
/// No Python with pip, no wheel for this machine, an NVIDIA driver or cards that are too old for what is to be fetched, a folder
/// without TensorRT 10, a failed download, a wrong hash, a folder that cannot be written or that another install is at work
/// in. What can be told before anything is fetched, is.
pub fn install(request: InstallRequest, progress: &mut dyn FnMut(&str)) -> Result<Installed, Fatal> {
    let machine = Machine::this()?;
    let tensorrt = request.tensorrt.as_deref().map(tensorrt::find).transpose()?;
    let folder = request.folder.unwrap_or_else(folder);
    fs::create_dir_all(&folder).map_err(|error| cannot("create", &folder, &error))?;
    let (manifest, claim) = (Manifest::read(&folder), Claim::take(&folder));
    let mut site = Site { folder, claim, machine, manifest, pip: None, driver_seen: false, files: Vec::new() };
    let packages = site.wanted(request.cuda, tensorrt.is_some())?;
    for package in packages {
        site.provide(&package, progress)?;
    }
    match tensorrt {
        Some(found) => site.take(&found, progress)?,
        None => site.keep(progress)?,
    }
    Ok(Installed { folder: site.folder, files: site.files })
}

struct Site {
    folder: PathBuf,
    /// Or why nothing may be put there: whether what is there is whole can be told without.
    claim: Result<Claim, Fatal>,
    machine: Machine,
    manifest: Manifest,
    pip: Option<Pip>,
    /// True when the driver has been looked at.
    driver_seen: bool,
    files: Vec<InstalledFile>,
}

impl Site {
    /// An ONNX Runtime with CUDA that is already there stays, or is mended: it does all that the plain one does. One that this
    /// machine has no package of is told of here, before the others are fetched.
    fn wanted(&self, cuda: bool, tensorrt: bool) -> Result<Vec<Package>, Fatal> {
        let cuda = cuda || self.manifest.holds(RUNTIME_CUDA.name);
        if tensorrt && !(cuda && self.machine == Machine::LinuxX64) {
            return Err(self.no_tensorrt());
        }
        if cuda && self.machine != Machine::LinuxX64 {
            return Err(self.no_cuda());
        }
        let runtime = if cuda { RUNTIME_CUDA } else { RUNTIME };
        let companions = if cuda { &CUDA[..] } else { &[] };
        let packages: Vec<Package> = [runtime, PDFIUM, FFMPEG].into_iter().chain(companions.iter().copied()).collect();
        packages.iter().try_for_each(|package| package.wheel(self.machine).map(drop))?;
        Ok(packages)
    }

    fn no_cuda(&self) -> Fatal {
        let message = format!("CUDA's libraries are fetched on Linux with x86-64 only, and this is {:?}", self.machine);
        let hint = format!(
            "leave `--cuda` away, or put an ONNX Runtime with CUDA 13 into a folder of your own and name it in `{}`",
            super::FOLDER_VARIABLE
        );
        Fatal::new(message, hint)
    }

    fn no_tensorrt(&self) -> Fatal {
        if self.machine != Machine::LinuxX64 {
            let message = format!("TensorRT is taken on Linux with x86-64 only, and this is {:?}", self.machine);
            return Fatal::new(message, "leave `--tensorrt` away");
        }
        let message =
            format!("TensorRT goes with the CUDA build of ONNX Runtime, which `{}` lacks", self.folder.display());
        Fatal::new(message, "add `--cuda`, which fetches it (over 1 GB)")
    }

    fn intact(&self, package: &Package) -> Option<&Entry> {
        let wheel = package.wheel(self.machine).ok()?;
        self.manifest.intact(&self.folder, package.name, wheel)
    }

    fn provide(&mut self, package: &Package, progress: &mut dyn FnMut(&str)) -> Result<(), Fatal> {
        let label = format!("{} {}", package.name, package.version);
        if let Some(entry) = self.intact(package) {
            progress(&format!("{label}: already there, hashes checked"));
            let files = entry.files.clone();
            self.list(files, false);
            return Ok(());
        }
        let aside = self.aside(package.name)?;
        self.look_at_driver(package, progress)?;
        progress(&format!("{label}: fetching with pip"));
        let files = self.fetch(package, &aside)?;
        progress(&format!("{label}: installed into `{}`", self.folder.display()));
        self.list(files, true);
        Ok(())
    }

    fn aside(&self, package: &str) -> Result<Aside, Fatal> {
        self.claim.as_ref().map_err(Fatal::clone)?.aside(package)
    }

    /// Once, and before anything is fetched that the driver might be too old for.
    fn look_at_driver(&mut self, package: &Package, progress: &mut dyn FnMut(&str)) -> Result<(), Fatal> {
        if package.is_for_cards() && !self.driver_seen {
            self.driver_seen = true;
            progress(&before_fetching(find_driver())?);
        }
        Ok(())
    }

    fn fetch(&mut self, package: &Package, aside: &Aside) -> Result<BTreeMap<String, String>, Fatal> {
        if self.pip.is_none() {
            self.pip = Some(Pip::find()?);
        }
        let Some(pip) = &self.pip else { return Ok(BTreeMap::new()) };
        let wheel = pip.download(package, self.machine, &aside.0)?;
        let unpacked = aside.0.join("unpacked");
        let names = pip.unpack(package, &wheel, &unpacked)?;
        let files: BTreeMap<String, String> =
            names.into_iter().map(|name| move_in(&unpacked, &self.folder, name)).collect::<Result<_, _>>()?;
        let wheel = package.wheel(self.machine)?.to_owned();
        self.record(package.name, Entry { version: package.version.to_owned(), wheel, files: files.clone() })?;
        Ok(files)
    }

    fn record(&mut self, package: &str, entry: Entry) -> Result<(), Fatal> {
        self.manifest.record(package, entry);
        self.manifest.write(&self.folder).map_err(|error| cannot("write", &self.folder, &error))
    }

    /// TensorRT as it was found, unless just that is there already.
    fn take(&mut self, found: &tensorrt::Found, progress: &mut dyn FnMut(&str)) -> Result<(), Fatal> {
        let label = format!("{} {}", tensorrt::PACKAGE, found.version);
        let intact = self.manifest.intact(&self.folder, tensorrt::PACKAGE, "").cloned();
        if let Some(entry) = intact
            && found.hashes()?.iter().all(|(name, hash)| entry.files.get(name) == Some(hash))
        {
            progress(&format!("{label}: already there, hashes checked"));
            self.list(entry.files, false);
            return Ok(());
        }
        let aside = self.aside(tensorrt::PACKAGE)?;
        let files = found.put(&aside.0.join("fresh"), &self.folder, &aside.0.join("old"))?;
        let version = found.version.clone();
        self.record(tensorrt::PACKAGE, Entry { version, wheel: String::new(), files: files.clone() })?;
        progress(&format!("{label}: taken from `{}`", found.folder.display()));
        self.list(files, true);
        Ok(())
    }

    /// A TensorRT that was taken before stays, if it is still what it was: nothing is known of where to get it again.
    fn keep(&mut self, progress: &mut dyn FnMut(&str)) -> Result<(), Fatal> {
        let Some(entry) = self.manifest.entry(tensorrt::PACKAGE).cloned() else { return Ok(()) };
        let label = format!("{} {}", tensorrt::PACKAGE, entry.version);
        if self.manifest.intact(&self.folder, tensorrt::PACKAGE, "").is_none() {
            let place = self.folder.join(tensorrt::FOLDER);
            let message = format!("{label} in `{}` is not what was installed", place.display());
            return Err(Fatal::new(message, "name the folder that it came from once more: `--tensorrt DIR`"));
        }
        progress(&format!("{label}: already there, hashes checked"));
        self.list(entry.files, false);
        Ok(())
    }

    fn list(&mut self, files: BTreeMap<String, String>, fresh: bool) {
        self.files.extend(files.into_iter().map(|(name, sha256)| InstalledFile { name, sha256, fresh }));
    }
}

/// Renames one unpacked file into the folder; returns its name and hash.
fn move_in(unpacked: &Path, folder: &Path, name: String) -> Result<(String, String), Fatal> {
    let (from, to) = (unpacked.join(&name), folder.join(&name));
    let hash = sha256(&from).map_err(|error| cannot("read", &from, &error))?;
    if !name.starts_with("licences/") {
        make_runnable(&from)?;
    }
    if let Some(parent) = to.parent() {
        fs::create_dir_all(parent).map_err(|error| cannot("create", parent, &error))?;
    }
    fs::rename(&from, &to).map_err(|error| cannot("write", &to, &error))?;
    Ok((name, hash))
}

#[cfg(unix)]
fn make_runnable(path: &Path) -> Result<(), Fatal> {
    use std::os::unix::fs::PermissionsExt;
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).map_err(|error| cannot("write", path, &error))
}

#[cfg(not(unix))]
fn make_runnable(_path: &Path) -> Result<(), Fatal> {
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn try_install(folder: &Path) -> Result<Installed, Fatal> {
        install(InstallRequest { folder: Some(folder.to_owned()), ..InstallRequest::default() }, &mut |_| ())
    }

    fn installed(folder: &Path) -> Installed {
        try_install(folder).unwrap()
    }

    /// A folder in which nothing is missing, so that nothing is fetched.
    fn whole() -> tempfile::TempDir {
        whole_with(&[RUNTIME, PDFIUM, FFMPEG])
    }

    fn whole_with(packages: &[Package]) -> tempfile::TempDir {
        let (folder, machine) = (tempfile::tempdir().unwrap(), Machine::this().unwrap());
        let mut manifest = Manifest::default();
        for package in packages {
            let (version, wheel) = (package.version.to_owned(), package.wheel(machine).unwrap().to_owned());
            manifest.record(package.name, Entry { version, wheel, files: BTreeMap::new() });
        }
        manifest.write(folder.path()).unwrap();
        folder
    }

    #[test]
    fn what_a_killed_install_has_left_is_cleared_and_nothing_else_is() {
        let folder = whole();
        let (left, own) = (folder.path().join(".fetching-onnxruntime-1"), folder.path().join("own"));
        for path in [left.join("unpacked"), own.clone()] {
            fs::create_dir_all(&path).unwrap();
            fs::write(path.join("library"), "half").unwrap();
        }
        installed(folder.path());
        assert!(!left.exists() && own.join("library").is_file());
    }

    #[test]
    fn a_second_install_at_once_is_refused_and_leaves_alone_what_the_first_is_at() {
        let folder = tempfile::tempdir().unwrap();
        let claim = Claim::take(folder.path()).unwrap();
        let aside = claim.aside("onnxruntime").unwrap();
        let fatal = try_install(folder.path()).unwrap_err();
        let words = [format!("by process {}", std::process::id()), format!("`{}`", folder.path().display())];
        assert!(words.iter().all(|word| fatal.message.contains(word)), "{fatal}");
        assert!(fatal.hint.contains("--dir"), "{}", fatal.hint);
        assert!(aside.0.is_dir());
        drop((aside, claim));
        Claim::take(folder.path()).unwrap();
    }

    #[test]
    fn what_is_whole_is_found_to_be_so_also_while_another_install_is_at_work() {
        let folder = whole();
        let _claim = Claim::take(folder.path()).unwrap();
        assert!(installed(folder.path()).files.is_empty());
    }

    /// TensorRT as the package has it.
    fn stones() -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for name in tensorrt::LIBRARIES.into_iter().chain(["libnvinfer_builder_resource_ptx.so.10.16.1"]) {
            fs::write(folder.path().join(name), name).unwrap();
        }
        folder
    }

    fn take(folder: &Path, stones: &Path) -> Result<Installed, Fatal> {
        let (folder, tensorrt) = (Some(folder.to_owned()), Some(stones.to_owned()));
        install(InstallRequest { folder, tensorrt, cuda: false }, &mut |_| ())
    }

    fn fresh(installed: &Installed) -> usize {
        installed.files.iter().filter(|file| file.fresh).count()
    }

    #[cfg(all(target_os = "linux", target_arch = "x86_64"))]
    #[test]
    fn tensorrt_is_taken_where_cuda_is_and_checked_from_then_on() {
        let packages: Vec<Package> = [RUNTIME_CUDA, PDFIUM, FFMPEG].into_iter().chain(CUDA).collect();
        let (folder, stones) = (whole_with(&packages), stones());
        let library = folder.path().join("tensorrt/libnvinfer.so.10");
        assert_eq!(fresh(&take(folder.path(), stones.path()).unwrap()), 5);
        assert_eq!(fs::read_to_string(&library).unwrap(), "libnvinfer.so.10");
        assert!(
            !folder
                .path()
                .read_dir()
                .unwrap()
                .any(|entry| { entry.unwrap().file_name().to_string_lossy().starts_with(".fetching-") })
        );
        for again in [take(folder.path(), stones.path()).unwrap(), installed(folder.path())] {
            assert_eq!((again.files.len(), fresh(&again)), (5, 0));
        }

        // It may be the same file as that of the user's.
        fs::remove_file(&library).unwrap();
        fs::write(&library, "damaged").unwrap();
        let fatal = try_install(folder.path()).unwrap_err();
        assert!(fatal.message.contains("tensorrt 10.16.1") && fatal.hint.contains("--tensorrt DIR"), "{fatal}");
        assert_eq!(fresh(&take(folder.path(), stones.path()).unwrap()), 5);
        assert_eq!(fresh(&installed(folder.path())), 0);
    }

    #[cfg(all(target_os = "linux", target_arch = "x86_64"))]
    #[test]
    fn tensorrt_without_cuda_is_refused_before_anything_is_fetched() {
        let (folder, stones) = (tempfile::tempdir().unwrap(), stones());
        let fatal = take(folder.path(), stones.path()).unwrap_err();
        assert!(fatal.message.contains("CUDA build") && fatal.hint.contains("--cuda"), "{fatal}");
        assert!(!folder.path().join(tensorrt::FOLDER).exists());
    }

    #[test]
    fn a_folder_without_tensorrt_is_refused_before_anything_else() {
        let (folder, empty) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let fatal = take(&folder.path().join("native"), empty.path()).unwrap_err();
        assert!(fatal.message.contains("libnvonnxparser.so.10"), "{fatal}");
        assert!(!folder.path().join("native").exists());
    }

    #[test]
    fn a_damaged_library_of_cuda_is_seen() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("cuda")).unwrap();
        let library = folder.path().join("cuda/libcudart.so.13");
        fs::write(&library, "whole").unwrap();
        let files = BTreeMap::from([("cuda/libcudart.so.13".to_owned(), sha256(&library).unwrap())]);
        let mut manifest = Manifest::default();
        let (version, wheel) = ("13.0.96".to_owned(), "hash".to_owned());
        manifest.record("nvidia-cuda-runtime", Entry { version, wheel, files });
        assert!(manifest.intact(folder.path(), "nvidia-cuda-runtime", "hash").is_some());
        fs::write(&library, "damaged").unwrap();
        assert!(manifest.intact(folder.path(), "nvidia-cuda-runtime", "hash").is_none());
    }

    /// Fetches about 100 MB, so it runs only where a registry can be reached: `cargo nextest run --run-ignored all`.
    #[test]
    #[ignore = "fetches the pinned packages with pip"]
    fn a_second_call_finds_everything_and_a_damaged_file_is_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let first = installed(folder.path());
        assert!(first.files.iter().all(|file| file.fresh));
        assert!(first.files.iter().any(|file| file.name.starts_with("licences/onnxruntime/")));
        for library in super::super::Library::ALL {
            assert!(folder.path().join(library.file_name()).is_file(), "{library:?}");
        }
        assert!(installed(folder.path()).files.iter().all(|file| !file.fresh));

        let damaged = folder.path().join(super::super::Library::Pdfium.file_name());
        fs::write(&damaged, "damaged").unwrap();
        let third = installed(folder.path());
        let fresh: Vec<&str> = third.files.iter().filter(|file| file.fresh).map(|file| file.name.as_str()).collect();
        assert!(fresh.contains(&super::super::Library::Pdfium.file_name()));
        assert!(!fresh.contains(&super::super::Library::OnnxRuntime.file_name()));
        assert!(fs::metadata(&damaged).unwrap().len() > 1 << 20);
    }
}
