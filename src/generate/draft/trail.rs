//! A sequence of tokens in which the places that a text has come by before are found at once.
//!
//! Every three tokens in a row are kept with the place where they stood last, and each place with the one before it, so
//! that a look-up follows a few places back in time, whatever the length. The oldest tokens can be forgotten.

use std::collections::{HashMap, VecDeque};

/// Tokens that must agree for a place to count.
const GRAM: usize = 3;

/// Tokens that are compared: agreement beyond that says nothing more.
const LONGEST_MATCH: usize = 8;

/// Earlier places that are looked at.
const PLACES: usize = 8;

/// Stands between texts that have nothing to do with each other; no vocabulary is that large.
const GAP: u32 = u32::MAX;

/// No earlier place.
const NOWHERE: usize = usize::MAX;

/// Tokens in order, oldest first. Places are counted from the first token ever pushed.
#[derive(Debug, Default)]
pub(super) struct Trail {
    tokens: VecDeque<u32>,
    /// For each token: where the three that end there stood before.
    before: VecDeque<usize>,
    latest: HashMap<[u32; GRAM], usize>,
    forgotten: usize,
}

/// How a text went on where it stood before.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Sequel {
    /// Tokens before it that agree, 3 to 8.
    pub agreed: usize,
    /// What followed, not empty.
    pub tokens: Vec<u32>,
}

impl Trail {
    /// Tokens held.
    pub fn len(&self) -> usize {
        self.tokens.len()
    }

    /// One token on.
    pub fn push(&mut self, token: u32) {
        let place = self.forgotten + self.tokens.len();
        self.tokens.push_back(token);
        let gram = self.last_gram();
        self.before.push_back(gram.and_then(|gram| self.latest.insert(gram, place)).unwrap_or(NOWHERE));
    }

    /// What follows has nothing to do with what came before.
    pub fn push_gap(&mut self) {
        self.push(GAP);
    }

    /// Forgets the oldest `count` tokens.
    pub fn forget(&mut self, count: usize) {
        let tokens: Vec<u32> = self.tokens.drain(..count).collect();
        self.before.drain(..count);
        self.forgotten += count;
        for gram in tokens.windows(GRAM) {
            let gram = [gram[0], gram[1], gram[2]];
            if self.latest.get(&gram).is_some_and(|place| *place < self.forgotten) {
                self.latest.remove(&gram);
            }
        }
    }

    /// At most `most` tokens that followed where the end of `said` stood before: the place with the longest agreement,
    /// the latest of several.
    pub fn sequel(&self, said: &[u32], most: usize) -> Option<Sequel> {
        let mut place = *self.latest.get(&gram_of(said)?)?;
        let (mut agreed, mut start) = (0, 0);
        for _ in 0..PLACES {
            let Some(index) = place.checked_sub(self.forgotten).filter(|_| place != NOWHERE) else { break };
            let found = self.agreement(index, said);
            if found > agreed && self.goes_on(index) {
                (agreed, start) = (found, index + 1);
            }
            if agreed == LONGEST_MATCH {
                break;
            }
            place = self.before[index];
        }
        (agreed >= GRAM && most > 0).then(|| Sequel { agreed, tokens: self.from(start, most) })
    }

    fn last_gram(&self) -> Option<[u32; GRAM]> {
        let start = self.tokens.len().checked_sub(GRAM)?;
        let gram = [self.tokens[start], self.tokens[start + 1], self.tokens[start + 2]];
        (!gram.contains(&GAP)).then_some(gram)
    }

    /// How many tokens before and at `index` are the last of `said`.
    fn agreement(&self, index: usize, said: &[u32]) -> usize {
        let held = self.tokens.range(..=index).rev();
        held.zip(said.iter().rev()).take(LONGEST_MATCH).take_while(|(held, said)| held == said).count()
    }

    fn goes_on(&self, index: usize) -> bool {
        self.tokens.get(index + 1).is_some_and(|token| *token != GAP)
    }

    fn from(&self, start: usize, most: usize) -> Vec<u32> {
        self.tokens.range(start..).copied().take_while(|token| *token != GAP).take(most).collect()
    }
}

fn gram_of(said: &[u32]) -> Option<[u32; GRAM]> {
    said.last_chunk::<GRAM>().copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trail(texts: &[&[u32]]) -> Trail {
        let mut trail = Trail::default();
        for text in texts {
            text.iter().for_each(|token| trail.push(*token));
            trail.push_gap();
        }
        trail
    }

    #[test]
    fn the_longest_agreement_wins_and_the_latest_of_several() {
        let trail = trail(&[&[9, 1, 2, 3, 4], &[8, 1, 2, 3, 5], &[7, 1, 2, 3, 6]]);
        assert_eq!(trail.sequel(&[9, 1, 2, 3], 5), Some(Sequel { agreed: 4, tokens: vec![4] }));
        assert_eq!(trail.sequel(&[0, 1, 2, 3], 5), Some(Sequel { agreed: 3, tokens: vec![6] }));
        assert_eq!(trail.sequel(&[0, 2, 3], 5), None);
        assert_eq!(trail.sequel(&[2, 3], 5), None);
    }

    #[test]
    fn a_sequel_ends_with_its_text_and_with_what_was_asked() {
        let trail = trail(&[&[1, 2, 3, 4, 5, 6], &[4, 5, 6]]);
        assert_eq!(trail.sequel(&[1, 2, 3], 2).unwrap().tokens, [4, 5]);
        assert_eq!(trail.sequel(&[1, 2, 3], 9).unwrap().tokens, [4, 5, 6]);
        assert_eq!(trail.sequel(&[1, 2, 3], 0), None);
        assert_eq!(trail.sequel(&[4, 5, 6], 9), None, "nothing came after these");
    }

    #[test]
    fn what_is_forgotten_is_not_found_and_takes_no_room() {
        let mut trail = trail(&[&[1, 2, 3, 4], &[5, 1, 2, 3, 6], &[7, 8, 9, 10]]);
        trail.forget(5);
        assert_eq!(trail.sequel(&[0, 1, 2, 3], 9).unwrap().tokens, [6]);
        trail.forget(6);
        assert_eq!(trail.sequel(&[0, 1, 2, 3], 9), None);
        assert_eq!(trail.sequel(&[7, 8, 9], 9).unwrap().tokens, [10]);
        assert_eq!((trail.len(), trail.latest.len()), (5, 2));
    }

    #[test]
    fn a_text_that_repeats_itself_is_followed_over_its_own_end() {
        let mut trail = Trail::default();
        [1, 2, 3, 4, 1, 2, 3].iter().for_each(|token| trail.push(*token));
        assert_eq!(trail.sequel(&[4, 1, 2, 3], 9).unwrap().tokens, [4, 1, 2, 3]);
    }
}
