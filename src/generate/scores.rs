//! Logits as a run gave them, of which each row's last position counts.

use super::{
    floats::floats,
    raw::{Element, Fetched},
};

/// `[rows, positions, vocabulary]`; f32 is read where it lies.
pub(super) struct Scores {
    fetched: Option<Fetched>,
    copied: Vec<f32>,
    width: usize,
}

impl Scores {
    /// Of a step, which has one position a row.
    pub(super) fn new(fetched: Fetched) -> Self {
        let width = fetched.shape().last().copied().unwrap_or(0).max(1);
        match fetched.element() {
            Element::F16 => Self { copied: floats(&fetched), fetched: None, width },
            _ => Self { copied: Vec::new(), fetched: Some(fetched), width },
        }
    }

    /// Of a prefill of one sequence: only the last position is kept, since a graph that knows no
    /// `num_logits_to_keep` gives them all.
    pub(super) fn of_last(fetched: Fetched) -> Self {
        let scores = Self::new(fetched);
        if scores.values().len() == scores.width {
            return scores;
        }
        let last = scores.values().chunks_exact(scores.width).next_back().unwrap_or_default();
        Self { copied: last.to_vec(), fetched: None, width: scores.width }
    }

    fn values(&self) -> &[f32] {
        self.fetched.as_ref().map_or(&self.copied, Fetched::data)
    }

    /// The scores of one row.
    pub(super) fn row(&self, row: usize) -> Option<&[f32]> {
        self.values().chunks_exact(self.width).nth(row)
    }
}
