//! Pages of a TIFF whose pixels the `image` crate does not read: palettes, grey of 2 and 4 bits, and YCbCr, which is what most
//! writers make of colours under JPEG. The `tiff` crate unpacks them, their meaning is told here.

use std::io::{BufReader, Read, Seek};

use image::{
    DynamicImage, ImageError, ImageFormat, RgbImage,
    error::{LimitError, LimitErrorKind},
    metadata::Orientation,
};
use tiff::{
    ColorType, TiffError, TiffResult,
    decoder::{Decoder, DecodingResult, Limits as Memory},
    tags::Tag,
};

use crate::base::{Fault, Raster};

use super::{
    super::{settings::Limits, shelter::sheltered},
    directory::{Directory, INTERPRETATION},
    fault, flatten,
    turned::Turned,
};

/// Numbers are places in a palette, and of what kind they are then said to be.
const PALETTE: u64 = 3;
const GREY: u64 = 1;

/// Most bytes that the decoder may hold for one pixel.
const BYTES_PER_PIXEL: u64 = 8;

/// From a row as it is unpacked to one of RGB.
type Colours = Box<dyn Fn(&[u8]) -> Vec<u8>>;

/// The page, upright. `None` when its pixels are not of these kinds.
pub fn read<R: Read + Seek>(
    mut page: BufReader<Turned<R>>,
    directory: &Directory,
    limits: &Limits,
) -> Result<Option<Raster>, Fault> {
    let interpretation = directory.value(&mut page, INTERPRETATION).map_err(|error| fault::of_io(&error))?;
    let has_palette = interpretation == Some(PALETTE);
    if has_palette && let Some((place, bytes)) = directory.replacing(INTERPRETATION, GREY) {
        page.get_mut().replace(place, bytes);
    }
    page.rewind().map_err(|error| fault::of_io(&error))?;
    sheltered("picture", || match upright(page, has_palette, limits) {
        Err(TiffError::UnsupportedError(_)) => Ok(None),
        Err(TiffError::LimitsExceeded) => {
            Err(fault::of(&ImageError::Limits(LimitError::from_kind(LimitErrorKind::InsufficientMemory))))
        }
        Err(TiffError::IoError(error)) => Err(fault::of_io(&error)),
        Err(error) => Err(fault::corrupt(error.to_string())),
        Ok(picture) => Ok(picture.map(|picture| flatten::over_white(picture, ImageFormat::Tiff))),
    })
}

fn upright(page: impl Read + Seek, has_palette: bool, limits: &Limits) -> TiffResult<Option<DynamicImage>> {
    let most = usize::try_from(limits.pixels.saturating_mul(BYTES_PER_PIXEL)).unwrap_or(usize::MAX);
    let mut memory = Memory::default();
    (memory.decoding_buffer_size, memory.intermediate_buffer_size) = (most, most);
    let mut decoder = Decoder::new(page)?.with_limits(memory);
    let (width, height) = decoder.dimensions()?;
    if u64::from(width) * u64::from(height) > limits.pixels {
        return Err(TiffError::LimitsExceeded);
    }
    let palette = if has_palette { decoder.find_tag_unsigned_vec(Tag::ColorMap)? } else { None };
    let orientation = decoder.find_tag_unsigned(Tag::Orientation).ok().flatten().and_then(Orientation::from_exif);
    let colours: Colours = match (decoder.colortype()?, palette) {
        (ColorType::Gray(bits @ (1 | 2 | 4 | 8)), Some(palette)) => {
            Box::new(move |row| of_palette(&indices(row, width, bits), &palette))
        }
        (ColorType::Gray(bits @ (2 | 4)), None) if !has_palette => {
            Box::new(move |row| of_grey(&indices(row, width, bits), bits))
        }
        (ColorType::YCbCr(8), None) => Box::new(of_ycbcr),
        _ => return Ok(None),
    };
    let row_bytes = decoder.image_buffer_layout()?.row_stride.map_or(0, std::num::NonZero::get);
    let DecodingResult::U8(bytes) = decoder.read_image()? else { return Ok(None) };
    let rgb = bytes.chunks_exact(row_bytes.max(1)).flat_map(colours).collect();
    let picture = RgbImage::from_raw(width, height, rgb).map(DynamicImage::ImageRgb8);
    Ok(picture.map(|mut picture| {
        picture.apply_orientation(orientation.unwrap_or(Orientation::NoTransforms));
        picture
    }))
}

