//! Any pixels to 8-bit RGB: 16 bits are rounded to 8, transparent pixels are laid over white, the colour of paper.

use image::DynamicImage;

use crate::base::Raster;

/// `[height, width, 3]` u8 of any picture.
pub fn over_white(picture: DynamicImage) -> Raster {
    let (width, height) = (picture.width(), picture.height());
    let rgb = if picture.color().has_alpha() {
        picture.into_rgba8().pixels().flat_map(|pixel| composite(pixel.0)).collect()
    } else {
        picture.into_rgb8().into_raw()
    };
    Raster { width, height, rgb }
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
    fn sixteen_bits_are_rounded_to_eight() {
        let grey = image::ImageBuffer::from_raw(3, 1, vec![0_u16, 0x8080, 0xffff]).unwrap();
        let raster = over_white(DynamicImage::ImageLuma16(grey));
        assert_eq!(raster.rgb, [0, 0, 0, 128, 128, 128, 255, 255, 255]);
    }
}
