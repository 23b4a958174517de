//! The file of external weights: tensors appended at aligned offsets.

use std::io::{self, Write};

use super::proto::StringStringEntryProto;
use crate::bundle::output::{Output, OutputFile};

/// Offsets are multiples of this, so that ONNX Runtime may map the file into memory (page size on all our platforms).
const ALIGNMENT: u64 = 4096;

/// An external data file that grows tensor by tensor.
pub(super) struct ExternalData {
    file: OutputFile,
}

impl ExternalData {
    pub(super) fn create(output: &Output, name: &str) -> io::Result<Self> {
        Ok(Self { file: output.create(name)? })
    }

    /// True when weights are counted and not written.
    pub(super) fn only_counts(&self) -> bool {
        self.file.output().only_counts()
    }

    /// Bytes so far.
    pub(super) fn bytes(&self) -> u64 {
        self.file.bytes()
    }

    /// Appends one tensor of so many bytes. Returns the entries that point to it and what was written.
    pub(super) fn append(
        &mut self,
        bytes: u64,
        write: impl FnOnce(&mut dyn Write) -> io::Result<()>,
    ) -> io::Result<(Vec<StringStringEntryProto>, u64)> {
        self.align()?;
        let offset = self.file.bytes();
        match self.only_counts() {
            true => self.file.count(bytes),
            false => write(&mut self.file)?,
        }
        let length = self.file.bytes() - offset;
        let entries = vec![
            entry("location", self.file.file_name()),
            entry("offset", &offset.to_string()),
            entry("length", &length.to_string()),
        ];
        Ok((entries, length))
    }

    fn align(&mut self) -> io::Result<()> {
        let gap = self.file.bytes().next_multiple_of(ALIGNMENT) - self.file.bytes();
        io::copy(&mut io::Read::take(io::repeat(0), gap), &mut self.file).map(drop)
    }

    /// Makes the file durable, or removes it when nothing was written.
    pub(super) fn finish(self) -> io::Result<()> {
        self.file.finish()
    }
}

fn entry(key: &str, value: &str) -> StringStringEntryProto {
    StringStringEntryProto { key: key.to_owned(), value: value.to_owned() }
}
