//! The engine that runs the model: four ONNX graphs, and the keys and values of all slots.

mod fitting;
mod layout;
mod opening;
mod part;
mod runner;
mod scoring;
mod shorter;

use std::time::Duration;

pub use layout::EngineSettings;
use part::{Part, Ran};
use runner::Runner;

use super::{
    cuda::runtime::card_memory,
    cuts::Cuts,
    embedder::Embedder,
    encoders::{Encoders, OrtEncoders},
    engine::{Card, Engine, EngineError, Feed, Logits, Reused, Slot},
    prefix::Prefixes,
    scores::Scores,
    splice::Splice,
    trouble::silent_card,
    watchdog::Watchdog,
};
use crate::base::{Fatal, Fault, FaultKind, Features, Model, Prompt, StageName};

/// Runs a model.
pub struct OrtEngine {
    card: Card,
    model: Model,
    prefill_chunk: usize,
    cuts: Cuts,
    embedder: Embedder,
    runner: Runner,
    /// Until they are handed out.
    encoders: Option<OrtEncoders>,
    seats: Vec<Option<Seat>>,
    /// Of the latest step.
    runs: Vec<Scores>,
    prefixes: Prefixes,
    watchdog: Watchdog,
    /// The card that told of its memory when the engine was opened: one that is lost tells no more.
    answering: Option<u32>,
}

/// What a slot holds.
struct Seat {
    tokens: Vec<u32>,
    splice: Splice,
    /// Positions whose keys and values are in the arena.
    length: usize,
    /// Where the scores of the latest step are, place by place: run and row.
    latest: Vec<(usize, usize)>,
}

impl Seat {
    /// Tokens before the first picture or clip.
    fn beginning(&self) -> usize {
        self.splice.first_place().unwrap_or(self.tokens.len())
    }
}

impl OrtEngine {
    /// Puts a prompt and its features into a free slot. Returns how many of its pictures were known.
    fn seat_at(&mut self, slot: Slot, prompt: &mut Prompt) -> Result<usize, EngineError> {
        self.fits(slot, prompt)?;
        let features = self.features_of(prompt)?;
        let manifest = &self.model.manifest;
        let splice = Splice::new(&prompt.tokens, &manifest.tokens, manifest.text.hidden_size, &features)?;
        self.runner.cache().forget(slot);
        self.seats[slot] = Some(Seat { tokens: prompt.tokens.clone(), splice, length: 0, latest: Vec::new() });
        Ok(features.known_pictures)
    }

    /// Takes the features out of a prompt, or encodes its pictures and clips at once.
    fn features_of(&mut self, prompt: &mut Prompt) -> Result<Features, EngineError> {
        if let Some(encoders) = self.encoders.as_mut().filter(|_| prompt.has_media()) {
            encoders.encode(&mut [&mut *prompt]).into_iter().collect::<Result<(), _>>()?;
        }
        Ok(prompt.features.take().unwrap_or_default())
    }

    fn seat(&mut self, slot: Slot) -> Result<&mut Seat, EngineError> {
        self.seats.get_mut(slot).and_then(Option::as_mut).ok_or_else(|| unseated(slot))
    }

    /// The next chunk of a prompt, with the logits of its last `wanted` positions, or as many as follow the prompt.
    fn chunk(&mut self, slot: Slot, wanted: Option<usize>) -> Result<Part, EngineError> {
        let most = self.prefill_chunk.min(self.runner.cache().most_at_once());
        let seat = self.seats.get(slot).and_then(Option::as_ref).ok_or_else(|| unseated(slot))?;
        let start = seat.length;
        if start >= seat.tokens.len() {
            return Err(internal(&format!("slot {slot} is already prefilled")));
        }
        let end = self.cuts.end(&seat.tokens, start, most);
        let wanted = wanted.unwrap_or(usize::from(end == seat.tokens.len())).min(end - start);
        Ok(Part { slot, start, tokens: seat.tokens[start..end].to_vec(), wanted, of_prompt: true })
    }

