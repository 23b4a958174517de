//! How many soft tokens a picture needs: as few as leave its detail as it would be at the most.
//!
//! The picture is brought to the largest size that the model could see. For each smaller size it is brought there and
//! back, and what is lost is looked at square by square: where the busiest squares lose little, nobody could have read
//! more from the larger one.

use fast_image_resize::{
    FilterType, PixelType, ResizeAlg, ResizeError, ResizeOptions, Resizer,
    images::{Image, ImageRef},
};

use crate::base::{
    Raster,
    grid::{BUDGETS, Grid, TOKEN},
};

/// The part of a square's contrast that may be lost. Clean print of 24 points is then given 280 tokens on a page of A4, of
/// 12 points 560, of 8 points 1120: a step more than `base::visual` gives by the text layer, since blurred letters have
/// less to lose. No trained Gemma was at hand to find its own bound.
const LOSS: f64 = 0.3;

/// Variance, in steps of 255, above which a square holds something.
const VARIANCE: f64 = 36.0;

/// One square in so many may lose more.
const LOSING: usize = 5;

/// The smallest of the budgets that leaves the picture's detail.
pub(super) fn budget(resizer: &mut Resizer, raster: &Raster) -> u32 {
    let most = BUDGETS[BUDGETS.len() - 1];
    let Some(grid) = Grid::fit(raster.width, raster.height, most) else { return most };
    if raster.rgb.len() as u64 != 3 * u64::from(raster.width) * u64::from(raster.height) {
        return most;
    }
    let leaves_detail = |resizer: &mut Resizer, full: &Grey, budget: u32| -> Option<bool> {
        let small = Grid::fit(grid.width, grid.height, budget)?;
        Some(full.loss(&full.at(resizer, small).ok()?.at(resizer, grid).ok()?) < LOSS)
    };
    let Ok(full) = Grey::of(raster).at(resizer, grid) else { return most };
    let mut smaller = BUDGETS.into_iter().take(BUDGETS.len() - 1);
    smaller.find(|budget| leaves_detail(resizer, &full, *budget) == Some(true)).unwrap_or(most)
}

/// A picture in grey.
struct Grey {
    width: u32,
    height: u32,
    /// Row-major.
    pixels: Vec<u8>,
}

impl Grey {
    /// Luma of ITU-R BT.601.
    fn of(raster: &Raster) -> Self {
        let luma =
            |rgb: &[u8; 3]| ((77 * u32::from(rgb[0]) + 150 * u32::from(rgb[1]) + 29 * u32::from(rgb[2])) >> 8) as u8;
        let pixels = raster.rgb.as_chunks::<3>().0.iter().map(luma).collect();
        Self { width: raster.width, height: raster.height, pixels }
    }

    fn at(&self, resizer: &mut Resizer, grid: Grid) -> Result<Self, ResizeError> {
        // The resizer takes the height first: of a strip that would be far larger than before and after.
        if self.width > 2 * grid.width && self.height < grid.height {
            return self.at(resizer, Grid { height: self.height, ..grid })?.at(resizer, grid);
        }
        let mut resized = Image::new(grid.width, grid.height, PixelType::U8);
        let bicubic = ResizeOptions::new().resize_alg(ResizeAlg::Convolution(FilterType::CatmullRom));
        if let Ok(source) = ImageRef::new(self.width, self.height, &self.pixels, PixelType::U8) {
            resizer.resize(&source, &mut resized, &bicubic)?;
        }
        Ok(Self { width: grid.width, height: grid.height, pixels: resized.into_vec() })
    }

    /// What the squares that hold something lose where this picture becomes the other of the same size.
    fn loss(&self, other: &Self) -> f64 {
        let side = TOKEN as usize;
        let (rows, columns) = (self.height as usize / side, self.width as usize / side);
        let squares = (0..rows * columns).map(|place| (place / columns, place % columns));
        let mut losses: Vec<f64> = squares.filter_map(|square| self.loss_at(other, square)).collect();
        losses.sort_by(f64::total_cmp);
        losses.get((losses.len() - losses.len() / LOSING).saturating_sub(1)).copied().unwrap_or(0.0)
    }

    /// The part of a square's contrast that is lost; `None` for one that holds nothing.
    fn loss_at(&self, other: &Self, (row, column): (usize, usize)) -> Option<f64> {
        let (side, width) = (TOKEN as usize, self.width as usize);
        let (mut sum, mut squares, mut lost) = (0_u64, 0_u64, 0_u64);
        for line in 0..side {
            let of = (row * side + line) * width + column * side;
            for (own, other) in self.pixels[of..of + side].iter().zip(&other.pixels[of..of + side]) {
                let (pixel, distance) = (u64::from(*own), u64::from(own.abs_diff(*other)));
                (sum, squares, lost) = (sum + pixel, squares + pixel * pixel, lost + distance * distance);
            }
        }
        let count = (side * side) as f64;
        let mean = sum as f64 / count;
        let variance = squares as f64 / count - mean * mean;
        (variance > VARIANCE).then(|| (lost as f64 / count / variance).sqrt())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Upright strokes of `stroke` pixels with as much between them, on a page of A4 at 100 dots an inch.
    fn page(stroke: u32, ink: u8) -> Raster {
        let (width, height) = (827, 1169);
        let pixel = |place: u32| if (place % width / stroke).is_multiple_of(2) { ink } else { 245 };
        let rgb = (0..width * height).flat_map(|place| [pixel(place); 3]).collect();
        Raster { width, height, rgb }
    }

    fn of(raster: &Raster) -> u32 {
        budget(&mut Resizer::new(), raster)
    }

    #[test]
    fn finer_strokes_take_more_tokens_however_faint_they_are() {
        assert_eq!(of(&page(100, 245)), 70, "a blank page");
        let budgets = [30, 1].map(|stroke| of(&page(stroke, 30)));
        assert!(budgets[0] <= 140 && budgets[1] == 1120, "{budgets:?}");
        assert_eq!(budgets[0], of(&page(30, 150)));
    }

    #[test]
    fn a_strip_is_measured_as_well() {
        let strip = |stroke: usize| {
            let pixel = |place: usize| if (place / stroke).is_multiple_of(2) { [30; 3] } else { [245; 3] };
            Raster { width: 400_000, height: 1, rgb: (0..400_000).flat_map(pixel).collect() }
        };
        assert_eq!(of(&strip(400_000)), 70, "a line");
        assert_eq!(of(&strip(10)), 1120);
    }

    #[test]
    fn pictures_without_area_get_the_most() {
        assert_eq!(of(&Raster { width: 0, height: 0, rgb: Vec::new() }), 1120);
        assert_eq!(of(&Raster { width: 9, height: 9, rgb: vec![1; 3] }), 1120);
    }
}
