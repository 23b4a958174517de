//! The engine that runs the model: four ONNX graphs, and the keys and values of all slots.

mod scoring;

use std::{ops::Range, thread::available_parallelism};

use super::{
    cuts::Cuts,
    decoder::{Decoder, Keep},
    embedder::Embedder,
    encoders::{AudioEncoder, VisionEncoder},
    engine::{Card, Engine, EngineError, Logits, Prefill, Reused, Slot},
    network::Opening,
    prefix::Prefixes,
    raw::Fetched,
    runtime::{Device, Runtime},
    scores::Scores,
    settings::Settings,
    slots,
    splice::{Features, Splice},
};
use crate::base::{Fatal, Fault, FaultKind, Model, Prompt, StageName};

/// How the engine is laid out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EngineSettings {
    /// Where the graphs run.
    pub device: Device,
    /// Units that are decoded together.
    pub slots: usize,
    /// Most tokens of a prompt and its answer together.
    pub context: usize,
    /// Prompt tokens of one prefill call.
    pub prefill_chunk: usize,
    /// Threads of each session.
    pub threads: usize,
    /// True lets idle threads spin.
    pub spinning: bool,
}

impl EngineSettings {
    /// The settings of a pipeline on a device.
    pub fn new(settings: &Settings, device: Device) -> Self {
        Self {
            device,
            slots: settings.slots,
            context: settings.context,
            prefill_chunk: settings.prefill_chunk,
            threads: settings.threads.unwrap_or_else(|| available_parallelism().map_or(1, usize::from)),
            spinning: settings.spinning,
        }
    }
}

/// Runs a model.
pub struct OrtEngine {
    card: Card,
    model: Model,
    prefill_chunk: usize,
    cuts: Cuts,
    embedder: Embedder,
    decoder: Decoder,
    vision: Option<VisionEncoder>,
    audio: Option<AudioEncoder>,
    seats: Vec<Option<Seat>>,
    /// Of the latest step: of one run for all its slots, or of one run for each.
    stepped: Vec<Scores>,
    prefixes: Prefixes,
}

/// What a slot holds.
struct Seat {
    tokens: Vec<u32>,
    splice: Splice,
    /// Positions whose keys and values are in the arena.
    length: usize,
    latest: Latest,
}

/// Where the slot's next scores are.
enum Latest {
    Nowhere,
    Prefilled(Scores),
    /// Run and row of the latest step.
    Stepped(usize, usize),
}

/// One step: a token and its place for each of a range of slots.
struct Rows {
    slots: Range<Slot>,
    tokens: Vec<u32>,
    ends: Vec<usize>,
}

impl OrtEngine {
    /// Opens the sessions of a model.
    ///
    /// # Errors
    /// When a graph cannot be opened, the device cannot be had, the context is longer than the model's, or memory is
    /// short.
    pub fn open(runtime: &Runtime, model: &Model, settings: EngineSettings) -> Result<Self, Fatal> {
        let most = model.manifest.text.max_positions;
        if settings.context >= most {
            let message =
                format!("generate.context is {}, but `{}` was made for {most}", settings.context, model.manifest.name);
            return Err(Fatal::new(message, format!("set generate.context to {} or less", most.saturating_sub(1))));
        }
        let mut reasons = Vec::new();
        for device in settings.device.candidates() {
            match Self::open_on(runtime, model, settings, device) {
                Ok(engine) => return Ok(engine.noting(&reasons)),
                Err(fatal) if settings.device == Device::Auto && device != Device::Cpu => reasons.push(fatal.message),
                Err(fatal) => return Err(fatal),
            }
        }
        Err(Fatal::new("no device can run this bundle", "choose `--device cpu`"))
    }

    fn open_on(runtime: &Runtime, model: &Model, settings: EngineSettings, device: Device) -> Result<Self, Fatal> {
        let opening = Opening { device, threads: settings.threads, spinning: settings.spinning };
        let mut embedder = Embedder::open(runtime, model, opening)?;
        let mut decoder = Decoder::open(runtime, model, opening, &embedder)?;
        let cache = slots::make(&mut decoder, &mut embedder, model, settings)?;
        let remarks: Vec<String> = model.notes.iter().cloned().chain(cache).collect();
        let card = Card {
            engine: "ort",
            device: device.as_str().to_owned(),
            note: remarks.join("; "),
            remarks,
            model: model.manifest.name.clone(),
            slots: settings.slots,
            context: settings.context,
        };
        card.remarks.iter().for_each(|remark| tracing::warn!(target: "generate", "{remark}"));
        tracing::debug!(target: "generate", bytes = decoder.cache().bytes(), "keys and values");
        Ok(Self {
            card,
            model: model.clone(),
            prefill_chunk: slots::prefill_chunk(&decoder, model, settings),
            cuts: Cuts::new(&model.manifest.tokens, &model.manifest.text),
            embedder,
            decoder,
            vision: VisionEncoder::open(runtime, model, opening)?,
            audio: AudioEncoder::open(runtime, model, opening)?,
            seats: (0..settings.slots).map(|_| None).collect(),
            stepped: Vec::new(),
            prefixes: Prefixes::default(),
        })
    }

