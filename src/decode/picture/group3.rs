//! Pages of faxes in Group 3, which TIFFs hold under compressions 2 and 3: runs of white and black, line by line, or what has changed
//! since the line above (ITU-T T.4, section 4; TIFF 6.0, sections 10 and 11). The `fax` crate knows the codes.

use std::{
    convert::Infallible,
    io::{self, Read, Seek, SeekFrom},
};

use fax::{
    BitReader, ByteReader,
    maps::{Mode, black, mode, white},
};
use image::{DynamicImage, GrayImage, ImageFormat, metadata::Orientation};

use crate::base::{Fault, Raster};

use super::{
    super::{settings::Limits, shelter::sheltered},
    directory::{COMPRESSION, Directory, INTERPRETATION, STRIPS},
    fault, flatten,
};

const WIDTH: u64 = 256;
const HEIGHT: u64 = 257;
const BITS_OF_SAMPLES: u64 = 258;
const ORIENTATION: u64 = 274;
const ROWS_OF_STRIPS: u64 = 278;
const OPTIONS: u64 = 292;

/// Of `OPTIONS`: lines may be told by the one above; there may be stretches without codes, which nobody writes.
const BY_ABOVE: u64 = 1;
const UNCODED: u64 = 2;

/// A white run is a run of zeros, which are black under this interpretation.
const BLACK_IS_ZERO: u64 = 1;

/// One line in so many may be lost on the telephone, and is then like the one above; pages that lack more are damaged.
const ONE_LOST_IN: u32 = 10;

/// Bytes of an end of line and what fills a line up, at most; its pixels take less than a byte each. A file may say that all
/// strips are the whole of it.
const FILL: usize = 64;

/// Ends of line in a row that end a page.
const ENDS_OF_PAGE: u32 = 6;

/// The page, upright. `None` when it is not of this kind.
///
/// # Errors
/// `TooLarge` over `[decode.limits] pixels`, `Corrupt` where too many lines cannot be read.
pub fn read(page: &mut (impl Read + Seek), directory: &Directory, limits: &Limits) -> Result<Option<Raster>, Fault> {
    let Some(fax) = Fax::of(page, directory).map_err(|error| fault::of_io(&error))? else { return Ok(None) };
    if u64::from(fax.width) * u64::from(fax.height) > limits.pixels {
        return Err(fault::too_large(fax.width, fax.height, limits));
    }
    sheltered("picture", || fax.upright(page)).map(Some)
}

/// What the directory says of the page.
struct Fax {
    manner: Manner,
    width: u32,
    height: u32,
    rows: u32,
    /// Offset and length of each.
    strips: Vec<(u64, u64)>,
    inverted: bool,
    orientation: Option<Orientation>,
}

/// How lines are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Manner {
    /// As runs, each line from a whole byte on.
    Bytes,
    /// Behind an end of line each; where they may be told by the line above, behind a bit more that says so.
    Ends { by_above: bool },
}

impl Fax {
    fn of(page: &mut (impl Read + Seek), directory: &Directory) -> io::Result<Option<Self>> {
        let mut first = |tag, absent| io::Result::Ok(directory.value(page, tag)?.unwrap_or(absent));
        let options = first(OPTIONS, 0)?;
        let manner = match first(COMPRESSION, 0)? {
            2 => Manner::Bytes,
            3 if options & UNCODED == 0 => Manner::Ends { by_above: options & BY_ABOVE != 0 },
            _ => return Ok(None),
        };
        let [width, height, bits] = [first(WIDTH, 0)?, first(HEIGHT, 0)?, first(BITS_OF_SAMPLES, 1)?];
        let (rows, orientation) = (first(ROWS_OF_STRIPS, height)?, first(ORIENTATION, 1)?);
        let inverted = first(INTERPRETATION, 0)? == BLACK_IS_ZERO;
        let strips = directory.stretches(page, STRIPS)?;
        let (Ok(width @ 1..), Ok(height @ 1..), 1) = (u32::try_from(width), u32::try_from(height), bits) else {
            return Ok(None);
        };
        Ok(Some(Self {
            manner,
            width,
            height,
            rows: u32::try_from(rows).unwrap_or(height).clamp(1, height),
            strips,
            inverted,
            orientation: u8::try_from(orientation).ok().and_then(Orientation::from_exif),
        }))
    }

    fn upright(&self, page: &mut (impl Read + Seek)) -> Result<Raster, Fault> {
        let width = self.width as usize;
        let mut grey = vec![u8::MAX; width * self.height as usize];
        let mut lost = 0;
        for (index, rows) in grey.chunks_mut(width * self.rows as usize).enumerate() {
            let most = rows.len() + rows.len() / width * FILL;
            let strip = self.strip(page, index, most as u64).map_err(|error| fault::of_io(&error))?;
            lost += unpack(&strip, self.manner, width, rows);
        }
        if lost > self.height / ONE_LOST_IN {
            return Err(fault::corrupt(format!("{lost} of the {} lines of the fax cannot be read", self.height)));
        }
        if self.inverted {
            grey.iter_mut().for_each(|pixel| *pixel = !*pixel);
        }
        let whole = GrayImage::from_raw(self.width, self.height, grey).map(DynamicImage::ImageLuma8);
        let mut picture = whole.ok_or_else(|| fault::corrupt("the fax contradicts its size"))?;
        picture.apply_orientation(self.orientation.unwrap_or(Orientation::NoTransforms));
        Ok(flatten::over_white(picture, ImageFormat::Tiff))
    }

