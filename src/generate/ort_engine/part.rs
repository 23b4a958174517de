//! What a step puts into its slots, and what comes of it.

use crate::generate::{cuts::Cuts, engine::Slot, packed::Places, scores::Scores};

/// What a step puts into one slot.
pub(in crate::generate) struct Part {
    pub(in crate::generate) slot: Slot,
    /// The first position that it takes.
    pub(in crate::generate) start: usize,
    /// At least one.
    pub(in crate::generate) tokens: Vec<u32>,
    /// The logits of so many of the last positions are wanted.
    pub(in crate::generate) wanted: usize,
    /// Of a prompt, where features may stand for tokens.
    pub(in crate::generate) of_prompt: bool,
}

/// What came of a step.
#[derive(Default)]
pub(in crate::generate) struct Ran {
    pub(in crate::generate) runs: Vec<Scores>,
    /// For each part and each of its wanted positions: run and row.
    pub(in crate::generate) rows: Vec<Vec<(usize, usize)>>,
}

impl Part {
    /// The positions that it takes.
    pub(in crate::generate) fn positions(&self) -> std::ops::Range<usize> {
        self.start..self.start + self.tokens.len()
    }
}

/// Where the tokens of all parts stand when one run carries them.
pub(in crate::generate) fn places(parts: &[Part], cuts: &Cuts) -> Places {
    let mut places = Places::default();
    for part in parts {
        let first = places.slots.len();
        let end = first + part.tokens.len();
        places.slots.extend(vec![part.slot as i64; part.tokens.len()]);
        places.positions.extend(part.positions().map(|position| position as i64));
        places.ends.extend(cuts.visible_ends(&part.tokens).iter().map(|end| (part.start + end) as i64));
        places.wanted.extend((end - part.wanted..end).map(|token| token as i64));
    }
    // A run without logits is none that the graph knows: what follows the last token costs little.
    if places.wanted.is_empty() {
        places.wanted.push(places.slots.len().saturating_sub(1) as i64);
    }
    places
}