    fn noting(mut self, reasons: &[String]) -> Self {
        self.card.note = reasons.iter().chain(&self.card.remarks).cloned().collect::<Vec<_>>().join("; ");
        self
    }

    /// Puts a prompt and its features into a free slot. Returns how many of its pictures were known.
    fn seat_at(&mut self, slot: Slot, prompt: &mut Prompt) -> Result<usize, EngineError> {
        self.fits(slot, prompt)?;
        let (pictures, sound, known) = self.encode(prompt)?;
        let manifest = &self.model.manifest;
        let splice = Splice::new(&prompt.tokens, &manifest.tokens, manifest.text.hidden_size, &pictures, &sound)?;
        self.decoder.cache().forget(slot);
        self.seats[slot] = Some(Seat { tokens: prompt.tokens.clone(), splice, length: 0, latest: Latest::Nowhere });
        Ok(known)
    }

    /// Features of pictures and of sound, and how many of the pictures were known.
    fn encode(&mut self, prompt: &mut Prompt) -> Result<(Features, Features, usize), EngineError> {
        let (images, clips) = (std::mem::take(&mut prompt.images), std::mem::take(&mut prompt.clips));
        let none = || Features { rows: Vec::new() };
        let (pictures, known) = match &mut self.vision {
            _ if images.is_empty() => (none(), 0),
            Some(encoder) => encoder.encode(&images)?,
            None => return Err(self.unsupported("pictures", "a vision encoder")),
        };
        let sound = match &mut self.audio {
            _ if clips.is_empty() => none(),
            Some(encoder) => encoder.encode(&clips)?,
            None => return Err(self.unsupported("sound", "an audio encoder")),
        };
        Ok((pictures, sound, known))
    }

    fn unsupported(&self, what: &str, lacking: &str) -> EngineError {
        let message = format!("the prompt holds {what}, but the model `{}` has no {lacking}", self.model.manifest.name);
        let hint = format!("use a bundle with {lacking}, or leave such files out");
        Fault::new(StageName::Generate, FaultKind::Unsupported, message, hint).into()
    }

    fn seat(&mut self, slot: Slot) -> Result<&mut Seat, EngineError> {
        self.seats
            .get_mut(slot)
            .and_then(Option::as_mut)
            .ok_or_else(|| internal(&format!("slot {slot} holds no prompt")))
    }

    fn remaining(&mut self, slot: Slot) -> Result<usize, EngineError> {
        self.seat(slot).map(|seat| seat.tokens.len() - seat.length)
    }

    /// Feeds the slot's next chunk and gives its logits.
    fn next_chunk(&mut self, slot: Slot, keep: Keep) -> Result<Fetched, EngineError> {
        let most = self.prefill_chunk.min(self.decoder.cache().most_at_once());
        let failed = |error: ort::Error| EngineError::failed("prefill", &error);
        let Some(seat) = self.seats.get_mut(slot).and_then(Option::as_mut) else {
            return Err(internal(&format!("slot {slot} holds no prompt")));
        };
        let start = seat.length;
        let end = self.cuts.end(&seat.tokens, start, most);
        let tokens = &seat.tokens[start..end];
        if !self.decoder.cache().make_room(slot, start, tokens.len()) {
            return Err(too_long_a_picture(tokens.len(), self.decoder.cache().most_at_once()));
        }
        let embedded = self.embedder.embed_prompt(tokens, start, &seat.splice).map_err(failed)?;
        let logits = self.decoder.chunk(slot, &embedded, &self.cuts.kinds(tokens), start, keep).map_err(failed)?;
        seat.length = end;
        let beginning = seat.splice.first_place().unwrap_or(seat.tokens.len());
        if (start + 1..=end).contains(&beginning) {
            self.prefixes.learn(&seat.tokens, beginning, slot, self.decoder.cache());
        }
        Ok(logits)
    }

