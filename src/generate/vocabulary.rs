//! The bundle's vocabulary as bytes: what each token id spells, and which ids spell nothing.
//!
//! Read from `tokenizer.json`: `▁` is a space, `<0xNN>` is that byte, special tokens begin with the byte
//! 0xff, which no text holds, so that neither a grammar nor a detokeniser can take them for text.

use std::{fs::File, io::BufReader, path::Path, sync::Arc};

use toktrie::{SimpleVob, TokEnv, TokRxInfo, TokTrie, TokenizerEnv};

use super::spelling::{Speller, Spelling};
use crate::base::Fatal;

/// The tokens of a bundle, shared by the grammar, the sampler and the detokeniser.
#[derive(Clone)]
pub struct Vocabulary {
    spelling: Arc<Spelling>,
    ends: Arc<[u32]>,
    free: Arc<SimpleVob>,
}

impl Vocabulary {
    /// Reads `tokenizer.json`. `width` is the width of the logits: ids beyond the tokenizer's own spell nothing.
    /// `ends` are the ids that end a generation.
    ///
    /// # Errors
    /// When the file cannot be read, is no tokenizer, or knows more tokens than the model.
    pub fn read(path: &Path, width: usize, ends: &[u32]) -> Result<Self, Fatal> {
        let wrong = |what: String| {
            Fatal::new(format!("`{}` {what}", path.display()), "export the bundle again, from a complete checkpoint")
        };
        let file = File::open(path).map_err(|error| wrong(format!("cannot be read: {error}")))?;
        let json =
            serde_json::from_reader(BufReader::new(file)).map_err(|error| wrong(format!("is no JSON: {error}")))?;
        Self::from_json(&json, width, ends).map_err(wrong)
    }

    /// The same from JSON in memory; the error says what is wrong with it.
    pub fn from_json(json: &serde_json::Value, width: usize, ends: &[u32]) -> Result<Self, String> {
        let mut words = llguidance::token_bytes_from_tokenizer_json(json)
            .map_err(|error| format!("is no tokenizer that we can use: {error}"))?;
        if words.len() > width {
            return Err(format!("has {} tokens, the model only {width}", words.len()));
        }
        words.resize(width, Vec::new());
        Self::from_words(&words, ends)
    }

    /// A vocabulary given token by token; a word that begins with 0xff is special, an empty one is unused.
    pub fn from_words(words: &[Vec<u8>], ends: &[u32]) -> Result<Self, String> {
        let Some(&end) = ends.first() else { return Err("is used with a model that names no end token".to_owned()) };
        let width = u32::try_from(words.len()).map_err(|_| "has too many tokens".to_owned())?;
        if let Some(beyond) = ends.iter().find(|id| **id >= width) {
            return Err(format!("has {width} tokens, so the end token {beyond} does not exist"));
        }
        let trie = TokTrie::from(&TokRxInfo::new(width, end), words);
        let free = Self::free_tokens(words, ends);
        Ok(Self { spelling: Arc::new(Spelling::new(trie)), ends: ends.into(), free: Arc::new(free) })
    }

    /// The same vocabulary with its tokenizer, so that texts can be spelled as the model is used to read them: the
    /// grammar then forces what can be said in one way only ([`super::Guided::forced`]).
    pub fn with_speller(self, speller: Speller) -> Self {
        Self { spelling: Arc::new(Spelling::clone(&self.spelling).with(speller)), ..self }
    }

    fn free_tokens(words: &[Vec<u8>], ends: &[u32]) -> SimpleVob {
        let is_text = |word: &Vec<u8>| word.first().is_some_and(|byte| *byte != TokTrie::SPECIAL_TOKEN_MARKER);
        let mut free = SimpleVob::alloc(words.len());
        (0_u32..).zip(words).filter(|(_, word)| is_text(word)).for_each(|(id, _)| free.allow_token(id));
        ends.iter().for_each(|id| free.allow_token(*id));
        free
    }

    /// How llguidance sees this vocabulary.
    pub(super) fn environment(&self) -> TokEnv {
        self.spelling.clone()
    }

    fn trie(&self) -> &TokTrie {
        self.spelling.tok_trie()
    }

    /// Width of the logits.
    pub fn width(&self) -> usize {
        self.trie().vocab_size()
    }

    /// True for the ids that end a generation.
    pub fn is_end(&self, token: u32) -> bool {
        self.ends.contains(&token)
    }

    /// What may be said without a grammar: all text, and the ends.
    pub fn free(&self) -> &SimpleVob {
        &self.free
    }

    /// All text, and nothing else.
    pub fn words(&self) -> SimpleVob {
        let mut words = SimpleVob::clone(&self.free);
        self.ends.iter().for_each(|end| words.disallow_token(*end));
        words
    }

    /// The special token of that spelling.
    ///
    /// # Errors
    /// When there is none.
    pub fn special(&self, spelling: &str) -> Result<u32, Fatal> {
        self.trie().get_special_token(spelling).ok_or_else(|| {
            Fatal::new(
                format!("the model's vocabulary has no special token `{spelling}`"),
                "use a model that has it, or leave out `thinking` and `output = \"tool_call\"`",
            )
        })
    }

    /// The token that spells exactly this byte.
    pub fn token_of_byte(&self, byte: u8) -> Option<u32> {
        self.trie().token_id_at_bytes(&[byte])
    }

    /// The text of tokens; special tokens are left out, broken UTF-8 becomes the replacement character.
    pub fn text(&self, tokens: &[u32]) -> String {
        let words = tokens.iter().filter(|token| !self.is_special(**token)).map(|token| self.trie().token(*token));
        String::from_utf8_lossy(&words.collect::<Vec<_>>().concat()).into_owned()
    }

