//! What the line asks of an engine: admit a prompt to a slot, and step: a chunk of a prompt here, some tokens of an answer
//! there. Sampling, grammar, stop rules and batching live outside.

use std::time::Duration;

use super::{
    encoders::Encoders,
    trouble::{Trouble, lost_card},
    watchdog::Late,
};
use crate::base::{Fatal, Fault, FaultKind, Prompt, StageName};

/// A slot's number, from 0.
pub type Slot = usize;

/// What runs, for the log, the report and `doctor`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Card {
    /// `ort` or `replay`.
    pub engine: &'static str,
    /// The device that really runs: `cpu`, `cuda`, `tensorrt`.
    pub device: String,
    /// What is worth knowing: why `auto` fell back, and the remarks; may be empty.
    pub note: String,
    /// What is worth knowing of the model's files and of how they can be run; may be empty.
    pub remarks: Vec<String>,
    /// The model's name.
    pub model: String,
    /// Units that are decoded together.
    pub slots: usize,
    /// Most tokens of a prompt and its answer together.
    pub context: usize,
    /// True when one run takes several tokens of several slots, so that guesses cost little.
    pub together: bool,
    /// Most tokens that one step feeds to one slot.
    pub at_once: usize,
}

/// What an admitted prompt found done already.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Reused {
    /// Tokens at its beginning, which need no prefill.
    pub tokens: usize,
    /// Pictures that look like earlier ones.
    pub pictures: usize,
}

/// What one step feeds to one slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Feed<'a> {
    /// The next chunk of its prompt.
    Prompt(Slot),
    /// Tokens behind what it holds.
    Tokens {
        /// Its prompt is in.
        slot: Slot,
        /// At least one.
        tokens: &'a [u32],
        /// How many of the last are guesses, which may be taken back; fewer than all.
        guessed: usize,
    },
}

impl<'a> Feed<'a> {
    /// One token that is no guess.
    pub fn token(slot: Slot, token: &'a u32) -> Self {
        Self::Tokens { slot, tokens: std::slice::from_ref(token), guessed: 0 }
    }

    /// Whom it concerns.
    pub fn slot(&self) -> Slot {
        match self {
            Self::Prompt(slot) | Self::Tokens { slot, .. } => *slot,
        }
    }
}

/// The scores of the next token of one slot.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Logits<'a> {
    /// One score per token of the vocabulary.
    Scores(&'a [f32]),
    /// All probability is with this token: what a replay knows.
    Certain(u32),
}

/// What to do about a run that was stuck.
const TOO_SLOW: &str = "if the machine is only slow, raise generate.step_timeout_s; 0 waits for ever";

/// What to do about a unit that there was no memory for.
const TOO_LARGE: &str = "more is left with a lower generate.slots, generate.context or generate.kv_memory_mb, with \
                         smaller pictures (encode.budget), or when other programs give memory back; then run again \
                         with `--retry-failures`";

/// What to do about any other failure.
const AT_FAULT: &str = "run `lapidary doctor`; if other units pass, this one is at fault";

/// Why an engine could not do what it was asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EngineError {
    /// It concerns these units alone.
    Unit(Fault),
    /// The engine is of no more use.
    Session(Fatal),
}

impl EngineError {
    /// The session refused or failed to run these units. A card that is lost ends the run, since it would fail every
    /// unit alike; where memory was short the units may pass with less at once.
    pub fn failed(what: &str, error: &dyn std::error::Error) -> Self {
        let (late, text) = (error.source().is_some_and(|cause| cause.is::<Late>()), causes(error));
        let fault = |kind, what: &str, hint| Fault::new(StageName::Generate, kind, format!("{what}: {text}"), hint);
        match Trouble::of(&text) {
            _ if late => fault(FaultKind::Deadline, what, TOO_SLOW).into(),
            Trouble::LostCard => Self::Session(lost_card(what, &text)),
            Trouble::OutOfMemory => fault(FaultKind::Engine, &format!("{what}: memory is short"), TOO_LARGE).into(),
            Trouble::Other => fault(FaultKind::Engine, what, AT_FAULT).into(),
        }
    }

    /// What went wrong.
    pub fn message(&self) -> &str {
        match self {
            Self::Unit(fault) => &fault.message,
            Self::Session(fatal) => &fatal.message,
        }
    }
}

impl From<Fault> for EngineError {
    fn from(fault: Fault) -> Self {
        Self::Unit(fault)
    }
}

/// An error with all that lies behind it, in one line.
pub(super) fn causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text = format!("{text}: {cause_text}");
        }
        source = cause.source();
    }
    text.replace('\n', " ")
}

/// Something that continues prompts.
pub trait Engine: Send {
    /// What this is.
    fn card(&self) -> &Card;

    /// Hands out the encoders, to be run ahead of admission on a thread of their own; from then on prompts are admitted
    /// with features. `None` for an engine that needs none.
    fn encoders(&mut self) -> Option<Box<dyn Encoders>> {
        None
    }

