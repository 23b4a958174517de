//! How the machine's cores are shared out between the lanes and the engine.

use std::thread;

/// Threads of each part of the line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shares {
    /// Decoder processes.
    pub decode: usize,
    /// Encoder lanes.
    pub encode: usize,
    /// Threads of the vision and audio encoders of one engine, which work ahead of admission.
    pub towers: usize,
    /// Threads of the decoder of one engine.
    pub engine: usize,
}

impl Shares {
    /// On CPU the model is nearly always the bottleneck, and what is decoded ahead of it waits: an eighth of the cores
    /// decodes and a sixteenth encodes. A picture at budget 280 takes E2B's vision encoder about half as long as its
    /// decoder takes for prompt and answer, so the encoders get a quarter, and the decoder the rest, at least two where
    /// there are two. From eight cores on this sums to the machine; below, parts that mostly wait share a core.
    /// `media_bound` is for a device other than the CPU, or for replayed answers: then decoding and encoding are what
    /// takes the time.
    pub fn of(cores: usize, media_bound: bool, decode_setting: usize) -> Self {
        let shares = if media_bound {
            Self { decode: cores.saturating_sub(cores / 4).max(1), encode: (cores / 4).max(1), towers: 1, engine: 1 }
        } else {
            let (decode, encode, towers) = ((cores / 8).max(1), (cores / 16).max(1), (cores / 4).max(1));
            let engine = cores.saturating_sub(decode + encode + towers).max(cores.min(2));
            Self { decode, encode, towers, engine }
        };
        match decode_setting {
            0 => shares,
            lanes => Self { decode: lanes, ..shares },
        }
    }

    /// These, of which so many engines are to share what is one engine's. On cards each has one thread as it is.
    pub fn among(self, engines: usize) -> Self {
        let each = |threads: usize| (threads / engines.max(1)).max(1);
        Self { towers: each(self.towers), engine: each(self.engine), ..self }
    }

    /// These lanes beside an engine that was opened with the threads of `opened`: on which device it runs is known only
    /// then.
    pub fn beside(self, opened: Self) -> Self {
        Self { decode: self.decode, encode: self.encode, ..opened }
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
        for cores in 1..=64 {
            for media_bound in [false, true] {
                let shares = Shares::of(cores, media_bound, 0);
                let all = [shares.decode, shares.encode, shares.towers, shares.engine];
                assert!(all.iter().all(|threads| *threads > 0), "{cores} {shares:?}");
                assert!(media_bound || cores < 8 || all.iter().sum::<usize>() == cores, "{cores} {shares:?}");
            }
        }
        assert_eq!(Shares::of(16, false, 0), Shares { decode: 2, encode: 1, towers: 4, engine: 9 });
        assert_eq!(Shares::of(2, false, 0), Shares { decode: 1, encode: 1, towers: 1, engine: 2 });
    }

    #[test]
    fn several_engines_share_the_cores_of_one_and_none_goes_without() {
        let alone = Shares::of(16, false, 0);
        assert_eq!(alone.among(1), alone);
        assert_eq!(alone.among(2), Shares { towers: 2, engine: 4, ..alone });
        assert_eq!(alone.among(64), Shares { towers: 1, engine: 1, ..alone });
        let on_cards = Shares::of(16, true, 0);
        assert_eq!(on_cards.among(8), on_cards, "the lanes are those of one machine");
    }

    #[test]
    fn the_setting_for_lanes_wins() {
        assert_eq!(Shares::of(8, false, 3).decode, 3);
    }
}
