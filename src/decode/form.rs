//! Units as they cross from the child: a form with all sizes in the message, then the bytes themselves.
//!
//! Bytes in order: page = pixels, text, words; image = pixels; clip = samples, f32 little endian; film = the pixels of
//! its frames; text = UTF-8; pages = one after the other. A word is its length (`u32`), its UTF-8 and four f32, all little endian.

use std::io::{self, Read, Write};

use serde::{Deserialize, Serialize};

use crate::base::{Clip, Film, Frame, Kind, Page, Raster, TextLayer, Unit, Word};

/// Kind and sizes of a unit.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "form", rename_all = "snake_case")]
pub enum Form {
    /// A page of a PDF.
    Page {
        /// Pixels per row.
        width: u32,
        /// Rows.
        height: u32,
        /// The text layer, when there is one.
        layer: Option<LayerForm>,
    },
    /// A picture.
    Image {
        /// Pixels per row.
        width: u32,
        /// Rows.
        height: u32,
    },
    /// A clip of sound.
    Clip {
        /// Number of samples.
        samples: u32,
    },
    /// Frames of a film.
    Film {
        /// Seconds from the start, width and height of each.
        frames: Vec<(f64, u32, u32)>,
    },
    /// A text.
    Text {
        /// Length in UTF-8.
        bytes: u32,
    },
    /// Pages in a row.
    Pages {
        /// Each of them: pages, or pictures.
        pages: Vec<Self>,
    },
}

/// Sizes of a text layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct LayerForm {
    /// Length of the text in UTF-8.
    text: u32,
    /// Number of words.
    words: u32,
    /// Length of all words as written.
    word_bytes: u32,
}

/// Bytes of a written word beside its UTF-8.
const WORD_FRAME: usize = 4 + 4 * 4;

impl Form {
    /// The form of a unit. `None` for sizes beyond what the wire can say.
    pub fn of(unit: &Unit) -> Option<Self> {
        Some(match unit {
            Unit::Page(page) => {
                let layer = page.text.as_ref().map(LayerForm::of);
                let layer = if layer.is_some() { Some(layer.flatten()?) } else { None };
                Self::Page { width: page.raster.width, height: page.raster.height, layer }
            }
            Unit::Image(raster) => Self::Image { width: raster.width, height: raster.height },
            Unit::Clip(clip) => Self::Clip { samples: clip.samples.len().try_into().ok()? },
            Unit::Film(film) => {
                let frame = |frame: &Frame| (frame.time, frame.raster.width, frame.raster.height);
                Self::Film { frames: film.frames.iter().map(frame).collect() }
            }
            Unit::Text(text) => Self::Text { bytes: text.len().try_into().ok()? },
            Unit::Pages(pages) => Self::Pages { pages: pages.iter().map(Self::of).collect::<Option<_>>()? },
            Unit::Notes(_) => return None,
        })
    }

    /// How many bytes follow. `None` when they are more than 64 bits can count.
    pub fn bytes(&self) -> Option<u64> {
        match self {
            Self::Page { width, height, layer } => {
                let layer = layer.map_or(0, |layer| u64::from(layer.text) + u64::from(layer.word_bytes));
                pixels(*width, *height)?.checked_add(layer)
            }
            Self::Image { width, height } => pixels(*width, *height),
            Self::Clip { samples } => Some(u64::from(*samples) * 4),
            Self::Film { frames } => {
                frames.iter().try_fold(0_u64, |sum, (_, width, height)| sum.checked_add(pixels(*width, *height)?))
            }
            Self::Text { bytes } => Some(u64::from(*bytes)),
            Self::Pages { pages } => pages.iter().try_fold(0_u64, |sum, page| sum.checked_add(page.bytes()?)),
        }
    }

