//! Logits as a run gave them, row by row.

use super::{
    floats::floats,
    raw::{Element, Fetched},
};

/// `[rows, vocabulary]`; f32 is read where it lies.
pub(super) struct Scores {
    fetched: Option<Fetched>,
    copied: Vec<f32>,
    width: usize,
}

impl Scores {
    /// All of them.
    pub(super) fn new(fetched: Fetched) -> Self {
        let width = fetched.shape().last().copied().unwrap_or(0).max(1);
        match fetched.element() {
            Element::F16 => Self { copied: floats(&fetched), fetched: None, width },
            _ => Self { copied: Vec::new(), fetched: Some(fetched), width },
        }
    }

    /// The last `count` alone: a graph that knows no `num_logits_to_keep` gives those of all positions.
    pub(super) fn of_last(fetched: Fetched, count: usize) -> Self {
        let scores = Self::new(fetched);
        let surplus = scores.values().len().saturating_sub(count * scores.width);
        if surplus == 0 {
            return scores;
        }
        Self { copied: scores.values()[surplus..].to_vec(), fetched: None, width: scores.width }
    }

    fn values(&self) -> &[f32] {
        self.fetched.as_ref().map_or(&self.copied, Fetched::data)
    }

    /// The scores of one row.
    pub(super) fn row(&self, row: usize) -> Option<&[f32]> {
        self.values().chunks_exact(self.width).nth(row)
    }
}