/// The numbers of a row, of so many bits each; the first lies highest.
fn indices(row: &[u8], width: u32, bits: u8) -> Vec<u8> {
    let per_byte = u32::from(8 / bits);
    let at = |x: u32| row[(x / per_byte) as usize] >> (8 - u32::from(bits) * (x % per_byte + 1)) & (0xff >> (8 - bits));
    (0..width).map(at).collect()
}

/// A palette has all reds, then all greens, then all blues, in 16 bits; writers that know no better leave the lower 8 alone.
fn of_palette(indices: &[u8], palette: &[u16]) -> Vec<u8> {
    let shift = if palette.iter().all(|value| *value < 256) { 0 } else { 8 };
    let colours = palette.len() / 3;
    let part = |index: u8, part: usize| {
        let value = palette.get(part * colours + usize::from(index)).filter(|_| usize::from(index) < colours);
        value.map_or(0, |value| (value >> shift) as u8)
    };
    indices.iter().flat_map(|index| [part(*index, 0), part(*index, 1), part(*index, 2)]).collect()
}

fn of_grey(indices: &[u8], bits: u8) -> Vec<u8> {
    let lightest = 0xff >> (8 - bits);
    indices.iter().flat_map(|index| [index * (255 / lightest); 3]).collect()
}

/// Full range, with the coefficients of Rec. 601, as JFIF has it and TIFF 6.0, section 21, where nothing else is said.
fn of_ycbcr(row: &[u8]) -> Vec<u8> {
    let pixel = |[luma, blue, red]: &[u8; 3]| {
        let (luma, blue, red) = (f32::from(*luma), f32::from(*blue) - 128.0, f32::from(*red) - 128.0);
        let rgb = [luma + 1.402 * red, luma - 0.344_136 * blue - 0.714_136 * red, luma + 1.772 * blue];
        rgb.map(|value| value.round().clamp(0.0, 255.0) as u8)
    };
    row.as_chunks::<3>().0.iter().flat_map(pixel).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_taken_from_the_highest_bits_on() {
        assert_eq!(indices(&[0b1110_0100, 0b0100_0000], 5, 2), [3, 2, 1, 0, 1]);
        assert_eq!(indices(&[0xf0, 0x70], 3, 4), [15, 0, 7]);
        assert_eq!(indices(&[0x80], 2, 1), [1, 0]);
        assert_eq!(indices(&[7, 200], 2, 8), [7, 200]);
        assert_eq!(of_grey(&[0, 1, 3], 2), [0, 0, 0, 85, 85, 85, 255, 255, 255]);
    }

    #[test]
    fn palettes_have_sixteen_bits_or_eight_and_may_be_too_short() {
        assert_eq!(
            of_palette(&[1, 0, 2], &[0x1000, 0xffff, 0x2000, 0, 0x3000, 0x8080]),
            [255, 0, 128, 16, 32, 48, 0, 0, 0]
        );
        assert_eq!(of_palette(&[1], &[1, 255, 2, 20, 3, 30]), [255, 20, 30]);
        assert_eq!(of_palette(&[0], &[]), [0, 0, 0]);
    }

    /// Values of the equations of JFIF 1.02, page 3.
    #[test]
    fn ycbcr_is_that_of_jfif() {
        assert_eq!(of_ycbcr(&[76, 85, 255, 255, 128, 128, 0, 255, 0]), [254, 0, 0, 255, 255, 255, 0, 48, 225]);
    }
}
