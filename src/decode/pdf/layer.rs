//! The text layer of a page: its characters in the order of the file, and its words with boxes.

use pdfium_render::prelude::{PdfPage, PdfPoints, PdfRect, PdfRenderConfig, PdfiumError};

use crate::base::{TextLayer, Word};

/// Most characters of one page; what a page says beyond is left to the eyes of the model.
const MOST: usize = 1_000_000;

/// Reads the text layer; `None` when the page has no text.
pub fn read(page: &PdfPage<'_>) -> Result<Option<TextLayer>, PdfiumError> {
    let text = page.text()?;
    let mut reading = Reading { view: View::of(page)?, layer: TextLayer::default(), open: None, half: None };
    for character in text.chars().iter().take(MOST) {
        reading.value(character.unicode_value(), || character.tight_bounds().ok().map(edges));
    }
    Ok(reading.finish())
}

/// PDFium marks a hyphen at the end of a line with U+0002 and ends lines with CR LF.
fn shown(c: char) -> Option<char> {
    match c {
        '\u{2}' => Some('-'),
        '\n' | '\t' => Some(c),
        '\u{fffe}' | '\u{ffff}' => None,
        _ => (!c.is_control()).then_some(c),
    }
}

struct Reading {
    view: View,
    layer: TextLayer,
    open: Option<Open>,
    half: Option<Half>,
}

/// The first half of a character beyond U+FFFF, and its box.
struct Half {
    value: u16,
    edges: Option<[f32; 4]>,
}

/// A word that is being read, and its box in points as far as it is known.
struct Open {
    text: String,
    edges: Option<[f32; 4]>,
}

impl Reading {
    /// PDFium gives characters beyond U+FFFF as two halves of UTF-16; one that stands alone is left out.
    fn value(&mut self, value: u32, bounds: impl FnOnce() -> Option<[f32; 4]>) {
        match (self.half.take(), value) {
            (_, 0xd800..=0xdbff) => self.half = Some(Half { value: value as u16, edges: bounds() }),
            (Some(first), 0xdc00..=0xdfff) => {
                let whole = char::decode_utf16([first.value, value as u16]).next();
                if let Some(c) = whole.and_then(Result::ok).and_then(shown) {
                    self.take(c, || joined(first.edges, bounds()));
                }
            }
            _ => {
                if let Some(c) = char::from_u32(value).and_then(shown) {
                    self.take(c, bounds);
                }
            }
        }
    }

    fn take(&mut self, c: char, bounds: impl FnOnce() -> Option<[f32; 4]>) {
        if c.is_whitespace() {
            self.layer.text.push(c);
            return self.close();
        }
        let bounds = bounds();
        // What is cropped away is nobody's to read.
        if bounds.is_some_and(|bounds| !self.view.shows(bounds)) {
            return;
        }
        self.layer.text.push(c);
        let word = self.open.get_or_insert_with(|| Open { text: String::new(), edges: None });
        word.text.push(c);
        word.edges = joined(word.edges, bounds);
    }

    fn close(&mut self) {
        if let Some(Open { text, edges: Some(edges) }) = self.open.take() {
            self.layer.words.push(Word { text, bounds: self.view.fractions(edges) });
        }
    }

    fn finish(mut self) -> Option<TextLayer> {
        self.close();
        let kept = self.layer.text.trim_end().len();
        self.layer.text.truncate(kept);
        (!self.layer.text.is_empty()).then_some(self.layer)
    }
}

/// `[left, bottom, right, top]` in points.
pub fn edges(rect: PdfRect) -> [f32; 4] {
    [rect.left().value, rect.bottom().value, rect.right().value, rect.top().value]
}

fn joined(a: Option<[f32; 4]>, b: Option<[f32; 4]>) -> Option<[f32; 4]> {
    match (a, b) {
        (Some(a), Some(b)) => Some(union(a, b)),
        (a, b) => a.or(b),
    }
}

fn union(a: [f32; 4], b: [f32; 4]) -> [f32; 4] {
    [a[0].min(b[0]), a[1].min(b[1]), a[2].max(b[2]), a[3].max(b[3])]
}

/// From points in the page's own space to fractions of the page as displayed: cropped, rotated, origin at the top left.
pub struct View {
    origin: (f64, f64),
    /// What one point to the right, and one point up, do.
    right: (f64, f64),
    up: (f64, f64),
}

impl View {
    /// Asks PDFium where three points land on a canvas so fine that its whole pixels do not matter.
    pub fn of(page: &PdfPage<'_>) -> Result<Self, PdfiumError> {
        const FINE: i32 = 1_000_000;
        const STEP: f32 = 100.0;
        let canvas = PdfRenderConfig::new().set_fixed_size(FINE, FINE);
        let land = |x: f32, y: f32| {
            let (x, y) = page.points_to_pixels(PdfPoints::new(x), PdfPoints::new(y), &canvas)?;
            Ok::<_, PdfiumError>((f64::from(x) / f64::from(FINE), f64::from(y) / f64::from(FINE)))
        };
        let (origin, right, up) = (land(0.0, 0.0)?, land(STEP, 0.0)?, land(0.0, STEP)?);
        let per_point = |to: (f64, f64)| ((to.0 - origin.0) / f64::from(STEP), (to.1 - origin.1) / f64::from(STEP));
        Ok(Self { origin, right: per_point(right), up: per_point(up) })
    }

    /// True when the middle of this box lies on the page as displayed.
    fn shows(&self, [left, bottom, right, top]: [f32; 4]) -> bool {
        let (x, y) = self.land(f32::midpoint(left, right), f32::midpoint(bottom, top));
        (0.0..=1.0).contains(&x) && (0.0..=1.0).contains(&y)
    }

    /// The part of the page that this box covers.
    pub fn share(&self, edges: [f32; 4]) -> f32 {
        let [left, top, right, bottom] = self.fractions(edges);
        (right - left) * (bottom - top)
    }

    fn fractions(&self, [left, bottom, right, top]: [f32; 4]) -> [f32; 4] {
        let (one, other) = (self.land(left, bottom), self.land(right, top));
        let clamped = |value: f64| value.clamp(0.0, 1.0) as f32;
        let low = |a: f64, b: f64| clamped(a.min(b));
        let high = |a: f64, b: f64| clamped(a.max(b));
        [low(one.0, other.0), low(one.1, other.1), high(one.0, other.0), high(one.1, other.1)]
    }

    fn land(&self, x: f32, y: f32) -> (f64, f64) {
        let (x, y) = (f64::from(x), f64::from(y));
        (self.origin.0 + x * self.right.0 + y * self.up.0, self.origin.1 + x * self.right.1 + y * self.up.1)
    }
}
