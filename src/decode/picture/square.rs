//! Pages whose pixels are not square: faxes have twice as many across as down.

use image::{RgbImage, imageops};

use crate::base::Raster;

/// Pixels are taken for square up to this.
const NEARLY: f64 = 1.05;

/// No real page has pixels that are longer.
const MOST: f64 = 5.0;

/// The page with as many pixels to an inch across as down, where `aspect` pixels across are as long as one down. It is never
/// made smaller, nor larger than `most` pixels.
pub fn square(raster: Raster, aspect: f64, most: u64) -> Raster {
    let longer = aspect.max(1.0 / aspect);
    let stretched = |side: u32| (f64::from(side) * longer).round() as u32;
    let (width, height) = match aspect > 1.0 {
        true => (raster.width, stretched(raster.height)),
        false => (stretched(raster.width), raster.height),
    };
    if !(NEARLY..=MOST).contains(&longer) || u64::from(width) * u64::from(height) > most {
        return raster;
    }
    let Raster { width: across, height: down, rgb } = raster;
    let picture = RgbImage::from_raw(across, down, rgb).unwrap_or_default();
    let picture = imageops::resize(&picture, width, height, imageops::FilterType::Triangle);
    Raster { width: picture.width(), height: picture.height(), rgb: picture.into_raw() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_side_with_fewer_pixels_is_stretched() {
        let page = || Raster { width: 8, height: 4, rgb: vec![7; 96] };
        let size = |aspect, most| {
            let raster = square(page(), aspect, most);
            assert!(
                raster.rgb.iter().all(|value| *value == 7)
                    && raster.rgb.len() as u32 == 3 * raster.width * raster.height
            );
            (raster.width, raster.height)
        };
        assert_eq!(size(204.0 / 98.0, 1000), (8, 8));
        assert_eq!(size(0.5, 1000), (16, 4));
        assert_eq!(size(1.04, 1000), (8, 4));
        assert_eq!(size(100.0, 1000), (8, 4), "that is a mistake");
        assert_eq!(size(2.0, 63), (8, 4));
    }
}
