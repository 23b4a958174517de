//! What the answers of one slot have taught about drafts: how long those of each source may be, and what they may cost.
//! A new answer goes on from there, so that the bound on the cost holds over any number of short answers.

use super::length::{Length, Purse};

/// Where a draft comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Source {
    Page,
    Words,
}

/// Lengths and purse of the answers of one slot, one after the other.
#[derive(Debug, Clone)]
pub struct Habits {
    pub(super) purse: Purse,
    page: Length,
    words: Length,
}

impl Habits {
    /// Before the first answer. `cost` is what one drafted token adds to a step, as a part of a step that feeds one.
    pub fn new(cost: f64) -> Self {
        Self { purse: Purse::new(cost), page: Length::default(), words: Length::default() }
    }

    /// A step is about to be made.
    pub(super) fn tick(&mut self) {
        self.purse.earn();
        self.page.tick();
        self.words.tick();
    }

    /// The source that has been taken more often lately comes first; at the beginning the page.
    pub(super) fn by_hits(&self) -> [Source; 2] {
        match self.words.hits() > self.page.hits() {
            true => [Source::Words, Source::Page],
            false => [Source::Page, Source::Words],
        }
    }

    pub(super) fn length(&mut self, source: Source) -> &mut Length {
        match source {
            Source::Page => &mut self.page,
            Source::Words => &mut self.words,
        }
    }
}
