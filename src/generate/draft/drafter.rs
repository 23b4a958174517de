//! The drafts of one answer: from its prompt and what it has said itself, and from earlier answers.

use super::{
    length::{LONGEST, Length, Purse},
    shelf::Shelf,
    trail::Trail,
};

/// Proposes how one answer goes on.
#[derive(Debug)]
pub struct Drafter {
    /// The prompt, and behind it the answer so far.
    own: Trail,
    /// Tokens of the answer that stand in `own`.
    heard: usize,
    purse: Purse,
    length: Length,
}

impl Drafter {
    /// For an answer to `prompt`. `cost` is what one drafted token adds to a step, as a part of a step that feeds one.
    pub fn new(prompt: &[u32], cost: f64) -> Self {
        let mut own = Trail::default();
        prompt.iter().for_each(|token| own.push(*token));
        own.push_gap();
        Self { own, heard: 0, purse: Purse::new(cost), length: Length::default() }
    }

    /// At most `most` tokens that may follow `said`, the answer so far with the tokens that are certain; called once
    /// before each step. Often none.
    pub fn propose(&mut self, shelf: &Shelf, said: &[u32], most: usize) -> Vec<u32> {
        said.iter().skip(self.heard).for_each(|token| self.own.push(*token));
        self.heard = self.heard.max(said.len());
        self.purse.earn();
        self.length.tick();
        let most = most.min(self.length.now()).min(self.purse.affords()).min(LONGEST);
        let sequels = [shelf.sequel(said, most), self.own.sequel(said, most)];
        // Of equal agreement the last is taken: what the answer says itself is nearer.
        let nearest = sequels.into_iter().flatten().max_by_key(|sequel| sequel.agreed);
        nearest.map(|sequel| sequel.tokens).unwrap_or_default()
    }

    /// Of the last draft `drafted` tokens were fed, and the first `accepted` of them were what the model chose.
    pub fn judge(&mut self, drafted: usize, accepted: usize) {
        self.purse.settle(drafted, accepted);
        self.length.judge(drafted, accepted);
    }
}
