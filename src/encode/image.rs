//! A picture becomes patches: resized to the grid that the budget asks for, cut into squares of 16 pixels, scaled to
//! [0, 1].
//!
//! Source: transformers' `image_processing_pil_gemma4.py`. The resize is Pillow's antialiased
//! bicubic (a = -0.5) on 8-bit RGB, rounded to 8 bits.

use fast_image_resize::{
    FilterType, IntoImageView, PixelType, ResizeAlg, ResizeOptions, Resizer,
    images::{Image, ImageRef},
};
use ndarray::Array2;
use rayon::prelude::*;

use super::{detail, fault};
use crate::base::{
    Fault, FaultKind, ImagePatches, Raster,
    grid::{Grid, PATCH, POOL},
};

/// Bytes of one row of pixels inside a patch.
const PATCH_ROW: usize = 3 * PATCH as usize;

/// Values of one patch.
const PATCH_VALUES: usize = PATCH as usize * PATCH_ROW;

/// Makes patches of pictures; keeps the resizer's buffers from one picture to the next.
#[derive(Clone, Default)]
pub struct Patcher {
    resizer: Resizer,
}

impl Patcher {
    /// At most `budget` soft tokens of the picture: `[9 * soft_tokens, 768]` in [0, 1]. A picture whose grid has more
    /// than `most_positions` patches along one side is refused: the model has no position for them.
    pub fn patches(&mut self, raster: &Raster, budget: u32, most_positions: usize) -> Result<ImagePatches, Fault> {
        self.patches_on(Grid::fit(raster.width, raster.height, budget), raster, most_positions)
    }

    /// The same for a page that was rendered for `budget`: its pixels are taken as they are.
    pub fn page_patches(&mut self, raster: &Raster, budget: u32, most_positions: usize) -> Result<ImagePatches, Fault> {
        let own = Grid::rendered(raster.width, raster.height, budget);
        self.patches_on(own.or_else(|| Grid::fit(raster.width, raster.height, budget)), raster, most_positions)
    }

    /// As few soft tokens as leave the picture's detail.
    pub fn budget(&mut self, raster: &Raster) -> u32 {
        detail::budget(&mut self.resizer, raster)
    }

    fn patches_on(
        &mut self,
        grid: Option<Grid>,
        raster: &Raster,
        most_positions: usize,
    ) -> Result<ImagePatches, Fault> {
        let grid = checked(grid, raster, most_positions)?;
        if (grid.width, grid.height) == (raster.width, raster.height) {
            return patches(&raster.rgb, grid);
        }
        patches(self.resize(raster, grid)?.buffer(), grid)
    }

    /// Width first, then height, as Pillow does it: both passes round and clip to 8 bits, so their order shows
    /// (5/255 on hard edges the other way round, which the resizer takes by itself). Only strips go the other way.
    fn resize(&mut self, raster: &Raster, grid: Grid) -> Result<Image<'static>, Fault> {
        let source = ImageRef::new(raster.width, raster.height, &raster.rgb, PixelType::U8x3).map_err(broken)?;
        if raster.width == grid.width || raster.height == grid.height {
            return self.pass(&source, grid.width, grid.height);
        }
        let (width, height) = halfway(raster.width, raster.height, grid);
        let halfway = self.pass(&source, width, height)?;
        self.pass(&halfway, grid.width, grid.height)
    }

    fn pass(&mut self, source: &impl IntoImageView, width: u32, height: u32) -> Result<Image<'static>, Fault> {
        let mut resized = Image::new(width, height, PixelType::U8x3);
        let bicubic = ResizeOptions::new().resize_alg(ResizeAlg::Convolution(FilterType::CatmullRom));
        self.resizer.resize(source, &mut resized, &bicubic).map_err(broken)?;
        Ok(resized)
    }
}

/// The size between the two passes. A strip that becomes wider and much lower would be far larger there than before and
/// after: 14 GB of 1 x 100,000,000 pixels. A grid of about the picture's shape is never so.
fn halfway(width: u32, height: u32, grid: Grid) -> (u32, u32) {
    let is_strip = grid.width > width && height > 2 * grid.height;
    if is_strip { (width, grid.height) } else { (grid.width, height) }
}

fn checked(grid: Option<Grid>, raster: &Raster, most_positions: usize) -> Result<Grid, Fault> {
    let Raster { width, height, ref rgb } = *raster;
    if rgb.len() as u64 != 3 * u64::from(width) * u64::from(height) {
        return Err(broken(format!("{} bytes for {width} x {height} pixels", rgb.len())));
    }
    let Some(grid) = grid else {
        return Err(fault(FaultKind::Empty, format!("a picture of {width} x {height} pixels"), "leave it out"));
    };
    let longest = grid.width.max(grid.height) / PATCH;
    if longest as usize > most_positions {
        let message = format!(
            "a picture of {width} x {height} pixels needs {longest} patches in a row, the model has {most_positions}"
        );
        return Err(fault(FaultKind::TooLarge, message, "cut the picture into pieces, or lower encode.budget"));
    }
    Ok(grid)
}

