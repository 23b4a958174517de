//! The edit list of an MP4 file: how much of its sound track is the encoder's run-in, and how much is meant to be heard.
//!
//! Symphonia reads edit lists but does not act on them; without this an AAC track begins some 20 to 50 ms early and ends
//! late. Source: ISO/IEC 14496-12, sections 8.4.2 (`mdhd`), 8.4.3 (`hdlr`) and 8.6.6 (`elst`).

use std::io::{self, Read, Seek, SeekFrom};

/// Larger ones are no `moov` of a recording.
const LARGEST: u64 = 256 << 20;

/// The span of a track that is heard, in seconds of the track.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Edit {
    /// Where it begins.
    pub start: f64,
    /// How long it is, when that is said.
    pub length: Option<f64>,
}

/// What an edit list does to a track.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Edited {
    /// There is none, or the file is no MP4.
    Not,
    /// One span is heard.
    Span(Edit),
    /// It is put together of several.
    Pieces,
}

impl Edited {
    /// What is done to the first sound track of `file`, which is left at its start.
    pub fn read(file: &mut (impl Read + Seek)) -> io::Result<Self> {
        let movie = movie(file);
        file.rewind()?;
        Ok(movie?.and_then(|movie| Self::of(&movie)).unwrap_or(Self::Not))
    }

    fn of(movie: &[u8]) -> Option<Self> {
        let ticks = timescale(child(movie, b"mvhd")?)?;
        let sound = |track: &&[u8]| handler(track) == Some(b"soun");
        let track = boxes(movie).filter(|(name, _)| name == b"trak").map(|(_, body)| body).find(sound)?;
        let list = child(child(track, b"edts")?, b"elst")?;
        let (duration, start) = match playing(list)?.as_slice() {
            [] => return None,
            [entry] => *entry,
            _ => return Some(Self::Pieces),
        };
        let start = start as f64 / timescale(child(child(track, b"mdia")?, b"mdhd")?)?;
        Some(Self::Span(Edit { start, length: (duration > 0).then(|| duration as f64 / ticks) }))
    }
}

/// The content of the `moov` box.
fn movie(file: &mut (impl Read + Seek)) -> io::Result<Option<Vec<u8>>> {
    let mut head = [0; 16];
    let mut at = 0;
    for _ in 0..1024 {
        file.seek(SeekFrom::Start(at))?;
        let count = file.by_ref().take(16).read(&mut head)?;
        let Some((name, skip, size)) = header(&head[..count]) else { return Ok(None) };
        if at == 0 && &name != b"ftyp" {
            return Ok(None);
        }
        if &name == b"moov" && size <= LARGEST {
            file.seek(SeekFrom::Start(at + skip))?;
            let mut body = Vec::new();
            file.take(size - skip).read_to_end(&mut body)?;
            return Ok(Some(body));
        }
        at = at.saturating_add(size);
    }
    Ok(None)
}

/// Name, bytes of the header, bytes in all.
fn header(bytes: &[u8]) -> Option<([u8; 4], u64, u64)> {
    let name = bytes.get(4..8)?.try_into().ok()?;
    let (skip, size) = match number(bytes, 0)? {
        1 => (16, (number(bytes, 8)? << 32) | number(bytes, 12)?),
        size => (8, size),
    };
    (size >= skip).then_some((name, skip, size))
}

/// The boxes that lie side by side in `bytes`.
fn boxes(mut bytes: &[u8]) -> impl Iterator<Item = ([u8; 4], &[u8])> {
    std::iter::from_fn(move || {
        let (name, skip, size) = header(bytes)?;
        let (size, skip) = (usize::try_from(size).ok()?, usize::try_from(skip).ok()?);
        let body = bytes.get(skip..size)?;
        bytes = &bytes[size..];
        Some((name, body))
    })
}

fn child<'a>(bytes: &'a [u8], name: &[u8; 4]) -> Option<&'a [u8]> {
    boxes(bytes).find(|(found, _)| found == name).map(|(_, body)| body)
}

fn handler(track: &[u8]) -> Option<&[u8]> {
    child(child(track, b"mdia")?, b"hdlr")?.get(8..12)
}

/// Ticks a second, of an `mvhd` or `mdhd`.
fn timescale(header: &[u8]) -> Option<f64> {
    let at = if header.first()? == &1 { 20 } else { 12 };
    number(header, at).filter(|ticks| *ticks > 0).map(|ticks| ticks as f64)
}

/// Duration and start of the entries that play something, three at most.
fn playing(list: &[u8]) -> Option<Vec<(u64, u64)>> {
    let long = list.first()? == &1;
    let entry = |entry: &[u8]| match long {
        true => Some(((number(entry, 0)? << 32) | number(entry, 4)?, (number(entry, 8)? << 32) | number(entry, 12)?)),
        // An empty edit starts at -1, which must stay recognisable.
        false => Some((number(entry, 0)?, number(entry, 4)? as u32 as i32 as i64 as u64)),
    };
    let entries = list.get(8..)?.chunks_exact(if long { 20 } else { 12 }).take(number(list, 4)? as usize);
    Some(entries.filter_map(entry).filter(|(_, start)| *start != u64::MAX).take(3).collect())
}

/// Four bytes, big-endian.
fn number(bytes: &[u8], at: usize) -> Option<u64> {
    let bytes: [u8; 4] = bytes.get(at..at + 4)?.try_into().ok()?;
    Some(u64::from(u32::from_be_bytes(bytes)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(name: &[u8; 4], body: &[u8]) -> Vec<u8> {
        [&(body.len() as u32 + 8).to_be_bytes()[..], name, body].concat()
    }

    fn words(words: &[u32]) -> Vec<u8> {
        words.iter().flat_map(|word| word.to_be_bytes()).collect()
    }

    fn file(entries: &[u32]) -> Vec<u8> {
        let list = bytes(b"elst", &words(&[&[0, entries.len() as u32 / 3], entries].concat()));
        let handler = bytes(b"hdlr", &[&words(&[0, 0])[..], b"soun"].concat());
        let media = [bytes(b"mdhd", &words(&[0, 0, 0, 44_100, 0])), handler].concat();
        let track = [bytes(b"edts", &list), bytes(b"mdia", &media)].concat();
        let movie = [bytes(b"mvhd", &words(&[0, 0, 0, 1_000, 0])), bytes(b"trak", &track)].concat();
        [bytes(b"ftyp", b"M4A "), bytes(b"mdat", &[7; 99]), bytes(b"moov", &movie)].concat()
    }

    fn edit(file: &[u8]) -> Edited {
        Edited::read(&mut io::Cursor::new(file)).unwrap()
    }

    #[test]
    fn the_run_in_is_read_from_the_edit_list() {
        let expected = Edited::Span(Edit { start: 1024.0 / 44_100.0, length: Some(4.5) });
        assert_eq!(edit(&file(&[4_500, 1024, 1 << 16])), expected);
        assert_eq!(edit(&file(&[100, u32::MAX, 1 << 16, 4_500, 1024, 1 << 16])), expected);
        assert_eq!(edit(&file(&[4_500, 0, 1, 300, 99, 1])), Edited::Pieces);
    }

    #[test]
    fn other_files_have_no_edit() {
        let whole = file(&[4_500, 1024, 1 << 16]);
        assert_eq!(edit(b"RIFF....WAVE"), Edited::Not);
        (0..whole.len()).for_each(|length| assert_eq!(edit(&whole[..length]), Edited::Not, "cut at {length}"));
    }
}
