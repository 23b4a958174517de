//! One safetensors file: its header checked against its length, its bytes read at offsets.

use std::{
    fs::File,
    io::{self, Read},
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
};

use safetensors::tensor::Metadata;

use crate::base::Fatal;

/// The longest safetensors header that is read.
const LARGEST_HEADER: u64 = 100 << 20;

/// One safetensors file.
pub(super) struct Shard {
    pub(super) path: PathBuf,
    file: File,
    /// Where the first tensor begins.
    data: u64,
}

impl Shard {
    pub(super) fn open(path: &Path) -> Result<(Self, Metadata), Fatal> {
        let mut file = File::open(path).map_err(|error| unreadable(path, &error))?;
        let length = file.metadata().map_err(|error| unreadable(path, &error))?.len();
        let (metadata, data) = read_header(&mut file, length).map_err(|what| damaged(path, what))?;
        Ok((Self { path: path.to_owned(), file, data }, metadata))
    }

    /// Fills `bytes` from `place` on, counted from where the first tensor begins.
    pub(super) fn read(&self, name: &str, place: u64, bytes: &mut [u8]) -> Result<(), Fatal> {
        self.file
            .read_exact_at(bytes, self.data + place)
            .map_err(|error| unreadable(&self.path, &io::Error::new(error.kind(), format!("tensor `{name}`: {error}"))))
    }
}

/// The header of a safetensors file of `length` bytes: what it says of the tensors, and where the first begins.
///
/// # Errors
/// What contradicts itself or the length, in one line.
pub fn read_header(file: &mut impl Read, length: u64) -> Result<(Metadata, u64), String> {
    let mut word = [0; 8];
    file.read_exact(&mut word).map_err(|error| error.to_string())?;
    let header = u64::from_le_bytes(word);
    if header > LARGEST_HEADER || header + 8 > length {
        return Err(format!("its header claims {header} bytes, the file has {length}"));
    }
    let mut text = vec![0; header as usize];
    file.read_exact(&mut text).map_err(|error| error.to_string())?;
    let metadata: Metadata = serde_json::from_slice(&text).map_err(|error| error.to_string())?;
    let expected = (8 + header).saturating_add(metadata.data_len() as u64);
    if expected != length {
        return Err(format!("it has {length} bytes, its header demands {expected}"));
    }
    Ok((metadata, 8 + header))
}

pub(super) fn unreadable(path: &Path, error: &io::Error) -> Fatal {
    Fatal::new(
        format!("cannot read `{}`: {error}", path.display()),
        "check that the checkpoint is complete and readable",
    )
}

fn damaged(path: &Path, what: impl std::fmt::Display) -> Fatal {
    Fatal::new(
        format!("`{}` is not a whole safetensors file: {what}", path.display()),
        "the file is truncated or damaged: download it again",
    )
}
