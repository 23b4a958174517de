//! Frames that show what the one before them shows.

use crate::base::{Frame, Raster};

/// Samples along each side of a frame.
const SIDE: usize = 32;

/// The frames, less those that differ from the last that is kept by less than `least` on average, in shares of full
/// brightness. The first stays.
pub fn without(frames: Vec<Frame>, least: f32) -> Vec<Frame> {
    if least <= 0.0 {
        return frames;
    }
    let mut kept: Vec<Frame> = Vec::new();
    let mut last: Option<Vec<f32>> = None;
    for frame in frames {
        let own = thumbnail(&frame.raster);
        if last.as_ref().is_none_or(|last| difference(last, &own) >= least) {
            last = Some(own);
            kept.push(frame);
        }
    }
    kept
}

fn difference(one: &[f32], other: &[f32]) -> f32 {
    one.iter().zip(other).map(|(a, b)| (a - b).abs()).sum::<f32>() / one.len().max(1) as f32
}

/// Mean brightness, 0 to 1, of each of `SIDE` by `SIDE` fields.
fn thumbnail(raster: &Raster) -> Vec<f32> {
    let (width, height) = (raster.width as usize, raster.height as usize);
    let (mut sums, mut counts) = (vec![0.0_f32; SIDE * SIDE], vec![0.0_f32; SIDE * SIDE]);
    for (row, line) in raster.rgb.chunks_exact((3 * width).max(1)).enumerate() {
        for (column, pixel) in line.as_chunks::<3>().0.iter().enumerate() {
            let field = row * SIDE / height.max(1) * SIDE + column * SIDE / width.max(1);
            sums[field] += pixel.iter().map(|part| f32::from(*part)).sum::<f32>();
            counts[field] += 3.0 * 255.0;
        }
    }
    sums.into_iter().zip(counts).map(|(sum, count)| if count > 0.0 { sum / count } else { 0.0 }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(time: f64, shade: u8, spot: Option<usize>) -> Frame {
        let mut rgb = vec![shade; 3 * 64 * 48];
        if let Some(spot) = spot {
            rgb[spot] = !shade;
        }
        Frame { time, raster: Raster { width: 64, height: 48, rgb } }
    }

    #[test]
    fn what_hardly_changes_is_shown_once() {
        let frames = vec![frame(0.0, 10, None), frame(1.0, 10, Some(7)), frame(2.0, 11, None), frame(3.0, 60, None)];
        let times = |least| without(frames.clone(), least).iter().map(|frame| frame.time).collect::<Vec<_>>();
        assert_eq!(times(0.0), [0.0, 1.0, 2.0, 3.0]);
        assert_eq!(times(0.01), [0.0, 3.0]);
        assert_eq!(times(0.002), [0.0, 2.0, 3.0]);
        assert!(without(Vec::new(), 0.5).is_empty());
    }

    #[test]
    fn small_pictures_have_fields_too() {
        assert_eq!(thumbnail(&Raster { width: 1, height: 2, rgb: vec![255; 6] }).iter().sum::<f32>(), 2.0);
    }
}
