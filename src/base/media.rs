//! What `decode` makes of documents: pages, pictures, clips of sound, films and text.

use std::fmt;

use serde::{Deserialize, Serialize};

/// What a document is, told by its content.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// A PDF: units are pages.
    Pdf,
    /// A picture: one unit, or one per page of a TIFF.
    Image,
    /// Sound: units are clips of at most 30 s.
    Audio,
    /// Moving pictures: one film unit, and clips of the sound track.
    Video,
    /// Plain text or Markdown: one unit, or several of a long one.
    Text,
}

impl Kind {
    /// All kinds.
    pub const ALL: [Self; 5] = [Self::Pdf, Self::Image, Self::Audio, Self::Video, Self::Text];

    /// The kind with that name in the dataset.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == name)
    }

    /// The name in the dataset.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pdf => "pdf",
            Self::Image => "image",
            Self::Audio => "audio",
            Self::Video => "video",
            Self::Text => "text",
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Decoded pixels: 8-bit RGB, row-major, no padding; `rgb.len() == 3 * width * height`.
#[derive(Clone, PartialEq, Eq)]
pub struct Raster {
    /// Pixels per row.
    pub width: u32,
    /// Rows.
    pub height: u32,
    /// `[height, width, 3]` u8.
    pub rgb: Vec<u8>,
}

impl Raster {
    /// The same picture turned clockwise by 90, 180 or 270 degrees; other angles change nothing.
    pub fn turned(self, degrees: u32) -> Self {
        let (width, height) = (self.width as usize, self.height as usize);
        let from: fn(usize, usize, usize, usize) -> (usize, usize) = match degrees {
            90 => |row, column, _, height| (height - 1 - column, row),
            180 => |row, column, width, height| (height - 1 - row, width - 1 - column),
            270 => |row, column, width, _| (column, width - 1 - row),
            _ => return self,
        };
        let sides = if degrees == 180 { (self.width, self.height) } else { (self.height, self.width) };
        let mut rgb = Vec::with_capacity(self.rgb.len());
        for row in 0..sides.1 as usize {
            for column in 0..sides.0 as usize {
                let (row, column) = from(row, column, width, height);
                rgb.extend_from_slice(&self.rgb[3 * (row * width + column)..][..3]);
            }
        }
        Self { width: sides.0, height: sides.1, rgb }
    }
}

impl Raster {
    /// The picture in `count` by `count` tiles, row by row. Neighbours overlap by an eighth of a tile, so that what lies on
    /// an edge is whole in one of them unless it is larger.
    pub fn tiles(&self, count: u32) -> Vec<Self> {
        let count = count.max(1);
        let span = |place: u32, length: u32| {
            let (step, margin) = (length.div_ceil(count), length / (16 * count));
            let (start, end) = ((place * step).saturating_sub(margin), ((place + 1) * step + margin).min(length));
            start.min(end)..end
        };
        let places =
            (0..count * count).map(|place| (span(place / count, self.height), span(place % count, self.width)));
        places.map(|(rows, columns)| self.part(rows, columns)).collect()
    }

    fn part(&self, rows: std::ops::Range<u32>, columns: std::ops::Range<u32>) -> Self {
        let at = |row: u32, column: u32| 3 * (row as usize * self.width as usize + column as usize);
        let rgb =
            rows.clone().flat_map(|row| &self.rgb[at(row, columns.start)..at(row, columns.end)]).copied().collect();
        Self { width: columns.len() as u32, height: rows.len() as u32, rgb }
    }
}

impl fmt::Debug for Raster {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Raster({} x {})", self.width, self.height)
    }
}

/// A word of a page's own text layer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Word {
    /// The characters, without surrounding white space.
    pub text: String,
    /// `[left, top, right, bottom]` as fractions of the page's width and height, origin at the top left.
    pub bounds: [f32; 4],
}

/// The text that a PDF carries beside its picture, in the order of the file.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct TextLayer {
    /// The whole text with its line breaks; of several pages with a [`PAGE_BREAK`] between each two.
    pub text: String,
    /// Its words with their boxes.
    pub words: Vec<Word>,
}

/// One page of a PDF, rendered at the size that the token budget asks for.
#[derive(Debug, Clone, PartialEq)]
pub struct Page {
    /// The rendered page.
    pub raster: Raster,
    /// Present when the PDF has text on this page.
    pub text: Option<TextLayer>,
}

/// At most 30 s of sound: mono, 16 kHz, f32 in [-1, 1].
#[derive(Clone, PartialEq)]
pub struct Clip {
    /// 16,000 samples a second.
    pub samples: Vec<f32>,
}

impl fmt::Debug for Clip {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Clip({} samples)", self.samples.len())
    }
}

/// One frame of a film.
#[derive(Debug, Clone, PartialEq)]
pub struct Frame {
    /// Seconds from the start of the film.
    pub time: f64,
    /// Its picture.
    pub raster: Raster,
}

/// Sampled frames of a film, in time order.
#[derive(Debug, Clone, PartialEq)]
pub struct Film {
    /// The frames with their time stamps.
    pub frames: Vec<Frame>,
}

