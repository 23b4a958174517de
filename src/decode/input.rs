//! A document as the decoders get it: open, by a descriptor, so that a child needs no way to the file itself.

use std::{
    fs::File,
    io::{self, Seek},
    path::Path,
    process::Stdio,
};

use crate::base::{Fault, FaultKind, Source};

use super::output::refuse;

/// An open document.
#[derive(Debug)]
pub struct Input {
    file: File,
    /// Where it lies, for systems on which a descriptor cannot be opened again.
    #[cfg(not(unix))]
    path: std::path::PathBuf,
}

impl Input {
    /// Opens the file at `path`.
    ///
    /// # Errors
    /// `Unreadable` when it cannot be opened, or is no file any more.
    pub fn open(path: &Path) -> Result<Self, Fault> {
        let file = open(path).map_err(|error| unreadable(&error))?;
        if !file.metadata().map_err(|error| unreadable(&error))?.is_file() {
            return Err(refuse(FaultKind::Unreadable, "it is not a file any more", "list it again"));
        }
        #[cfg(unix)]
        return Ok(Self { file });
        #[cfg(not(unix))]
        return Ok(Self { file, path: path.to_owned() });
    }

    /// The document that arrived as an open descriptor.
    #[cfg(unix)]
    pub fn of(file: File) -> Self {
        Self { file }
    }

    /// Looks whether the file is still the one whose content was hashed.
    ///
    /// # Errors
    /// `Unreadable` when it was written to since.
    pub fn is_still(&self, source: &Source) -> Result<(), Fault> {
        let facts = self.file.metadata().map_err(|error| unreadable(&error))?;
        let same = facts.len() == source.bytes && facts.modified().ok() == source.modified;
        if same || source.modified.is_none() {
            return Ok(());
        }
        let message = "it has been written to since it was listed: what came of it may be of neither state";
        Err(refuse(FaultKind::Unreadable, message, "run again when nobody writes to it; it is a new document then"))
    }

    /// Where it lies.
    #[cfg(not(unix))]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What is handed over.
    pub fn file(&self) -> &File {
        &self.file
    }

    /// A reader at the beginning. All readers of a document share one position: read with one at a time.
    ///
    /// # Errors
    /// `Unreadable` when the system refuses.
    pub fn reader(&self) -> Result<File, Fault> {
        self.rewound().map_err(|error| unreadable(&error))
    }

    fn rewound(&self) -> io::Result<File> {
        let mut file = self.file.try_clone()?;
        file.rewind()?;
        Ok(file)
    }

    /// For ffmpeg: its standard input, and by which name it finds the document there.
    #[cfg(unix)]
    pub fn for_program(&self) -> io::Result<(Stdio, std::ffi::OsString)> {
        Ok((self.rewound()?.into(), "file:/dev/stdin".into()))
    }

    /// For ffmpeg: no standard input, and `file:` with the absolute path, so that no name can be taken for an option or
    /// another protocol.
    #[cfg(not(unix))]
    pub fn for_program(&self) -> io::Result<(Stdio, std::ffi::OsString)> {
        let mut address = std::ffi::OsString::from("file:");
        address.push(std::path::absolute(&self.path)?);
        Ok((Stdio::null(), address))
    }
}

/// Without waiting: a pipe that has taken the file's place would let us wait for ever.
#[cfg(unix)]
fn open(path: &Path) -> io::Result<File> {
    use std::os::unix::fs::OpenOptionsExt;
    File::options().read(true).custom_flags(libc::O_NONBLOCK | libc::O_NOCTTY).open(path)
}

#[cfg(not(unix))]
fn open(path: &Path) -> io::Result<File> {
    File::open(path)
}

fn unreadable(error: &io::Error) -> Fault {
    refuse(FaultKind::Unreadable, error.to_string(), "check the file and its permissions")
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;
    use crate::base::{ContentHash, Kind};

    #[test]
    fn each_reader_begins_at_the_beginning() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "abc").unwrap();
        let input = Input::open(file.path()).unwrap();
        for _ in 0..2 {
            let mut text = String::new();
            input.reader().unwrap().read_to_string(&mut text).unwrap();
            assert_eq!(text, "abc");
        }
    }

    #[test]
    fn what_is_written_to_is_not_the_same_any_more() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "abc").unwrap();
        let modified = file.path().metadata().unwrap().modified().ok();
        let (name, path, hash) = ("a".to_owned(), file.path().to_owned(), ContentHash([0; 32]));
        let source = Source { name, path, hash, kind: Kind::Text, bytes: 3, modified, ordinal: 0 };
        let input = Input::open(file.path()).unwrap();
        assert_eq!(input.is_still(&source), Ok(()));
        std::fs::write(file.path(), "abcd").unwrap();
        assert_eq!(input.is_still(&source).unwrap_err().kind, FaultKind::Unreadable);
    }

    #[test]
    fn what_is_no_file_is_unreadable() {
        let folder = tempfile::tempdir().unwrap();
        for path in [folder.path(), &folder.path().join("absent")] {
            assert_eq!(Input::open(path).unwrap_err().kind, FaultKind::Unreadable);
        }
    }
}
