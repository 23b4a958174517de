//! How text becomes tokens: as the bundle's own tokenizer cuts it where one is given, else with the fewest tokens.
//!
//! A tokenizer is believed only where its tokens spell the text byte for byte: some put a space in front or
//! normalise letters, and a grammar or a draft must say exactly what it means.

use std::sync::Arc;

use toktrie::{TokTrie, TokenizerEnv};

/// A tokenizer: the ids of a text in which nothing is special; `None` when it refuses.
pub type Speller = Arc<dyn Fn(&str) -> Option<Vec<u32>> + Send + Sync>;

/// UTF-8 text holds no byte from here on, nor 0xc0 and 0xc1.
const BEYOND_TEXT: u8 = 0xf5;

/// A trie of all tokens, and the tokenizer that chooses among them.
#[derive(Clone)]
pub(super) struct Spelling {
    trie: TokTrie,
    speller: Option<Speller>,
}

impl Spelling {
    pub fn new(trie: TokTrie) -> Self {
        Self { trie, speller: None }
    }

    /// From here on texts are cut as `speller` cuts them, if the vocabulary has a token for each byte: then whatever
    /// the tokenizer cannot say exactly can still be said.
    pub fn with(self, speller: Speller) -> Self {
        let mut bytes = (0..BEYOND_TEXT).filter(|byte| !matches!(byte, 0xc0 | 0xc1));
        let enough = bytes.all(|byte| self.trie.token_id_at_bytes(&[byte]).is_some());
        Self { speller: enough.then_some(speller), ..self }
    }

    /// The tokenizer's own tokens for a text; the fewest where it has none that spell exactly this.
    fn own(&self, text: &str) -> Vec<u32> {
        let ids = self.speller.as_ref().and_then(|speller| speller(text));
        let known = |ids: &Vec<u32>| ids.iter().all(|id| (*id as usize) < self.trie.vocab_size());
        let exact = ids.filter(|ids| known(ids) && self.trie.decode_raw(ids) == text.as_bytes());
        exact.or_else(|| self.fewest(text.as_bytes())).unwrap_or_default()
    }

    /// The fewest tokens that spell `bytes`, `None` when no tokens do.
    pub fn fewest(&self, bytes: &[u8]) -> Option<Vec<u32>> {
        let firsts = self.firsts(bytes);
        let (mut tokens, mut at) = (Vec::new(), 0);
        while at < bytes.len() {
            let token = firsts[at]?;
            tokens.push(token);
            at += self.trie.token(token).len();
        }
        Some(tokens)
    }

    /// For each place the first of the fewest tokens that spell `bytes` from there on.
    pub fn firsts(&self, bytes: &[u8]) -> Vec<Option<u32>> {
        let mut best: Vec<Option<u32>> = vec![None; bytes.len()];
        let mut costs = vec![usize::MAX; bytes.len() + 1];
        costs[bytes.len()] = 0;
        for start in (0..bytes.len()).rev() {
            for (end, token) in self.tokens_at(bytes, start) {
                if costs[end] < usize::MAX && costs[end] + 1 < costs[start] {
                    costs[start] = costs[end] + 1;
                    best[start] = Some(token);
                }
            }
        }
        best
    }

    /// The tokens that spell `bytes[start..end]`, with their ends.
    fn tokens_at(&self, bytes: &[u8], start: usize) -> Vec<(usize, u32)> {
        let (mut node, mut found) = (self.trie.root(), Vec::new());
        for (offset, byte) in bytes[start..].iter().enumerate() {
            let Some(child) = self.trie.child_at_byte(node, *byte) else { break };
            node = child;
            found.extend(node.token_id().map(|token| (start + offset + 1, token)));
        }
        found
    }
}

impl TokenizerEnv for Spelling {
    fn tok_trie(&self) -> &TokTrie {
        &self.trie
    }

    fn tokenize_bytes(&self, bytes: &[u8]) -> Vec<u32> {
        self.trie.tokenize_with_greedy_fallback(bytes, |text| self.own(text))
    }

    fn tokenize_is_canonical(&self) -> bool {
        self.speller.is_some()
    }
}
