//! An engine without a model: it repeats answers from a file, so that the whole line can be run, tested and measured.

use std::path::Path;

use super::{
    engine::{Card, Engine, EngineError, Feed, Logits, Reused, Slot},
    vocabulary::Vocabulary,
};
use crate::base::{Fatal, Fault, FaultKind, Prompt, StageName};

/// Gives the recorded answers one after the other, and from the first again, to the prompts in order of admission.
pub struct ReplayEngine {
    card: Card,
    vocabulary: Vocabulary,
    /// For each byte of each answer the token that goes on from there.
    answers: Vec<Vec<Option<u32>>>,
    end: u32,
    admitted: usize,
    slots: Vec<Option<Reading>>,
}

/// Where a slot is in its answer.
#[derive(Debug, Clone, Default)]
struct Reading {
    answer: usize,
    /// Bytes that were fed, at each place that the latest step tells of.
    fed: Vec<usize>,
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
        let unspelled = |text: &&String| vocabulary.spell(text.as_bytes()).is_none();
        match answers.iter().find(unspelled) {
            Some(text) => return Err(format!("cannot be spelled: {text:.60}")),
            None if answers.is_empty() => return Err("holds no answers".to_owned()),
            None => {}
        }
        let card = Card {
            engine: "replay",
            device: "cpu".to_owned(),
            note: format!("{} recorded answers in turn, no model", answers.len()),
            remarks: Vec::new(),
            model: "replay".to_owned(),
            slots,
            context,
            together: true,
            at_once: context,
        };
        let answers = answers.iter().map(|text| vocabulary.first_tokens(text.as_bytes())).collect();
        let slots = vec![None; slots];
        Ok(Self { card, vocabulary: vocabulary.clone(), answers, end, admitted: 0, slots })
    }

    fn reading(&mut self, slot: Slot) -> Result<&mut Reading, EngineError> {
        self.slots.get_mut(slot).and_then(Option::as_mut).ok_or_else(|| {
            let message = format!("slot {slot} holds no prompt");
            Fault::new(StageName::Generate, FaultKind::Internal, message, "please report this").into()
        })
    }

    fn feed(&mut self, feed: &Feed) -> Result<(), EngineError> {
        let (tokens, guessed) = match feed {
            Feed::Prompt(_) => (&[][..], 0),
            Feed::Tokens { tokens, guessed, .. } => (*tokens, *guessed),
        };
        let lengths: Vec<usize> = tokens.iter().map(|token| self.vocabulary.bytes(*token).len()).collect();
        let reading = self.reading(feed.slot())?;
        let (certain, guesses) = lengths.split_at(tokens.len().saturating_sub(guessed));
        let start = reading.fed.last().copied().unwrap_or(0) + certain.iter().sum::<usize>();
        let after_each = guesses.iter().scan(start, |fed, length| {
            *fed += length;
            Some(*fed)
        });
        reading.fed = std::iter::once(start).chain(after_each).collect();
        Ok(())
    }
}

impl Engine for ReplayEngine {
    fn card(&self) -> &Card {
        &self.card
    }

    fn admit(&mut self, slot: Slot, prompt: &mut Prompt) -> Result<Reused, EngineError> {
        (prompt.images, prompt.clips, prompt.features) = (Vec::new(), Vec::new(), None);
        if let Some(place) = self.slots.get_mut(slot) {
            *place = Some(Reading { answer: self.admitted % self.answers.len(), fed: Vec::new() });
            self.admitted += 1;
        }
        self.reading(slot).map(|_| Reused::default())
    }

    /// Prompts are not read, so there is one token to wait for.
    fn remaining(&self, slot: Slot) -> usize {
        self.slots.get(slot).and_then(Option::as_ref).map_or(0, |reading| usize::from(reading.fed.is_empty()))
    }

    fn step(&mut self, feeds: &[Feed]) -> Result<(), EngineError> {
        feeds.iter().try_for_each(|feed| self.feed(feed))
    }

    fn logits(&self, slot: Slot, place: usize) -> Option<Logits<'_>> {
        let reading = self.slots.get(slot)?.as_ref()?;
        let fed = *reading.fed.get(place)?;
        Some(Logits::Certain(self.answers[reading.answer].get(fed).copied().flatten().unwrap_or(self.end)))
    }

    fn retract(&mut self, slot: Slot, count: usize) -> Result<(), EngineError> {
        self.reading(slot).map(|reading| reading.fed.truncate(reading.fed.len() - count.min(reading.fed.len() - 1)))
    }

    fn release(&mut self, slot: Slot) {
        if let Some(place) = self.slots.get_mut(slot) {
            *place = None;
        }
    }
}
