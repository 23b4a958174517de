//! How the machine's cores are shared out between the lanes and the engine.

use std::thread;

/// Threads of each part of the line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shares {
    /// Decoder processes.
    pub decode: usize,
    /// Encoder lanes.
    pub encode: usize,
    /// Threads of ONNX Runtime.
    pub engine: usize,
}

impl Shares {
    /// On CPU the model is nearly always the bottleneck, and what is decoded ahead of it waits; so the engine gets
    /// every core that one decoder and one encoder leave, and at least two where there are two. `media_bound` is for
    /// a device other than the CPU, or for replayed answers: then decoding and encoding are what takes the time.
    pub fn of(cores: usize, media_bound: bool, decode_setting: usize) -> Self {
        let shares = if media_bound {
            Self { decode: cores.saturating_sub(cores / 4).max(1), encode: (cores / 4).max(1), engine: 1 }
        } else {
            Self {
                decode: (cores / 4).max(1),
                encode: (cores / 8).max(1),
                engine: cores.saturating_sub(cores / 4 + cores / 8).max(cores.min(2)),
            }
        };
        match decode_setting {
            0 => shares,
            lanes => Self { decode: lanes, ..shares },
        }
    }

    /// The cores that this process may use.
    pub fn cores() -> usize {
        thread::available_parallelism().map_or(1, usize::from)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_part_gets_a_thread_on_any_machine() {
        for cores in [1, 2, 4, 64] {
            for media_bound in [false, true] {
                let shares = Shares::of(cores, media_bound, 0);
                assert!(shares.decode > 0 && shares.encode > 0 && shares.engine > 0, "{cores} {shares:?}");
            }
        }
        assert_eq!(Shares::of(16, false, 0), Shares { decode: 4, encode: 2, engine: 10 });
    }

    #[test]
    fn the_setting_for_lanes_wins() {
        assert_eq!(Shares::of(8, false, 3).decode, 3);
    }
}