    /// The bytes of a strip, at most so many, and none where the page has no more.
    fn strip(&self, page: &mut (impl Read + Seek), index: usize, most: u64) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        if let Some((offset, length)) = self.strips.get(index) {
            page.seek(SeekFrom::Start(*offset))?;
            page.take((*length).min(most)).read_to_end(&mut bytes)?;
        }
        Ok(bytes)
    }
}

/// Paints the lines of a strip into white rows of so many pixels; gives how many cannot be read and are like the one above.
fn unpack(strip: &[u8], manner: Manner, width: usize, rows: &mut [u8]) -> u32 {
    // Codes are looked up by more bits than the last one has.
    let padded = strip.iter().copied().chain([0; 4]).map(Ok::<u8, Infallible>);
    let Ok(bits) = ByteReader::new(padded);
    let mut lines = Lines { bits, manner, width: width as u32, above: Vec::new(), is_lost: false };
    let mut lost = 0;
    for row in rows.chunks_exact_mut(width) {
        lost += u32::from(!lines.advance());
        for black in lines.above.chunks(2) {
            row[black[0] as usize..black.get(1).map_or(width, |end| *end as usize)].fill(0);
        }
    }
    lost
}

/// The lines of a strip, each as the places at which its colour changes: the first to black, all within the line, in order.
struct Lines<B> {
    bits: B,
    manner: Manner,
    width: u32,
    above: Vec<u32>,
    /// Where the next line begins is not known.
    is_lost: bool,
}

impl<B: BitReader> Lines<B> {
    /// Reads a line in place of the one above; false when it cannot be read, and that one stays.
    fn advance(&mut self) -> bool {
        let read = self.begin().and_then(|by_above| if by_above { self.changes() } else { self.runs() });
        self.is_lost = read.is_none();
        read.map(|line| self.above = line).is_some()
    }

    /// Goes to the beginning of a line; gives whether it is told by the one above.
    fn begin(&mut self) -> Option<bool> {
        match self.manner {
            Manner::Bytes if self.is_lost => None,
            Manner::Bytes => {
                self.bits.consume(self.bits.bits_to_byte_boundary()).ok()?;
                Some(false)
            }
            Manner::Ends { by_above } => {
                while self.is_lost && !self.is_at_end_of_line() {
                    self.bit()?;
                }
                let (mut ends, mut told_by_above) = (0, false);
                while self.is_at_end_of_line() {
                    while self.bit()? == 0 {}
                    told_by_above = by_above && self.bit()? == 0;
                    ends += 1;
                }
                (ends < ENDS_OF_PAGE).then_some(told_by_above)
            }
        }
    }

    /// Eleven zeros begin no code; more may fill a byte up, and a one ends them.
    fn is_at_end_of_line(&self) -> bool {
        self.bits.peek(11) == Some(0)
    }

    fn bit(&mut self) -> Option<u16> {
        let bit = self.bits.peek(1)?;
        self.bits.consume(1).ok()?;
        Some(bit)
    }

    /// A line of runs, the first of which is white (T.4, section 4.1).
    fn runs(&mut self) -> Option<Vec<u32>> {
        let (mut line, mut at, mut is_black) = (Vec::new(), 0, false);
        while at < self.width {
            at += self.run(is_black)?;
            self.change(&mut line, at)?;
            is_black = !is_black;
        }
        Some(line)
    }

    /// A line told by the one above (T.4, section 4.2).
    fn changes(&mut self) -> Option<Vec<u32>> {
        let (mut line, mut before, mut is_black) = (Vec::new(), None, false);
        loop {
            let mut at = before.unwrap_or(0);
            if at >= self.width {
                return Some(line);
            }
            if self.is_at_end_of_line() {
                return None;
            }
            let [change, behind] = self.changes_above(before, is_black);
            match mode::decode(&mut self.bits)? {
                Mode::Pass => at = behind,
                Mode::Vertical(aside) => {
                    let place = change.checked_add_signed(i32::from(aside)).filter(|place| *place >= at)?;
                    self.change(&mut line, place)?;
                    (at, is_black) = (place, !is_black);
                }
                Mode::Horizontal => {
                    for colour in [is_black, !is_black] {
                        at += self.run(colour)?;
                        self.change(&mut line, at)?;
                    }
                }
                Mode::Extension | Mode::EOF => return None,
            }
            before = Some(at);
        }
    }

