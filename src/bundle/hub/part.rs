//! A file on its way: what has come stands in `HASH.incomplete`, is hashed as it comes, and is taken up again by a
//! later run.

use std::{
    fs::{self, File},
    io::{self, Read, Write},
    path::{Path, PathBuf},
};

use sha2::{Digest, Sha256};

use super::cache::unwritable;
use crate::{base::Fatal, bundle::manifest::hex};

/// A file on its way.
pub struct Part {
    path: PathBuf,
    file: File,
    hasher: Sha256,
    /// Bytes that have come.
    pub have: u64,
    /// Did an earlier run bring some of them?
    pub inherited: bool,
    /// Is it known to be wrong?
    pub spoiled: bool,
}

impl Part {
    /// Takes up what an earlier run left of a file of `size` bytes, if `resumable`; else begins anew.
    pub fn open(path: &Path, size: u64, resumable: bool) -> Result<Self, Fatal> {
        let open = || {
            let file = File::options().read(true).write(true).create(true).truncate(false).open(path)?;
            let mut part =
                Self { path: path.to_owned(), file, hasher: Sha256::new(), have: 0, inherited: false, spoiled: false };
            match resumable && part.file.metadata()?.len() <= size {
                true => part.inherit()?,
                false => part.file.set_len(0)?,
            }
            Ok(part)
        };
        open().map_err(|error| unwritable(path, &error))
    }

    fn inherit(&mut self) -> io::Result<()> {
        let mut buffer = vec![0; 1 << 20];
        loop {
            match self.file.read(&mut buffer)? {
                0 => break,
                read => {
                    self.hasher.update(&buffer[..read]);
                    self.have += read as u64;
                }
            }
        }
        self.inherited = self.have > 0;
        Ok(())
    }

    /// Throws away what has come.
    pub fn restart(&mut self) -> Result<(), Fatal> {
        let path = self.path.clone();
        let emptied = self.file.set_len(0).and_then(|()| io::Seek::rewind(&mut self.file));
        emptied.map_err(|error| unwritable(&path, &error))?;
        (self.hasher, self.have, self.inherited) = (Sha256::new(), 0, false);
        Ok(())
    }

    /// Takes the next bytes.
    pub fn write(&mut self, bytes: &[u8]) -> Result<(), Fatal> {
        self.file.write_all(bytes).map_err(|error| unwritable(&self.path, &error))?;
        self.hasher.update(bytes);
        self.have += bytes.len() as u64;
        Ok(())
    }

    /// SHA-256 of all that has come.
    pub fn sha256(&self) -> String {
        hex(self.hasher.clone())
    }

    /// Nothing of it is worth keeping.
    pub fn discard(self) {
        // A later run checks whatever cannot be removed now.
        fs::remove_file(&self.path).ok();
    }

    /// Makes the whole file durable under its name.
    pub fn publish(self, blob: &Path) -> Result<(), Fatal> {
        let folder = blob.parent().unwrap_or(Path::new("."));
        let renamed = self.file.sync_all().and_then(|()| fs::rename(&self.path, blob));
        renamed.and_then(|()| File::open(folder)?.sync_all()).map_err(|error| unwritable(blob, &error))
    }
}
