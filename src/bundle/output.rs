//! Where the files of a bundle go: into a folder, hashed as they are written, or nowhere, when only their sizes are
//! asked for.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::{self, BufWriter, Write},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use sha2::{Digest, Sha256};

use super::manifest::hex;
use crate::base::model::FileFact;

/// Where files go, and what has gone there. Clones mean the same place.
#[derive(Clone)]
pub struct Output {
    /// None when nothing is written.
    folder: Option<Arc<PathBuf>>,
    facts: Arc<Mutex<BTreeMap<String, FileFact>>>,
}

/// A file in the making.
pub struct OutputFile {
    output: Output,
    name: String,
    /// None when bytes are only counted.
    sink: Option<(BufWriter<File>, Sha256)>,
    bytes: u64,
}

impl Output {
    /// Files go into this folder.
    pub fn to(folder: &Path) -> Self {
        Self { folder: Some(Arc::new(folder.to_owned())), facts: Arc::default() }
    }

    /// Files go nowhere; their bytes are counted.
    pub fn counting() -> Self {
        Self { folder: None, facts: Arc::default() }
    }

    /// True when nothing is written, so that no weight needs to be made.
    pub fn only_counts(&self) -> bool {
        self.folder.is_none()
    }

    /// A folder with room for what must lie aside for a while.
    pub fn aside(&self) -> &Path {
        self.folder.as_ref().map_or(Path::new("."), |folder| folder.as_path())
    }

    /// The path of a file, for messages.
    pub fn path(&self, name: &str) -> PathBuf {
        self.aside().join(name)
    }

    /// Begins the file of that name, relative to the folder.
    pub fn create(&self, name: &str) -> io::Result<OutputFile> {
        let sink = match &self.folder {
            None => None,
            Some(folder) => {
                let path = folder.join(name);
                fs::create_dir_all(path.parent().unwrap_or(folder))?;
                Some((BufWriter::with_capacity(1 << 20, File::create(path)?), Sha256::new()))
            }
        };
        Ok(OutputFile { output: self.clone(), name: name.to_owned(), sink, bytes: 0 })
    }

    /// Writes a whole file.
    pub fn write(&self, name: &str, bytes: &[u8]) -> io::Result<()> {
        let mut file = self.create(name)?;
        file.write_all(bytes)?;
        file.finish()
    }

    /// Size and hash of every file so far; the hash is zeros where bytes were only counted.
    pub fn facts(&self) -> BTreeMap<String, FileFact> {
        self.facts.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl OutputFile {
    /// The last part of its name.
    pub fn file_name(&self) -> &str {
        self.name.rsplit('/').next().unwrap_or_default()
    }

    /// Bytes so far.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Where its siblings go.
    pub fn output(&self) -> &Output {
        &self.output
    }

    /// Counts bytes that nobody needs to make, where nothing is written.
    pub fn count(&mut self, bytes: u64) {
        debug_assert!(self.sink.is_none());
        self.bytes += bytes;
    }

    /// Makes the file durable and keeps its facts; a file without a byte is removed again.
    pub fn finish(self) -> io::Result<()> {
        let Self { output, name, sink, bytes } = self;
        let sha256 = match sink {
            None => "0".repeat(64),
            Some((file, hasher)) => {
                file.into_inner().map_err(io::IntoInnerError::into_error)?.sync_all()?;
                hex(hasher)
            }
        };
        if bytes == 0 {
            return if output.only_counts() { Ok(()) } else { fs::remove_file(output.path(&name)) };
        }
        let mut facts = output.facts.lock().unwrap_or_else(PoisonError::into_inner);
        facts.insert(name, FileFact { bytes, sha256 });
        Ok(())
    }
}

impl Write for OutputFile {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        let written = match &mut self.sink {
            None => buffer.len(),
            Some((file, hasher)) => {
                let written = file.write(buffer)?;
                hasher.update(&buffer[..written]);
                written
            }
        };
        self.bytes += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.sink.as_mut().map_or(Ok(()), |(file, _)| file.flush())
    }
}