    /// The slots that a step has to cover, with the token and the place of each: a slot that has nothing to say is
    /// fed padding at the first place that is not its own yet, where its next real token will overwrite it.
    fn rows(&self, feeds: &[(Slot, u32)]) -> Result<Rows, EngineError> {
        let slots = || feeds.iter().map(|(slot, _)| *slot);
        let (Some(first), Some(last)) = (slots().min(), slots().max()) else { return Err(internal("an empty step")) };
        let mut tokens = vec![self.model.manifest.tokens.pad; last + 1 - first];
        for (slot, token) in feeds {
            match self.seats.get(*slot).and_then(Option::as_ref) {
                Some(seat) if seat.length >= seat.tokens.len() && seat.length < self.card.context => {
                    tokens[slot - first] = *token;
                }
                _ => return Err(internal(&format!("slot {slot} has no place for a token"))),
            }
        }
        let end = |slot: Slot| self.seats[slot].as_ref().map_or(0, |seat| seat.length);
        Ok(Rows { slots: first..last + 1, tokens, ends: (first..last + 1).map(end).collect() })
    }

    /// One run for a range of slots.
    fn step_together(&mut self, rows: Rows) -> ort::Result<Vec<Scores>> {
        let embedded = self.embedder.embed(&rows.tokens, rows.slots.len())?;
        Ok(vec![Scores::new(self.decoder.step(rows.slots, &embedded, &rows.ends)?)])
    }

    /// One run for each slot.
    fn step_alone(&mut self, feeds: &[(Slot, u32)]) -> ort::Result<Vec<Scores>> {
        let mut stepped = Vec::with_capacity(feeds.len());
        for (slot, token) in feeds {
            let length = self.seats[*slot].as_ref().map_or(0, |seat| seat.length);
            let embedded = self.embedder.embed(&[*token], 1)?;
            stepped.push(Scores::of_last(self.decoder.chunk(*slot, &embedded, &[0], length, Keep::Last)?));
        }
        Ok(stepped)
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

    fn admit(&mut self, slot: Slot, prompt: &mut Prompt) -> Result<Reused, EngineError> {
        let pictures = self.seat_at(slot, prompt)?;
        let tokens = self.prefixes.lend(&prompt.tokens, slot, self.decoder.cache());
        self.seat(slot)?.length = tokens;
        let reused = Reused { tokens, pictures };
        tracing::trace!(target: "generate", slot, tokens = prompt.tokens.len(), ?reused, "admitted");
        Ok(reused)
    }

    fn prefill(&mut self, slot: Slot) -> Result<Prefill, EngineError> {
        if self.remaining(slot)? == 0 {
            return Err(internal(&format!("slot {slot} is already prefilled")));
        }
        let logits = self.next_chunk(slot, Keep::Last)?;
        if self.remaining(slot)? > 0 {
            return Ok(Prefill::More);
        }
        let seat = self.seat(slot)?;
        seat.splice = Splice::default();
        seat.latest = Latest::Prefilled(Scores::of_last(logits));
        Ok(Prefill::Done)
    }

    fn step(&mut self, feeds: &[(Slot, u32)]) -> Result<(), EngineError> {
        let rows = self.rows(feeds)?;
        let first = rows.slots.start;
        for (slot, end) in rows.slots.clone().zip(&rows.ends) {
            if !self.decoder.cache().make_room(slot, *end, 1) {
                return Err(internal(&format!("slot {slot} has no room for a token")));
            }
        }
        let shares = self.decoder.shares();
        let stepped = if shares { self.step_together(rows) } else { self.step_alone(feeds) };
        self.stepped = stepped.map_err(|error| EngineError::failed("decoding step", &error))?;
        for seat in self.seats.iter_mut().flatten().filter(|seat| matches!(seat.latest, Latest::Stepped(..))) {
            seat.latest = Latest::Nowhere;
        }
        for (index, (slot, _)) in feeds.iter().enumerate() {
            let seat = self.seat(*slot)?;
            seat.length += 1;
            seat.latest = if shares { Latest::Stepped(0, slot - first) } else { Latest::Stepped(index, 0) };
        }
        Ok(())
    }

    fn logits(&self, slot: Slot) -> Option<Logits<'_>> {
        let scores = match &self.seats.get(slot)?.as_ref()?.latest {
            Latest::Nowhere => return None,
            Latest::Prefilled(scores) => scores.row(0),
            Latest::Stepped(run, row) => self.stepped.get(*run)?.row(*row),
        };
        scores.map(Logits::Scores)
    }

    fn release(&mut self, slot: Slot) {
        if let Some(seat) = self.seats.get_mut(slot) {
            *seat = None;
            self.decoder.cache().forget(slot);
        }
    }
}

fn too_long_a_picture(tokens: usize, most: usize) -> EngineError {
    let message = format!("a picture of {tokens} soft tokens must be fed at once, {most} fit");
    Fault::new(StageName::Generate, FaultKind::TooLong, message, "lower the budget").into()
}

fn internal(what: &str) -> EngineError {
    Fault::new(StageName::Generate, FaultKind::Internal, what, "please report this").into()
}
