//! The chain of pages in a TIFF or BigTIFF file, and a view of the file that begins with any one of them.
//!
//! The `image` crate reads the first page only. A page is therefore shown to it through [`Turned`], in which the
//! header points at that page. Source: TIFF 6.0, section 2; the BigTIFF design.

use std::{
    collections::HashSet,
    io::{self, Read, Seek},
};

use super::{
    directory::{Directory, Numbers},
    turned::Turned,
};

/// Byte order and widths of a TIFF, with the place of its first directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    bytes: [u8; Self::LENGTH],
    numbers: Numbers,
}

/// The pages that a chain leads to.
#[derive(Debug, PartialEq, Eq)]
pub struct Chain {
    /// Where the directory of each lies.
    pub pages: Vec<u64>,
    /// It leads on to what is no directory, so there may have been more of them.
    pub breaks_off: bool,
}

impl Header {
    /// Bytes to look at.
    pub const LENGTH: usize = 16;

    /// The header, when the file is a TIFF.
    pub fn parse(head: &[u8]) -> Option<Self> {
        let (big_endian, wide) = match head.get(..4)? {
            b"II*\0" => (false, false),
            b"MM\0*" => (true, false),
            b"II+\0" => (false, true),
            b"MM\0+" => (true, true),
            _ => return None,
        };
        let mut bytes = [0; Self::LENGTH];
        bytes.iter_mut().zip(head).for_each(|(slot, byte)| *slot = *byte);
        Some(Self { bytes, numbers: Numbers { big_endian, wide } })
    }

    /// The pages, at most `most + 1` of them. Thumbnails and masks are no pages. A chain that bites its own tail ends there;
    /// one that leads out of the file breaks off before that.
    pub fn chain(&self, source: &mut (impl Read + Seek), most: usize) -> io::Result<Chain> {
        let (mut pages, mut seen) = (Vec::new(), HashSet::new());
        let mut offset = self.first();
        while offset != 0 && pages.len() <= most && seen.len() <= 4 * most && seen.insert(offset) {
            let Some(directory) = Directory::read(self.numbers, source, offset)? else {
                return Ok(Chain { pages, breaks_off: true });
            };
            if directory.is_page() {
                pages.push(offset);
            }
            offset = directory.next;
        }
        Ok(Chain { pages, breaks_off: false })
    }

    /// What the directory at `offset` says.
    ///
    /// # Errors
    /// When it cannot be read, or is none any more.
    pub fn directory(&self, source: &mut (impl Read + Seek), offset: u64) -> io::Result<Directory> {
        Directory::read(self.numbers, source, offset)?.ok_or_else(|| io::ErrorKind::UnexpectedEof.into())
    }

    /// The file with its header pointing at that directory, and with that page's bits in the usual order.
    pub fn turned_to<R: Read + Seek>(&self, directory: &Directory, mut source: R) -> io::Result<Turned<R>> {
        let mirrored = directory.mirrored(&mut source)?;
        source.rewind()?;
        let first = self.numbers.offset(directory.place);
        Ok(Turned::new(source, mirrored, (self.numbers.width() as u64, first)))
    }

    fn first(&self) -> u64 {
        let width = self.numbers.width();
        self.numbers.number(&self.bytes[width..2 * width])
    }
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::*;

    /// A little-endian chain of empty-handed directories of one entry each, `next` given by index or 0.
    fn chain(tags: &[(u16, u32)], next: &[u32]) -> Vec<u8> {
        let mut bytes = b"II*\0\x08\0\0\0".to_vec();
        for ((tag, value), next) in tags.iter().zip(next) {
            bytes.extend(1_u16.to_le_bytes());
            bytes.extend(tag.to_le_bytes());
            bytes.extend(4_u16.to_le_bytes());
            bytes.extend(1_u32.to_le_bytes());
            bytes.extend(value.to_le_bytes());
            bytes.extend(next.to_le_bytes());
        }
        bytes
    }

    fn followed(bytes: &[u8], most: usize) -> Chain {
        Header::parse(bytes).unwrap().chain(&mut Cursor::new(bytes), most).unwrap()
    }

    fn pages(bytes: &[u8], most: usize) -> Vec<u64> {
        followed(bytes, most).pages
    }

    #[test]
    fn a_chain_that_bites_its_tail_ends_and_one_that_leads_out_of_the_file_breaks_off() {
        let leading_to = |next| followed(&chain(&[(256, 1), (256, 1)], &[26, next]), 100);
        assert_eq!(leading_to(0), Chain { pages: vec![8, 26], breaks_off: false });
        assert_eq!(leading_to(8), Chain { pages: vec![8, 26], breaks_off: false });
        assert_eq!(leading_to(9999), Chain { pages: vec![8, 26], breaks_off: true });
    }

    #[test]
    fn thumbnails_are_no_pages() {
        assert_eq!(pages(&chain(&[(256, 1), (254, 1), (254, 2)], &[26, 44, 0]), 100), [8, 44]);
    }

    #[test]
    fn one_page_more_than_allowed_is_enough_to_know() {
        assert_eq!(pages(&chain(&[(256, 1); 5], &[26, 44, 62, 80, 0]), 2).len(), 3);
    }

    #[test]
    fn a_turned_file_differs_in_its_header_alone() {
        let bytes = chain(&[(256, 1), (256, 1)], &[26, 0]);
        let header = Header::parse(&bytes).unwrap();
        let mut turned = Vec::new();
        let directory = header.directory(&mut Cursor::new(&bytes), 26).unwrap();
        header.turned_to(&directory, Cursor::new(&bytes)).unwrap().read_to_end(&mut turned).unwrap();
        assert_eq!(turned[4..8], 26_u32.to_le_bytes());
        assert_eq!(turned[8..], bytes[8..]);
    }

    #[test]
    fn the_value_of_a_tag_can_be_replaced_in_both_byte_orders() {
        let bytes = chain(&[(262, 3)], &[0]);
        let directory = Header::parse(&bytes).unwrap().directory(&mut Cursor::new(&bytes), 8).unwrap();
        let (place, with) = directory.replacing(262, 1).unwrap();
        assert_eq!((bytes[place as usize..][..4].to_vec(), with), (vec![3, 0, 0, 0], vec![1, 0, 0, 0]));
        assert_eq!(directory.replacing(263, 1), None);
        let short = b"MM\0*\0\0\0\x08\0\x01\x01\x06\0\x03\0\0\0\x01\0\x03\0\0\0\0\0\0";
        let directory = Header::parse(short).unwrap().directory(&mut Cursor::new(short), 8).unwrap();
        assert_eq!(directory.replacing(262, 1), Some((18, vec![0, 1])));
    }
}
