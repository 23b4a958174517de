//! A piece of a document as a file of its own: a page that is to be looked at apart, the picture or the sound that a unit is.

use std::{io::Cursor, time::Duration};

use image::{ExtendedColorType, ImageEncoder, codecs::png::PngEncoder};

use crate::base::{Clip, Fault, FaultKind, Kind, Part, Raster, Stop, Unit};

use super::{
    children::{Children, Which, bury},
    course::broken,
    input::Input,
    order::{Order, Render},
    output::refuse,
    settings::Settings,
    walls::Sandbox,
    wire::{Ask, Reply, Request},
};

/// Samples a second of a clip.
const RATE: u32 = 16_000;

/// A file that holds one piece.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Slice {
    /// What it is.
    pub kind: Kind,
    /// How its name ends.
    pub extension: &'static str,
    /// Its content.
    pub bytes: Vec<u8>,
}

impl Slice {
    /// A picture as PNG, a clip as WAV of 32-bit floats: both give the same unit again. `None` for units that are no one
    /// file, and for pages, which [`Slicer`] cuts.
    pub fn of(unit: &Unit) -> Option<Self> {
        match unit {
            Unit::Image(raster) => Some(Self { kind: Kind::Image, extension: "png", bytes: png(raster)? }),
            Unit::Clip(clip) => Some(Self { kind: Kind::Audio, extension: "wav", bytes: wav(clip)? }),
            Unit::Page(_) | Unit::Pages(_) | Unit::Film(_) | Unit::Text(_) | Unit::Notes(_) => None,
        }
    }
}

fn png(raster: &Raster) -> Option<Vec<u8>> {
    let mut bytes = Cursor::new(Vec::new());
    let encoder = PngEncoder::new(&mut bytes);
    encoder.write_image(&raster.rgb, raster.width, raster.height, ExtendedColorType::Rgb8).ok()?;
    Some(bytes.into_inner())
}

/// RIFF with a `fmt ` chunk of format 3, a `fact` chunk, which that format wants, and the samples.
fn wav(clip: &Clip) -> Option<Vec<u8>> {
    const HEAD: u32 = 50;
    let data = u32::try_from(clip.samples.len() * 4).ok().filter(|data| data.checked_add(HEAD).is_some())?;
    let mut bytes = Vec::with_capacity((data + HEAD) as usize + 8);
    bytes.extend(b"RIFF");
    bytes.extend((data + HEAD).to_le_bytes());
    bytes.extend(b"WAVEfmt ");
    bytes.extend(18_u32.to_le_bytes());
    [3_u16, 1].iter().for_each(|field| bytes.extend(field.to_le_bytes()));
    [RATE, RATE * 4].iter().for_each(|field| bytes.extend(field.to_le_bytes()));
    [4_u16, 32, 0].iter().for_each(|field| bytes.extend(field.to_le_bytes()));
    bytes.extend(b"fact");
    [4, data / 4].iter().for_each(|field: &u32| bytes.extend(field.to_le_bytes()));
    bytes.extend(b"data");
    bytes.extend(data.to_le_bytes());
    clip.samples.iter().for_each(|sample| bytes.extend(sample.to_le_bytes()));
    Some(bytes)
}

/// Cuts pages out of PDFs: in a child within its walls, since the page may be what kills PDFium.
#[derive(Debug)]
pub struct Slicer {
    children: Children,
    order: Result<Order, String>,
    time: Duration,
    most: u64,
}

impl Slicer {
    /// Cuts under the deadlines and limits of `settings`; slices of more than `most` bytes are refused.
    pub fn new(settings: &Settings, sandbox: Sandbox, most: u64) -> Self {
        let time = Duration::try_from_secs_f64(settings.seconds_per_document).unwrap_or(Duration::from_secs(3600));
        let mut children = Children::new(settings, Stop::default());
        children.sandbox = sandbox;
        Self { children, order: Order::new(settings, Render::SMALLEST), time, most }
    }

    /// The page `part` of a PDF as a PDF.
    ///
    /// # Errors
    /// When it cannot be copied: the document is damaged, the child died, was too slow, or the copy is too large.
    pub fn page(&mut self, document: &Input, part: Part) -> Result<Slice, Fault> {
        let order = self.order.clone().map_err(|problem| refuse(FaultKind::Internal, problem, "correct `[decode]`"))?;
        let request = Request {
            #[cfg(not(unix))]
            path: document.path().to_owned(),
            kind: Kind::Pdf,
            order,
            settled: 0,
            only: Some(part),
        };
        let bytes = self.converse(request, document);
        self.children.finish_document();
        Ok(Slice { kind: Kind::Pdf, extension: "pdf", bytes: bytes? })
    }

    fn converse(&mut self, request: Request, document: &Input) -> Result<Vec<u8>, Fault> {
        let (most, time) = (self.most, self.time);
        let child = self.children.steady()?;
        child.allow(time);
        let asked = child.ask(&Ask::Cut(Box::new(request))).and_then(|()| child.hand(document.file()));
        let cut = match asked.and_then(|()| child.reply()) {
            Ok(Reply::Cut { bytes }) if bytes <= most => child.bytes(bytes),
            Ok(Reply::Cut { bytes }) => {
                self.children.take(Which::Steady);
                let message = format!("the page alone has {bytes} bytes, more than {most}");
                return Err(refuse(FaultKind::TooLarge, message, "look at the whole document"));
            }
            Ok(Reply::DocumentFault { fault }) => return Err(fault.into()),
            Ok(_) => {
                self.children.take(Which::Steady);
                return Err(broken("it answered another question"));
            }
            Err(error) => Err(error),
        };
        cut.map_err(|error| bury(self.children.take(Which::Steady), &error))
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;
    use crate::decode::{Gathered, Input, picture, sound};

    fn gathered(slice: &Slice) -> Vec<Unit> {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(&slice.bytes).unwrap();
        let (input, mut out) = (Input::open(file.path()).unwrap(), Gathered::default());
        let order = Order::new(&Settings::default(), Render::SMALLEST).unwrap();
        match slice.kind {
            Kind::Image => picture::decode(&input, &order, &mut out).unwrap(),
            _ => assert!(sound::decode_alone(&input, &order, &mut out).unwrap()),
        }
        out.units().cloned().collect()
    }

    #[test]
    fn pictures_and_clips_come_back_as_they_were() {
        let raster = Raster { width: 3, height: 2, rgb: (0..18).map(|byte| byte * 14).collect() };
        let samples = (0..20_000_u16).map(|place| f32::from(place % 401) / 400.0 - 0.5).collect();
        for unit in [Unit::Image(raster), Unit::Clip(Clip { samples })] {
            assert!(gathered(&Slice::of(&unit).unwrap()) == [unit], "another unit came back");
        }
        assert_eq!(Slice::of(&Unit::Text("a".to_owned())), None);
    }
}