    /// Time spent inside runs of the decoder so far; `None` for an engine that runs no model.
    fn decoding(&self) -> Option<Duration> {
        None
    }

    /// Why the engine is of no more use, where it can find that out: asked when a run has failed, before any unit is
    /// blamed for it. `None` as long as it may go on.
    fn lost(&self) -> Option<Fatal> {
        None
    }

    /// Takes a prompt into a free slot, and its features out of it, or its pictures and clips: these are encoded at once.
    ///
    /// # Errors
    /// A fault of the unit when it does not fit, or asks for an encoder that the model lacks.
    fn admit(&mut self, slot: Slot, prompt: &mut Prompt) -> Result<Reused, EngineError>;

    /// Tokens of the slot's prompt that are not fed yet.
    fn remaining(&self, slot: Slot) -> usize;

    /// Feeds some slots, each at most once. When it fails, all slots are as they were; one that cannot be taken back
    /// holds nothing any more, and fails when it is fed again.
    fn step(&mut self, feeds: &[Feed]) -> Result<(), EngineError>;

    /// Feeds all that remains of a slot's prompt, chunk by chunk. Returns the number of chunks.
    fn prefill(&mut self, slot: Slot) -> Result<usize, EngineError> {
        let mut chunks = 0;
        while self.remaining(slot) > 0 {
            self.step(&[Feed::Prompt(slot)])?;
            chunks += 1;
        }
        Ok(chunks)
    }

    /// What follows in a slot, as the latest [`Engine::step`] has it: at place 0 what follows the prompt or the last token
    /// that was no guess, at place `n` what follows the `n`th guess. `None` when the step did not tell.
    fn logits(&self, slot: Slot, place: usize) -> Option<Logits<'_>>;

    /// Takes back the last `count` guesses of the latest step.
    fn retract(&mut self, slot: Slot, count: usize) -> Result<(), EngineError>;

    /// Makes the slot free.
    fn release(&mut self, slot: Slot);
}

impl<E: Engine + ?Sized> Engine for Box<E> {
    fn card(&self) -> &Card {
        (**self).card()
    }

    fn encoders(&mut self) -> Option<Box<dyn Encoders>> {
        (**self).encoders()
    }

    fn decoding(&self) -> Option<Duration> {
        (**self).decoding()
    }

    fn lost(&self) -> Option<Fatal> {
        (**self).lost()
    }

    fn admit(&mut self, slot: Slot, prompt: &mut Prompt) -> Result<Reused, EngineError> {
        (**self).admit(slot, prompt)
    }

    fn remaining(&self, slot: Slot) -> usize {
        (**self).remaining(slot)
    }

    fn step(&mut self, feeds: &[Feed]) -> Result<(), EngineError> {
        (**self).step(feeds)
    }

    fn logits(&self, slot: Slot, place: usize) -> Option<Logits<'_>> {
        (**self).logits(slot, place)
    }

    fn retract(&mut self, slot: Slot, count: usize) -> Result<(), EngineError> {
        (**self).retract(slot, count)
    }

    fn release(&mut self, slot: Slot) {
        (**self).release(slot);
    }
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;

    const LOST: &str = "CUDA failure 719: unspecified launch failure ; GPU=2 ; hostname=h ; file=f ; line=1 ; expr=f()";

    fn failed(text: &str) -> EngineError {
        EngineError::failed("decoding step", &io::Error::other(text))
    }

    fn fault(error: EngineError) -> Fault {
        match error {
            EngineError::Unit(fault) => fault,
            EngineError::Session(fatal) => panic!("the run ends: {fatal}"),
        }
    }

    #[test]
    fn a_lost_card_is_the_end_of_the_engine_and_no_fault_of_a_unit() {
        let EngineError::Session(fatal) = failed(LOST) else { panic!("a unit is blamed") };
        assert_eq!(fatal.message, format!("the card cuda:2 is lost: decoding step: {LOST}"));
        assert!(fatal.hint.contains("the same command goes on"), "{}", fatal.hint);
    }

    #[test]
    fn a_unit_that_memory_is_short_for_says_so_and_names_what_can_be_lowered() {
        let fault = fault(failed("Failed to allocate memory for requested buffer of size 68719476736"));
        assert_eq!(fault.kind, FaultKind::Engine);
        assert!(fault.message.starts_with("decoding step: memory is short: Failed to allocate"), "{}", fault.message);
        assert_eq!(Trouble::of(&fault.message), Trouble::OutOfMemory, "it can be told again from the fault");
        for setting in ["generate.slots", "generate.context", "generate.kv_memory_mb"] {
            assert!(fault.hint.contains(setting), "{setting}: {}", fault.hint);
        }
    }

    #[test]
    fn any_other_failure_is_the_units() {
        let fault = fault(failed("CUBLAS failure 13: CUBLAS_STATUS_EXECUTION_FAILED ; GPU=0"));
        assert_eq!((fault.kind, fault.hint.as_str()), (FaultKind::Engine, AT_FAULT));
        assert!(fault.message.starts_with("decoding step: CUBLAS failure 13"), "{}", fault.message);
    }
}
