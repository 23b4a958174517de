//! One look at one file: its kind, length and hash, or why it is no document.

use std::{
    fs::File,
    io::{self, Read, Seek},
    path::Path,
    time::SystemTime,
};

use crate::base::{ContentHash, Fault, FaultKind, Kind, StageName, Stop};

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

const READABLE: &str = "it is not PDF, JPEG, PNG, WebP, TIFF, GIF, BMP, PNM, HEIC, AVIF, JPEG 2000, JPEG XL, \
                        WAV, MP3, AAC, FLAC, Ogg, MP4, MOV, MKV, WebM, AVI or text";

/// The beginning of a file, the hash of all of it, and its length in bytes.
type Whole = (Vec<u8>, ContentHash, u64);

/// Reads the file once; none when the run is asked to stop before its end. Only regular files: opening a pipe could wait
/// for ever.
pub fn look(path: &Path, stop: &Stop) -> Result<Option<Sight>, Refusal> {
    let unreadable =
        |error: io::Error| (fault(FaultKind::Unreadable, error.to_string(), "check its permissions"), None);
    let facts = path.metadata().map_err(unreadable)?;
    if !facts.is_file() {
        return Err((fault(FaultKind::Unreadable, "it is no regular file", "name a file or a folder"), None));
    }
    let mut file = File::open(path).map_err(unreadable)?;
    let Some((head, hash, bytes)) = read(&mut file, facts.len(), stop).map_err(unreadable)? else { return Ok(None) };
    let modified = facts.modified().ok();
    let since = file.metadata().map_err(unreadable)?;
    if (facts.len(), since.len(), since.modified().ok()) != (bytes, bytes, modified) {
        return Err((fault(FaultKind::Unreadable, "it is being written", "run again when it is complete"), None));
    }
    if bytes == 0 {
        return Err((fault(FaultKind::Empty, "it has no bytes", "look for an interrupted copy"), Some(hash)));
    }
    let kind = kind_of(&head, &mut file).map_err(|fault| (fault, Some(hash)))?;
    warn_of_contradiction(path, kind);
    Ok(Some(Sight { kind, hash, bytes, modified }))
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

/// Reads one byte more than the `length` that the file should have, and no further: one that grows as fast as it is read
/// would never end. None when the run is asked to stop.
fn read(file: &mut impl Read, length: u64, stop: &Stop) -> io::Result<Option<Whole>> {
    let (mut hasher, mut buffer) = (blake3::Hasher::new(), vec![0; 1 << 18]);
    let (mut head, mut bytes) = (Vec::new(), 0);
    let mut file = file.take(length.saturating_add(1));
    while !stop.draining() {
        let count = match file.read(&mut buffer) {
            Ok(0) => return Ok(Some((head, ContentHash(*hasher.finalize().as_bytes()), bytes))),
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        hasher.update(&buffer[..count]);
        head.extend_from_slice(&buffer[..count.min(HEAD - head.len())]);
        bytes += count as u64;
    }
    Ok(None)
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

#[cfg(test)]
mod tests {
    use super::*;

    /// Never ends, and asks the run to stop at the third time it is read.
    struct Endless(u32, Stop);

    impl Read for Endless {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            self.0 += 1;
            if self.0 == 3 {
                self.1.drain();
            }
            buffer.fill(b'x');
            Ok(buffer.len())
        }
    }

    #[test]
    fn a_file_is_given_up_where_the_run_is_asked_to_stop() {
        let stop = Stop::default();
        let mut endless = Endless(0, stop.clone());
        assert!(read(&mut endless, u64::MAX, &stop).unwrap().is_none());
        assert_eq!(endless.0, 3);
    }

    #[test]
    fn a_file_that_grows_while_it_is_read_is_read_one_byte_too_far() {
        let stop = Stop::default();
        let (head, _, bytes) = read(&mut Endless(3, stop.clone()), 1000, &stop).unwrap().unwrap();
        assert_eq!((head.len(), bytes), (1001, 1001));
    }
}
