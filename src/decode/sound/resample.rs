//! Mono samples of any rate to 16 kHz, band-limited, as they come.

use rubato::{Fft, FixedSync, Resampler as _, audioadapter_buffers::direct::InterleavedSlice};

use crate::base::{Fault, FaultKind};

use super::{super::output::refuse, clips::RATE};

/// Samples of input at a time, about: the longer, the steeper the filter at 8 kHz.
const BLOCK: usize = 4096;

/// Rates that real recordings have; others would only cost memory.
const RATES: std::ops::RangeInclusive<u32> = 1_000..=768_000;

/// A resampler that can change its input rate in mid-stream.
#[derive(Debug)]
pub struct Resampler {
    rate: u32,
    line: Option<Line>,
}

/// One run of samples of one rate.
#[derive(Debug)]
struct Line {
    filter: Fft<f32>,
    ratio: f64,
    waiting: Vec<f32>,
    /// Output of the filter before the first sample proper.
    delay: usize,
    taken: u64,
    given: u64,
}

impl Resampler {
    /// Waits for the first samples.
    pub fn idle() -> Self {
        Self { rate: RATE, line: None }
    }

    /// Takes samples of `rate` and appends what is ready to `out`.
    pub fn push(&mut self, rate: u32, samples: &[f32], out: &mut Vec<f32>) -> Result<(), Fault> {
        if rate != self.rate {
            self.finish(out)?;
            self.line = if rate == RATE { None } else { Some(Line::new(rate)?) };
            self.rate = rate;
        }
        match &mut self.line {
            Some(line) => line.push(samples, out),
            None => {
                out.extend_from_slice(samples);
                Ok(())
            }
        }
    }

    /// Appends what is still inside; afterwards the line begins anew.
    pub fn finish(&mut self, out: &mut Vec<f32>) -> Result<(), Fault> {
        self.rate = RATE;
        self.line.take().map_or(Ok(()), |line| line.finish(out))
    }
}

impl Line {
    fn new(rate: u32) -> Result<Self, Fault> {
        if !RATES.contains(&rate) {
            let message = format!("the sample rate is {rate} Hz, which is none");
            return Err(refuse(FaultKind::Corrupt, message, "convert the file anew"));
        }
        let filter =
            Fft::new(rate as usize, RATE as usize, block(rate), 1, FixedSync::Both).map_err(|e| internal(&e))?;
        let (delay, ratio) = (filter.output_delay(), f64::from(RATE) / f64::from(rate));
        Ok(Self { filter, ratio, waiting: Vec::new(), delay, taken: 0, given: 0 })
    }

    fn push(&mut self, samples: &[f32], out: &mut Vec<f32>) -> Result<(), Fault> {
        self.taken += samples.len() as u64;
        self.waiting.extend_from_slice(samples);
        let block = self.filter.input_frames_next();
        let ready = self.waiting.len() / block * block;
        for start in (0..ready).step_by(block) {
            let turned = turn(&mut self.filter, &self.waiting[start..start + block])?;
            self.give(&turned, out);
        }
        self.waiting.drain(..ready);
        Ok(())
    }

    fn finish(mut self, out: &mut Vec<f32>) -> Result<(), Fault> {
        let due = (self.taken as f64 * self.ratio).ceil() as u64;
        let block = self.filter.input_frames_next();
        while self.given < due {
            self.waiting.resize(block, 0.0);
            let turned = turn(&mut self.filter, &self.waiting)?;
            self.waiting.clear();
            self.give(&turned, out);
        }
        out.truncate(out.len() - (self.given - due) as usize);
        Ok(())
    }

    fn give(&mut self, turned: &[f32], out: &mut Vec<f32>) {
        let late = self.delay.min(turned.len());
        self.delay -= late;
        self.given += (turned.len() - late) as u64;
        out.extend_from_slice(&turned[late..]);
    }
}

/// Samples of a block of input: an even number of the shortest blocks, because the delay is half a block of output, and
/// half a sample too much of it would shift the sound.
fn block(rate: u32) -> usize {
    let shared =
        (1..=RATE).rev().find(|divisor| rate.is_multiple_of(*divisor) && RATE.is_multiple_of(*divisor)).unwrap_or(1);
    BLOCK.next_multiple_of(2 * (rate / shared) as usize)
}

/// One block through the filter.
fn turn(filter: &mut Fft<f32>, block: &[f32]) -> Result<Vec<f32>, Fault> {
    let mut turned = vec![0.0; filter.output_frames_next()];
    let length = turned.len();
    let input = InterleavedSlice::new(block, 1, block.len()).map_err(|error| internal(&error))?;
    let mut output = InterleavedSlice::new_mut(&mut turned, 1, length).map_err(|error| internal(&error))?;
    filter.process_into_buffer(&input, &mut output, None).map_err(|error| internal(&error))?;
    Ok(turned)
}

fn internal(error: &dyn std::fmt::Display) -> Fault {
    refuse(FaultKind::Internal, format!("resampling: {error}"), "report it with the file")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tone(rate: u32, hertz: f64, count: usize) -> Vec<f32> {
        let step = std::f64::consts::TAU * hertz / f64::from(rate);
        (0..count).map(|index| (index as f64 * step).sin() as f32).collect()
    }

    fn resampled(parts: &[(u32, &[f32])]) -> Vec<f32> {
        let (mut resampler, mut out) = (Resampler::idle(), Vec::new());
        for (rate, samples) in parts {
            samples.chunks(777).for_each(|chunk| resampler.push(*rate, chunk, &mut out).unwrap());
        }
        resampler.finish(&mut out).unwrap();
        out
    }

    #[test]
    fn a_tone_keeps_its_place_and_its_loudness_at_any_rate() {
        for rate in [8_000, 11_025, 22_050, 44_100, 48_000, 96_000, 44_101] {
            let out = resampled(&[(rate, &tone(rate, 440.0, rate as usize))]);
            assert_eq!(out.len(), 16_000, "{rate}");
            let expected = tone(16_000, 440.0, 16_000);
            // The ends ring, because the tone begins and ends there.
            let worst = (800..15_200).map(|at| (out[at] - expected[at]).abs()).fold(0.0, f32::max);
            assert!(worst < 2e-3, "{rate}: {worst}");
        }
    }

    #[test]
    fn what_is_above_eight_kilohertz_is_filtered_out() {
        let out = resampled(&[(48_000, &tone(48_000, 10_000.0, 48_000))]);
        assert!(out[800..15_200].iter().all(|sample| sample.abs() < 2e-3));
    }

    #[test]
    fn the_rate_may_change_in_mid_stream() {
        let (slow, fast) = (tone(22_050, 440.0, 22_050), tone(48_000, 440.0, 48_000));
        assert_eq!(resampled(&[(22_050, &slow), (48_000, &fast), (16_000, &slow)]).len(), 32_000 + 22_050);
    }

    #[test]
    fn an_absurd_rate_is_refused() {
        let mut out = Vec::new();
        for rate in [0, 1, u32::MAX] {
            assert_eq!(Resampler::idle().push(rate, &[0.0], &mut out).unwrap_err().kind, FaultKind::Corrupt);
        }
    }
}
