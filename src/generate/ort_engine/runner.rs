//! The decoder in the form that the bundle and the device have: one run for all parts of a step, or a run for each chunk
//! and for each column of tokens.

use std::{iter, time::Duration};

use super::{
    EngineSettings,
    part::{Part, Ran, places},
};
use crate::{
    base::{Fatal, Model},
    generate::{
        cache::Cache,
        cuts::Cuts,
        decoder::Decoder,
        embedder::Embedder,
        engine::Slot,
        footprint,
        network::Opening,
        packed::Packed,
        runtime::{Device, Runtime},
        scores::Scores,
        settings::Form,
        slots,
        splice::Splice,
    },
};

/// Features of the prompt in a slot.
type Splices<'a, 'b> = &'a dyn Fn(Slot) -> Option<&'b Splice>;

/// What runs the steps.
pub(super) enum Runner {
    /// `decoder_slots`.
    Packed(Packed),
    /// The public form, and the token that rows are fed which have nothing to say.
    Sequences(Decoder, u32),
}

impl Runner {
    /// Opens the form that suits. The public form has no slots yet: [`Runner::make_slots`] makes them.
    ///
    /// # Errors
    /// When a form is asked for that there is not, a graph cannot be opened, or memory is short.
    pub(super) fn open(
        runtime: &Runtime,
        model: &Model,
        opening: Opening,
        settings: EngineSettings,
        embedder: &Embedder,
    ) -> Result<Self, Fatal> {
        let Opening { place, .. } = opening;
        let slots = footprint::over_slots(&model.manifest, settings.decoder).filter(|_| place.device == Device::Cpu);
        match (slots, settings.decoder) {
            (Some(name), _) => {
                let room = footprint::room(&model.manifest, settings.context, settings.prefill_chunk);
                Packed::open(runtime, model, name, opening, settings.slots, room).map(Self::Packed)
            }
            (None, Form::Slots) => {
                let message = format!("`{}` has no decoder over slots that runs on {place}", model.manifest.name);
                Err(Fatal::new(message, "leave generate.decoder out, or export the bundle in f32 for the CPU"))
            }
            (None, Form::Auto | Form::Sequences) => {
                let decoder = Decoder::open(runtime, model, opening, embedder)?;
                Ok(Self::Sequences(decoder, model.manifest.tokens.pad))
            }
        }
    }

    /// Makes the slots of the public form, in the place of those that it has. Returns what is worth knowing of them.
    ///
    /// # Errors
    /// When memory is short, or the decoder cannot be run at all.
    pub(super) fn make_slots(
        &mut self,
        embedder: &mut Embedder,
        model: &Model,
        settings: EngineSettings,
    ) -> Result<Option<String>, Fatal> {
        match self {
            Self::Packed(_) => Ok(None),
            Self::Sequences(decoder, _) => slots::make(decoder, embedder, model, settings),
        }
    }

    /// The keys and values.
    pub(super) fn cache(&mut self) -> &mut Cache {
        match self {
            Self::Packed(packed) => packed.cache(),
            Self::Sequences(decoder, _) => decoder.cache(),
        }
    }

    /// Time spent inside runs.
    pub(super) fn spent(&self) -> Duration {
        match self {
            Self::Packed(packed) => packed.spent(),
            Self::Sequences(decoder, _) => decoder.spent(),
        }
    }

    /// True when one run takes any tokens of any slots.
    pub(super) fn takes_any(&self) -> bool {
        matches!(self, Self::Packed(_))
    }

    /// Prompt tokens of one part.
    pub(super) fn prefill_chunk(&self, model: &Model, settings: EngineSettings) -> usize {
        match self {
            Self::Packed(_) => settings.prefill_chunk,
            Self::Sequences(decoder, _) => slots::prefill_chunk(decoder, model, settings),
        }
    }

    /// Runs all parts. `lengths` are those of all slots before.
    pub(super) fn run(
        &mut self,
        embedder: &mut Embedder,
        cuts: &Cuts,
        parts: &[Part],
        lengths: &[usize],
        splices: Splices,
    ) -> ort::Result<Ran> {
        match self {
            Self::Packed(packed) => run_at_once(packed, embedder, cuts, parts, splices),
            Self::Sequences(decoder, pad) => {
                let rows = vec![Vec::new(); parts.len()];
                let ran = Ran { runs: Vec::new(), rows };
                Sequences { decoder, pad: *pad, embedder, cuts, lengths: lengths.to_vec(), ran }.run(parts, splices)
            }
        }
    }
}

