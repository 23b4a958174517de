//! The bundle's tokenizer: text to ids and back, with special tokens kept apart from text.
//!
//! Text never becomes a special token here, whatever it spells: a document that contains `<turn|>` is a document that
//! contains these seven characters. Special tokens come from the chat template alone, found by [`Vocabulary::split`].

use std::path::Path;

use tokenizers::Tokenizer;

use super::fault;
use crate::base::{Fatal, Fault, FaultKind, Model, model::TokenIds};

/// A vocabulary with its special tokens.
#[derive(Debug)]
pub struct Vocabulary {
    tokenizer: Tokenizer,
    /// Spelling and id, longest first, so that the first that fits is the right one.
    specials: Vec<(String, u32)>,
}

/// A stretch of a rendered template.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Stretch<'a> {
    /// A special token's id.
    Special(u32),
    /// Ordinary text.
    Text(&'a str),
}

impl Vocabulary {
    /// The vocabulary of a bundle.
    pub fn of(model: &Model) -> Result<Self, Fatal> {
        Self::open(&model.file(&model.manifest.graphs.tokenizer), &model.manifest.tokens)
    }

    /// A Hugging Face `tokenizer.json`; `ids` names what must be special even where the file does not say so.
    pub fn open(path: &Path, ids: &TokenIds) -> Result<Self, Fatal> {
        let mut tokenizer = Tokenizer::from_file(path).map_err(|error| {
            Fatal::new(format!("`{}` is no tokenizer: {error}", path.display()), "export the bundle again")
        })?;
        tokenizer.set_encode_special_tokens(true);
        let specials = specials(&tokenizer, ids).map_err(|missing| {
            Fatal::new(
                format!("`{}` has no token with id {missing}, which the manifest names", path.display()),
                "export the bundle again",
            )
        })?;
        Ok(Self { tokenizer, specials })
    }

    /// The ids of a text, in which nothing is special.
    pub fn ids(&self, text: &str) -> Result<Vec<u32>, Fault> {
        let encoding = self.tokenizer.encode_fast(text, false).map_err(|error| {
            fault(FaultKind::Internal, format!("the tokenizer refuses a text: {error}"), "please report this")
        })?;
        match encoding.get_ids().iter().find(|id| self.is_special(**id)) {
            None => Ok(encoding.get_ids().to_vec()),
            Some(id) => Err(fault(
                FaultKind::Unsupported,
                format!("the vocabulary makes the special token {id} out of ordinary text"),
                "use a tokenizer.json that marks its special tokens as special",
            )),
        }
    }

    /// Cuts a rendered template at the spellings of special tokens.
    pub fn split<'a>(&self, rendered: &'a str) -> Vec<Stretch<'a>> {
        let (mut stretches, mut rest, mut plain) = (Vec::new(), rendered, 0);
        while plain < rest.len() {
            let found = self.specials.iter().find(|(spelling, _)| rest[plain..].starts_with(spelling.as_str()));
            let Some((spelling, id)) = found else {
                plain += rest[plain..].chars().next().map_or(1, char::len_utf8);
                continue;
            };
            stretches.extend((plain > 0).then(|| Stretch::Text(&rest[..plain])));
            stretches.push(Stretch::Special(*id));
            (rest, plain) = (&rest[plain + spelling.len()..], 0);
        }
        stretches.extend((!rest.is_empty()).then_some(Stretch::Text(rest)));
        stretches
    }

    /// How a token is spelled; empty for an unknown id.
    pub fn spelling(&self, id: u32) -> String {
        self.tokenizer.id_to_token(id).unwrap_or_default()
    }

    /// The text of some ids, special tokens left out.
    pub fn text(&self, ids: &[u32]) -> Result<String, Fault> {
        self.tokenizer.decode(ids, true).map_err(|error| {
            fault(FaultKind::Internal, format!("the tokenizer refuses its own ids: {error}"), "please report this")
        })
    }

    /// The text of some ids with their special tokens; of many equal ones in a row the number: `<|image|> (280 times)`.
    pub fn spelled(&self, ids: &[u32]) -> Result<String, Fault> {
        const MANY: usize = 4;
        let mut text = String::new();
        for run in ids.chunk_by(|one, next| self.is_special(*one) == self.is_special(*next)) {
            if !self.is_special(run[0]) {
                text.push_str(&self.text(run)?);
                continue;
            }
            for equal in run.chunk_by(|one, next| one == next) {
                let spelling = self.spelling(equal[0]);
                match equal.len() {
                    count if count < MANY => text.push_str(&spelling.repeat(count)),
                    count => text.push_str(&format!("{spelling} ({count} times)")),
                }
            }
        }
        Ok(text)
    }

    fn is_special(&self, id: u32) -> bool {
        self.specials.iter().any(|(_, special)| *special == id)
    }
}

/// All special tokens of the file and those that the manifest names; the error is an id without a token.
fn specials(tokenizer: &Tokenizer, ids: &TokenIds) -> Result<Vec<(String, u32)>, u32> {
    let added = tokenizer.get_added_tokens_decoder();
    let marked = added.into_iter().filter(|(_, token)| token.special).map(|(id, token)| (token.content, id));
    let mut specials: Vec<(String, u32)> = marked.collect();
    for id in named(ids) {
        specials.push((tokenizer.id_to_token(id).ok_or(id)?, id));
    }
    specials.retain(|(spelling, _)| !spelling.is_empty());
    specials.sort_by_key(|(spelling, id)| (std::cmp::Reverse(spelling.len()), spelling.clone(), *id));
    specials.dedup();
    Ok(specials)
}

fn named(ids: &TokenIds) -> Vec<u32> {
    let TokenIds { pad, bos, eos, image, begin_image, end_image, video, audio, begin_audio, end_audio } = ids;
    let mut named = vec![*pad, *bos, *image, *begin_image, *end_image, *video, *audio, *begin_audio, *end_audio];
    named.extend(eos);
    named
}
