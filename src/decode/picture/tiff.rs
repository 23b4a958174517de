//! The chain of pages in a TIFF or BigTIFF file, and a view of the file that begins with any one of them.
//!
//! The `image` crate reads the first page only. A page is therefore shown to it through [`Turned`], in which the
//! header points at that page. Source: TIFF 6.0, section 2; the BigTIFF design.

use std::{
    collections::HashSet,
    io::{self, Read, Seek, SeekFrom},
};

use super::mirrored::Mirrored;

/// Tag 254: bit 0 marks a smaller version of another page, bit 2 a mask.
const SUBFILE_TYPE: u64 = 254;
const NOT_A_PAGE: u64 = 0b101;

/// Tag 259, and its values for JPEG, old and new.
const COMPRESSION: u64 = 259;
const JPEG: [u64; 2] = [6, 7];

/// Tag 266, and its value where the first pixel lies in the lowest bit.
const FILL_ORDER: u64 = 266;
const LOWEST_FIRST: u64 = 2;

/// Offsets and lengths of strips, and those of tiles.
const PIXELS: [(u64, u64); 2] = [(273, 279), (324, 325)];

/// More strips than any real page has.
const MOST_VALUES: u64 = 1 << 20;

/// More entries than any real directory has; a count over it is nonsense.
const MOST_ENTRIES: u64 = 4096;

/// Byte order and widths of a TIFF, with the place of its first directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    bytes: [u8; Self::LENGTH],
    big_endian: bool,
    /// BigTIFF: offsets and counts of 8 bytes.
    big: bool,
}

/// The pages that a chain leads to.
#[derive(Debug, PartialEq, Eq)]
pub struct Chain {
    /// Where the directory of each lies.
    pub pages: Vec<u64>,
    /// It leads on to what is no directory, so there may have been more of them.
    pub breaks_off: bool,
}

/// One entry of the chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Directory {
    is_page: bool,
    next: u64,
}

impl Header {
    /// Bytes to look at.
    pub const LENGTH: usize = 16;

    /// The header, when the file is a TIFF.
    pub fn parse(head: &[u8]) -> Option<Self> {
        let (big_endian, big) = match head.get(..4)? {
            b"II*\0" => (false, false),
            b"MM\0*" => (true, false),
            b"II+\0" => (false, true),
            b"MM\0+" => (true, true),
            _ => return None,
        };
        let mut bytes = [0; Self::LENGTH];
        bytes.iter_mut().zip(head).for_each(|(slot, byte)| *slot = *byte);
        Some(Self { bytes, big_endian, big })
    }

    /// The pages, at most `most + 1` of them. Thumbnails and masks are no pages. A chain that bites its own tail ends there;
    /// one that leads out of the file breaks off before that.
    pub fn chain(&self, source: &mut (impl Read + Seek), most: usize) -> io::Result<Chain> {
        let (mut pages, mut seen) = (Vec::new(), HashSet::new());
        let mut offset = self.first();
        while offset != 0 && pages.len() <= most && seen.len() <= 4 * most && seen.insert(offset) {
            let Some(directory) = self.directory(source, offset)? else {
                return Ok(Chain { pages, breaks_off: true });
            };
            if directory.is_page {
                pages.push(offset);
            }
            offset = directory.next;
        }
        Ok(Chain { pages, breaks_off: false })
    }

    /// The file with its header pointing at the directory at `offset`, and with that page's bits in the usual order.
    pub fn turned_to<R: Read + Seek>(&self, offset: u64, mut source: R) -> io::Result<Turned<R>> {
        let mirrored = self.mirrored(&mut source, offset)?;
        source.rewind()?;
        let mut header = *self;
        let (place, bytes) = (header.place(), header.word(offset));
        header.bytes[place..place + bytes.len()].copy_from_slice(&bytes);
        let covered = place + bytes.len();
        Ok(Turned { source, head: header.bytes[..covered].to_vec(), mirrored, position: 0 })
    }

    fn first(&self) -> u64 {
        self.number(&self.bytes[self.place()..self.place() + self.width()])
    }

    /// Where the header holds the first offset.
    fn place(&self) -> usize {
        if self.big { 8 } else { 4 }
    }

    /// Bytes of an offset.
    fn width(&self) -> usize {
        if self.big { 8 } else { 4 }
    }

    fn word(&self, value: u64) -> Vec<u8> {
        let small = || u32::try_from(value).unwrap_or(0);
        match (self.big, self.big_endian) {
            (false, false) => small().to_le_bytes().to_vec(),
            (false, true) => small().to_be_bytes().to_vec(),
            (true, false) => value.to_le_bytes().to_vec(),
            (true, true) => value.to_be_bytes().to_vec(),
        }
    }

    fn number(&self, bytes: &[u8]) -> u64 {
        let fold = |value: u64, byte: &u8| (value << 8) | u64::from(*byte);
        if self.big_endian { bytes.iter().fold(0, fold) } else { bytes.iter().rev().fold(0, fold) }
    }

