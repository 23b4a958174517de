//! Which frames of a film are looked at.

use super::super::settings::VideoSettings;

/// Indices, ascending, into `times`, the seconds at which each frame is shown.
///
/// Without `fps`, frame `i * total / n` for each `i` of `n` (rounded down): `default_sample_indices_fn` of
/// transformers' `video_processing_gemma4.py`, which counts frames, not seconds; all frames when there are fewer. With `fps`, what
/// is shown at each `1 / fps` of a second, and never more than `frames`: then they are spread evenly again.
pub fn indices(times: &[f64], end: f64, video: &VideoSettings) -> Vec<usize> {
    let most = video.frames as usize;
    match video.fps {
        Some(fps) if ((end - first(times)) * fps).ceil() <= most as f64 => at_rate(times, end, fps),
        _ => spread(times.len(), most),
    }
}

fn spread(total: usize, count: usize) -> Vec<usize> {
    let count = count.min(total);
    (0..count).map(|index| index * total / count).collect()
}

fn at_rate(times: &[f64], end: f64, fps: f64) -> Vec<usize> {
    // Times are rounded to the ticks of the container: a frame may be late by half of one.
    const TICK: f64 = 1e-3;
    let count = ((end - first(times)) * fps).ceil().max(1.0) as usize;
    let shown = |second: f64| times.partition_point(|&time| time <= second + TICK).saturating_sub(1);
    let mut indices: Vec<usize> = (0..count).map(|step| shown(first(times) + step as f64 / fps)).collect();
    indices.dedup();
    indices.truncate(times.len());
    indices
}

fn first(times: &[f64]) -> f64 {
    times.first().copied().unwrap_or(0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chosen(times: &[f64], end: f64, frames: u32, fps: Option<f64>) -> Vec<usize> {
        indices(times, end, &VideoSettings { frames, fps, sound: true, ..VideoSettings::default() })
    }

    fn even(count: u32, fps: f64) -> Vec<f64> {
        (0..count).map(|index| f64::from(index) / fps).collect()
    }

    /// Values of `numpy.arange(n) * total // n`.
    #[test]
    fn frames_are_spread_as_transformers_does() {
        let expected = [0, 2, 4, 6, 9, 11, 13, 15, 18, 20, 22, 24, 27, 29, 31, 33];
        assert_eq!(chosen(&even(72, 12.0), 6.0, 32, None)[..16], expected);
        assert_eq!(chosen(&even(10, 12.0), 1.0, 4, None), [0, 2, 5, 7]);
        assert_eq!(chosen(&even(3, 12.0), 0.25, 32, None), [0, 1, 2]);
    }

    #[test]
    fn a_rate_takes_what_is_shown_at_each_tick() {
        assert_eq!(chosen(&even(72, 12.0), 6.0, 32, Some(1.0)), [0, 12, 24, 36, 48, 60]);
        assert_eq!(chosen(&even(72, 12.0), 6.0, 4, Some(1.0)), [0, 18, 36, 54]);
        assert_eq!(chosen(&[0.0, 0.1, 5.0], 6.0, 32, Some(1.0)), [0, 1, 2]);
    }

    #[test]
    fn a_rate_above_the_films_own_takes_each_frame_once() {
        assert_eq!(chosen(&even(3, 12.0), 0.25, 32, Some(100.0)), [0, 1, 2]);
        assert_eq!(chosen(&[0.0], 0.0, 32, Some(1.0)), [0]);
    }
}