    /// True when documents of `kind` have units of this form.
    pub fn suits(&self, kind: Kind) -> bool {
        match self {
            Self::Page { .. } => kind == Kind::Pdf,
            Self::Image { .. } => kind == Kind::Image,
            Self::Clip { .. } => matches!(kind, Kind::Audio | Kind::Video),
            Self::Film { .. } => kind == Kind::Video,
            Self::Text { .. } => kind == Kind::Text,
            Self::Pages { pages } => {
                pages.iter().all(|page| matches!(page, Self::Page { .. } | Self::Image { .. }) && page.suits(kind))
            }
        }
    }

    /// Reads the bytes that this form announces.
    ///
    /// # Errors
    /// When the child ends meanwhile, or the bytes are not what the form says.
    pub fn read(&self, from: &mut impl Read) -> io::Result<Unit> {
        Ok(match self {
            Self::Page { width, height, layer } => {
                let raster = read_raster(from, *width, *height)?;
                Unit::Page(Page { raster, text: layer.map(|layer| layer.read(from)).transpose()? })
            }
            Self::Image { width, height } => Unit::Image(read_raster(from, *width, *height)?),
            Self::Clip { samples } => Unit::Clip(read_clip(from, *samples)?),
            Self::Film { frames } => {
                let frame = |(time, width, height): &(f64, u32, u32)| {
                    Ok(Frame { time: *time, raster: read_raster(from, *width, *height)? })
                };
                Unit::Film(Film { frames: frames.iter().map(frame).collect::<io::Result<_>>()? })
            }
            Self::Text { bytes } => Unit::Text(read_text(from, *bytes)?),
            Self::Pages { pages } => Unit::Pages(pages.iter().map(|page| page.read(from)).collect::<io::Result<_>>()?),
        })
    }
}

/// Writes the bytes of a unit, as many as its form announces.
///
/// # Errors
/// When the parent is gone, or a raster is not as large as it says.
pub fn write(unit: &Unit, to: &mut impl Write) -> io::Result<()> {
    match unit {
        Unit::Page(page) => {
            write_raster(&page.raster, to)?;
            page.text.as_ref().map_or(Ok(()), |layer| write_layer(layer, to))
        }
        Unit::Image(raster) => write_raster(raster, to),
        Unit::Clip(clip) => {
            to.write_all(&clip.samples.iter().flat_map(|sample| sample.to_le_bytes()).collect::<Vec<_>>())
        }
        Unit::Film(film) => film.frames.iter().try_for_each(|frame| write_raster(&frame.raster, to)),
        Unit::Text(text) | Unit::Notes(text) => to.write_all(text.as_bytes()),
        Unit::Pages(pages) => pages.iter().try_for_each(|page| write(page, to)),
    }
}

impl LayerForm {
    fn of(layer: &TextLayer) -> Option<Self> {
        let word_bytes: usize = layer.words.iter().map(|word| word.text.len() + WORD_FRAME).sum();
        Some(Self {
            text: layer.text.len().try_into().ok()?,
            words: layer.words.len().try_into().ok()?,
            word_bytes: word_bytes.try_into().ok()?,
        })
    }

    fn read(self, from: &mut impl Read) -> io::Result<TextLayer> {
        let text = read_text(from, self.text)?;
        let bytes = read_bytes(from, self.word_bytes as usize)?;
        let mut rest = bytes.as_slice();
        let mut words = Vec::new();
        for _ in 0..self.words {
            words.push(read_word(&mut rest)?);
        }
        if rest.is_empty() { Ok(TextLayer { text, words }) } else { Err(io::Error::other("bytes after the last word")) }
    }
}

fn pixels(width: u32, height: u32) -> Option<u64> {
    (u64::from(width) * u64::from(height)).checked_mul(3)
}

fn read_bytes(from: &mut impl Read, count: usize) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; count];
    from.read_exact(&mut bytes)?;
    Ok(bytes)
}

fn read_raster(from: &mut impl Read, width: u32, height: u32) -> io::Result<Raster> {
    let count = pixels(width, height).and_then(|count| usize::try_from(count).ok());
    let count = count.ok_or_else(|| io::Error::other("a picture beyond all size"))?;
    Ok(Raster { width, height, rgb: read_bytes(from, count)? })
}