    /// The same, with those special tokens spelled out, and where in the text each of them begins.
    pub fn text_with(&self, controls: &[u32], tokens: &[u32]) -> (String, Vec<usize>) {
        let (mut text, mut places) = (String::new(), Vec::new());
        for stretch in tokens.chunk_by(|a, b| !controls.contains(a) && !controls.contains(b)) {
            if let [control] = stretch
                && controls.contains(control)
            {
                places.push(text.len());
                text += &String::from_utf8_lossy(&self.bytes(*control)[1..]);
            } else {
                text += &self.text(stretch);
            }
        }
        (text, places)
    }

    /// For each token the byte of [`Self::text_with`] these controls at which it ends; `None` where that text is not the tokens' own bytes.
    pub fn ends(&self, controls: &[u32], tokens: &[u32]) -> Option<Vec<u32>> {
        let mut bytes = Vec::new();
        let mut ends = Vec::with_capacity(tokens.len());
        for token in tokens {
            bytes.extend(match self.is_special(*token) {
                true if controls.contains(token) => &self.bytes(*token)[1..],
                true => &[],
                false => self.bytes(*token),
            });
            ends.push(u32::try_from(bytes.len()).ok()?);
        }
        std::str::from_utf8(&bytes).is_ok().then_some(ends)
    }

    /// What a token spells; special tokens begin with 0xff.
    pub fn bytes(&self, token: u32) -> &[u8] {
        self.trie().token(token)
    }

    pub(super) fn is_special(&self, token: u32) -> bool {
        self.trie().token(token).first() == Some(&TokTrie::SPECIAL_TOKEN_MARKER)
    }

    /// The fewest tokens that spell `bytes`, `None` when no tokens do.
    ///
    /// Fewest, not the tokenizer's own choice: then the parts of a text never need fewer tokens than the whole.
    pub fn spell(&self, bytes: &[u8]) -> Option<Vec<u32>> {
        self.spelling.fewest(bytes)
    }

    /// For each place the first of the fewest tokens that spell `bytes` from there on.
    pub(super) fn first_tokens(&self, bytes: &[u8]) -> Vec<Option<u32>> {
        self.spelling.firsts(bytes)
    }

    /// The tokens that the tokenizer itself makes of `bytes` when they are said after the token `before`, which stays
    /// as it is. Empty when no tokenizer was given.
    pub fn spell_after(&self, before: Option<u32>, bytes: &[u8]) -> Vec<u32> {
        if !self.spelling.tokenize_is_canonical() {
            return Vec::new();
        }
        let Some(before) = before.filter(|token| !self.is_special(*token)) else {
            return self.spelling.tokenize_bytes(bytes);
        };
        let together = self.spelling.tokenize_bytes(&[self.bytes(before), bytes].concat());
        match together.split_first() {
            Some((first, rest)) if *first == before => rest.to_vec(),
            _ => self.spelling.tokenize_bytes(bytes),
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// Bytes, a few words, `<end>` (256) and `<soft>` (257).
    pub(crate) fn small() -> Vocabulary {
        let mut words: Vec<Vec<u8>> = (0..=254).map(|byte| vec![byte]).collect();
        words.push(Vec::new());
        words.extend([b"\xff<end>".to_vec(), b"\xff<soft>".to_vec()]);
        for word in ["\",\"", "\":", "true", "null", "the", " the", "2024-", "{\"", "é", "日本", "},{", "10"] {
            words.push(word.as_bytes().to_vec());
        }
        Vocabulary::from_words(&words, &[256]).unwrap()
    }

    #[test]
    fn text_is_spelled_with_the_fewest_tokens_and_read_back() {
        let vocabulary = small();
        let tokens = vocabulary.spell("{\"a\":true,\"é\":\"the 日本\"}".as_bytes()).unwrap();
        assert!(tokens.len() <= 15, "{tokens:?}");
        assert_eq!(vocabulary.text(&tokens), "{\"a\":true,\"é\":\"the 日本\"}");
    }

    #[test]
    fn tokens_lie_where_their_bytes_do() {
        let vocabulary = small();
        let tokens = vocabulary.spell("{\"a\":true".as_bytes()).unwrap();
        let text = vocabulary.text(&tokens);
        let ends = vocabulary.ends(&[], &tokens).unwrap();
        assert_eq!(ends.len(), tokens.len());
        assert_eq!(*ends.last().unwrap() as usize, text.len());
        assert_eq!(vocabulary.ends(&[], &[0xe9]), None, "half a character is mended in the text");
        let called = [257, u32::from(b'a'), 256];
        assert_eq!(vocabulary.text_with(&[257], &called), ("<soft>a".to_owned(), vec![0]));
        assert_eq!(vocabulary.ends(&[257], &called), Some(vec![6, 7, 7]), "a control is spelled out, the end is not");
    }

    #[test]
    fn special_tokens_are_no_text() {
        let vocabulary = small();
        assert_eq!(vocabulary.text(&[257, u32::from(b'a'), 256]), "a");
        assert!(!vocabulary.free().is_allowed(257) && vocabulary.free().is_allowed(256));
    }

    #[test]
    fn a_model_narrower_than_its_tokenizer_is_refused() {
        let json = serde_json::json!({
            "decoder": { "type": "Sequence", "decoders": [{ "type": "ByteFallback" }] },
            "added_tokens": [{ "id": 0, "content": "<eos>", "special": true }],
            "model": { "vocab": { "<eos>": 0, "a": 1, "b": 2 } },
        });
        assert!(Vocabulary::from_json(&json, 2, &[0]).is_err_and(|error| error.contains("the model only 2")));
        assert_eq!(Vocabulary::from_json(&json, 8, &[0]).unwrap().text(&[1, 2]), "ab");
    }
}
