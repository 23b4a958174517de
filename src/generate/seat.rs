//! A unit in a slot: its envelope, its answer so far, and where its time went.

use std::time::{Duration, Instant};

use super::{
    answer::Answer,
    draft::{Drafter, Shelf},
    vocabulary::Vocabulary,
};
use crate::base::{Confined, Effort, Finish, Generation, Item, Prompt, PromptFacts, TextLayer, Timing};

/// What a seated unit waits for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Waiting {
    /// More chunks of its prompt.
    Prefill,
    /// These tokens to be fed.
    Step(Vec<u32>),
}

/// How a seated unit has fared for memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Memory {
    /// It has not been short.
    Enough,
    /// It has been short: nobody else is seated as long as this unit is.
    Scarce,
    /// It is short: the unit waits until another has left its slot.
    Awaited,
}

/// A unit in a slot.
pub(super) struct Seat {
    pub(super) waiting: Waiting,
    pub(super) memory: Memory,
    pub(super) envelope: Item<()>,
    pub(super) answer: Answer,
    /// Guesses what the answer says next.
    pub(super) drafter: Option<Drafter>,
    /// Whether the context leaves the answer less room than the settings.
    pub(super) confined: Option<Confined>,
    facts: PromptFacts,
    layer: Option<TextLayer>,
    effort: Effort,
    timing: Timing,
    first_token: Option<Instant>,
}

impl Seat {
    pub(super) fn new(envelope: Item<()>, facts: PromptFacts, answer: Answer) -> Self {
        Self {
            waiting: Waiting::Prefill,
            memory: Memory::Enough,
            envelope,
            answer,
            drafter: None,
            confined: None,
            facts,
            layer: None,
            effort: Effort::default(),
            timing: Timing::default(),
            first_token: None,
        }
    }

    /// What remains of the prompt once the engine has it: all bytes but those of its text are given back.
    pub(super) fn keep(&mut self, prompt: Prompt) {
        self.envelope.lease.shrink(prompt.bytes());
        self.timing.encode_micros = prompt.encode_micros;
        self.layer = prompt.text;
    }

    /// At most `most` tokens that the answer may say next, and that the grammar would let it say.
    pub(super) fn guesses(&mut self, shelf: &Shelf, most: usize) -> Vec<u32> {
        let (Some(drafter), answer) = (&mut self.drafter, &mut self.answer) else { return Vec::new() };
        if !answer.is_begun() {
            return Vec::new();
        }
        let (said, most) = (answer.tokens.clone(), most.min(answer.room()));
        drafter.propose(shelf, &said, most, |guesses| answer.allowed(guesses))
    }

    /// A step that fed the answer, so many of its tokens being guesses.
    pub(super) fn add_step(&mut self, guesses: usize) {
        self.effort.steps += 1;
        self.effort.drafted += count(guesses);
    }

    /// Of so many guesses so many were right.
    pub(super) fn judge(&mut self, guesses: usize, right: usize) {
        self.effort.accepted += count(right);
        self.drafter.iter_mut().for_each(|drafter| drafter.judge(guesses, right));
    }

    pub(super) fn add_prefill(&mut self, spent: Duration) {
        self.timing.prefill_micros += micros(spent);
    }

    /// The engine has told what follows; the first time that is the end of the prefill.
    pub(super) fn told(&mut self) {
        self.first_token.get_or_insert_with(Instant::now);
    }

    /// The item for `parse`; with the text of the thoughts where it is kept.
    pub(super) fn finish(self, finish: Finish, vocabulary: &Vocabulary, keep_thoughts: bool) -> Item<Generation> {
        let decode_micros = self.first_token.map_or(0, |start| micros(start.elapsed()));
        let (text, controls) = self.answer.text();
        let thought = self.answer.thinking().map(|thinking| thinking.finish(vocabulary, keep_thoughts));
        let places = self.answer.places();
        self.envelope.with(Generation {
            tokens: self.answer.tokens,
            logprobs: self.answer.logprobs,
            places,
            text,
            controls,
            thought,
            finish,
            confined: self.confined,
            facts: self.facts,
            layer: self.layer,
            effort: Effort { forced: self.answer.forced, ..self.effort },
            timing: Timing { decode_micros, ..self.timing },
        })
    }
}

/// What a prompt was, noted before the engine takes its pictures.
pub(super) fn facts_of(prompt: &Prompt) -> PromptFacts {
    PromptFacts {
        budget: prompt.budget,
        prompt_tokens: count(prompt.tokens.len()),
        image_tokens: count(prompt.image_tokens()),
        audio_tokens: count(prompt.audio_tokens()),
    }
}

pub(super) fn count(tokens: usize) -> u32 {
    u32::try_from(tokens).unwrap_or(u32::MAX)
}

pub(super) fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}
