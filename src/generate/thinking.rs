//! The model's thoughts before an answer: their channel is opened for it, inside it may say any text, and it closes the
//! channel itself or it is closed when the thoughts' allowance ends. No grammar and no guesses in there.

use std::sync::Arc;

use llguidance::toktrie::SimpleVob;

use super::{
    answer::unusable,
    engine::Logits,
    sample::{Choice, Sampler},
    vocabulary::Vocabulary,
};
use crate::base::{Fatal, Fault, Thought};

/// What opens the channel, first its mark and then its name, and the mark that closes it (Gemma 4's chat template).
const MARK: &str = "<|channel>";
const NAME: &str = "thought\n";
const END: &str = "<channel|>";

/// The channel of thoughts in the tokens of a vocabulary.
#[derive(Debug)]
pub struct Channel {
    opening: Vec<u32>,
    end: u32,
    inside: SimpleVob,
}

impl Channel {
    /// The channel, its name spelled as the vocabulary's tokenizer does.
    ///
    /// # Errors
    /// When the vocabulary has no such channel.
    pub fn of(vocabulary: &Vocabulary) -> Result<Self, Fatal> {
        let mark = vocabulary.special(MARK)?;
        let end = vocabulary.special(END)?;
        let name = Some(vocabulary.spell_after(None, NAME.as_bytes())).filter(|name| !name.is_empty());
        let name = name.or_else(|| vocabulary.spell(NAME.as_bytes())).unwrap_or_default();
        let mut inside = vocabulary.words();
        inside.allow_token(end);
        Ok(Self { opening: [&[mark], name.as_slice()].concat(), end, inside })
    }

    /// The fewest tokens that thoughts take: none but the marks.
    pub fn least(&self) -> usize {
        self.opening.len() + 1
    }
}

/// The thoughts of one answer, being written.
#[derive(Debug)]
pub struct Thinking {
    channel: Arc<Channel>,
    allowance: usize,
    tokens: Vec<u32>,
    cut: bool,
}

impl Thinking {
    /// No thoughts yet. `allowance` is how many tokens they may take, the marks included; at least
    /// [`Channel::least`] are taken all the same.
    pub fn new(channel: Arc<Channel>, allowance: usize) -> Self {
        Self { channel, allowance, tokens: Vec::new(), cut: false }
    }

    /// True when the channel is closed and the answer may begin.
    pub fn is_over(&self) -> bool {
        self.tokens.last() == Some(&self.channel.end)
    }

    /// What to feed next, never nothing.
    ///
    /// # Errors
    /// When the scores are of no use.
    pub fn advance(&mut self, logits: Logits, sampler: &mut Sampler) -> Result<Vec<u32>, Fault> {
        let first = self.tokens.len();
        if first == 0 {
            self.tokens.extend(&self.channel.opening);
        } else if first + 1 >= self.allowance {
            self.cut = true;
            self.tokens.push(self.channel.end);
        } else {
            let Choice { token, .. } = sampler.choose(logits, &self.channel.inside).ok_or_else(unusable)?;
            self.tokens.push(token);
        }
        Ok(self.tokens[first..].to_vec())
    }

    /// The thoughts, with their text where it is kept.
    pub fn finish(&self, vocabulary: &Vocabulary, keep: bool) -> Thought {
        let inside = self.tokens.get(self.channel.opening.len()..).unwrap_or_default();
        let text = keep.then(|| vocabulary.text(inside).trim().to_owned());
        Thought { text, tokens: u32::try_from(self.tokens.len()).unwrap_or(u32::MAX), cut: self.cut }
    }
}
