//! One install at a time: whoever installs into a folder holds its lock, and clears what killed installs have left there.

use std::{
    fs,
    path::{Path, PathBuf},
};

use super::{
    super::{
        fault::Fatal,
        lock::{Lock, Refusal},
    },
    pip::cannot,
};

/// Held by the install that is at work.
const LOCK: &str = ".lock";

/// How the names begin of what lies aside: folders that downloads come into, and a manifest that is being written.
pub(super) const ASIDE: &str = ".fetching-";

/// A folder of native libraries that no other install writes to.
#[derive(Debug)]
pub struct Claim {
    folder: PathBuf,
    /// Given back when the claim is dropped. None on a file system without locks, where others are not seen.
    _lock: Option<Lock>,
}

/// A folder for a download inside the folder of native libraries, so that a rename is enough at the end. Removed when
/// done.
#[derive(Debug)]
pub struct Aside(pub PathBuf);

impl Claim {
    /// Takes the lock of `folder`, which must be there, and removes what killed installs have left. A file system without
    /// locks has no remains cleared.
    ///
    /// # Errors
    /// When another install holds it: the error says which. When it cannot be written to.
    pub fn take(folder: &Path) -> Result<Self, Fatal> {
        let path = folder.join(LOCK);
        let lock = match Lock::take(&path) {
            Ok(lock) => Some(lock),
            Err(Refusal::NoLocks(_)) => None,
            Err(Refusal::Held(holder)) => return Err(held(folder, &holder)),
            Err(Refusal::Unwritable(error)) => return Err(cannot("write", &path, &error)),
        };
        if lock.is_some() {
            clear(folder);
        }
        Ok(Self { folder: folder.to_owned(), _lock: lock })
    }

    /// Makes the folder that a package is downloaded into.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn aside(&self, package: &str) -> Result<Aside, Fatal> {
        let aside = Aside(self.folder.join(format!("{ASIDE}{package}-{}", std::process::id())));
        fs::create_dir_all(&aside.0).map_err(|error| cannot("create", &aside.0, &error))?;
        Ok(aside)
    }
}

impl Drop for Aside {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// With the lock held, whatever lies aside is a dead one's. What cannot be removed is in nobody's way.
fn clear(folder: &Path) {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    for entry in entries.filter(|entry| entry.file_name().to_string_lossy().starts_with(ASIDE)) {
        fs::remove_file(entry.path()).or_else(|_| fs::remove_dir_all(entry.path())).ok();
    }
}

fn held(folder: &Path, holder: &str) -> Fatal {
    Fatal::new(
        format!("native libraries are being installed into `{}` by {holder}", folder.display()),
        "wait until that install has ended and run this one again, stop it, or choose another folder with `--dir`",
    )
}
