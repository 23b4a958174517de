//! A clip becomes a log-mel spectrogram: frames of 20 ms every 10 ms, 128 mel bins, natural logarithm.
//!
//! Source: gemma4.md section 4, transformers' `feature_extraction_gemma4.py`. Spectra are taken in f64: the floor of
//! 0.001 is far below what f32 leaves beside a loud tone.

use std::{f64::consts::TAU, sync::Arc};

use ndarray::Array2;
use realfft::{RealFftPlanner, RealToComplex, num_complex::Complex};

use super::{
    fault,
    mel::{BINS, FREQUENCIES, FilterBank},
};
use crate::base::{Clip, Fault, FaultKind, LogMel};

/// Samples of the longest clip: 30 s. What is beyond is cut off, as the reference does.
pub const LONGEST: usize = 480_000;

/// Samples of one frame.
const FRAME: usize = 320;

/// Samples from one frame to the next.
const HOP: usize = 160;

/// Samples of one transform; the frame is padded with zeros on the right.
const TRANSFORM: usize = 512;

/// Clips are padded with zeros on the right to a multiple of this.
const MULTIPLE: usize = 128;

/// Added to the energy before the logarithm.
const FLOOR: f64 = 0.001;

/// Makes spectrograms of clips.
#[derive(Clone)]
pub struct Spectrograph {
    transform: Arc<dyn RealToComplex<f64>>,
    window: Arc<[f32; FRAME]>,
    filters: Arc<FilterBank>,
}

impl Default for Spectrograph {
    fn default() -> Self {
        Self {
            transform: RealFftPlanner::new().plan_fft_forward(TRANSFORM),
            window: Arc::new(std::array::from_fn(hann)),
            filters: Arc::new(FilterBank::new()),
        }
    }
}

/// The periodic Hann window, rounded to f32 as in the reference.
fn hann(place: usize) -> f32 {
    (0.5 - 0.5 * (TAU * place as f64 / FRAME as f64).cos()) as f32
}

impl Spectrograph {
    /// The clip's spectrogram with at most `most_tokens` soft tokens. Clips without one whole frame are refused.
    pub fn log_mel(&self, clip: &Clip, most_tokens: usize) -> Result<LogMel, Fault> {
        let samples = &clip.samples[..clip.samples.len().min(LONGEST)];
        let heard = frames(samples.len());
        if heard == 0 {
            let message = format!("a clip of {} samples has no whole frame of 20 ms", samples.len());
            return Err(fault(FaultKind::Empty, message, "leave it out"));
        }
        let all = frames(samples.len().next_multiple_of(MULTIPLE));
        let mut features = Array2::zeros((all, BINS));
        self.fill(&padded(samples), features.as_slice_mut().unwrap_or_default(), heard);
        let soft_tokens = soft_tokens(heard).min(most_tokens);
        Ok(LogMel { features, mask: (0..all).map(|frame| frame < heard).collect(), soft_tokens })
    }

    /// Fills the rows of the frames that hold nothing but sound; the others stay zero.
    fn fill(&self, samples: &[f32], rows: &mut [f32], heard: usize) {
        let mut time = [0.0; TRANSFORM];
        let mut spectrum = self.transform.make_output_vec();
        let mut scratch = self.transform.make_scratch_vec();
        for (frame, row) in rows.chunks_exact_mut(BINS).take(heard).enumerate() {
            self.frame(&samples[frame * HOP..][..FRAME], &mut time);
            // Fails only on buffers of another length than the plan's.
            if self.transform.process_with_scratch(&mut time, &mut spectrum, &mut scratch).is_ok() {
                self.row(&spectrum, row);
            }
        }
    }

    /// Windows one frame; the product is rounded to f32 as in the reference.
    fn frame(&self, samples: &[f32], time: &mut [f64; TRANSFORM]) {
        time[FRAME..].fill(0.0);
        for ((place, sample), weight) in time.iter_mut().zip(samples).zip(self.window.iter()) {
            *place = f64::from(sample * weight);
        }
    }

    fn row(&self, spectrum: &[Complex<f64>], row: &mut [f32]) {
        let magnitudes: [f64; FREQUENCIES] = std::array::from_fn(|place| spectrum[place].norm_sqr().sqrt());
        for (value, energy) in row.iter_mut().zip(self.filters.bins(&magnitudes)) {
            *value = (energy + FLOOR).ln() as f32;
        }
    }
}

/// Frames of so many samples, of which half a frame more is put in front. The reference cuts frames of one sample
/// more than it uses, which costs the last frame of some clips.
fn frames(samples: usize) -> usize {
    (samples + HOP).checked_sub(FRAME + 1).map_or(0, |rest| rest / HOP + 1)
}

/// Half a frame of silence, then the samples.
fn padded(samples: &[f32]) -> Vec<f32> {
    let mut padded = vec![0.0; HOP];
    padded.extend_from_slice(samples);
    padded
}

/// What two convolutions of stride 2 leave of so many frames.
fn soft_tokens(frames: usize) -> usize {
    let halved = |length: usize| (length - 1) / 2 + 1;
    halved(halved(frames))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Counts of transformers' processor (gemma4.md section 4).
    #[test]
    fn soft_tokens_are_those_of_the_reference_processor() {
        let cases = [
            (0.02, 1),
            (0.1, 3),
            (0.5, 13),
            (1.0, 25),
            (2.0, 50),
            (3.3, 83),
            (5.0, 125),
            (10.0, 250),
            (15.5, 388),
            (29.99, 750),
            (30.0, 750),
            (31.0, 750),
        ];
        for (seconds, tokens) in cases {
            let clip = Clip { samples: vec![0.1; (seconds * 16_000.0) as usize] };
            let mel = Spectrograph::default().log_mel(&clip, 750).unwrap();
            assert_eq!(mel.soft_tokens, tokens, "{seconds} s");
            assert_eq!(soft_tokens(mel.mask.iter().filter(|heard| **heard).count()), tokens);
        }
    }

    #[test]
    fn a_clip_shorter_than_a_frame_is_a_fault() {
        for samples in [0, 1, 160] {
            let clip = Clip { samples: vec![0.5; samples] };
            assert_eq!(Spectrograph::default().log_mel(&clip, 750).unwrap_err().kind, FaultKind::Empty);
        }
        assert!(Spectrograph::default().log_mel(&Clip { samples: vec![0.5; 161] }, 750).is_ok());
    }
}
