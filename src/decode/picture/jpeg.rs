//! Whether a JPEG is all there: the decoder fills what is missing with grey and says nothing.

use std::io::{self, BufRead, Seek};

use crate::base::Fault;

use super::fault;

const START: u8 = 0xd8;
const END: u8 = 0xd9;

/// A fault when `source` is a JPEG that ends before its end marker. Other formats pass. Leaves `source` at its start.
pub fn check_end(source: &mut (impl BufRead + Seek)) -> Result<(), Fault> {
    let verdict = has_end(source);
    source.rewind().map_err(|error| fault::unreadable(&error))?;
    match verdict {
        Ok(true) => Ok(()),
        Ok(false) => Err(fault::corrupt("the JPEG ends in the middle of the picture")),
        Err(error) => Err(fault::of_io(&error)),
    }
}

fn has_end(source: &mut (impl BufRead + Seek)) -> io::Result<bool> {
    if next(source)? != Some(0xff) || next(source)? != Some(START) {
        return Ok(true);
    }
    // An embedded thumbnail has an end marker of its own, so segments are stepped over by their lengths.
    while let Some(marker) = next_marker(source)? {
        match marker {
            END => return Ok(true),
            _ if has_no_length(marker) => {}
            _ => skip_segment(source)?,
        }
    }
    Ok(false)
}

/// The next marker, past entropy-coded data with its stuffed zeros and restart markers.
fn next_marker(source: &mut impl BufRead) -> io::Result<Option<u8>> {
    loop {
        if source.skip_until(0xff)? == 0 {
            return Ok(None);
        }
        match next_after_fill(source)? {
            Some(0) => {}
            marker => return Ok(marker),
        }
    }
}

fn next_after_fill(source: &mut impl BufRead) -> io::Result<Option<u8>> {
    loop {
        match next(source)? {
            Some(0xff) => {}
            byte => return Ok(byte),
        }
    }
}

fn has_no_length(marker: u8) -> bool {
    matches!(marker, 0x01 | 0xd0..=0xd8)
}

fn skip_segment(source: &mut (impl BufRead + Seek)) -> io::Result<()> {
    let (Some(high), Some(low)) = (next(source)?, next(source)?) else { return Ok(()) };
    let length = i64::from(u16::from_be_bytes([high, low]));
    source.seek_relative((length - 2).max(0))
}

fn next(source: &mut impl BufRead) -> io::Result<Option<u8>> {
    let byte = source.fill_buf()?.first().copied();
    source.consume(usize::from(byte.is_some()));
    Ok(byte)
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::*;

    fn whole(bytes: &[u8]) -> bool {
        check_end(&mut Cursor::new(bytes)).is_ok()
    }

    #[test]
    fn only_the_pictures_own_end_counts() {
        let start = [0xff, START, 0xff, 0xe1, 0, 6, 0xff, START, 0xff, END];
        let scan = [0xff, 0xda, 0, 3, 1, 7, 0xff, 0, 8, 0xff, 0xd0, 9];
        let cut = [&start[..], &scan].concat();
        assert!(!whole(&start));
        assert!(!whole(&cut));
        assert!(whole(&[&cut[..], &[0xff, END]].concat()));
        assert!(whole(&[&cut[..], &[0xff, END], b"more"].concat()));
    }

    #[test]
    fn other_formats_pass() {
        assert!(whole(b"\x89PNG"));
        assert!(whole(b""));
    }
}
