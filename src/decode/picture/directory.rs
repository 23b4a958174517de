//! A directory of a TIFF: what it says of its page, in entries of tag, type, count, and value or its place (TIFF 6.0, section 2).

use std::io::{self, Read, Seek, SeekFrom};

use super::mirrored::Mirrored;

/// Tag 254: bit 0 marks a smaller version of another page, bit 2 a mask.
const SUBFILE_TYPE: u64 = 254;
const NOT_A_PAGE: u64 = 0b101;

/// Tag 259, and its values for JPEG, old and new.
pub const COMPRESSION: u64 = 259;
const JPEG: [u64; 2] = [6, 7];

/// Tag 262: what the numbers of a pixel mean.
pub const INTERPRETATION: u64 = 262;

/// Tag 266, and its value where the first pixel lies in the lowest bit.
const FILL_ORDER: u64 = 266;
const LOWEST_FIRST: u64 = 2;

/// Tags 282 and 283: pixels to a unit of length, across and down.
const RESOLUTIONS: [u64; 2] = [282, 283];

/// Offsets and lengths of strips, and those of tiles.
pub const STRIPS: (u64, u64) = (273, 279);
const TILES: (u64, u64) = (324, 325);

/// More strips than any real page has.
const MOST_VALUES: u64 = 1 << 20;

/// More entries than any real directory has; a count over it is nonsense.
const MOST_ENTRIES: u64 = 4096;

/// How a file writes numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Numbers {
    /// The highest byte first.
    pub big_endian: bool,
    /// BigTIFF: offsets and counts of 8 bytes.
    pub wide: bool,
}

/// One entry of the chain.
#[derive(Debug, Clone)]
pub struct Directory {
    /// Where it lies.
    pub place: u64,
    /// Where the next one lies, or 0.
    pub next: u64,
    numbers: Numbers,
    entries: Vec<u8>,
}

impl Numbers {
    /// Bytes of an offset.
    pub fn width(self) -> usize {
        if self.wide { 8 } else { 4 }
    }

    /// An offset as the file has it.
    pub fn offset(self, value: u64) -> Vec<u8> {
        self.written(value, self.width())
    }

    /// A number in so many bytes.
    fn written(self, value: u64, width: usize) -> Vec<u8> {
        let bytes = value.to_le_bytes();
        let low = bytes[..width].iter().copied();
        if self.big_endian { low.rev().collect() } else { low.collect() }
    }

    /// The number that these bytes, at most eight, are.
    pub fn number(self, bytes: &[u8]) -> u64 {
        let fold = |value: u64, byte: &u8| (value << 8) | u64::from(*byte);
        if self.big_endian { bytes.iter().fold(0, fold) } else { bytes.iter().rev().fold(0, fold) }
    }

    /// Bytes of the number of entries.
    fn count_width(self) -> usize {
        if self.wide { 8 } else { 2 }
    }

    /// Bytes of an entry.
    fn entry_width(self) -> usize {
        4 + 2 * self.width()
    }
}

impl Directory {
    /// The directory at `place`; none where nothing like it lies.
    pub fn read(numbers: Numbers, source: &mut (impl Read + Seek), place: u64) -> io::Result<Option<Self>> {
        source.seek(SeekFrom::Start(place))?;
        let Some(count) = read(source, numbers.count_width())? else { return Ok(None) };
        let count = numbers.number(&count);
        if count == 0 || count > MOST_ENTRIES {
            return Ok(None);
        }
        let Some(entries) = read(source, count as usize * numbers.entry_width())? else { return Ok(None) };
        // Truncated behind its last directory: the page itself may still be readable.
        let next = read(source, numbers.width())?.map_or(0, |next| numbers.number(&next));
        Ok(Some(Self { place, next, numbers, entries }))
    }

    /// False for thumbnails and masks.
    pub fn is_page(&self) -> bool {
        let marks_none = |entry: &[u8]| {
            let value = &entry[entry.len() - self.numbers.width()..][..4];
            self.tag(entry) == SUBFILE_TYPE && self.numbers.number(value) & NOT_A_PAGE != 0
        };
        !self.entries().any(marks_none)
    }

