//! One run at a time: whoever writes a dataset holds its lock.

use std::{io, path::Path};

use super::folder;
use crate::base::{
    Fatal,
    lock::{Lock, Refusal},
};

/// Takes the lock of a dataset, which is the file at `path`.
///
/// # Errors
/// When another process holds it: the error says which. When the file cannot be written, or the file system knows no
/// locks.
pub fn take(path: &Path) -> Result<Lock, Fatal> {
    Lock::take(path).map_err(|refusal| match refusal {
        Refusal::Held(holder) => held(path, &holder),
        Refusal::NoLocks(error) => no_locks(path, &error),
        Refusal::Unwritable(error) => folder::cannot_write(path, &error),
    })
}

fn held(path: &Path, holder: &str) -> Fatal {
    let out = path.parent().and_then(Path::parent).unwrap_or(path);
    Fatal::new(
        format!("write: `{}` is being written by {holder}", out.display()),
        "wait until that run has ended, stop it, or choose another `--output`",
    )
}

fn no_locks(path: &Path, error: &io::Error) -> Fatal {
    Fatal::new(
        format!("write: `{}` cannot be locked: {error}", path.display()),
        "choose an `--output` on a file system with locks, so that two runs cannot write the same dataset",
    )
}