    /// The first change from this colour in the line above that lies behind a place, or anywhere, and the one behind it.
    fn changes_above(&self, behind: Option<u32>, is_black: bool) -> [u32; 2] {
        let first = self.above.partition_point(|place| behind.is_some_and(|behind| *place <= behind));
        let own = first + usize::from((first % 2 == 1) != is_black);
        [own, own + 1].map(|index| self.above.get(index).copied().unwrap_or(self.width))
    }

    /// The length of a run: codes of 64 and more, then one of less.
    fn run(&mut self, is_black: bool) -> Option<u32> {
        let mut length = 0;
        while length <= self.width && !self.is_at_end_of_line() {
            let code = if is_black { black::decode(&mut self.bits) } else { white::decode(&mut self.bits) }?;
            length += u32::from(code);
            if code < 64 {
                return Some(length);
            }
        }
        None
    }

    /// Adds a change, which cancels one at the same place; none behind the end of the line.
    fn change(&self, line: &mut Vec<u32>, place: u32) -> Option<()> {
        if line.last() == Some(&place) {
            line.pop();
        } else if place < self.width {
            line.push(place);
        }
        (place <= self.width).then_some(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const END: &str = "000000000001";

    /// Rows of eight pixels from bits, as `#` and `.`, and how many of them are lost.
    fn drawn(bits: &[&str], manner: Manner, rows: usize) -> (Vec<String>, u32) {
        let bits: Vec<u8> = bits.concat().bytes().map(|bit| bit - b'0').collect();
        let byte = |bits: &[u8]| bits.iter().enumerate().fold(0, |byte, (place, bit)| byte | (bit << (7 - place)));
        let strip: Vec<u8> = bits.chunks(8).map(byte).collect();
        let mut pixels = vec![u8::MAX; 8 * rows];
        let lost = unpack(&strip, manner, 8, &mut pixels);
        let row = |row: &[u8]| row.iter().map(|pixel| if *pixel == 0 { '#' } else { '.' }).collect();
        (pixels.chunks(8).map(row).collect(), lost)
    }

    const RUNS: Manner = Manner::Ends { by_above: false };

    // Codes of T.4, tables 2 and 3: white runs of 0, 2, 3 and 8, black runs of 3 and 8.
    const WHITE_0: &str = "00110101";
    const WHITE_2: &str = "0111";
    const WHITE_3: &str = "1000";
    const WHITE_8: &str = "10011";
    const BLACK_3: &str = "10";
    const BLACK_8: &str = "000101";

    #[test]
    fn lines_of_runs_stand_behind_ends_of_line_with_and_without_fill() {
        let strip = [
            END, WHITE_2, BLACK_3, WHITE_3, END, WHITE_0, BLACK_8, "00000", END, WHITE_8, END, END, END, END, END, END,
        ];
        assert_eq!(
            drawn(&strip, RUNS, 3),
            (vec!["..###...".to_owned(), "########".to_owned(), "........".to_owned()], 0)
        );
        assert_eq!(drawn(&strip[1..4], RUNS, 1).0, ["..###..."], "the first end of line may be left out");
    }

    #[test]
    fn without_ends_of_line_each_begins_a_byte() {
        let strip = [WHITE_2, BLACK_3, WHITE_3, "000000", WHITE_0, BLACK_8];
        assert_eq!(drawn(&strip, Manner::Bytes, 2), (vec!["..###...".to_owned(), "########".to_owned()], 0));
    }

    #[test]
    fn lines_are_told_by_the_one_above() {
        // As above; begun one later; passed over; two runs, then as above.
        let strip = [
            END, "1", WHITE_2, BLACK_3, WHITE_3, END, "0", "1", "1", "1", END, "0", "011", "1", "1", END, "0", "0001",
            "1", END, "0", "001", WHITE_2, BLACK_3, "1",
        ];
        let rows = ["..###...", "..###...", "...##...", "........", "..###..."].map(str::to_owned);
        assert_eq!(drawn(&strip, Manner::Ends { by_above: true }, 5), (rows.to_vec(), 0));
    }

    #[test]
    fn a_lost_line_is_like_the_one_above_and_the_next_end_of_line_is_found() {
        let strip =
            [END, WHITE_2, BLACK_3, WHITE_3, END, WHITE_2, BLACK_8, END, WHITE_8, END, WHITE_2, END, WHITE_0, BLACK_8];
        let rows = ["..###...", "..###...", "........", "........", "########", "########"].map(str::to_owned);
        assert_eq!(drawn(&strip, RUNS, 6), (rows.to_vec(), 3), "one too long, one too short, one not there");
        assert_eq!(drawn(&[WHITE_2, BLACK_8, WHITE_8], Manner::Bytes, 3).1, 3, "nothing says where the next begins");
        assert_eq!(drawn(&[], RUNS, 2).1, 2);
    }

    #[test]
    fn changes_before_the_line_or_behind_it_are_none() {
        let strip = [END, "1", WHITE_0, BLACK_8, END, "0", "0000010", END, "0", "001", WHITE_8, BLACK_8];
        assert_eq!(drawn(&strip, Manner::Ends { by_above: true }, 3), (vec!["########".to_owned(); 3], 2));
    }
}
