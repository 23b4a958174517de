//! The beginning that prompts share (instructions and schema), kept with its keys and values: a prompt that begins so
//! has them copied into its slot and is prefilled from there on.

use super::cache::Cache;

/// Shorter beginnings are not worth a copy.
const WORTH: usize = 16;

/// One kept beginning; the latest that differs replaces it.
#[derive(Default)]
pub(super) struct Prefix {
    tokens: Vec<u32>,
    rows: Vec<u8>,
}

impl Prefix {
    /// Copies what `tokens` share with the kept beginning into a slot. Returns the number of positions, which leaves
    /// at least one token to be prefilled, since only a prefill gives logits.
    pub(super) fn lend(&self, tokens: &[u32], slot: usize, cache: &mut Cache) -> usize {
        let shared = self.shared(tokens).min(tokens.len().saturating_sub(1));
        if shared < WORTH {
            return 0;
        }
        if cache.paste(slot, &self.rows, self.tokens.len(), shared) { shared } else { 0 }
    }

    /// Keeps the beginning of a prompt that a slot now holds, unless what is kept already serves it: `count` tokens
    /// come before its first picture or clip.
    pub(super) fn learn(&mut self, tokens: &[u32], count: usize, slot: usize, cache: &mut Cache) {
        let shared = self.shared(&tokens[..count]);
        if count < WORTH || 2 * shared >= count {
            return;
        }
        if let Some(rows) = cache.copy(slot, count) {
            (self.tokens, self.rows) = (tokens[..count].to_vec(), rows);
        }
    }

    fn shared(&self, tokens: &[u32]) -> usize {
        self.tokens.iter().zip(tokens).take_while(|(kept, token)| kept == token).count()
    }
}
