//! `lapidary runtime install`: pinned packages into the folder of native libraries, checked and idempotent.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use super::{
    super::fault::Fatal,
    claim::{Aside, Claim},
    folder,
    manifest::{Entry, Manifest, sha256},
    packages::{CUDA, FFMPEG, Machine, PDFIUM, Package, RUNTIME, RUNTIME_CUDA},
    pip::{Pip, cannot},
};

/// What to install, and where.
#[derive(Debug, Clone, Default)]
pub struct InstallRequest {
    /// The folder; [`folder`] when not given.
    pub folder: Option<PathBuf>,
    /// ONNX Runtime with CUDA and the CUDA libraries (over 1 GB) instead of the plain one.
    pub cuda: bool,
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
/// No Python with pip, no wheel for this machine, a failed download, a wrong hash, a folder that cannot be written or that
/// another install is at work in.
pub fn install(request: InstallRequest, progress: &mut dyn FnMut(&str)) -> Result<Installed, Fatal> {
    let folder = request.folder.unwrap_or_else(folder);
    fs::create_dir_all(&folder).map_err(|error| cannot("create", &folder, &error))?;
    let machine = Machine::this()?;
    let claim = Claim::take(&folder);
    let mut site = Site { manifest: Manifest::read(&folder), folder, claim, machine, pip: None, files: Vec::new() };
    for package in site.wanted(request.cuda) {
        site.provide(&package, progress)?;
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
    files: Vec<InstalledFile>,
}

impl Site {
    /// An ONNX Runtime with CUDA that is already there stays, or is mended: it does all that the plain one does.
    fn wanted(&self, cuda: bool) -> Vec<Package> {
        let cuda = cuda || self.manifest.holds(RUNTIME_CUDA.name);
        let runtime = if cuda { RUNTIME_CUDA } else { RUNTIME };
        let companions = if cuda { &CUDA[..] } else { &[] };
        [runtime, PDFIUM, FFMPEG].into_iter().chain(companions.iter().copied()).collect()
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
        let aside = self.claim.as_ref().map_err(Fatal::clone)?.aside(package.name)?;
        progress(&format!("{label}: fetching with pip"));
        let files = self.fetch(package, &aside)?;
        progress(&format!("{label}: installed into `{}`", self.folder.display()));
        self.list(files, true);
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
        self.manifest.record(package.name, Entry { version: package.version.to_owned(), wheel, files: files.clone() });
        self.manifest.write(&self.folder).map_err(|error| cannot("write", &self.folder, &error))?;
        Ok(files)
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
        let request = InstallRequest { folder: Some(folder.to_owned()), cuda: false };
        install(request, &mut |_| ())
    }

    fn installed(folder: &Path) -> Installed {
        try_install(folder).unwrap()
    }

    /// A folder in which nothing is missing, so that nothing is fetched.
    fn whole() -> tempfile::TempDir {
        let (folder, machine) = (tempfile::tempdir().unwrap(), Machine::this().unwrap());
        let mut manifest = Manifest::default();
        for package in [RUNTIME, PDFIUM, FFMPEG] {
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
