//! Patches against the Pillow path of transformers' processor.

use lapidary::{base::Raster, encode::image::Patcher};
use ndarray::Array2;

use super::{page, reference};

/// Measures the differences in 1/255: the share of values that differ by at most one, and the largest.
fn differences(budget: u32, file: &str) -> (f64, f32) {
    let patches = Patcher::default().patches(&page(), budget, 10_240).expect("the page fits");
    let wanted: Array2<u8> = reference(file, "pixel_values_pil_x255");
    let positions: Array2<i64> = reference(file, "position_ids");
    assert_eq!(patches.positions, positions);
    assert_eq!(patches.pixels.dim(), wanted.dim());
    assert_eq!(patches.soft_tokens * 9, wanted.nrows());
    let apart: Vec<f32> =
        patches.pixels.iter().zip(&wanted).map(|(found, wanted)| (found * 255.0 - f32::from(*wanted)).abs()).collect();
    let close = apart.iter().filter(|difference| **difference < 1.001).count();
    (close as f64 / apart.len() as f64, apart.iter().copied().fold(0.0, f32::max))
}

#[test]
fn pixels_are_those_of_the_pillow_path() {
    for (budget, file) in [(70, "page_b70.npz"), (280, "page_b280.npz"), (1120, "page_b1120.npz")] {
        let (close, largest) = differences(budget, file);
        println!("budget {budget}: {close} within 1/255, largest {largest}/255");
        assert!(close >= 0.999, "budget {budget}: {close} within 1/255");
        assert!(largest < 2.001, "budget {budget}: {largest}/255");
    }
}

#[test]
fn a_strip_as_long_as_a_picture_may_be_is_resized() {
    let shades = [vec![255; 6_000_000], vec![0; 6_000_000]].concat();
    let strip = Raster { width: 1, height: 4_000_000, rgb: shades };
    let patches = Patcher::default().patches(&strip, 70, 10_240).expect("210 patches in a row");
    assert_eq!(patches.soft_tokens, 70);
    assert!(patches.pixels.row(0).iter().all(|value| *value > 0.999), "white above");
    assert!(patches.pixels.row(629).iter().all(|value| *value < 0.001), "black below");
}
