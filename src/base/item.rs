//! Who an item is: the envelope that walks the whole line around an ever-changing body.

use std::{cmp::Ordering, fmt, path::PathBuf, str::FromStr, sync::Arc, time::SystemTime};

use serde::{Deserialize, Serialize};

use super::{budget::Lease, media::Kind};

/// BLAKE3 of a document's bytes. Shown and stored as 64 lower-case hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ContentHash(pub [u8; 32]);

impl fmt::Display for ContentHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for ContentHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ContentHash({self})")
    }
}

impl FromStr for ContentHash {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("`{text}` is not a hash of 64 hexadecimal digits");
        if text.len() != 64 || !text.is_ascii() {
            return Err(wrong());
        }
        let mut bytes = [0; 32];
        for (byte, pair) in bytes.iter_mut().zip(text.as_bytes().chunks(2)) {
            let pair = std::str::from_utf8(pair).map_err(|_| wrong())?;
            *byte = u8::from_str_radix(pair, 16).map_err(|_| wrong())?;
        }
        Ok(Self(bytes))
    }
}

/// One input file as `collect` found it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// The path as the user would name it; what the dataset's `source` column holds.
    pub name: String,
    /// Where its bytes are.
    pub path: PathBuf,
    /// BLAKE3 of the content.
    pub hash: ContentHash,
    /// What the content is, whatever the file's extension says.
    pub kind: Kind,
    /// Length in bytes.
    pub bytes: u64,
    /// When it was written last, where the system tells: with its length, what shows that it has changed since.
    pub modified: Option<SystemTime>,
    /// Position in the order of collection, from 0.
    pub ordinal: u64,
}

/// The body of an item between `collect` and `decode`: nothing is known yet but what its source says. Where the
/// item's origin names a part, only that is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Document;

/// Which part of its document a unit is.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(tag = "part", rename_all = "snake_case")]
pub enum Part {
    /// The document as a whole (a picture, a text, a file that could not be opened).
    Whole,
    /// One page of a document of pages (PDF, TIFF).
    Page {
        /// Page number, from 1.
        number: u32,
        /// Pages in the document.
        of: u32,
    },
    /// Several pages in a row, which are asked about together.
    Pages {
        /// The first of them, from 1.
        first: u32,
        /// The last of them.
        last: u32,
        /// Pages in the document.
        of: u32,
    },
    /// A span of sound, in seconds from the start of the recording or film.
    Time {
        /// First second of the span.
        start: f64,
        /// End of the span.
        end: f64,
    },
    /// The frames of a span of a film, in seconds from its start.
    Frames {
        /// First second of the span.
        start: f64,
        /// End of the span.
        end: f64,
    },
    /// A stretch of a long text, in characters from its start.
    Text {
        /// The first of them.
        start: u64,
        /// The end of the stretch.
        end: u64,
    },
}

impl Part {
    /// First and last page, where it is pages of a document.
    pub fn pages(&self) -> Option<(u32, u32)> {
        match *self {
            Self::Page { number, .. } => Some((number, number)),
            Self::Pages { first, last, .. } => Some((first, last)),
            Self::Whole | Self::Time { .. } | Self::Frames { .. } | Self::Text { .. } => None,
        }
    }

    /// Of several pages the one at `place`, from 0; of other parts the part itself.
    pub fn page_at(self, place: u32) -> Self {
        match self {
            Self::Pages { first, last, of } => Self::Page { number: first.saturating_add(place).min(last), of },
            other => other,
        }
    }

    /// The part that covers this one and a later one of the same document; the whole where they have nothing in common.
    pub fn and(self, later: &Self) -> Self {
        match (self, *later) {
            (
                Self::Time { start, end: own } | Self::Frames { start, end: own },
                Self::Time { start: from, end } | Self::Frames { start: from, end },
            ) => Self::Time { start: start.min(from), end: own.max(end) },
            (Self::Text { start, end: own }, Self::Text { start: from, end }) => {
                Self::Text { start: start.min(from), end: own.max(end) }
            }
            (Self::Page { of, .. } | Self::Pages { of, .. }, later) => {
                let edges = self.pages().zip(later.pages());
                edges.map_or(Self::Whole, |((first, own), (_, last))| Self::Pages { first, last: own.max(last), of })
            }
            _ => Self::Whole,
        }
    }

    /// The order of the document: by page, or by time, the sound of a span before its frames.
    pub fn order(&self, other: &Self) -> Ordering {
        let place = |part: &Self| match *part {
            Self::Whole => (0.0, 0.0, 0),
            Self::Page { number, .. } => (f64::from(number), 0.0, 0),
            Self::Pages { first, last, .. } => (f64::from(first), f64::from(last), 0),
            Self::Time { start, end } => (start, end, 1),
            Self::Frames { start, end } => (start, end, 2),
            Self::Text { start, end } => (start as f64, end as f64, 0),
        };
        let ((start, end, kind), (other_start, other_end, other_kind)) = (place(self), place(other));
        start.total_cmp(&other_start).then(kind.cmp(&other_kind)).then(end.total_cmp(&other_end))
    }
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Whole => write!(f, "whole"),
            Self::Page { number, of } => write!(f, "page {number} of {of}"),
            Self::Pages { first, last, of } => write!(f, "pages {first} to {last} of {of}"),
            Self::Time { start, end } => write!(f, "{start:.2} s to {end:.2} s"),
            Self::Frames { start, end } => write!(f, "frames from {start:.2} s to {end:.2} s"),
            Self::Text { start, end } => write!(f, "characters {start} to {end}"),
        }
    }
}

/// The identity of an item: never changes on its way.
#[derive(Debug, Clone, PartialEq)]
pub struct Origin {
    /// The file it came from.
    pub source: Arc<Source>,
    /// Which part of it.
    pub part: Part,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.part {
            Part::Whole => write!(f, "{}", self.source.name),
            part => write!(f, "{} ({part})", self.source.name),
        }
    }
}

/// The envelope: identity and byte lease around a body that each stage replaces.
#[derive(Debug)]
pub struct Item<T> {
    /// Who this is.
    pub origin: Origin,
    /// Which try of the unit this is, from 0; see [`super::ladder`].
    pub attempt: u8,
    /// The bytes in flight that this item answers for; given back when the item is dropped.
    pub lease: Lease,
    /// What the last stage made of it.
    pub body: T,
}

impl<T> Item<T> {
    /// The same item with another body.
    pub fn with<U>(self, body: U) -> Item<U> {
        Item { origin: self.origin, attempt: self.attempt, lease: self.lease, body }
    }

    /// Takes the body out and leaves an envelope to put the next one into.
    pub fn open(self) -> (T, Item<()>) {
        let Self { origin, attempt, lease, body } = self;
        (body, Item { origin, attempt, lease, body: () })
    }
}
