//! Whether a library is still what was installed: its hash against `installed.json`, before it is loaded.

use std::{
    collections::HashMap,
    fmt,
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
};

use super::{
    super::fault::Fatal,
    FOLDER_VARIABLE, Library, folder, locate,
    manifest::{Manifest, sha256},
    tensorrt,
};

/// Where a library comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Provenance {
    /// From a pinned package, with the hash that it had when it was installed.
    Pinned {
        /// The package.
        package: String,
        /// Its version.
        version: String,
        /// SHA-256 of the file in hexadecimal.
        sha256: String,
    },
    /// From the user: nothing says what it should be.
    Own,
}

impl fmt::Display for Provenance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Pinned { package, version, sha256 } => {
                write!(f, "{package} {version} as installed, SHA-256 {sha256}")
            }
            Self::Own => f.write_str("your own, not pinned: nothing says what it should be"),
        }
    }
}

/// The path of a library whose hash was compared with that of its installation, and where it comes from. Read anew on
/// every call.
///
/// # Errors
/// When it is missing, has changed since it was installed, or lies in the folder of `lapidary runtime install` and was not
/// put there by it.
pub fn examine(library: Library) -> Result<(PathBuf, Provenance), Fatal> {
    let path = locate(library)?;
    let of_the_user = std::env::var_os(FOLDER_VARIABLE).is_some() || path.parent() != Some(&folder());
    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let provenance = compare(path.parent().unwrap_or(&path), &name, of_the_user)?;
    Ok((path, provenance))
}

/// The same of any file in the folder of native libraries, by its name relative to it: `cuda/libcudart.so.13`.
pub(super) fn examine_file(folder: &Path, name: &str) -> Result<Provenance, Fatal> {
    compare(folder, name, std::env::var_os(FOLDER_VARIABLE).is_some())
}

/// The path alone.
///
/// # Errors
/// As [`examine`].
pub fn pinned(library: Library) -> Result<PathBuf, Fatal> {
    examine(library).map(|(path, _)| path)
}

/// The same, read once in the life of this process: for a program that is large and is started again and again.
///
/// # Errors
/// As [`examine`].
pub fn pinned_once(library: Library) -> Result<PathBuf, Fatal> {
    static KNOWN: Mutex<Option<HashMap<Library, Result<PathBuf, Fatal>>>> = Mutex::new(None);
    let mut known = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
    known.get_or_insert_default().entry(library).or_insert_with(|| pinned(library)).clone()
}

fn compare(folder: &Path, name: &str, of_the_user: bool) -> Result<Provenance, Fatal> {
    let path = folder.join(name);
    match Manifest::read(folder).file(name) {
        None if of_the_user => Ok(Provenance::Own),
        None => Err(unknown(&path)),
        Some((package, version, wanted)) => {
            let found = sha256(&path).map_err(|error| unreadable(&path, &error))?;
            if found != wanted {
                return Err(changed(&path, install_of(package), wanted, &found));
            }
            Ok(Provenance::Pinned { package: package.to_owned(), version: version.to_owned(), sha256: found })
        }
    }
}

/// What puts a package there anew.
fn install_of(package: &str) -> &'static str {
    match package {
        tensorrt::PACKAGE => "lapidary runtime install --tensorrt DIR",
        _ => "lapidary runtime install",
    }
}

fn changed(path: &Path, install: &str, wanted: &str, found: &str) -> Fatal {
    let message = format!(
        "`{}` is not what was installed: its SHA-256 is {found}, and was {wanted} when it was installed",
        path.display()
    );
    Fatal::new(message, format!("run `{install}`, which replaces it, and find out what has changed it"))
}

fn unknown(path: &Path) -> Fatal {
    let message = format!("`{}` was not put there by `lapidary runtime install`", path.display());
    let hint = format!(
        "run `lapidary runtime install`, or put libraries of your own into another folder and name it in `{FOLDER_VARIABLE}`"
    );
    Fatal::new(message, hint)
}

fn unreadable(path: &Path, error: &std::io::Error) -> Fatal {
    Fatal::new(format!("`{}` cannot be read: {error}", path.display()), "check its permissions")
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    /// SHA-256 of `abc`, from FIPS 180-2.
    const ABC: &str = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

    const NAMES: [&str; 2] = ["library", "cuda/library"];

    fn folder_of(content: &str, package: &str) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("cuda")).unwrap();
        NAMES.iter().for_each(|name| fs::write(folder.path().join(name), content).unwrap());
        let files = NAMES.map(|name| format!(r#""{name}":"{ABC}""#)).join(",");
        let manifest = format!(r#"{{"{package}":{{"version":"1","wheel":"","files":{{{files}}}}}}}"#);
        fs::write(folder.path().join("installed.json"), manifest).unwrap();
        folder
    }

    #[test]
    fn what_was_installed_is_known_by_its_hash_wherever_it_lies() {
        let folder = folder_of("abc", "gem");
        for (name, of_the_user) in NAMES.into_iter().zip([false, true]) {
            let found = compare(folder.path(), name, of_the_user).unwrap();
            let Provenance::Pinned { package, sha256, .. } = found else { panic!() };
            assert_eq!((package.as_str(), sha256.as_str()), ("gem", ABC));
        }
    }

    #[test]
    fn what_has_changed_is_refused_with_both_hashes_wherever_it_lies() {
        for (package, install) in [("gem", "lapidary runtime install`"), ("tensorrt", "install --tensorrt DIR")] {
            let folder = folder_of("abd", package);
            for (name, of_the_user) in NAMES.into_iter().zip([false, true]) {
                let fatal = compare(folder.path(), name, of_the_user).unwrap_err();
                assert!(fatal.message.contains(ABC) && fatal.message.contains(name), "{fatal}");
                assert!(fatal.hint.contains(install), "{}", fatal.hint);
            }
        }
    }

    #[test]
    fn what_nobody_installed_is_taken_from_the_user_alone() {
        let folder = folder_of("abc", "gem");
        fs::remove_file(folder.path().join("installed.json")).unwrap();
        for name in NAMES {
            assert_eq!(compare(folder.path(), name, true), Ok(Provenance::Own));
            assert!(compare(folder.path(), name, false).unwrap_err().message.contains("was not put there"));
        }
    }
}
