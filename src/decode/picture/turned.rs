//! A file of which some bytes are replaced, and pixels mirrored where they are stored so.

use std::io::{self, Read, Seek, SeekFrom};

use super::mirrored::Mirrored;

/// The file as a decoder is to see it.
#[derive(Debug)]
pub struct Turned<R> {
    source: R,
    mirrored: Mirrored,
    /// Bytes, and where they stand in place of the file's.
    replaced: Vec<(u64, Vec<u8>)>,
    position: u64,
}

impl<R> Turned<R> {
    /// The file, which stands at its beginning, with these bytes in place of its own.
    pub fn new(source: R, mirrored: Mirrored, replaced: (u64, Vec<u8>)) -> Self {
        Self { source, mirrored, replaced: vec![replaced], position: 0 }
    }

    /// From now on with these bytes too.
    pub fn replace(&mut self, place: u64, bytes: Vec<u8>) {
        self.replaced.push((place, bytes));
    }
}

impl<R: Read> Read for Turned<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.source.read(buffer)?;
        self.mirrored.turn(self.position, &mut buffer[..count]);
        for (place, bytes) in &self.replaced {
            for (at, byte) in (*place..).zip(bytes) {
                let slot =
                    at.checked_sub(self.position).and_then(|at| buffer[..count].get_mut(usize::try_from(at).ok()?));
                slot.into_iter().for_each(|slot| *slot = *byte);
            }
        }
        self.position += count as u64;
        Ok(count)
    }
}

impl<R: Seek> Seek for Turned<R> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.position = self.source.seek(to)?;
        Ok(self.position)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::*;

    #[test]
    fn bytes_are_replaced_wherever_reading_begins() {
        let mut turned = Turned::new(Cursor::new(b"0123456789"), Mirrored::default(), (4, b"abcd".to_vec()));
        turned.replace(9, b"xyz".to_vec());
        let mut from = |place| {
            let mut read = String::new();
            turned.seek(SeekFrom::Start(place)).unwrap();
            turned.read_to_string(&mut read).unwrap();
            read
        };
        assert_eq!((from(0), from(6), from(9)), ("0123abcd8x".to_owned(), "cd8x".to_owned(), "x".to_owned()));
    }
}