    fn directory(&self, source: &mut (impl Read + Seek), offset: u64) -> io::Result<Option<Directory>> {
        let Some(entries) = self.entries(source, offset)? else { return Ok(None) };
        let is_page = !entries.chunks(self.entry_width()).any(|entry| self.marks_no_page(entry));
        // Truncated behind its last directory: the page itself may still be readable.
        let next = read(source, self.width())?.map_or(0, |next| self.number(&next));
        Ok(Some(Directory { is_page, next }))
    }

    /// Tag, type, count, and value or its place.
    fn entry_width(&self) -> usize {
        4 + 2 * self.width()
    }

    /// The entries of a directory, behind which `source` then stands.
    fn entries(&self, source: &mut (impl Read + Seek), offset: u64) -> io::Result<Option<Vec<u8>>> {
        source.seek(SeekFrom::Start(offset))?;
        let Some(count) = read(source, if self.big { 8 } else { 2 })? else { return Ok(None) };
        let count = self.number(&count);
        if count == 0 || count > MOST_ENTRIES {
            return Ok(None);
        }
        read(source, count as usize * self.entry_width())
    }

    /// Where a page's bits lie the other way round, which the `tiff` crate does not look for. As in libtiff, all
    /// compressions heed it but JPEG, which has an order of its own.
    fn mirrored(&self, source: &mut (impl Read + Seek), directory: u64) -> io::Result<Mirrored> {
        let entries = self.entries(source, directory)?.unwrap_or_default();
        let order = self.values(source, &entries, FILL_ORDER)?;
        let compression = self.values(source, &entries, COMPRESSION)?;
        if order.first() != Some(&LOWEST_FIRST) || compression.first().is_some_and(|method| JPEG.contains(method)) {
            return Ok(Mirrored::default());
        }
        let mut stretches = Vec::new();
        for (offsets, lengths) in PIXELS {
            let offsets = self.values(source, &entries, offsets)?;
            stretches.extend(offsets.into_iter().zip(self.values(source, &entries, lengths)?));
        }
        Ok(Mirrored::new(stretches))
    }

    /// The whole numbers that a directory holds under `tag`; none where it does not, or they are not in the file.
    fn values(&self, source: &mut (impl Read + Seek), entries: &[u8], tag: u64) -> io::Result<Vec<u64>> {
        let mut all = entries.chunks(self.entry_width());
        let Some(entry) = all.find(|entry| self.number(&entry[..2]) == tag) else { return Ok(Vec::new()) };
        let (count, value) = entry[4..].split_at(self.width());
        let (count, size) = (self.number(count), size(self.number(&entry[2..4])));
        if size == 0 {
            return Ok(Vec::new());
        }
        if count > MOST_VALUES {
            let message = format!("tag {tag} of the TIFF has {count} values");
            return Err(io::Error::new(io::ErrorKind::InvalidData, message));
        }
        let length = count as usize * size;
        let bytes = if length > value.len() {
            source.seek(SeekFrom::Start(self.number(value)))?;
            read(source, length)?.unwrap_or_default()
        } else {
            value[..length].to_vec()
        };
        Ok(bytes.chunks(size).map(|value| self.number(value)).collect())
    }

    fn marks_no_page(&self, entry: &[u8]) -> bool {
        let value = &entry[entry.len() - self.width()..][..4];
        self.number(&entry[..2]) == SUBFILE_TYPE && self.number(value) & NOT_A_PAGE != 0
    }
}

/// Bytes of a whole number of this type (`BYTE`, `SHORT`, `LONG`, `LONG8`), 0 for other types.
fn size(kind: u64) -> usize {
    match kind {
        1 => 1,
        3 => 2,
        4 => 4,
        16 => 8,
        _ => 0,
    }
}

/// Exactly `length` bytes, or `None` at the end of the file.
fn read(source: &mut impl Read, length: usize) -> io::Result<Option<Vec<u8>>> {
    let mut bytes = vec![0; length];
    match source.read_exact(&mut bytes) {
        Ok(()) => Ok(Some(bytes)),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(None),
        Err(error) => Err(error),
    }
}

/// A file whose first bytes are replaced, and whose pixels are mirrored where they are stored so.
#[derive(Debug)]
pub struct Turned<R> {
    source: R,
    head: Vec<u8>,
    mirrored: Mirrored,
    position: u64,
}

impl<R: Read> Read for Turned<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.source.read(buffer)?;
        self.mirrored.turn(self.position, &mut buffer[..count]);
        let start = usize::try_from(self.position).unwrap_or(usize::MAX);
        let covered = self.head.get(start..).unwrap_or_default();
        buffer[..count].iter_mut().zip(covered).for_each(|(slot, byte)| *slot = *byte);
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
        header.turned_to(26, Cursor::new(&bytes)).unwrap().read_to_end(&mut turned).unwrap();
        assert_eq!(turned[4..8], 26_u32.to_le_bytes());
        assert_eq!(turned[8..], bytes[8..]);
    }
}
