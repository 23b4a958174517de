//! Where a decoder puts what it makes, one unit after the other.

use crate::base::{Fault, FaultKind, Part, StageName, Unit};

/// The way out of a decoder. Any `Err` from it means that nobody listens any more: return it as it is.
///
/// Units are promised before they are made, and settled in the order of the promises: each one granted must be
/// followed by exactly one [`Output::unit`] or [`Output::fault`] with the same part.
pub trait Output {
    /// Promises units, named by their parts, and learns how many of them, from the front, are wanted. May be
    /// called again for more (a recording of unknown length); a grant of less than asked means: stop after those.
    fn promise(&mut self, parts: &[Part]) -> Result<usize, Fault>;

    /// True when the next promised unit was settled by an earlier child that then died: it is passed over, so do
    /// not make it. A decoder that cannot skip need not ask: units that are made again are dropped.
    fn passed_over(&mut self) -> bool;

    /// Hands over the next promised unit.
    fn unit(&mut self, part: Part, unit: Unit) -> Result<(), Fault>;

    /// Says that the next promised unit cannot be had; the others go on.
    fn fault(&mut self, part: Part, fault: Fault) -> Result<(), Fault>;

    /// Says once, at the end, how many seconds of the document became no unit because nobody speaks in them.
    fn silence(&mut self, seconds: f64) -> Result<(), Fault>;

    /// Shows that work goes on: puts off the deadline of `seconds_without_progress`.
    fn heartbeat(&mut self) -> Result<(), Fault>;
}

/// Promises one unit and says that it cannot be had: what is lost of a document is not missing without a word.
///
/// # Errors
/// When nobody listens any more.
pub fn lose(part: Part, fault: Fault, out: &mut dyn Output) -> Result<(), Fault> {
    if out.promise(&[part])? == 0 || out.passed_over() {
        return Ok(());
    }
    out.fault(part, fault)
}

/// A fault of this stage.
pub fn refuse(kind: FaultKind, message: impl Into<String>, hint: impl Into<String>) -> Fault {
    Fault::new(StageName::Decode, kind, message, hint)
}

/// An output that keeps everything in memory: for tests, and for looking at one document.
#[derive(Debug, Default)]
pub struct Gathered {
    /// How many units are granted; `None` is all.
    pub limit: Option<usize>,
    /// The parts granted so far.
    pub promised: Vec<Part>,
    /// What became of them, in order.
    pub settled: Vec<(Part, Result<Unit, Fault>)>,
    /// Signs of life.
    pub heartbeats: usize,
    /// Seconds that became no unit, when it was said.
    pub silence: Option<f64>,
}

impl Gathered {
    /// The units that could be had.
    pub fn units(&self) -> impl Iterator<Item = &Unit> {
        self.settled.iter().filter_map(|(_, outcome)| outcome.as_ref().ok())
    }
}

impl Output for Gathered {
    fn promise(&mut self, parts: &[Part]) -> Result<usize, Fault> {
        let left = self.limit.map_or(usize::MAX, |limit| limit.saturating_sub(self.promised.len()));
        let granted = parts.len().min(left);
        self.promised.extend_from_slice(&parts[..granted]);
        Ok(granted)
    }

    fn passed_over(&mut self) -> bool {
        false
    }

    fn unit(&mut self, part: Part, unit: Unit) -> Result<(), Fault> {
        self.settled.push((part, Ok(unit)));
        Ok(())
    }

    fn fault(&mut self, part: Part, fault: Fault) -> Result<(), Fault> {
        self.settled.push((part, Err(fault)));
        Ok(())
    }

    fn silence(&mut self, seconds: f64) -> Result<(), Fault> {
        self.silence = Some(seconds);
        Ok(())
    }

    fn heartbeat(&mut self) -> Result<(), Fault> {
        self.heartbeats += 1;
        Ok(())
    }
}
