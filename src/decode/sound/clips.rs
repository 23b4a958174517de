//! Where 16 kHz samples gather until they make a clip.

use std::ops::ControlFlow;

use crate::base::{Clip, Fault, FaultKind, Limit, Part, Unit};

use super::super::output::{Output, refuse};

/// Samples a second of every clip.
pub const RATE: u32 = 16_000;

/// Most samples of a clip: 30 s, what the model hears at once (transformers' `feature_extraction_gemma4.py`).
pub const LONGEST: usize = 30 * RATE as usize;

/// Fewest samples that become a soft token of their own: one window of the log-mel.
const SHORTEST: usize = 320;

/// The samples that are not yet handed over, and where they begin.
#[derive(Debug)]
pub struct Clips {
    samples: Vec<f32>,
    handed: u64,
    most: u64,
    seconds: f64,
}

impl Clips {
    /// No samples yet, and at most `seconds` of them in all.
    pub fn new(seconds: f64) -> Self {
        Self { samples: Vec::new(), handed: 0, most: (seconds * f64::from(RATE)) as u64, seconds }
    }

    /// Where new samples go. Call [`Clips::flow`] afterwards.
    pub fn room(&mut self) -> &mut Vec<f32> {
        &mut self.samples
    }

    /// Hands over what makes a whole clip; `Break` when no more are wanted.
    ///
    /// A clip is promised when it is complete, because only then its end is known for certain.
    pub fn flow(&mut self, out: &mut dyn Output) -> Result<ControlFlow<()>, Fault> {
        if self.total() > self.most {
            return Err(too_long(self.seconds));
        }
        // One sample more than a clip must be there: then the last clip is never empty.
        while self.samples.len() > LONGEST {
            let rest = self.samples.split_off(LONGEST);
            let whole = std::mem::replace(&mut self.samples, rest);
            if self.hand_over(whole, out)?.is_break() {
                return Ok(ControlFlow::Break(()));
            }
        }
        Ok(ControlFlow::Continue(()))
    }

    /// Hands over the rest and says at which second it ends; `None` when no more was wanted. A rest that no soft token
    /// would come of is dropped, unless it is all there is.
    pub fn finish(mut self, out: &mut dyn Output) -> Result<Option<f64>, Fault> {
        if self.total() == 0 {
            return Err(refuse(FaultKind::Empty, "there is no sound in the file", "leave it out"));
        }
        let mut flow = self.flow(out)?;
        if flow.is_continue() && (self.handed == 0 || self.samples.len() >= SHORTEST) {
            let rest = std::mem::take(&mut self.samples);
            flow = self.hand_over(rest, out)?;
        }
        Ok(flow.is_continue().then_some(self.handed as f64 / f64::from(RATE)))
    }

    fn total(&self) -> u64 {
        self.handed + self.samples.len() as u64
    }

    fn hand_over(&mut self, samples: Vec<f32>, out: &mut dyn Output) -> Result<ControlFlow<()>, Fault> {
        let end = self.handed + samples.len() as u64;
        let second = |sample: u64| sample as f64 / f64::from(RATE);
        let part = Part::Time { start: second(self.handed), end: second(end) };
        if out.promise(&[part])? == 0 {
            return Ok(ControlFlow::Break(()));
        }
        self.handed = end;
        if !out.passed_over() {
            out.unit(part, Unit::Clip(Clip { samples }))?;
        }
        Ok(ControlFlow::Continue(()))
    }
}

/// It is over `[decode.limits] seconds`.
pub fn too_long(limit: f64) -> Fault {
    let message = format!("it is longer than {limit} s, the limit");
    refuse(FaultKind::TooLarge, message, "raise `[decode.limits] seconds` or cut the file").over(Limit::Seconds)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decode::Gathered;

    fn lengths(total: usize, step: usize, limit: Option<usize>) -> Vec<usize> {
        let mut out = Gathered { limit, ..Gathered::default() };
        let mut clips = Clips::new(1e6);
        let mut left = total;
        while left > 0 {
            let count = step.min(left);
            clips.room().extend(std::iter::repeat_n(0.5, count));
            left -= count;
            if clips.flow(&mut out).unwrap().is_break() {
                break;
            }
        }
        clips.finish(&mut out).unwrap();
        assert_eq!(out.promised.len(), out.settled.len());
        let length = |unit: &Unit| if let Unit::Clip(clip) = unit { clip.samples.len() } else { 0 };
        out.units().map(length).collect()
    }

    #[test]
    fn sound_is_cut_into_clips_of_thirty_seconds() {
        assert_eq!(lengths(480_000, 1000, None), [480_000]);
        assert_eq!(lengths(1_000_000, 700_000, None), [480_000, 480_000, 40_000]);
        assert_eq!(lengths(1_000_000, 7_000, Some(1)), [480_000]);
    }

    #[test]
    fn a_rest_without_a_soft_token_is_dropped_unless_it_is_all() {
        assert_eq!(lengths(480_319, 1000, None), [480_000]);
        assert_eq!(lengths(480_320, 1000, None), [480_000, 320]);
        assert_eq!(lengths(7, 1000, None), [7]);
    }

    #[test]
    fn silence_of_no_length_is_empty_and_too_much_names_the_limit() {
        let mut out = Gathered::default();
        assert_eq!(Clips::new(9.0).finish(&mut out).unwrap_err().kind, FaultKind::Empty);
        let mut clips = Clips::new(1.0);
        clips.room().resize(16_001, 0.0);
        let fault = clips.flow(&mut out).unwrap_err();
        assert_eq!(fault.kind, FaultKind::TooLarge);
        assert!(fault.hint.contains("[decode.limits] seconds"));
    }
}
