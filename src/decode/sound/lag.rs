//! Gaps between the packets of a track: what is missing is silence, so that all that follows keeps its time.

use symphonia::core::units::TimeBase;

use super::track::Block;

/// Seconds that the times of packets may be late before it counts as a gap: they are rounded, and a run-in is left out.
const LEAST: f64 = 0.1;

/// Blocks in the order and at the times of their packets.
#[derive(Debug)]
pub struct Lag {
    /// Seconds of a tick, where the track says so.
    tick: Option<f64>,
    /// The time of the first packet.
    first: Option<i64>,
    /// Seconds handed over so far.
    heard: f64,
    /// Samples of silence that come before the block.
    silence: u64,
    waiting: Option<Block>,
}

impl Lag {
    /// Of a track whose packets are timed in such ticks.
    pub fn new(base: Option<TimeBase>) -> Self {
        let tick = base.map(|base| f64::from(base.numer.get()) / f64::from(base.denom.get()));
        Self { tick, first: None, heard: 0.0, silence: 0, waiting: None }
    }

    /// Seconds handed over so far.
    pub fn seconds(&self) -> f64 {
        self.heard
    }

    /// Takes the block of a packet of that time, when the one before has been handed over.
    pub fn take(&mut self, time: i64, block: Block) {
        let first = *self.first.get_or_insert(time);
        let due = self.tick.map_or(0.0, |tick| tick * (time.saturating_sub(first)) as f64);
        let late = due - self.heard;
        if late > LEAST {
            self.silence = (late * f64::from(block.rate)) as u64;
        }
        self.waiting = Some(block);
    }

    /// The next block, of silence of at most a second or of sound.
    pub fn next(&mut self) -> Option<Block> {
        let rate = self.waiting.as_ref()?.rate;
        let silent = self.silence.min(u64::from(rate));
        self.silence -= silent;
        let block = match silent {
            0 => self.waiting.take()?,
            count => Block { rate, samples: vec![0.0; count as usize] },
        };
        self.heard += block.samples.len() as f64 / f64::from(rate.max(1));
        Some(block)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lengths(times: &[i64]) -> Vec<usize> {
        let mut lag = Lag::new(TimeBase::try_new(1, 1000));
        let mut lengths = Vec::new();
        for time in times {
            lag.take(*time, Block { rate: 100, samples: vec![1.0; 50] });
            lengths.extend(std::iter::from_fn(|| lag.next()).map(|block| block.samples.len()));
        }
        lengths
    }

    #[test]
    fn what_is_missing_between_packets_is_silence() {
        assert_eq!(lengths(&[0, 500, 1000]), [50, 50, 50]);
        assert_eq!(lengths(&[700, 1230, 1760]), [50, 50, 50], "a little late, and a start of its own");
        assert_eq!(lengths(&[0, 2700, 3200]), [50, 100, 100, 20, 50, 50]);
        assert_eq!(lengths(&[0, 100, 100, i64::MIN]), [50, 50, 50, 50], "what overlaps is heard after one another");
    }
}
