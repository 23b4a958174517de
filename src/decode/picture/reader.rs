//! One encoded picture in, one raster out: checked against the limits first, then decoded, turned upright and
//! flattened.

use std::io::{BufRead, Seek};

use image::{DynamicImage, ImageDecoder, ImageFormat, ImageReader};

use crate::base::{Fault, FaultKind, Raster};

use super::{
    super::{output::refuse, settings::Limits, shelter::sheltered},
    fault, flatten,
};

/// Most bytes that a decoder may hold for one pixel: 16-bit RGBA, and as much again for its own copy.
const BYTES_PER_PIXEL: u64 = 16;

/// Decodes the first picture of `source`, whose format is told by its content. ICC profiles are ignored, as the
/// model's own preprocessing does.
pub fn read(source: impl BufRead + Seek, limits: &Limits) -> Result<Raster, Fault> {
    sheltered("picture", || {
        let reader = ImageReader::new(source).with_guessed_format().map_err(|error| fault::of_io(&error))?;
        read_as(reader, limits)
    })
}

/// Decodes a TIFF that begins where `source` stands. Unlike a guess, this knows BigTIFF too.
pub fn read_tiff(source: impl BufRead + Seek, limits: &Limits) -> Result<Raster, Fault> {
    sheltered("picture", || read_as(ImageReader::with_format(source, ImageFormat::Tiff), limits))
}

fn read_as(mut reader: ImageReader<impl BufRead + Seek>, limits: &Limits) -> Result<Raster, Fault> {
    let format = reader.format().ok_or_else(unknown)?;
    reader.limits(memory(limits));
    let decoder = reader.into_decoder().map_err(|error| fault::of(&error))?;
    check_size(decoder.dimensions(), limits)?;
    tracing::trace!(target: "decode", ?format, "picture");
    upright(decoder, format)
}

fn unknown() -> Fault {
    refuse(FaultKind::Unsupported, "the picture is of a format that is not read", "convert it to PNG or JPEG")
}

/// A second line of defence behind [`check_size`]: it also holds for what a decoder allocates on the side.
fn memory(limits: &Limits) -> image::Limits {
    let mut memory = image::Limits::no_limits();
    memory.max_alloc = Some(limits.pixels.saturating_mul(BYTES_PER_PIXEL).max(1 << 24));
    memory
}

fn check_size((width, height): (u32, u32), limits: &Limits) -> Result<(), Fault> {
    if width == 0 || height == 0 {
        return Err(refuse(FaultKind::Empty, format!("the picture is {width} x {height} pixels"), "leave it out"));
    }
    if u64::from(width) * u64::from(height) > limits.pixels {
        return Err(fault::too_large(width, height, limits));
    }
    Ok(())
}

fn upright(mut decoder: impl ImageDecoder, format: ImageFormat) -> Result<Raster, Fault> {
    // EXIF that cannot be read costs the orientation, not the picture.
    let orientation = decoder.orientation().ok();
    let mut picture = DynamicImage::from_decoder(decoder).map_err(|error| fault::of(&error))?;
    if let Some(orientation) = orientation {
        picture.apply_orientation(orientation);
    }
    Ok(flatten::over_white(picture, format))
}