fn run_at_once(
    packed: &mut Packed,
    embedder: &mut Embedder,
    cuts: &Cuts,
    parts: &[Part],
    splices: Splices,
) -> ort::Result<Ran> {
    let tokens: Vec<u32> = parts.iter().flat_map(|part| part.tokens.iter().copied()).collect();
    let mut embedded = embedder.embed(&tokens, 1)?;
    let mut first = 0;
    for part in parts {
        if let Some(splice) = splices(part.slot).filter(|_| part.of_prompt) {
            splice.write(&mut embedded.embeddings, part.positions(), first);
        }
        first += part.tokens.len();
    }
    let scores = Scores::new(packed.run(&embedded, &places(parts, cuts))?);
    let mut rows = 0..;
    let rows = parts.iter().map(|part| rows.by_ref().take(part.wanted).map(|row| (0, row)).collect()).collect();
    Ok(Ran { runs: vec![scores], rows })
}

/// A step in several runs.
struct Sequences<'a> {
    decoder: &'a mut Decoder,
    pad: u32,
    embedder: &'a mut Embedder,
    cuts: &'a Cuts,
    /// Of all slots, as far as this step has come.
    lengths: Vec<usize>,
    ran: Ran,
}

impl Sequences<'_> {
    fn run(mut self, parts: &[Part], splices: Splices) -> ort::Result<Ran> {
        let answers = parts.iter().filter(|part| !part.of_prompt).count();
        let in_columns = self.decoder.shares() && answers > 1;
        let alone = |part: &Part| part.of_prompt || !in_columns;
        for (index, part) in parts.iter().enumerate().filter(|(_, part)| alone(part)) {
            self.run_alone(index, part, splices)?;
        }
        if in_columns {
            let columns = parts.iter().filter(|part| !part.of_prompt).map(|part| part.tokens.len()).max();
            (0..columns.unwrap_or(0)).try_for_each(|column| self.run_column(column, parts))?;
        }
        Ok(self.ran)
    }

    fn run_alone(&mut self, index: usize, part: &Part, splices: Splices) -> ort::Result<()> {
        let none = Splice::default();
        let splice = splices(part.slot).filter(|_| part.of_prompt).unwrap_or(&none);
        let embedded = self.embedder.embed_prompt(&part.tokens, part.start, splice)?;
        let (kinds, keep) = (self.cuts.kinds(&part.tokens), part.wanted.max(1));
        let fetched = self.decoder.chunk(part.slot, &embedded, &kinds, part.start, keep)?;
        let run = self.ran.runs.len();
        self.ran.runs.push(Scores::of_last(fetched, keep));
        self.ran.rows[index] = (0..part.wanted).map(|row| (run, row)).collect();
        self.lengths[part.slot] += part.tokens.len();
        Ok(())
    }

    /// One token of each answer that has so many. A slot that has nothing to say is fed padding at the first place that
    /// is not its own yet, where its next real token will overwrite it.
    fn run_column(&mut self, column: usize, parts: &[Part]) -> ort::Result<()> {
        let has = |part: &&(usize, &Part)| !part.1.of_prompt && part.1.tokens.len() > column;
        let members: Vec<(usize, &Part)> = parts.iter().enumerate().filter(|part| has(&part)).collect();
        let slots = || members.iter().map(|(_, part)| part.slot);
        let (Some(first), Some(last)) = (slots().min(), slots().max()) else { return Ok(()) };
        let mut tokens = vec![self.pad; last + 1 - first];
        members.iter().for_each(|(_, part)| tokens[part.slot - first] = part.tokens[column]);
        for slot in first..=last {
            if !self.decoder.cache().make_room(slot, self.lengths[slot], 1) {
                return Err(ort::Error::new(format!("slot {slot} has no room for a token")));
            }
        }
        let embedded = self.embedder.embed(&tokens, tokens.len())?;
        let scores = Scores::new(self.decoder.step(first..last + 1, &embedded, &self.lengths[first..=last])?);
        let run = self.ran.runs.len();
        self.ran.runs.push(scores);
        for (index, part) in members {
            self.lengths[part.slot] += 1;
            let wanted = column + part.wanted >= part.tokens.len();
            self.ran.rows[index].extend(iter::repeat_n((run, part.slot - first), usize::from(wanted)));
        }
        Ok(())
    }
}
