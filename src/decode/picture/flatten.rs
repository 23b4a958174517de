//! Any pixels to 8-bit RGB: 16 bits are rounded to 8, transparent pixels are laid over white, the colour of paper.

use image::{DynamicImage, ImageFormat};

use crate::base::Raster;

/// `[height, width, 3]` u8 of any picture of this format.
pub fn over_white(picture: DynamicImage, format: ImageFormat) -> Raster {
    let (width, height) = (picture.width(), picture.height());
    let rgb = if picture.color().has_alpha() {
        let pixels = picture.into_rgba8();
        let nothing_shows = pixels.pixels().all(|pixel| pixel.0[3] == 0);
        let fourth_is_unused = nothing_shows && may_leave_the_fourth_unused(format);
        let colours: fn([u8; 4]) -> [u8; 3] = if fourth_is_unused { drop_fourth } else { composite };
        pixels.pixels().flat_map(|pixel| colours(pixel.0)).collect()
    } else {
        picture.into_rgb8().into_raw()
    };
    Raster { width, height, rgb }
}

/// Writers of bitmaps and TIFFs often fill a fourth channel that they have no use for with zeros, and browsers show such
/// bitmaps. A PNG, WebP or GIF has transparency only when it means it.
fn may_leave_the_fourth_unused(format: ImageFormat) -> bool {
    matches!(format, ImageFormat::Bmp | ImageFormat::Tiff)
}

fn drop_fourth([red, green, blue, _]: [u8; 4]) -> [u8; 3] {
    [red, green, blue]
}

/// Straight alpha over white, rounded to nearest.
fn composite([red, green, blue, alpha]: [u8; 4]) -> [u8; 3] {
    let alpha = u32::from(alpha);
    [red, green, blue].map(|value| ((u32::from(value) * alpha + 255 * (255 - alpha) + 127) / 255) as u8)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn transparent_pixels_show_paper() {
        assert_eq!(composite([10, 20, 30, 0]), [255, 255, 255]);
        assert_eq!(composite([10, 20, 30, 255]), [10, 20, 30]);
        assert_eq!(composite([0, 100, 255, 128]), [127, 177, 255]);
    }

    #[test]
    fn a_fourth_channel_of_zeros_hides_a_png_but_no_bitmap_or_tiff() {
        let flat = |alphas: [u8; 2], format| {
            let pixels: Vec<u8> = alphas.iter().flat_map(|alpha| [10, 20, 30, *alpha]).collect();
            let picture = image::ImageBuffer::from_raw(2, 1, pixels).unwrap();
            over_white(DynamicImage::ImageRgba8(picture), format).rgb
        };
        assert_eq!(flat([0, 0], ImageFormat::Bmp), [10, 20, 30, 10, 20, 30]);
        assert_eq!(flat([0, 0], ImageFormat::Tiff), [10, 20, 30, 10, 20, 30]);
        assert_eq!(flat([0, 0], ImageFormat::Png), [255; 6]);
        assert_eq!(flat([0, 255], ImageFormat::Bmp), [255, 255, 255, 10, 20, 30]);
    }

    #[test]
    fn sixteen_bits_are_rounded_to_eight() {
        let grey = image::ImageBuffer::from_raw(3, 1, vec![0_u16, 0x8080, 0xffff]).unwrap();
        let raster = over_white(DynamicImage::ImageLuma16(grey), ImageFormat::Png);
        assert_eq!(raster.rgb, [0, 0, 0, 128, 128, 128, 255, 255, 255]);
    }
}
