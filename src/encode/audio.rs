//! A clip becomes a log-mel spectrogram: frames of 20 ms every 10 ms, 128 mel bins, natural logarithm.
//!
//! Source: transformers' `feature_extraction_gemma4.py`. Spectra are taken in f64: the floor of
//! 0.001 is far below what f32 leaves beside a loud tone.

use std::{f32::consts::LN_2, f64::consts::TAU, sync::Arc};

use ndarray::Array2;
use rustfft::{Fft, FftPlanner, num_complex::Complex};

use super::{
    fault,
    mel::{BINS, FilterBank, LANES, Magnitudes},
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
const FLOOR: f32 = 0.001;

/// Makes spectrograms of clips.
#[derive(Clone)]
pub struct Spectrograph {
    transform: Arc<dyn Fft<f64>>,
    window: Arc<[f32; FRAME]>,
    filters: Arc<FilterBank>,
}

impl Default for Spectrograph {
    fn default() -> Self {
        Self {
            transform: FftPlanner::new().plan_fft_forward(TRANSFORM),
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
        self.fill(samples, features.as_slice_mut().unwrap_or_default(), heard);
        let soft_tokens = soft_tokens(heard).min(most_tokens);
        Ok(LogMel { features, mask: (0..all).map(|frame| frame < heard).collect(), soft_tokens })
    }

    /// Fills the rows of the frames that hold nothing but sound; the others stay zero.
    fn fill(&self, samples: &[f32], rows: &mut [f32], heard: usize) {
        let mut buffers = Buffers::new(&*self.transform);
        for (group, rows) in rows[..heard * BINS].chunks_mut(LANES * BINS).enumerate() {
            for lane in (0..rows.len() / BINS).step_by(2) {
                self.pair(samples, group * LANES + lane, &mut buffers);
                buffers.keep(lane);
            }
            self.rows(&mut buffers.magnitudes, rows);
        }
    }

    /// The spectrum of two frames at once, one as the real part and the next as the imaginary part; behind the last
    /// frame stands silence.
    fn pair(&self, samples: &[f32], frame: usize, buffers: &mut Buffers) {
        buffers.values[FRAME..].fill(Complex::ZERO);
        let first = first_frame(samples);
        let (real, imaginary) = (frame_at(samples, &first, frame), frame_at(samples, &first, frame + 1));
        let places = buffers.values.iter_mut().zip(self.window.iter());
        for ((place, weight), (real, imaginary)) in places.zip(real.iter().zip(imaginary)) {
            // The products are rounded to f32 as in the reference.
            *place = Complex::new(f64::from(real * weight), f64::from(imaginary * weight));
        }
        self.transform.process_with_scratch(&mut buffers.values, &mut buffers.scratch);
    }

    fn rows(&self, magnitudes: &mut Magnitudes, rows: &mut [f32]) {
        magnitudes.as_flattened_mut().iter_mut().for_each(|value| *value = value.sqrt());
        for (bin, lanes) in self.filters.bins(magnitudes).enumerate() {
            for (row, energy) in rows.chunks_exact_mut(BINS).zip(lanes) {
                row[bin] = energy + FLOOR;
            }
        }
        rows.iter_mut().for_each(|value| *value = logarithm(*value));
    }
}

/// What one clip is worked on with.
struct Buffers {
    values: Vec<Complex<f64>>,
    scratch: Vec<Complex<f64>>,
    magnitudes: Magnitudes,
}

impl Buffers {
    fn new(transform: &dyn Fft<f64>) -> Self {
        let scratch = vec![Complex::ZERO; transform.get_inplace_scratch_len()];
        Self { values: vec![Complex::ZERO; TRANSFORM], scratch, magnitudes: [[0.0; LANES]; _] }
    }

    /// Takes the spectra of a pair of frames apart and puts their squared magnitudes into two lanes: the spectrum of
    /// a real signal is conjugate symmetric, `2 X(k) = Z(k) + Z*(N - k)` and `2i Y(k) = Z(k) - Z*(N - k)`. From here
    /// on f32 will do: magnitudes are rounded each for itself, and no difference is taken any more.
    fn keep(&mut self, lane: usize) {
        for (place, lanes) in self.magnitudes.iter_mut().enumerate() {
            let (value, mirror) = (self.values[place], self.values[(TRANSFORM - place) % TRANSFORM].conj());
            lanes[lane] = (0.25 * (value + mirror).norm_sqr()) as f32;
            lanes[lane + 1] = (0.25 * (value - mirror).norm_sqr()) as f32;
        }
    }
}

/// The natural logarithm of a normal positive number: unlike `f32::ln` the compiler can work on several at once.
/// `x = 2^e * m` with `m` in [0.707, 1.414), and `ln m = 2 * atanh((m - 1) / (m + 1))`.
fn logarithm(x: f32) -> f32 {
    const HALF_ROOT: u32 = 0x3f35_04f3;
    let shifted = x.to_bits().wrapping_sub(HALF_ROOT);
    let exponent = (shifted as i32) >> 23;
    let mantissa = f32::from_bits((shifted & 0x007f_ffff).wrapping_add(HALF_ROOT));
    let s = (mantissa - 1.0) / (mantissa + 1.0);
    let square = s * s;
    let series = 2.0 + square * (0.666_666_7 + square * (0.4 + square * (0.285_714_3 + square * 0.222_222_2)));
    exponent as f32 * LN_2 + s * series
}

/// Frames of so many samples, of which half a frame more is put in front. The reference cuts frames of one sample
/// more than it uses, which costs the last frame of some clips.
fn frames(samples: usize) -> usize {
    (samples + HOP).checked_sub(FRAME + 1).map_or(0, |rest| rest / HOP + 1)
}

/// Half a frame of silence, then the first samples; a frame that is heard has that many.
fn first_frame(samples: &[f32]) -> [f32; FRAME] {
    let mut frame = [0.0; FRAME];
    frame[HOP..].iter_mut().zip(samples).for_each(|(place, sample)| *place = *sample);
    frame
}

/// The samples of a frame; silence where there are not enough of them.
fn frame_at<'a>(samples: &'a [f32], first: &'a [f32; FRAME], frame: usize) -> &'a [f32] {
    const SILENCE: [f32; FRAME] = [0.0; FRAME];
    match frame.checked_sub(1) {
        None => first,
        Some(before) => samples.get(before * HOP..before * HOP + FRAME).unwrap_or(&SILENCE),
    }
}

/// What two convolutions of stride 2 leave of so many frames.
fn soft_tokens(frames: usize) -> usize {
    let halved = |length: usize| (length - 1) / 2 + 1;
    halved(halved(frames))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Counts of transformers' processor.
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
    fn the_logarithm_is_the_natural_one() {
        let numbers = (0..200_000).map(|step| 0.001 * 1.000_1f32.powi(step)).take_while(|x| *x < 1e6);
        let worst = numbers.map(|x| (logarithm(x) - x.ln()).abs()).fold(0.0, f32::max);
        assert!(worst < 5e-6, "{worst}");
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
