//! An engine without a model: it repeats answers from a file, so that the whole line can be run, tested and measured.

use std::path::Path;

use super::{
    engine::{Card, Engine, EngineError, Logits, Prefill, Reused, Slot},
    vocabulary::Vocabulary,
};
use crate::base::{Fatal, Fault, FaultKind, Prompt, StageName};

/// Gives the recorded answers one after the other, and from the first again, to the prompts in order of admission.
pub struct ReplayEngine {
    card: Card,
    answers: Vec<Vec<u32>>,
    end: u32,
    admitted: usize,
    slots: Vec<Option<Reading>>,
}

/// Where a slot is in its answer.
#[derive(Debug, Clone, Copy)]
struct Reading {
    answer: usize,
    fed: usize,
    ready: bool,
}

impl ReplayEngine {
    /// Reads a JSON list of answers: strings are taken as they are, anything else as its compact JSON.
    ///
    /// # Errors
    /// When the file is no such list or the vocabulary cannot spell an answer.
    pub fn read(path: &Path, vocabulary: &Vocabulary, end: u32, slots: usize, context: usize) -> Result<Self, Fatal> {
        let wrong = |what: String| {
            Fatal::new(
                format!("`{}` {what}", path.display()),
                "give a JSON list of answers, each a string or an object",
            )
        };
        let bytes = std::fs::read(path).map_err(|error| wrong(format!("cannot be read: {error}")))?;
        let list: Vec<serde_json::Value> =
            serde_json::from_slice(&bytes).map_err(|error| wrong(format!("is no JSON list: {error}")))?;
        let texts = list.iter().map(|answer| answer.as_str().map_or_else(|| answer.to_string(), str::to_owned));
        Self::new(&texts.collect::<Vec<_>>(), vocabulary, end, slots, context).map_err(wrong)
    }

    /// An engine that gives these answers and then the token `end`; the error says what is wrong with them.
    pub fn new(
        answers: &[String],
        vocabulary: &Vocabulary,
        end: u32,
        slots: usize,
        context: usize,
    ) -> Result<Self, String> {
        let spell = |text: &String| vocabulary.spell(text.as_bytes()).ok_or(format!("cannot be spelled: {text:.60}"));
        let answers: Vec<Vec<u32>> = answers.iter().map(spell).collect::<Result<_, _>>()?;
        if answers.is_empty() {
            return Err("holds no answers".to_owned());
        }
        let card = Card {
            engine: "replay",
            device: "cpu".to_owned(),
            note: format!("{} recorded answers in turn, no model", answers.len()),
            remarks: Vec::new(),
            model: "replay".to_owned(),
            slots,
            context,
        };
        Ok(Self { card, answers, end, admitted: 0, slots: vec![None; slots] })
    }

    fn reading(&mut self, slot: Slot) -> Result<&mut Reading, EngineError> {
        self.slots.get_mut(slot).and_then(Option::as_mut).ok_or_else(|| {
            let message = format!("slot {slot} holds no prompt");
            Fault::new(StageName::Generate, FaultKind::Internal, message, "please report this").into()
        })
    }
}

impl Engine for ReplayEngine {
    fn card(&self) -> &Card {
        &self.card
    }

    fn admit(&mut self, slot: Slot, prompt: &mut Prompt) -> Result<Reused, EngineError> {
        (prompt.images, prompt.clips) = (Vec::new(), Vec::new());
        if let Some(place) = self.slots.get_mut(slot) {
            *place = Some(Reading { answer: self.admitted % self.answers.len(), fed: 0, ready: false });
            self.admitted += 1;
        }
        self.reading(slot).map(|_| Reused::default())
    }

    fn prefill(&mut self, slot: Slot) -> Result<Prefill, EngineError> {
        self.reading(slot)?.ready = true;
        Ok(Prefill::Done)
    }

    fn step(&mut self, feeds: &[(Slot, u32)]) -> Result<(), EngineError> {
        feeds.iter().try_for_each(|(slot, _)| self.reading(*slot).map(|reading| reading.fed += 1))
    }

    fn logits(&self, slot: Slot) -> Option<Logits<'_>> {
        let reading = self.slots.get(slot)?.as_ref().filter(|reading| reading.ready)?;
        Some(Logits::Certain(self.answers[reading.answer].get(reading.fed).copied().unwrap_or(self.end)))
    }

    fn release(&mut self, slot: Slot) {
        if let Some(place) = self.slots.get_mut(slot) {
            *place = None;
        }
    }
}
