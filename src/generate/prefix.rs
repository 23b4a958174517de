//! Beginnings that prompts share (instructions and schema), kept with their keys and values: a prompt that begins like
//! one of them has it copied into its slot and is prefilled from there on.

use super::cache::{Cache, Copied};

/// Shorter beginnings are not worth a copy.
const WORTH: usize = 16;

/// Bytes of keys and values that are kept: several beginnings of some hundred tokens of any model.
const ROOM: usize = 512 << 20;

/// Beginnings that are kept, since each is compared with every prompt.
const MOST: usize = 16;

/// The kept beginnings, the latest used last.
#[derive(Default)]
pub(super) struct Prefixes {
    kept: Vec<Kept>,
}

struct Kept {
    tokens: Vec<u32>,
    copied: Copied,
}

impl Prefixes {
    /// Copies the longest kept beginning of `tokens` into a slot. Returns the number of positions, which leaves at
    /// least one token to be prefilled, since only a prefill gives logits.
    pub(super) fn lend(&mut self, tokens: &[u32], slot: usize, cache: &mut Cache) -> usize {
        let most = tokens.len().saturating_sub(1);
        let Some((place, count)) = self.closest(&tokens[..most], cache) else { return 0 };
        if count < WORTH {
            return 0;
        }
        let kept = self.kept.remove(place);
        let lent = cache.paste(slot, &kept.copied, count);
        self.kept.push(kept);
        if lent { count } else { 0 }
    }

    /// Keeps the beginning of a prompt, whose `count` tokens before its first picture or clip a slot has just been given,
    /// unless what is kept already serves it.
    pub(super) fn learn(&mut self, tokens: &[u32], count: usize, slot: usize, cache: &mut Cache) {
        let beginning = &tokens[..count];
        let known = self.closest(beginning, cache).map_or(0, |(_, count)| count);
        if count < WORTH || 2 * known >= count {
            return;
        }
        let Some(copied) = cache.copy(slot, count) else { return };
        // What the new one begins with is served by it, unless it has lost more at the front of sliding layers.
        self.kept.retain(|kept| !beginning.starts_with(&kept.tokens) || kept.copied.from < copied.from);
        self.kept.push(Kept { tokens: beginning.to_vec(), copied });
        self.make_room();
    }

    /// The kept beginning of which `tokens` can be lent the most positions, and how many.
    fn closest(&self, tokens: &[u32], cache: &Cache) -> Option<(usize, usize)> {
        let lendable = |kept: &Kept| {
            let count = shared(&kept.tokens, tokens);
            if cache.can_paste(&kept.copied, count) { count } else { 0 }
        };
        self.kept.iter().map(lendable).enumerate().max_by_key(|(_, count)| *count)
    }

    fn make_room(&mut self) {
        let bytes = |kept: &[Kept]| kept.iter().map(|kept| kept.copied.rows.len()).sum::<usize>();
        while self.kept.len() > MOST || (self.kept.len() > 1 && bytes(&self.kept) > ROOM) {
            self.kept.remove(0);
        }
    }
}

fn shared(kept: &[u32], tokens: &[u32]) -> usize {
    kept.iter().zip(tokens).take_while(|(kept, token)| kept == token).count()
}

#[cfg(test)]
mod tests {
    use std::ops::Range;

    use super::*;
    use crate::generate::arena::{Arena, Room};

    const CHUNK: usize = 16;

    /// One slot of no layers, which forgets what is out of a window of 9 positions.
    fn cache() -> Cache {
        Cache::Shared(Arena::new(&[], 1, Room { full: 1000, sliding: 48, seen: 8 }).unwrap())
    }

    /// Instructions of 32 tokens, and so many others behind them.
    fn prompt(others: Range<u32>) -> Vec<u32> {
        (0..32).chain(others).collect()
    }

    /// Prefills a prompt whose first picture stands behind `beginning` tokens. Returns how many were lent.
    fn prefill(prefixes: &mut Prefixes, cache: &mut Cache, tokens: &[u32], beginning: usize) -> usize {
        cache.forget(0);
        let lent = prefixes.lend(tokens, 0, cache);
        for start in (lent..tokens.len()).step_by(CHUNK) {
            let count = CHUNK.min(tokens.len() - start);
            assert!(cache.make_room(0, start, count));
            if (start + 1..=start + count).contains(&beginning) {
                prefixes.learn(tokens, beginning, 0, cache);
            }
        }
        lent
    }

    #[test]
    fn a_long_text_does_not_take_the_place_of_the_beginning_that_it_shares_with_pages() {
        let (mut prefixes, mut cache) = (Prefixes::default(), cache());
        let (page, text, other) = (prompt(100..104), prompt(1000..1200), prompt(2000..2200));
        let mut lent = |tokens: &[u32], beginning| prefill(&mut prefixes, &mut cache, tokens, beginning);
        assert_eq!((lent(&page, 32), lent(&page, 32)), (0, 32));
        assert_eq!((lent(&text, text.len()), lent(&page, 32)), (32, 32));
        assert_eq!((lent(&text, text.len()), lent(&other, other.len())), (text.len() - 1, 32));
    }

    #[test]
    fn pages_behind_a_long_text_have_their_beginning_learned() {
        let (mut prefixes, mut cache) = (Prefixes::default(), cache());
        let (page, text) = (prompt(100..104), prompt(1000..1200));
        let mut lent = |tokens: &[u32], beginning| prefill(&mut prefixes, &mut cache, tokens, beginning);
        assert_eq!((lent(&text, text.len()), lent(&page, 32), lent(&page, 32)), (0, 0, 32));
    }
}
