//! The drafts of one answer: from its page's own text, from its prompt and what it has said itself, and from earlier
//! answers.

use super::{
    copyist::Copyist,
    habits::{Habits, Source},
    length::LONGEST,
    shelf::Shelf,
    trail::Trail,
};
use crate::{
    base::TextLayer,
    generate::{syntax::Syntax, vocabulary::Vocabulary},
};

/// Proposes how one answer goes on.
#[derive(Debug)]
pub struct Drafter {
    /// The prompt, and behind it the answer so far.
    own: Trail,
    copyist: Option<Copyist>,
    /// Tokens of the answer that have been heard.
    heard: usize,
    habits: Habits,
    last: Source,
}

impl Drafter {
    /// For an answer to `prompt`, after others with these habits.
    pub fn new(prompt: &[u32], habits: Habits) -> Self {
        let mut own = Trail::default();
        prompt.iter().for_each(|token| own.push(*token));
        own.push_gap();
        Self { own, copyist: None, heard: 0, habits, last: Source::Words }
    }

    /// The same for an answer about a page with this text layer, before anything is said; without one nothing changes.
    /// Only a vocabulary that knows its tokenizer can spell what stands on a page.
    pub fn with_page(self, vocabulary: &Vocabulary, syntax: Syntax, layer: Option<&TextLayer>) -> Self {
        Self { copyist: layer.map(|layer| Copyist::new(vocabulary, syntax, &layer.text)), ..self }
    }

    /// At most `most` tokens that may follow `said`, the answer so far with the tokens that are certain; called once
    /// before each step. Often none. `allowed` says how many of some tokens, from the first on, may be said at all.
    pub fn propose(
        &mut self,
        shelf: &Shelf,
        said: &[u32],
        most: usize,
        mut allowed: impl FnMut(&[u32]) -> usize,
    ) -> Vec<u32> {
        self.hear(said);
        self.habits.tick();
        let most = most.min(self.habits.purse.affords()).min(LONGEST);
        for source in self.habits.by_hits() {
            let mut draft = self.draft_of(source, shelf, said, most);
            if draft.is_empty() {
                continue;
            }
            draft.truncate(allowed(&draft));
            if !draft.is_empty() {
                self.last = source;
                return draft;
            }
            self.habits.length(source).refuse();
        }
        Vec::new()
    }

    /// Of the last draft `drafted` tokens were fed, and the first `accepted` of them were what the model chose.
    pub fn judge(&mut self, drafted: usize, accepted: usize) {
        self.habits.purse.settle(drafted, accepted);
        self.habits.length(self.last).judge(drafted, accepted);
    }

    /// What this answer and those before it have taught.
    pub fn into_habits(self) -> Habits {
        self.habits
    }

    fn hear(&mut self, said: &[u32]) {
        for token in said.iter().skip(self.heard) {
            self.own.push(*token);
            if let Some(copyist) = &mut self.copyist {
                copyist.hear(*token);
            }
        }
        self.heard = self.heard.max(said.len());
    }

    fn draft_of(&mut self, source: Source, shelf: &Shelf, said: &[u32], most: usize) -> Vec<u32> {
        let most = most.min(self.habits.length(source).now());
        match (source, &self.copyist) {
            (Source::Page, Some(copyist)) => copyist.propose(said.last().copied(), most),
            (Source::Page, None) => Vec::new(),
            (Source::Words, _) => self.words_after(shelf, said, most),
        }
    }

    fn words_after(&self, shelf: &Shelf, said: &[u32], most: usize) -> Vec<u32> {
        let sequels = [shelf.sequel(said, most), self.own.sequel(said, most)];
        // Of equal agreement the last is taken: what the answer says itself is nearer.
        let nearest = sequels.into_iter().flatten().max_by_key(|sequel| sequel.agreed);
        nearest.map(|sequel| sequel.tokens).unwrap_or_default()
    }
}