    fn part(&mut self, feed: &Feed) -> Result<Part, EngineError> {
        let Feed::Tokens { slot, tokens, guessed } = *feed else { return self.chunk(feed.slot(), None) };
        match self.seats.get(slot).and_then(Option::as_ref) {
            Some(seat)
                if seat.length >= seat.tokens.len()
                    && seat.length + tokens.len() <= self.card.context
                    && guessed < tokens.len() =>
            {
                let (start, tokens) = (seat.length, tokens.to_vec());
                Ok(Part { slot, start, tokens, wanted: guessed + 1, of_prompt: false })
            }
            _ => Err(internal(&format!("slot {slot} has no place for {} tokens", tokens.len()))),
        }
    }

    /// Runs the parts; when that fails, all slots are as they were, but for those that cannot be taken back.
    fn run(&mut self, parts: &[Part]) -> Result<(), EngineError> {
        self.make_room(parts)?;
        let lengths: Vec<usize> = self.seats.iter().map(|seat| seat.as_ref().map_or(0, |seat| seat.length)).collect();
        let splice = |slot: Slot| self.seats[slot].as_ref().map(|seat| &seat.splice);
        match self.runner.run(&mut self.embedder, &self.cuts, parts, &lengths, &splice) {
            Ok(ran) => self.settle(parts, ran),
            Err(error) => Err(self.failed(parts, &error)),
        }
    }

    /// What a failed run of parts comes to. On a card that is lost there is nothing to take back.
    fn failed(&mut self, parts: &[Part], error: &ort::Error) -> EngineError {
        match EngineError::failed("decoding step", error) {
            EngineError::Unit(fault) if !self.take_back(parts) => {
                internal(&format!("a failed step could not be taken back: {}", fault.message))
            }
            failed => failed,
        }
    }

    /// Makes room for the parts and for one place behind each, where a row idles while others are fed: made only then, it
    /// could cost what a failed step is taken back to.
    fn make_room(&mut self, parts: &[Part]) -> Result<(), EngineError> {
        for part in parts {
            let count = part.tokens.len() + 1;
            self.learn_in_time(part, part.start + count);
            if !self.runner.cache().make_room(part.slot, part.start, count) {
                return Err(no_room(part, self.runner.cache().most_at_once()));
            }
        }
        Ok(())
    }

    /// Learns what a prompt begins with, as far as it has come, before room for the first `end` positions takes its front
    /// from sliding layers: without it nobody else can go on from there.
    fn learn_in_time(&mut self, part: &Part, end: usize) {
        let Some(seat) = self.seats[part.slot].as_ref().filter(|_| part.of_prompt) else { return };
        let cache = self.runner.cache();
        if part.start < seat.beginning() && cache.loses_front(part.slot, end) {
            self.prefixes.learn(&seat.tokens, part.start, part.slot, cache);
        }
    }

    /// Takes the slots back to where the parts begin. False when that cannot be done with all of them: the others hold
    /// nothing any more, and fail when they are fed again.
    fn take_back(&mut self, parts: &[Part]) -> bool {
        let mut whole = true;
        for part in parts {
            if !self.runner.cache().retract(part.slot, part.start) {
                self.seats[part.slot] = None;
                whole = false;
            }
        }
        whole
    }

    /// Notes what a run has done.
    fn settle(&mut self, parts: &[Part], ran: Ran) -> Result<(), EngineError> {
        self.runs = ran.runs;
        self.seats.iter_mut().flatten().for_each(|seat| seat.latest.clear());
        for (part, rows) in parts.iter().zip(ran.rows) {
            let seat = self.seats[part.slot].as_mut().ok_or_else(|| unseated(part.slot))?;
            (seat.length, seat.latest) = (part.start + part.tokens.len(), rows);
            if !part.of_prompt {
                continue;
            }
            let beginning = seat.beginning();
            if (part.start + 1..=seat.length).contains(&beginning) {
                self.prefixes.learn(&seat.tokens, beginning, part.slot, self.runner.cache());
            }
            if seat.length == seat.tokens.len() {
                seat.splice = Splice::default();
            }
        }
        Ok(())
    }

