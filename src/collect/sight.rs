//! One look at one file: its kind, length and hash, or why it is no document.

use std::{
    fs::File,
    io::{self, Read, Seek},
    path::Path,
    time::SystemTime,
};

use crate::base::{ContentHash, Fault, FaultKind, Kind, StageName};

use super::{
    kind::{Content, HEAD, promised, recognise},
    mp4,
    walk::Dead,
};

/// What a file turned out to be.
#[derive(Debug, Clone)]
pub struct Sight {
    /// What the content is.
    pub kind: Kind,
    /// BLAKE3 of the content.
    pub hash: ContentHash,
    /// Length in bytes.
    pub bytes: u64,
    /// When it was written last.
    pub modified: Option<SystemTime>,
}

/// Why a file is no document; the hash when its content could be read.
pub type Refusal = (Fault, Option<ContentHash>);

const READABLE: &str =
    "it is not PDF, JPEG, PNG, WebP, TIFF, GIF, BMP, WAV, MP3, AAC, FLAC, Ogg, MP4, MOV, MKV, WebM, AVI or text";

/// Reads the file once. Only regular files: opening a pipe could wait for ever.
pub fn look(path: &Path) -> Result<Sight, Refusal> {
    let unreadable =
        |error: io::Error| (fault(FaultKind::Unreadable, error.to_string(), "check its permissions"), None);
    let facts = path.metadata().map_err(unreadable)?;
    if !facts.is_file() {
        return Err((fault(FaultKind::Unreadable, "it is no regular file", "name a file or a folder"), None));
    }
    let mut file = File::open(path).map_err(unreadable)?;
    let (head, hash, bytes) = read(&mut file).map_err(unreadable)?;
    let modified = facts.modified().ok();
    let since = file.metadata().map_err(unreadable)?;
    if (since.len(), since.modified().ok()) != (bytes, modified) {
        return Err((fault(FaultKind::Unreadable, "it is being written", "run again when it is complete"), None));
    }
    if bytes == 0 {
        return Err((fault(FaultKind::Empty, "it has no bytes", "look for an interrupted copy"), Some(hash)));
    }
    let kind = kind_of(&head, &mut file).map_err(|fault| (fault, Some(hash)))?;
    warn_of_contradiction(path, kind);
    Ok(Sight { kind, hash, bytes, modified })
}

/// The fault of a name that leads nowhere.
pub fn fault_of(dead: Dead) -> Fault {
    match dead {
        Dead::Missing => fault(FaultKind::Unreadable, "there is no such file or folder", "check the name"),
        Dead::NoMatch => {
            let hint = "check the pattern; braces stand for themselves";
            fault(FaultKind::Unreadable, "no file matches the pattern", hint)
        }
        Dead::Unreadable(reason) => fault(FaultKind::Unreadable, reason, "check its permissions"),
    }
}

fn read(file: &mut File) -> io::Result<(Vec<u8>, ContentHash, u64)> {
    let (mut hasher, mut buffer) = (blake3::Hasher::new(), vec![0; 1 << 18]);
    let (mut head, mut bytes) = (Vec::new(), 0);
    loop {
        let count = match file.read(&mut buffer) {
            Ok(0) => return Ok((head, ContentHash(*hasher.finalize().as_bytes()), bytes)),
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        hasher.update(&buffer[..count]);
        head.extend_from_slice(&buffer[..count.min(HEAD - head.len())]);
        bytes += count as u64;
    }
}

/// What the content of `file` is, of which `head` is the beginning: 65,536 bytes, or all of it.
///
/// # Errors
/// `UnknownKind` for content that is not read.
pub fn kind_of(head: &[u8], file: &mut (impl Read + Seek)) -> Result<Kind, Fault> {
    match recognise(head) {
        Content::Known(kind) => Ok(kind),
        Content::Container if mp4::shows_pictures(file) => Ok(Kind::Video),
        Content::Container => Ok(Kind::Audio),
        Content::Foreign(name) => Err(fault(FaultKind::UnknownKind, format!("its content is {name}"), READABLE)),
        Content::Unknown => Err(fault(FaultKind::UnknownKind, "its content is of no format that we know", READABLE)),
    }
}

fn warn_of_contradiction(path: &Path, kind: Kind) {
    if let Some(promised) = promised(path).filter(|promised| *promised != kind) {
        tracing::warn!(target: "collect", "`{}` is named like {promised} but holds {kind}: read as {kind}", path.display());
    }
}

fn fault(kind: FaultKind, message: impl Into<String>, hint: &str) -> Fault {
    Fault::new(StageName::Collect, kind, message, hint)
}
