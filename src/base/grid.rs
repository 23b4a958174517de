//! How large a picture becomes under a budget of soft tokens: shared by `decode`, which renders pages at that
//! size, and `encode`, which resizes everything else to it.
//!
//! Source: `get_aspect_ratio_preserving_size` of transformers' `image_processing_gemma4.py`.

/// Pixels per side of one patch.
pub const PATCH: u32 = 16;

/// Patches per side of one soft token.
pub const POOL: u32 = 3;

/// Pixels per side of one soft token.
pub const TOKEN: u32 = PATCH * POOL;

/// The supported numbers of soft tokens per picture.
pub const BUDGETS: [u32; 5] = [70, 140, 280, 560, 1120];

/// A picture's size after fitting: both sides are multiples of [`TOKEN`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Grid {
    /// Pixels per row.
    pub width: u32,
    /// Rows.
    pub height: u32,
}

impl Grid {
    /// The largest grid of about the same shape with at most `budget` soft tokens. Small pictures are
    /// enlarged. `None` for a picture without area.
    pub fn fit(width: u32, height: u32, budget: u32) -> Option<Self> {
        if width == 0 || height == 0 {
            return None;
        }
        let (width, height, side) = (f64::from(width), f64::from(height), f64::from(TOKEN));
        let target = f64::from(budget * POOL * POOL * PATCH * PATCH);
        let factor = (target / (height * width)).sqrt();
        let rows = (factor * height / side).floor() * side;
        let columns = (factor * width / side).floor() * side;
        let longest = f64::from(budget) * side;
        let (columns, rows) = match (columns == 0.0, rows == 0.0) {
            (true, true) => return None,
            (false, true) => (((width / height).floor() * side).min(longest), side),
            (true, false) => (side, ((height / width).floor() * side).min(longest)),
            (false, false) => (columns, rows),
        };
        Some(Self { width: columns as u32, height: rows as u32 })
    }

    /// The grid of a page that was rendered for `budget`: its own size, which [`Grid::fit`] need not give back a second
    /// time (240 x 528 would become 240 x 576). `None` for a size that no rendering for this budget has.
    pub fn rendered(width: u32, height: u32, budget: u32) -> Option<Self> {
        let grid = Self { width, height };
        let whole = width.is_multiple_of(TOKEN) && height.is_multiple_of(TOKEN);
        (whole && (1..=budget).contains(&grid.soft_tokens())).then_some(grid)
    }

    /// Soft tokens of a picture of this size.
    pub fn soft_tokens(self) -> u32 {
        (self.width / TOKEN) * (self.height / TOKEN)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Sizes that transformers' `Gemma4ImageProcessorPil` gave.
    #[test]
    fn sizes_are_those_of_the_reference_processor() {
        type Sizes = [(u32, u32, u32); 5];
        let cases: [(u32, u32, Sizes); 8] = [
            (1654, 2339, [(336, 432, 63), (432, 672, 126), (672, 912, 266), (912, 1344, 532), (1344, 1872, 1092)]),
            (612, 792, [(336, 432, 63), (480, 624, 130), (672, 912, 266), (960, 1248, 520), (1392, 1824, 1102)]),
            (1700, 2200, [(336, 432, 63), (480, 624, 130), (672, 912, 266), (960, 1248, 520), (1392, 1824, 1102)]),
            (1920, 1080, [(528, 288, 66), (720, 384, 120), (1056, 576, 264), (1488, 816, 527), (2112, 1200, 1100)]),
            (768, 768, [(384, 384, 64), (528, 528, 121), (768, 768, 256), (1104, 1104, 529), (1584, 1584, 1089)]),
            (640, 480, [(432, 336, 63), (624, 480, 130), (912, 672, 266), (1296, 960, 540), (1824, 1344, 1064)]),
            (3000, 200, [(1536, 96, 64), (2160, 144, 135), (3072, 192, 256), (4368, 288, 546), (6192, 384, 1032)]),
            (100, 4000, [(48, 2496, 52), (48, 3552, 74), (96, 5040, 210), (144, 7152, 447), (240, 10128, 1055)]),
        ];
        for (width, height, sizes) in cases {
            for (budget, (columns, rows, tokens)) in BUDGETS.into_iter().zip(sizes) {
                let grid = Grid::fit(width, height, budget).unwrap();
                assert_eq!(
                    (grid.width, grid.height, grid.soft_tokens()),
                    (columns, rows, tokens),
                    "{width} x {height}"
                );
            }
        }
    }

    #[test]
    fn a_rendered_page_keeps_its_size() {
        assert_eq!(Grid::rendered(240, 528, 70), Some(Grid { width: 240, height: 528 }));
        assert_eq!(Grid::fit(240, 528, 70), Some(Grid { width: 240, height: 576 }));
        for (width, height) in [(240, 530), (0, 48), (48 * 71, 48)] {
            assert_eq!(Grid::rendered(width, height, 70), None, "{width} x {height}");
        }
    }

    #[test]
    fn a_picture_without_area_has_no_grid() {
        assert_eq!(Grid::fit(0, 10, 70), None);
    }
}
