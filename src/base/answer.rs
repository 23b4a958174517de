//! What comes back from the model, as tokens and then as a record.

use serde::Deserialize;

use super::{
    evidence::{Evidence, Verdict},
    item::Part,
    ladder::Try,
    media::TextLayer,
    record::Merged,
};

/// How an answer is written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Output {
    /// As one JSON object.
    #[default]
    Json,
    /// As one call of a declared function, in the model's own syntax.
    ToolCall,
}

/// What the model thought before it answered.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Thought {
    /// The text between the marks of its channel; `None` where thoughts are dropped.
    pub text: Option<String>,
    /// Its tokens, the marks included.
    pub tokens: u32,
    /// True when its allowance ran out and it was ended by force.
    pub cut: bool,
}

/// Where on a page, picture or frame a value of the record stands.
#[derive(Debug, Clone, PartialEq)]
pub struct PageBox {
    /// JSON pointer of the value.
    pub path: String,
    /// Which part of the document it is on.
    pub part: Part,
    /// `[left, top, right, bottom]` as fractions of the width and height as displayed, origin at the top left: the
    /// same as a [`super::Word`]'s.
    pub bounds: [f32; 4],
}

/// Why a generation ended.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum Finish {
    /// The model said so, or the grammar was complete.
    #[default]
    Stop,
    /// The allowance of new tokens ran short and the open JSON was closed with the tokens kept back.
    Closed,
    /// It said the same again and again; the open JSON was closed as above.
    Loop,
    /// The allowance of new tokens ran out (answers without a schema only).
    Length,
}

impl Finish {
    /// The value of the `finish` column.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Stop => "stop",
            Self::Closed => "closed",
            Self::Loop => "loop",
            Self::Length => "length",
        }
    }
}

/// What an answer had room for where the context, and not `max_tokens`, bounded it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Confined {
    /// New tokens that fit behind the prompt.
    pub tokens: u32,
    /// Tokens of the context.
    pub context: u32,
}

/// Numbers about the prompt that outlive it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct PromptFacts {
    /// The visual token budget, 0 without pictures.
    pub budget: u32,
    /// All prompt tokens, soft tokens included.
    pub prompt_tokens: u32,
    /// Soft tokens of pictures and frames.
    pub image_tokens: u32,
    /// Soft tokens of sound.
    pub audio_tokens: u32,
}

/// What it took to say an answer.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Effort {
    /// Steps of the engine that fed tokens of this answer.
    pub steps: u32,
    /// Tokens that the grammar left no choice about.
    pub forced: u32,
    /// Tokens that were guessed ahead.
    pub drafted: u32,
    /// Guesses that were right.
    pub accepted: u32,
}

/// Microseconds spent on one unit.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Timing {
    /// Patches, log-mel and tokens.
    pub encode_micros: u64,
    /// Vision and audio encoders, and prefill.
    pub prefill_micros: u64,
    /// From the first token to the last.
    pub decode_micros: u64,
}

/// Where the tokens of an answer lie in its text.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tokens {
    /// For each token the byte of the text at which it ends; empty where the text is not simply the tokens' bytes.
    pub ends: Vec<u32>,
    /// How many of them, from the first on, were said before the answer was closed: the others were not chosen.
    pub open: usize,
}

/// The body of an item between `generate` and `parse`.
#[derive(Debug, Clone, PartialEq)]
pub struct Generation {
    /// New token ids, without the end token.
    pub tokens: Vec<u32>,
    /// Natural-log probability of each of them among the tokens that the grammar allowed, at temperature 1; 0 for those
    /// that it left no choice about, and for those that closed the answer.
    pub logprobs: Vec<f32>,
    /// Where they lie in the text.
    pub places: Tokens,
    /// The tokens as text; of special tokens only those that belong to a call's syntax are spelled out.
    pub text: String,
    /// Where in `text` such tokens begin, in bytes: text that only spells one is not among them.
    pub controls: Vec<usize>,
    /// What was thought before; no part of anything above.
    pub thought: Option<Thought>,
    /// Why it ended.
    pub finish: Finish,
    /// Whether the context left it less room than `max_tokens`.
    pub confined: Option<Confined>,
    /// What the prompt was.
    pub facts: PromptFacts,
    /// The page's own text layer; of a text document the text.
    pub layer: Option<TextLayer>,
    /// What it took to say it.
    pub effort: Effort,
    /// Where the time went.
    pub timing: Timing,
}

/// The body of an item between `parse` and `write`.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Extraction {
    /// The record: an object that has passed the schema.
    pub record: serde_json::Value,
    /// Where its boxes stand on the page.
    pub boxes: Vec<PageBox>,
    /// The answer as generated.
    pub raw: String,
    /// What was thought before.
    pub thought: Option<Thought>,
    /// What is worth knowing though the record is valid, one line each.
    pub problems: Vec<String>,
    /// What speaks for its values, where the pipeline asks.
    pub evidence: Option<Evidence>,
    /// What the pipeline's checks made of it, in their order.
    pub checks: Vec<Verdict>,
    /// New tokens.
    pub tokens: u32,
    /// Mean natural-log probability of the answer's tokens, those left out that were said to close it.
    pub mean_logprob: f32,
    /// Why the generation ended.
    pub finish: Finish,
    /// True when it was closed early because the context left it less room than `max_tokens`: in another context it may be
    /// another answer.
    pub confined: bool,
    /// What the prompt was.
    pub facts: PromptFacts,
    /// What it took to say it.
    pub effort: Effort,
    /// Where the time went.
    pub timing: Timing,
    /// Which try of the unit this is, from 0.
    pub attempt: u8,
    /// The other tries, whose answers were no better.
    pub tries: Vec<Try>,
    /// Seconds by which the sound of this try begins before its unit does.
    pub shift: f64,
    /// Which of the records of its unit this is, from 0, where a unit may have many.
    pub index: Option<u32>,
    /// What it was merged of, where it is the record of a document.
    pub merged: Option<Merged>,
}