    /// Where a page's bits lie the other way round, which the `tiff` crate does not look for. As in libtiff, all
    /// compressions heed it but JPEG, which has an order of its own.
    pub fn mirrored(&self, source: &mut (impl Read + Seek)) -> io::Result<Mirrored> {
        let order = self.value(source, FILL_ORDER)?;
        let compression = self.value(source, COMPRESSION)?;
        if order != Some(LOWEST_FIRST) || compression.is_some_and(|method| JPEG.contains(&method)) {
            return Ok(Mirrored::default());
        }
        let stretches = [self.stretches(source, STRIPS)?, self.stretches(source, TILES)?];
        Ok(Mirrored::new(stretches.into_iter().flatten()))
    }

    /// Offsets and lengths of the pixels, in strips or in tiles.
    pub fn stretches(&self, source: &mut (impl Read + Seek), tags: (u64, u64)) -> io::Result<Vec<(u64, u64)>> {
        let offsets = self.values(source, tags.0)?;
        Ok(offsets.into_iter().zip(self.values(source, tags.1)?).collect())
    }

    /// How many pixels across are as long as one down; 1 where nothing is said.
    pub fn aspect(&self, source: &mut (impl Read + Seek)) -> io::Result<f64> {
        const RATIONAL: u64 = 5;
        let mut resolutions = [1.0; 2];
        for (resolution, tag) in resolutions.iter_mut().zip(RESOLUTIONS) {
            let Some(entry) = self.entries().find(|entry| self.tag(entry) == tag) else { return Ok(1.0) };
            if self.kind(entry) != RATIONAL {
                return Ok(1.0);
            }
            let Some(bytes) = self.bytes(source, entry, 8)? else { return Ok(1.0) };
            *resolution = self.numbers.number(&bytes[..4]) as f64 / self.numbers.number(&bytes[4..8]) as f64;
        }
        let aspect = resolutions[0] / resolutions[1];
        Ok(if aspect.is_finite() && aspect > 0.0 { aspect } else { 1.0 })
    }

    /// Where the file holds the value of a tag that fits into its entry, and the bytes to be put there for it to be `value`.
    pub fn replacing(&self, tag: u64, value: u64) -> Option<(u64, Vec<u8>)> {
        let index = self.entries().position(|entry| self.tag(entry) == tag)?;
        let width = self.numbers.entry_width();
        let kind = self.kind(&self.entries[index * width..]);
        let entry = self.place + (self.numbers.count_width() + index * width) as u64;
        let bytes = self.numbers.written(value, size(kind));
        (!bytes.is_empty()).then_some((entry + 4 + self.numbers.width() as u64, bytes))
    }

    /// The first whole number under `tag`.
    pub fn value(&self, source: &mut (impl Read + Seek), tag: u64) -> io::Result<Option<u64>> {
        Ok(self.values(source, tag)?.first().copied())
    }

    /// The whole numbers under `tag`; none where there are none, or they are not in the file.
    fn values(&self, source: &mut (impl Read + Seek), tag: u64) -> io::Result<Vec<u64>> {
        let Some(entry) = self.entries().find(|entry| self.tag(entry) == tag) else { return Ok(Vec::new()) };
        let size = size(self.kind(entry));
        let bytes = if size == 0 { None } else { self.bytes(source, entry, size)? };
        Ok(bytes.unwrap_or_default().chunks(size.max(1)).map(|value| self.numbers.number(value)).collect())
    }

    /// The bytes of an entry's values, of `size` bytes each; none where they are not in the file.
    fn bytes(&self, source: &mut (impl Read + Seek), entry: &[u8], size: usize) -> io::Result<Option<Vec<u8>>> {
        let (count, value) = entry[4..].split_at(self.numbers.width());
        let count = self.numbers.number(count);
        if count > MOST_VALUES {
            let message = format!("tag {} of the TIFF has {count} values", self.tag(entry));
            return Err(io::Error::new(io::ErrorKind::InvalidData, message));
        }
        let length = count as usize * size;
        if length <= value.len() {
            return Ok(Some(value[..length].to_vec()));
        }
        source.seek(SeekFrom::Start(self.numbers.number(value)))?;
        read(source, length)
    }

    fn entries(&self) -> impl Iterator<Item = &[u8]> {
        self.entries.chunks_exact(self.numbers.entry_width())
    }

    fn tag(&self, entry: &[u8]) -> u64 {
        self.numbers.number(&entry[..2])
    }

    fn kind(&self, entry: &[u8]) -> u64 {
        self.numbers.number(&entry[2..4])
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
