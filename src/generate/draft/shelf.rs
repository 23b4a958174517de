//! The answers that a pipeline gave last: what the next ones are likely to say again, keys and phrases.

use std::collections::VecDeque;

use super::trail::{Sequel, Trail};

/// Answers kept.
const ANSWERS: usize = 256;

/// Tokens kept in all; one takes about 50 bytes with its place in the index, so this is some 13 MB.
const TOKENS: usize = 1 << 18;

/// The last answers of one pipeline, as tokens.
#[derive(Debug, Default)]
pub struct Shelf {
    trail: Trail,
    /// Tokens of each answer with the gap after it, oldest first.
    lengths: VecDeque<usize>,
}

impl Shelf {
    /// Keeps an answer, or its beginning if it is too long to be kept, and lets go of the oldest where room is short.
    pub fn learn(&mut self, answer: &[u32]) {
        let kept = &answer[..answer.len().min(TOKENS - 1)];
        let length = kept.len() + 1;
        while self.lengths.len() >= ANSWERS || self.trail.len() + length > TOKENS {
            let Some(oldest) = self.lengths.pop_front() else { break };
            self.trail.forget(oldest);
        }
        kept.iter().for_each(|token| self.trail.push(*token));
        self.trail.push_gap();
        self.lengths.push_back(length);
    }

    /// How an earlier answer went on where it said the same.
    pub(super) fn sequel(&self, said: &[u32], most: usize) -> Option<Sequel> {
        self.trail.sequel(said, most)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_answers_are_kept_and_older_ones_are_not() {
        let mut shelf = Shelf::default();
        (0..1000).for_each(|number| shelf.learn(&[number, number, number, number + 1]));
        assert_eq!((shelf.lengths.len(), shelf.trail.len()), (ANSWERS, 5 * ANSWERS));
        assert_eq!(shelf.sequel(&[999, 999, 999], 4).unwrap().tokens, [1000]);
        assert_eq!(shelf.sequel(&[10, 10, 10], 4), None);
    }

    #[test]
    fn long_answers_make_room_by_their_length() {
        let mut shelf = Shelf::default();
        let long: Vec<u32> = (0..TOKENS as u32 / 2).collect();
        (0..5).for_each(|_| shelf.learn(&long));
        assert!(shelf.trail.len() <= TOKENS, "{}", shelf.trail.len());
        let endless: Vec<u32> = (0..2 * TOKENS as u32).collect();
        shelf.learn(&endless);
        assert_eq!((shelf.lengths.len(), shelf.trail.len()), (1, TOKENS));
    }
}