fn read_clip(from: &mut impl Read, samples: u32) -> io::Result<Clip> {
    let bytes = read_bytes(from, samples as usize * 4)?;
    let (samples, _) = bytes.as_chunks::<4>();
    Ok(Clip { samples: samples.iter().map(|sample| f32::from_le_bytes(*sample)).collect() })
}

fn read_text(from: &mut impl Read, count: u32) -> io::Result<String> {
    String::from_utf8(read_bytes(from, count as usize)?).map_err(io::Error::other)
}

fn read_word(from: &mut &[u8]) -> io::Result<Word> {
    let mut number = [0; 4];
    from.read_exact(&mut number)?;
    let length = u32::from_le_bytes(number);
    if length as usize > from.len() {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    let text = read_text(from, length)?;
    let mut bounds = [0.0; 4];
    for bound in &mut bounds {
        from.read_exact(&mut number)?;
        *bound = f32::from_le_bytes(number);
    }
    Ok(Word { text, bounds })
}

fn write_raster(raster: &Raster, to: &mut impl Write) -> io::Result<()> {
    if pixels(raster.width, raster.height) == Some(raster.rgb.len() as u64) {
        return to.write_all(&raster.rgb);
    }
    Err(io::Error::other("a raster is not as large as it says"))
}

fn write_layer(layer: &TextLayer, to: &mut impl Write) -> io::Result<()> {
    to.write_all(layer.text.as_bytes())?;
    let mut bytes = Vec::new();
    for word in &layer.words {
        bytes.extend_from_slice(&(word.text.len() as u32).to_le_bytes());
        bytes.extend_from_slice(word.text.as_bytes());
        word.bounds.iter().for_each(|bound| bytes.extend_from_slice(&bound.to_le_bytes()));
    }
    to.write_all(&bytes)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn raster(width: u32, height: u32) -> Raster {
        Raster { width, height, rgb: (0..3 * width * height).map(|n| n as u8).collect() }
    }

    fn units() -> [Unit; 6] {
        let word = Word { text: "Grüße".into(), bounds: [0.1, 0.2, 0.3, 0.4] };
        let layer = TextLayer { text: "Grüße\n".into(), words: vec![word.clone(), word] };
        [
            Unit::Page(Page { raster: raster(4, 3), text: Some(layer) }),
            Unit::Image(raster(2, 2)),
            Unit::Clip(Clip { samples: vec![0.5, -1.0] }),
            Unit::Film(Film { frames: vec![Frame { time: 0.5, raster: raster(1, 2) }] }),
            Unit::Text("text".into()),
            Unit::Pages(vec![Unit::Page(Page { raster: raster(1, 1), text: None }), Unit::Image(raster(2, 1))]),
        ]
    }

    #[test]
    fn a_unit_crosses_over_as_it_is() {
        for unit in units() {
            let form = Form::of(&unit).unwrap();
            let mut bytes = Vec::new();
            write(&unit, &mut bytes).unwrap();
            assert_eq!(form.bytes(), Some(bytes.len() as u64));
            assert_eq!(form.read(&mut bytes.as_slice()).unwrap(), unit);
        }
    }

    #[test]
    fn sizes_beyond_counting_are_no_size() {
        let frames = vec![(0.0, u32::MAX, u32::MAX); 2];
        assert_eq!(Form::Film { frames }.bytes(), None);
        assert_eq!(Form::Image { width: u32::MAX, height: u32::MAX }.bytes(), None);
    }

    proptest! {
        #[test]
        fn wrong_bytes_are_an_error_and_no_panic(bytes in proptest::collection::vec(any::<u8>(), 0..100), words in 0_u32..9) {
            let layer = LayerForm { text: 3, words, word_bytes: 40 };
            let _ = Form::Page { width: 1, height: 1, layer: Some(layer) }.read(&mut bytes.as_slice());
        }
    }
}
