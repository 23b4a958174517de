//! One holder at a time: a file with a lock, which the system takes back when the process ends, and in it who holds it.

use std::{
    fs::{self, File, TryLockError},
    io::{self, Read, Seek, Write},
    path::Path,
    process,
};

use chrono::{SecondsFormat, Utc};

/// A lock that is ours until it is dropped.
#[derive(Debug)]
pub struct Lock(File);

/// Why a lock is not ours.
#[derive(Debug)]
pub enum Refusal {
    /// Another process holds it: which, as far as it says.
    Held(String),
    /// The file system knows no locks.
    NoLocks(io::Error),
    /// The file cannot be written.
    Unwritable(io::Error),
}

impl Lock {
    /// Takes the lock that is the file at `path`, and writes into it who holds it.
    ///
    /// # Errors
    /// Those of [`Refusal`].
    pub fn take(path: &Path) -> Result<Self, Refusal> {
        let file = File::options().read(true).write(true).create(true).truncate(false).open(path);
        let mut file = file.map_err(Refusal::Unwritable)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(Refusal::Held(holder(&mut file))),
            Err(TryLockError::Error(error)) => return Err(Refusal::NoLocks(error)),
        }
        sign(&mut file).map_err(Refusal::Unwritable)?;
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
pub fn us() -> String {
    let host = fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_else(|_| "this machine".to_owned());
    let since = Utc::now().to_rfc3339_opts(SecondsFormat::Secs, true);
    format!("process {} on {}, since {since}", process::id(), host.trim())
}

fn sign(file: &mut File) -> io::Result<()> {
    file.set_len(0)?;
    file.rewind()?;
    file.write_all(format!("{}\n", us()).as_bytes())
}

fn holder(file: &mut File) -> String {
    let mut holder = String::new();
    let read = file.read_to_string(&mut holder);
    let holder = Some(holder.trim()).filter(|holder| read.is_ok() && !holder.is_empty());
    holder.unwrap_or("another process").to_owned()
}
