//! One run at a time: whoever writes a dataset holds its lock, which the system takes back when the process ends.

use std::{
    fs::{self, File, TryLockError},
    io::{self, Read, Seek, Write},
    path::Path,
    process,
};

use chrono::{SecondsFormat, Utc};

use super::folder;
use crate::base::Fatal;

/// The lock of a dataset.
#[derive(Debug)]
pub struct Lock(File);

impl Lock {
    /// Takes the lock that is the file at `path`, and writes into it who holds it.
    ///
    /// # Errors
    /// When another process holds it: the error says which. When the file cannot be written, or the file system knows no
    /// locks.
    pub fn take(path: &Path) -> Result<Self, Fatal> {
        let cannot = |error: io::Error| folder::cannot_write(path, &error);
        let mut file =
            File::options().read(true).write(true).create(true).truncate(false).open(path).map_err(cannot)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(held(path, &mut file)),
            Err(TryLockError::Error(error)) => return Err(no_locks(path, &error)),
        }
        file.set_len(0)
            .and_then(|()| file.rewind())
            .and_then(|()| file.write_all(format!("{}\n", us()).as_bytes()))
            .map_err(cannot)?;
        Ok(Self(file))
    }
}

/// Leaves no name in the file that holds nothing any more.
impl Drop for Lock {
    fn drop(&mut self) {
        let _ = self.0.set_len(0);
    }
}

/// Who we are, for others to read.
pub(super) fn us() -> String {
    let host = fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_else(|_| "this machine".to_owned());
    let since = Utc::now().to_rfc3339_opts(SecondsFormat::Secs, true);
    format!("process {} on {}, since {since}", process::id(), host.trim())
}

fn held(path: &Path, file: &mut File) -> Fatal {
    let mut holder = String::new();
    let read = file.read_to_string(&mut holder);
    let holder = Some(holder.trim()).filter(|holder| read.is_ok() && !holder.is_empty()).unwrap_or("another process");
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
