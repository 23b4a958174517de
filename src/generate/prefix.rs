//! Beginnings that prompts share (instructions and schema), kept with their keys and values: a prompt that begins like
//! one of them has it copied into its slot and is prefilled from there on.

use std::mem;

use super::cache::{Cache, Copied};

/// Shorter beginnings are not worth a copy.
const WORTH: usize = 16;

/// Bytes of keys and values that are kept: several beginnings of some hundred tokens of the small
/// models, in f16 of some 600 tokens of 31B.
const ROOM: usize = 512 << 20;

/// Of a beginning that alone takes more than the room no more tokens are kept: instructions are rarely longer, and of
/// 31B they take 1.8 GB in f32.
const LONGEST: usize = 1024;

/// Beginnings that are kept, since each is compared with every prompt.
const MOST: usize = 16;

/// The kept beginnings, the latest used or spared last.
pub(super) struct Prefixes {
    kept: Vec<Kept>,
    /// Bytes that they may take, unless one alone takes more.
    room: usize,
}

struct Kept {
    tokens: Vec<u32>,
    copied: Copied,
    /// It, or what it took the place of, was lent since it was kept or last spared.
    lent: bool,
}

impl Default for Prefixes {
    fn default() -> Self {
        Self { kept: Vec::new(), room: ROOM }
    }
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
        let mut kept = self.kept.remove(place);
        let lent = cache.paste(slot, &kept.copied, count);
        kept.lent |= lent;
        self.kept.push(kept);
        if lent { count } else { 0 }
    }

    /// Keeps the beginning of a prompt, of which a slot holds `count` tokens before the first picture or clip, unless
    /// what is kept already serves it or it takes too much.
    pub(super) fn learn(&mut self, tokens: &[u32], count: usize, slot: usize, cache: &mut Cache) {
        let kept = self.affordable(count, cache.bytes_of(slot, count), cache.holds_front(slot));
        let beginning = &tokens[..kept];
        let known = self.closest(beginning, cache).map_or(0, |(_, count)| count);
        // Of what takes all the room, what was lent is what is shared.
        let is_served = 2 * known >= kept || (kept < count && known >= WORTH);
        if kept < WORTH || is_served {
            return;
        }
        if let Some(copied) = cache.copy(slot, kept) {
            self.keep(beginning, copied);
        }
    }

    /// How many of so many positions, which take so many bytes, are kept. Where sliding layers have lost the first,
    /// fewer of them would serve nobody.
    fn affordable(&self, count: usize, bytes: usize, has_front: bool) -> usize {
        match bytes <= self.room {
            true => count,
            false if has_front => count.min(LONGEST),
            false => 0,
        }
    }

    fn keep(&mut self, beginning: &[u32], copied: Copied) {
        // What the new one begins with is served by it, unless it has lost more at the front of sliding layers.
        let is_served = |kept: &Kept| beginning.starts_with(&kept.tokens) && kept.copied.from >= copied.from;
        let lent = self.kept.iter().any(|kept| kept.lent && is_served(kept));
        self.kept.retain(|kept| !is_served(kept));
        self.kept.push(Kept { tokens: beginning.to_vec(), copied, lent });
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

    /// The oldest goes, but what was lent is spared once (the CLOCK algorithm): in large models one text can take all the
    /// room, and nobody else begins like it.
    fn make_room(&mut self) {
        let bytes = |kept: &[Kept]| kept.iter().map(|kept| kept.copied.rows.len()).sum::<usize>();
        while self.kept.len() > MOST || (self.kept.len() > 1 && bytes(&self.kept) > self.room) {
            let mut oldest = self.kept.remove(0);
            if mem::take(&mut oldest.lent) {
                self.kept.push(oldest);
            }
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
    use crate::generate::{
        arena::{Arena, Room},
        heap::Heap,
    };

    const CHUNK: usize = 16;

    /// One slot of no layers, which forgets what is out of a window of 9 positions when it holds 112.
    fn cache() -> Cache {
        Cache::Shared(Arena::new(&Heap::Host, &[], 1, Room::windowed(1000, 8, 40)).unwrap())
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
            if start < beginning && cache.loses_front(0, start + count) {
                prefixes.learn(tokens, start, 0, cache);
            }
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
    fn a_text_that_takes_all_the_room_leaves_before_a_beginning_that_is_lent() {
        let (mut prefixes, mut cache) = (Prefixes { room: 100, ..Prefixes::default() }, cache());
        let (page, text, other) = (prompt(100..104), prompt(1000..1200), prompt(2000..2200));
        let large = |tokens: &[u32]| Copied { rows: vec![0; 90], count: tokens.len(), from: 200 };
        prefixes.keep(&page[..32], Copied { rows: vec![0; 20], count: 32, from: 0 });
        for tokens in [&text, &other, &page] {
            assert_eq!(prefixes.lend(tokens, 0, &mut cache), 32);
            prefixes.keep(&text, large(&text));
        }
        // Nobody has begun like the page in between.
        prefixes.keep(&text, large(&text));
        assert_eq!((prefixes.lend(&page, 0, &mut cache), prefixes.lend(&text, 0, &mut cache)), (0, text.len() - 1));
    }

    #[test]
    fn a_long_text_lends_the_beginning_that_it_shares_with_others() {
        let (mut prefixes, mut cache) = (Prefixes::default(), cache());
        let (page, text, other) = (prompt(100..104), prompt(1000..1200), prompt(2000..2200));
        let mut lent = |tokens: &[u32], beginning| prefill(&mut prefixes, &mut cache, tokens, beginning);
        assert_eq!((lent(&text, text.len()), lent(&other, other.len()), lent(&page, 32)), (0, 32, 32));
    }

    #[test]
    fn of_a_beginning_that_takes_too_much_as_many_tokens_are_kept_as_instructions_have() {
        let prefixes = Prefixes { room: 5000, ..Prefixes::default() };
        let kept = |count: usize, has_front: bool| prefixes.affordable(count, 2 * count, has_front);
        assert_eq!([2500, 2501, 700].map(|count| kept(count, true)), [2500, LONGEST, 700]);
        assert_eq!([2500, 2501].map(|count| kept(count, false)), [2500, 0]);
        assert_eq!(prefixes.affordable(700, 1 << 30, true), 700, "alone it may take more");
    }
}
