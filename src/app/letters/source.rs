//! The documents that the failures are about, as they are now.

use std::{
    fs::File,
    io::{self, Read, Write},
    path::{Path, PathBuf},
    sync::Arc,
};

use super::Failed;
use crate::{
    base::{ContentHash, Kind, Source, name::path_of},
    decode::Input,
};

/// A document as it is now.
#[derive(Debug, Clone)]
pub struct Document {
    /// Where it lies, or lay.
    pub path: PathBuf,
    /// What has become of it.
    pub state: State,
}

/// What has become of a document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum State {
    /// It has the content of then, and so many bytes.
    Same(u64),
    /// It has another content.
    Changed(u64),
    /// Its content of then is not known, since it could not be read.
    Unknown(u64),
    /// It cannot be read now, and why.
    Gone(String),
}

impl Document {
    /// Looks at the document of a failure, and reads it once.
    pub fn of(row: &Failed) -> Self {
        let path = path_of(row.text("_source"));
        let path = std::path::absolute(&path).unwrap_or(path);
        let state = match read(&path, &mut io::sink()) {
            Err(error) => State::Gone(error),
            Ok((hash, bytes)) => match row.text("_hash") {
                "" => State::Unknown(bytes),
                then if then == hash.to_string() => State::Same(bytes),
                _ => State::Changed(bytes),
            },
        };
        Self { path, state }
    }

    /// Its length, where it can be read.
    pub fn bytes(&self) -> Option<u64> {
        match self.state {
            State::Same(bytes) | State::Changed(bytes) | State::Unknown(bytes) => Some(bytes),
            State::Gone(_) => None,
        }
    }

    /// The document as `decode` takes it, where it is what it was.
    pub fn source(&self, row: &Failed) -> Option<Arc<Source>> {
        let State::Same(bytes) = self.state else { return None };
        Some(Arc::new(source(&self.path, row.text("_source"), row.document_kind()?, bytes)))
    }
}

impl State {
    /// For people and for failure.json.
    pub fn words(&self) -> String {
        match self {
            Self::Same(_) => "as it was".to_owned(),
            Self::Changed(_) => "it has another content than then".to_owned(),
            Self::Unknown(_) => "its content of then is not known".to_owned(),
            Self::Gone(why) => format!("it cannot be read: {why}"),
        }
    }
}

/// A file as a document; nobody asks for its hash.
pub fn source(path: &Path, name: &str, kind: Kind, bytes: u64) -> Source {
    let (name, path, hash) = (name.to_owned(), path.to_owned(), ContentHash([0; 32]));
    Source { name, path, hash, kind, bytes, modified: None, ordinal: 0 }
}

/// Copies a document.
///
/// # Errors
/// Why it cannot be read or written.
pub fn copy(from: &Path, to: &Path) -> Result<(), String> {
    let mut file = File::create_new(to).map_err(|error| error.to_string())?;
    read(from, &mut file).map(drop)
}

/// Reads a regular file to its end: its hash and its length.
fn read(path: &Path, copy: &mut dyn Write) -> Result<(blake3::Hash, u64), String> {
    let input = Input::open(path).map_err(|fault| fault.message)?;
    let mut reader = input.reader().map_err(|fault| fault.message)?;
    let (mut hasher, mut buffer, mut bytes) = (blake3::Hasher::new(), vec![0; 1 << 18], 0);
    loop {
        match reader.read(&mut buffer) {
            Ok(0) => return Ok((hasher.finalize(), bytes)),
            Ok(count) => {
                hasher.update(&buffer[..count]);
                copy.write_all(&buffer[..count]).map_err(|error| error.to_string())?;
                bytes += count as u64;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error.to_string()),
        }
    }
}
