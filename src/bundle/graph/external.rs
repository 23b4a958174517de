//! The file of external weights: tensors appended at aligned offsets.

use std::{
    fs::{self, File},
    io::{self, BufWriter, Write},
    path::{Path, PathBuf},
};

use super::proto::StringStringEntryProto;

/// Offsets are multiples of this, so that ONNX Runtime may map the file into memory (page size on all our platforms).
const ALIGNMENT: u64 = 4096;

/// An external data file that grows tensor by tensor.
pub(super) struct ExternalData {
    path: PathBuf,
    file: Counting<BufWriter<File>>,
}

impl ExternalData {
    pub(super) fn create(path: &Path) -> io::Result<Self> {
        let file = BufWriter::with_capacity(1 << 20, File::create(path)?);
        Ok(Self { path: path.to_owned(), file: Counting { inner: file, bytes: 0 } })
    }

    /// Appends one tensor. Returns the entries that point to it and its length.
    pub(super) fn append(
        &mut self,
        write: impl FnOnce(&mut dyn Write) -> io::Result<()>,
    ) -> io::Result<(Vec<StringStringEntryProto>, u64)> {
        self.align()?;
        let offset = self.file.bytes;
        write(&mut self.file)?;
        let length = self.file.bytes - offset;
        let location = self.path.file_name().unwrap_or_default().to_string_lossy();
        let entries = vec![
            entry("location", &location),
            entry("offset", &offset.to_string()),
            entry("length", &length.to_string()),
        ];
        Ok((entries, length))
    }

    fn align(&mut self) -> io::Result<()> {
        let gap = self.file.bytes.next_multiple_of(ALIGNMENT) - self.file.bytes;
        io::copy(&mut io::Read::take(io::repeat(0), gap), &mut self.file).map(drop)
    }

    /// Makes the file durable, or removes it when nothing was written.
    pub(super) fn finish(self) -> io::Result<()> {
        if self.file.bytes == 0 {
            return fs::remove_file(self.path);
        }
        self.file.inner.into_inner().map_err(io::IntoInnerError::into_error)?.sync_all()
    }
}

fn entry(key: &str, value: &str) -> StringStringEntryProto {
    StringStringEntryProto { key: key.to_owned(), value: value.to_owned() }
}

struct Counting<W> {
    inner: W,
    bytes: u64,
}

impl<W: Write> Write for Counting<W> {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        let written = self.inner.write(buffer)?;
        self.bytes += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}
