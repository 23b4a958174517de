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
        let Some(place) = self.closest(tokens) else { return 0 };
        let kept = self.kept.remove(place);
        let shared = shared(&kept.tokens, tokens).min(tokens.len().saturating_sub(1));
        let lent = shared >= WORTH && cache.paste(slot, &kept.copied, shared);
        self.kept.push(kept);
        if lent { shared } else { 0 }
    }

    /// Keeps the beginning of a prompt, whose `count` tokens before its first picture or clip a slot has just been given,
    /// unless what is kept already serves it.
    pub(super) fn learn(&mut self, tokens: &[u32], count: usize, slot: usize, cache: &mut Cache) {
        let beginning = &tokens[..count];
        let known = self.closest(beginning).map_or(0, |place| shared(&self.kept[place].tokens, beginning));
        if count < WORTH || 2 * known >= count {
            return;
        }
        let Some(copied) = cache.copy(slot, count) else { return };
        // What the new one begins with is served by it.
        self.kept.retain(|kept| !beginning.starts_with(&kept.tokens));
        self.kept.push(Kept { tokens: beginning.to_vec(), copied });
        self.make_room();
    }

    fn closest(&self, tokens: &[u32]) -> Option<usize> {
        (0..self.kept.len()).max_by_key(|place| shared(&self.kept[*place].tokens, tokens))
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