    fn fits(&self, slot: Slot, prompt: &Prompt) -> Result<(), EngineError> {
        if !matches!(self.seats.get(slot), Some(None)) {
            return Err(internal(&format!("slot {slot} is not free")));
        }
        let (count, context, width) = (prompt.tokens.len(), self.card.context, self.model.manifest.text.vocab_size);
        if count == 0 || count > context {
            let message = format!("the prompt has {count} tokens, the context holds {context}");
            let hint = "raise generate.context or lower the budget";
            return Err(Fault::new(StageName::Generate, FaultKind::TooLong, message, hint).into());
        }
        match prompt.tokens.iter().find(|token| **token as usize >= width) {
            Some(token) => Err(internal(&format!("token {token} is beyond the vocabulary of {width}"))),
            None => Ok(()),
        }
    }
}

impl Engine for OrtEngine {
    fn card(&self) -> &Card {
        &self.card
    }

    fn encoders(&mut self) -> Option<Box<dyn Encoders>> {
        self.encoders.take().map(|encoders| Box::new(encoders) as Box<dyn Encoders>)
    }

    fn decoding(&self) -> Option<Duration> {
        Some(self.runner.spent())
    }

    fn lost(&self) -> Option<Fatal> {
        let ordinal = self.answering?;
        card_memory(ordinal).is_none().then(|| silent_card(ordinal))
    }

    fn admit(&mut self, slot: Slot, prompt: &mut Prompt) -> Result<Reused, EngineError> {
        let pictures = self.seat_at(slot, prompt)?;
        let tokens = self.prefixes.lend(&prompt.tokens, slot, self.runner.cache());
        self.seat(slot)?.length = tokens;
        let reused = Reused { tokens, pictures };
        tracing::trace!(target: "generate", slot, tokens = prompt.tokens.len(), ?reused, "admitted");
        Ok(reused)
    }

    fn remaining(&self, slot: Slot) -> usize {
        let seat = self.seats.get(slot).and_then(Option::as_ref);
        seat.map_or(0, |seat| seat.tokens.len().saturating_sub(seat.length))
    }

    fn step(&mut self, feeds: &[Feed]) -> Result<(), EngineError> {
        let parts: Vec<Part> = feeds.iter().map(|feed| self.part(feed)).collect::<Result<_, _>>()?;
        if parts.is_empty() {
            return Err(internal("an empty step"));
        }
        match (self.run(&parts), &parts[..]) {
            (Err(EngineError::Unit(fault)), [part]) if part.of_prompt => {
                self.feed_shorter(part.slot, part.tokens.len(), fault)
            }
            (done, _) => done,
        }
    }

    fn logits(&self, slot: Slot, place: usize) -> Option<Logits<'_>> {
        let (run, row) = *self.seats.get(slot)?.as_ref()?.latest.get(place)?;
        self.runs.get(run)?.row(row).map(Logits::Scores)
    }

    fn retract(&mut self, slot: Slot, count: usize) -> Result<(), EngineError> {
        let seat = self.seat(slot)?;
        if count >= seat.latest.len() {
            return Err(internal(&format!("slot {slot} has not guessed {count} tokens")));
        }
        seat.length -= count;
        let length = seat.length;
        match self.runner.cache().retract(slot, length) {
            true => Ok(()),
            false => Err(internal(&format!("slot {slot} cannot be taken back to {length} positions"))),
        }
    }

    fn release(&mut self, slot: Slot) {
        if let Some(seat) = self.seats.get_mut(slot) {
            *seat = None;
            self.runner.cache().forget(slot);
        }
    }
}

fn no_room(part: &Part, most: usize) -> EngineError {
    if !part.of_prompt {
        return internal(&format!("slot {} has no room for {} tokens", part.slot, part.tokens.len()));
    }
    too_long_a_picture(part.tokens.len(), most)
}

fn unseated(slot: Slot) -> EngineError {
    internal(&format!("slot {slot} holds no prompt, or has lost it in a step that failed"))
}

fn too_long_a_picture(tokens: usize, most: usize) -> EngineError {
    let message = format!("a picture of {tokens} soft tokens must be fed at once, {most} fit");
    Fault::new(StageName::Generate, FaultKind::TooLong, message, "lower the budget").into()
}

fn internal(what: &str) -> EngineError {
    Fault::new(StageName::Generate, FaultKind::Internal, what, "please report this").into()
}