/// The body of an item between `decode` and `encode`.
#[derive(Debug, Clone, PartialEq)]
pub enum Unit {
    /// A page of a PDF.
    Page(Page),
    /// A picture, or a page of a TIFF.
    Image(Raster),
    /// A clip of sound.
    Clip(Clip),
    /// The frames of a film.
    Film(Film),
    /// A text document.
    Text(String),
    /// Pages in a row that are shown together: each a [`Unit::Page`] or a [`Unit::Image`].
    Pages(Vec<Self>),
    /// What was said of the parts of a document, to be made one: never decoded from a file.
    Notes(String),
}

impl Unit {
    /// Bytes that this unit holds in memory.
    pub fn bytes(&self) -> u64 {
        let raster = |raster: &Raster| raster.rgb.len();
        let bytes = match self {
            Self::Pages(pages) => return pages.iter().map(Self::bytes).sum(),
            Self::Page(page) => raster(&page.raster) + page.text.as_ref().map_or(0, TextLayer::bytes),
            Self::Image(picture) => raster(picture),
            Self::Clip(clip) => clip.samples.len() * 4,
            Self::Film(film) => film.frames.iter().map(|frame| raster(&frame.raster)).sum(),
            Self::Text(text) | Self::Notes(text) => text.len(),
        };
        bytes as u64
    }

    /// Pages and pictures turned clockwise; a text layer keeps its places.
    pub fn turned(self, degrees: u32) -> Self {
        match self {
            Self::Page(page) => Self::Page(Page { raster: page.raster.turned(degrees), ..page }),
            Self::Image(raster) => Self::Image(raster.turned(degrees)),
            Self::Pages(pages) => Self::Pages(pages.into_iter().map(|page| page.turned(degrees)).collect()),
            other => other,
        }
    }
}

/// What stands between the texts of two pages.
pub const PAGE_BREAK: char = '\u{c}';

impl TextLayer {
    /// The text of one or several pages as one, with a [`PAGE_BREAK`] between each two, and none elsewhere; nothing where no page
    /// has any. The boxes of a word are on its own page.
    pub fn joined(pages: Vec<Option<Self>>) -> Option<Self> {
        if pages.iter().all(Option::is_none) {
            return None;
        }
        let mut joined = Self::default();
        for (place, page) in pages.into_iter().map(Option::unwrap_or_default).enumerate() {
            if place > 0 {
                joined.text.push(PAGE_BREAK);
            }
            joined.text.push_str(&page.text.replace(PAGE_BREAK, "\n"));
            joined.words.extend(page.words);
        }
        Some(joined)
    }

    /// Bytes that it holds in memory.
    pub fn bytes(&self) -> usize {
        self.text.len() + self.words.iter().map(|word| word.text.len() + size_of::<Word>()).sum::<usize>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each pixel is its letter three times.
    fn raster(width: u32, letters: &[u8]) -> Raster {
        let rgb: Vec<u8> = letters.iter().flat_map(|letter| [*letter; 3]).collect();
        Raster { width, height: letters.len() as u32 / width, rgb }
    }

    #[test]
    fn pictures_are_turned_clockwise() {
        let picture = raster(3, b"abcdef");
        assert_eq!(picture.clone().turned(90), raster(2, b"daebfc"));
        assert_eq!(picture.clone().turned(180), raster(3, b"fedcba"));
        assert_eq!(picture.clone().turned(270), raster(2, b"cfbead"));
        assert_eq!(picture.clone().turned(90).turned(270), picture);
    }

    #[test]
    fn texts_of_pages_are_joined_though_some_have_none() {
        let page = |text: &str| Some(TextLayer { text: text.to_owned(), words: Vec::new() });
        assert_eq!(TextLayer::joined(vec![page("one\u{c}two"), None, page("three")]), page("one\ntwo\u{c}\u{c}three"));
        assert_eq!(TextLayer::joined(vec![page("one\u{c}")]), page("one\n"), "a page does not break");
        assert_eq!(TextLayer::joined(vec![None, None]), None);
    }

    #[test]
    fn tiles_hold_the_whole_picture_and_overlap() {
        let letters: Vec<u8> = (0..64 * 64).map(|place| (place % 251) as u8).collect();
        let tiles = raster(64, &letters).tiles(2);
        assert_eq!(tiles.iter().map(|tile| (tile.width, tile.height)).collect::<Vec<_>>(), [(34, 34); 4]);
        let at = |tile: &Raster, row: usize, column: usize| tile.rgb[3 * (row * 34 + column)];
        assert_eq!((at(&tiles[0], 0, 0), at(&tiles[3], 33, 33)), (letters[0], letters[64 * 64 - 1]));
        assert_eq!(at(&tiles[0], 5, 32), at(&tiles[1], 5, 2), "column 32 is in both");
        let odd = raster(3, b"abcdef").tiles(2);
        assert_eq!(
            odd.iter().map(|tile| (tile.width, tile.height)).collect::<Vec<_>>(),
            [(2, 1), (1, 1), (2, 1), (1, 1)]
        );
        assert!(raster(1, b"a").tiles(3).iter().skip(1).all(|tile| tile.rgb.is_empty()));
    }
}
