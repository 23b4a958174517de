//! The header of a WAV that was written to a pipe: its sizes stand for "unknown", and the sound goes on to the end of the file.

use std::io::{self, Read, Seek, SeekFrom};

/// Chunks before the sound that are passed over at most.
const CHUNKS: usize = 64;

/// Whether `file`, which is left at its start, is a WAV whose sound has no length.
pub fn is_endless(file: &mut (impl Read + Seek)) -> io::Result<bool> {
    let size = sound(file);
    file.rewind()?;
    Ok(size?.is_some_and(stands_for_unknown))
}

/// What ffmpeg (2^32 - 1), SoX and others (2^31 and somewhat less) write where they cannot go back to fill it in. That the file
/// is shorter shows when it ends.
fn stands_for_unknown(size: u32) -> bool {
    matches!(size, 0x7fff_0000..=0x8000_0000 | 0xffff_0000..)
}

/// The size of the chunk `data`.
fn sound(file: &mut (impl Read + Seek)) -> io::Result<Option<u32>> {
    let mut head = [0; 12];
    if !is_there(file.read_exact(&mut head))? || &head[..4] != b"RIFF" || &head[8..] != b"WAVE" {
        return Ok(None);
    }
    for _ in 0..CHUNKS {
        let mut chunk = [0; 8];
        if !is_there(file.read_exact(&mut chunk))? {
            return Ok(None);
        }
        let size = u32::from_le_bytes([chunk[4], chunk[5], chunk[6], chunk[7]]);
        if &chunk[..4] == b"data" {
            return Ok(Some(size));
        }
        file.seek(SeekFrom::Current(i64::from(size) + i64::from(size % 2)))?;
    }
    Ok(None)
}

/// False where the file ends before.
fn is_there(read: io::Result<()>) -> io::Result<bool> {
    match read {
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(false),
        read => read.map(|()| true),
    }
}