fn broken(error: impl ToString) -> Fault {
    fault(FaultKind::Internal, format!("cannot resize: {}", error.to_string()), "please report this")
}

/// `rgb` is `[height, width, 3]` of the grid's size.
fn patches(rgb: &[u8], grid: Grid) -> Result<ImagePatches, Fault> {
    let columns = (grid.width / PATCH) as usize;
    let rows = (grid.height / PATCH) as usize;
    let mut pixels = vec![0.0; rows * columns * PATCH_VALUES];
    let band = PATCH as usize * 3 * grid.width as usize;
    pixels
        .par_chunks_mut(columns * PATCH_VALUES)
        .zip(rgb.par_chunks(band))
        .for_each(|(patches, pixels)| cut(pixels, patches, columns));
    Ok(ImagePatches {
        pixels: Array2::from_shape_vec((rows * columns, PATCH_VALUES), pixels).map_err(broken)?,
        positions: positions(columns, rows),
        soft_tokens: rows * columns / (POOL * POOL) as usize,
    })
}

/// Cuts one band of 16 rows of pixels into patches, (dy, dx, channel) inside a patch.
fn cut(band: &[u8], patches: &mut [f32], columns: usize) {
    for (dy, row) in band.chunks_exact(columns * PATCH_ROW).enumerate() {
        let places = patches.chunks_exact_mut(PATCH_VALUES).map(|patch| &mut patch[dy * PATCH_ROW..][..PATCH_ROW]);
        for (place, pixels) in places.zip(row.chunks_exact(PATCH_ROW)) {
            scale(pixels, place);
        }
    }
}

/// 8-bit values to [0, 1]. A product is not always the nearest f32 to the quotient, but it is within one unit in the
/// last place, and vectorises.
fn scale(bytes: &[u8], values: &mut [f32]) {
    for (value, byte) in values.iter_mut().zip(bytes) {
        *value = f32::from(*byte) * (1.0 / 255.0);
    }
}

/// `[rows * columns, 2]`: (column, row) of each patch, row by row.
fn positions(columns: usize, rows: usize) -> Array2<i64> {
    Array2::from_shape_fn((rows * columns, 2), |(patch, axis)| match axis {
        0 => (patch % columns) as i64,
        _ => (patch / columns) as i64,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::grid::{BUDGETS, TOKEN};

    #[test]
    fn a_picture_of_the_right_size_is_only_cut() {
        let (width, height) = (48, 96);
        let rgb: Vec<u8> = (0..3 * width * height).map(|place| (place % 251) as u8).collect();
        let at = |x: usize, y: usize, channel: usize| f32::from(rgb[3 * (y * 48 + x) + channel]) / 255.0;
        let patches = patches(&rgb, Grid { width, height }).unwrap();
        assert_eq!((patches.pixels.dim(), patches.soft_tokens), ((18, 768), 2));
        for (patch, dy, dx, channel) in [(0, 0, 0, 0), (1, 0, 0, 2), (5, 7, 15, 1), (17, 15, 15, 2)] {
            let found = patches.pixels[[patch, dy * 48 + dx * 3 + channel]];
            assert!((found - at(patch % 3 * 16 + dx, patch / 3 * 16 + dy, channel)).abs() < 1e-6);
        }
        assert_eq!(patches.positions.row(5).to_vec(), [2, 1]);
    }

    #[test]
    fn pictures_are_resized_by_their_width_first_and_strips_stay_small_on_the_way() {
        let sides: Vec<u32> = (0..27).flat_map(|power| [1 << power, 3 << power, (1 << power) + 1]).collect();
        let area = |(width, height): (u32, u32)| u64::from(width) * u64::from(height);
        for (&width, &height) in sides.iter().flat_map(|width| sides.iter().map(move |height| (width, height))) {
            for grid in BUDGETS.into_iter().filter_map(|budget| Grid::fit(width, height, budget)) {
                let between = halfway(width, height, grid);
                let largest = area((width, height)).max(area((grid.width, grid.height)));
                assert!(area(between) <= 2 * largest, "{width} x {height} by way of {between:?}");
                let has_its_shape = grid.width > TOKEN && grid.height > TOKEN;
                assert!(!has_its_shape || between == (grid.width, height), "{width} x {height} by way of {between:?}");
            }
        }
    }

    #[test]
    fn pictures_that_no_grid_fits_are_faults() {
        let strip = Raster { width: 4000, height: 1, rgb: vec![9; 12_000] };
        let kind = |raster: &Raster, most| Patcher::default().patches(raster, 1120, most).map(drop).unwrap_err().kind;
        assert_eq!(kind(&strip, 704), FaultKind::TooLarge);
        assert_eq!(kind(&Raster { width: 0, height: 5, rgb: vec![] }, 704), FaultKind::Empty);
        assert_eq!(kind(&Raster { width: 5, height: 5, rgb: vec![1; 3] }, 704), FaultKind::Internal);
    }
}
