//! The drafts of one answer: from its page's own text, from its prompt and what it has said itself, and from earlier
//! answers.

use super::{
    copyist::Copyist,
    length::{LONGEST, Length, Purse},
    shelf::Shelf,
    trail::Trail,
};
use crate::{
    base::TextLayer,
    generate::{syntax::Syntax, vocabulary::Vocabulary},
};

/// Where a draft comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Source {
    Page,
    Words,
}

/// Proposes how one answer goes on.
#[derive(Debug)]
pub struct Drafter {
    /// The prompt, and behind it the answer so far.
    own: Trail,
    copyist: Option<Copyist>,
    /// Tokens of the answer that have been heard.
    heard: usize,
    purse: Purse,
    page: Length,
    words: Length,
    last: Source,
}

impl Drafter {
    /// For an answer to `prompt`. `cost` is what one drafted token adds to a step, as a part of a step that feeds one.
    pub fn new(prompt: &[u32], cost: f64) -> Self {
        let mut own = Trail::default();
        prompt.iter().for_each(|token| own.push(*token));
        own.push_gap();
        let (page, words) = (Length::default(), Length::default());
        Self { own, copyist: None, heard: 0, purse: Purse::new(cost), page, words, last: Source::Words }
    }

    /// The same for an answer about a page with this text layer, before anything is said; without one nothing changes.
    /// Only a vocabulary that knows its tokenizer can spell what stands on a page.
    pub fn with_page(self, vocabulary: &Vocabulary, syntax: Syntax, layer: Option<&TextLayer>) -> Self {
        Self { copyist: layer.map(|layer| Copyist::new(vocabulary, syntax, &layer.text)), ..self }
    }

    /// At most `most` tokens that may follow `said`, the answer so far with the tokens that are certain; called once
    /// before each step. Often none.
    pub fn propose(&mut self, shelf: &Shelf, said: &[u32], most: usize) -> Vec<u32> {
        self.hear(said);
        self.purse.earn();
        self.page.tick();
        self.words.tick();
        let most = most.min(self.purse.affords()).min(LONGEST);
        for source in self.by_hits() {
            let draft = self.draft_of(source, shelf, said, most);
            if !draft.is_empty() {
                self.last = source;
                return draft;
            }
        }
        Vec::new()
    }

    /// Of the last draft `drafted` tokens were fed, and the first `accepted` of them were what the model chose.
    pub fn judge(&mut self, drafted: usize, accepted: usize) {
        self.purse.settle(drafted, accepted);
        match self.last {
            Source::Page => self.page.judge(drafted, accepted),
            Source::Words => self.words.judge(drafted, accepted),
        }
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

    /// The source that has been taken more often lately comes first; at the beginning the page.
    fn by_hits(&self) -> [Source; 2] {
        match self.words.hits() > self.page.hits() {
            true => [Source::Words, Source::Page],
            false => [Source::Page, Source::Words],
        }
    }

    fn draft_of(&self, source: Source, shelf: &Shelf, said: &[u32], most: usize) -> Vec<u32> {
        match (source, &self.copyist) {
            (Source::Page, Some(copyist)) => copyist.propose(said.last().copied(), most.min(self.page.now())),
            (Source::Page, None) => Vec::new(),
            (Source::Words, _) => self.words_after(shelf, said, most.min(self.words.now())),
        }
    }

    fn words_after(&self, shelf: &Shelf, said: &[u32], most: usize) -> Vec<u32> {
        let sequels = [shelf.sequel(said, most), self.own.sequel(said, most)];
        // Of equal agreement the last is taken: what the answer says itself is nearer.
        let nearest = sequels.into_iter().flatten().max_by_key(|sequel| sequel.agreed);
        nearest.map(|sequel| sequel.tokens).unwrap_or_default()
    }
}
