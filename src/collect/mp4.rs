//! Whether an MP4 or QuickTime file shows pictures: looks for the track handlers in its `moov` box.
//!
//! Source: ISO/IEC 14496-12, sections 4.2 (boxes) and 8.4.3 (handlers).

use std::io::{Read, Seek, SeekFrom};

/// Largest `moov` that is read; beyond it the file counts as a film.
const MOST: u64 = 32 << 20;

/// True unless the file has a sound track and no picture track. Files that make no sense count as films: the film
/// decoder then says what is wrong with them.
pub fn shows_pictures(file: &mut (impl Read + Seek)) -> bool {
    let Some(moov) = moov(file) else { return true };
    let handler = |kind: &[u8; 4]| moov.windows(16).any(|box_| &box_[..4] == b"hdlr" && &box_[12..16] == kind);
    handler(b"vide") || !handler(b"soun")
}

/// The content of the `moov` box, found by hopping over the boxes before it.
fn moov(file: &mut (impl Read + Seek)) -> Option<Vec<u8>> {
    file.seek(SeekFrom::Start(0)).ok()?;
    // Files have a handful of boxes at the top; fragmented ones have more, but begin with `moov`.
    for _ in 0..256 {
        let (kind, bytes) = header(file)?;
        if &kind == b"moov" {
            let mut content = Vec::new();
            file.take(bytes.min(MOST)).read_to_end(&mut content).ok()?;
            return (bytes <= MOST).then_some(content);
        }
        file.seek(SeekFrom::Current(i64::try_from(bytes).ok()?)).ok()?;
    }
    None
}

/// The kind of the next box, and how many bytes of content follow.
fn header(file: &mut impl Read) -> Option<([u8; 4], u64)> {
    let (size, kind) = (read::<4>(file)?, read::<4>(file)?);
    let content = match u32::from_be_bytes(size) {
        1 => u64::from_be_bytes(read::<8>(file)?).checked_sub(16)?,
        // The last box may reach to the end of the file.
        0 => MOST,
        size => u64::from(size).checked_sub(8)?,
    };
    Some((kind, content))
}

fn read<const N: usize>(file: &mut impl Read) -> Option<[u8; N]> {
    let mut bytes = [0; N];
    file.read_exact(&mut bytes).ok()?;
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::*;

    fn boxed(kind: &[u8], content: &[u8]) -> Vec<u8> {
        let size = u32::try_from(content.len() + 8).unwrap().to_be_bytes();
        [&size[..], kind, content].concat()
    }

    fn film(handlers: &[&[u8; 4]]) -> Vec<u8> {
        let tracks: Vec<u8> =
            handlers.iter().flat_map(|kind| boxed(b"hdlr", &[&[0; 8][..], &kind[..], &[0; 12]].concat())).collect();
        [boxed(b"ftyp", b"isom"), boxed(b"mdat", &[0; 100]), boxed(b"moov", &tracks)].concat()
    }

    #[test]
    fn only_sound_is_no_film() {
        assert!(!shows_pictures(&mut Cursor::new(film(&[b"soun"]))));
        assert!(shows_pictures(&mut Cursor::new(film(&[b"soun", b"vide"]))));
    }

    #[test]
    fn nonsense_is_left_to_the_film_decoder() {
        for bytes in
            [vec![], vec![0; 64], boxed(b"moov", b""), b"\0\0\0\x01moov\xff\xff\xff\xff\xff\xff\xff\xff".to_vec()]
        {
            assert!(shows_pictures(&mut Cursor::new(bytes)));
        }
    }
}
