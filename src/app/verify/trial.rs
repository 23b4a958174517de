//! One prompt through the engine in every way in which `run` may take it: encoders, prefill in one piece and in chunks,
//! and decoding steps of several slots at once.

use ndarray::Array2;

use super::comparison::{Comparison, Tolerance, Tolerances};
use crate::{
    base::{Fatal, Model, Prompt},
    bundle::{plain::Evaluated, self_test::KEPT},
    generate::{Card, Device, Engine, EngineError, EngineSettings, Feed, Form, Logits, OrtEngine, Runtime, Settings},
};

/// Prompt tokens of a call when a prompt is fed in chunks: a number that divides nothing.
const CHUNK: usize = 7;

/// Slots that decode the same prompt.
const SLOTS: usize = 2;

/// A bundle under test.
pub struct Trial<'a> {
    runtime: &'a Runtime,
    model: &'a Model,
    tolerances: Tolerances,
    against: &'a str,
    device: Device,
}

impl<'a> Trial<'a> {
    /// `against` names what the engine is held against.
    pub fn new(runtime: &'a Runtime, model: &'a Model, against: &'a str, device: Device) -> Self {
        Self { runtime, model, tolerances: Tolerances::of(model), against, device }
    }

    /// Feeds the prompt to every form of the decoder where the processor is named, else to the one that a run would take,
    /// and compares everything that comes out. Where it is not named, `notes` are told which device it was.
    pub fn run(
        &self,
        prompt: &Prompt,
        expected: &Evaluated,
        notes: &mut Vec<String>,
    ) -> Result<Vec<Comparison>, Fatal> {
        let slots = self.device == Device::Cpu && self.model.manifest.graphs.decoder_slots.is_some();
        let forms: &[(Form, &str)] =
            if slots { &[(Form::Slots, ""), (Form::Sequences, ", public form")] } else { &[(Form::Auto, "")] };
        let mut comparisons = Vec::new();
        for (form, name) in forms {
            let mut engine = self.engine(prompt.tokens.len(), *form)?;
            notes.extend((self.device != Device::Cpu).then(|| ran(self.against, engine.card())));
            if comparisons.is_empty() {
                comparisons.extend(self.features(&mut engine, prompt, expected)?);
            }
            comparisons.extend(self.run_form(&mut engine, prompt, expected, name)?);
        }
        Ok(comparisons)
    }

    fn run_form(
        &self,
        engine: &mut OrtEngine,
        prompt: &Prompt,
        expected: &Evaluated,
        form: &str,
    ) -> Result<Vec<Comparison>, Fatal> {
        let mut comparisons = Vec::new();
        for (chunk, how) in [(prompt.tokens.len(), "in one prefill"), (CHUNK, "in chunks of 7")] {
            engine.set_prefill_chunk(chunk);
            let logits = engine.score_last(0, &mut prompt.clone(), KEPT).map_err(failed)?;
            engine.release(0);
            comparisons.push(self.logits(how, form, &self.rows(logits), expected));
        }
        let slots = decode(engine, prompt).map_err(failed)?;
        let [first, second] = slots.map(|logits| self.rows(logits));
        comparisons.push(self.logits("decoded in a batch of two", form, &first, expected));
        // The second slot takes over what both prompts begin with, so its chunks are others than the first one's: where
        // activations are rounded, that alone may change some by a step.
        let what = format!("logits of two slots against each other{form}");
        comparisons.push(Comparison::new(what, &second, &first, self.tolerances.logits));
        Ok(comparisons)
    }

    fn engine(&self, tokens: usize, decoder: Form) -> Result<OrtEngine, Fatal> {
        let (slots, context, prefill_chunk) = (Some(SLOTS), Some(tokens + 1), tokens.max(1));
        let settings = Settings { slots, context, prefill_chunk, decoder, ..Settings::default() };
        OrtEngine::open(self.runtime, self.model, EngineSettings::new(&settings, self.device))
    }

    fn features(
        &self,
        engine: &mut OrtEngine,
        prompt: &Prompt,
        expected: &Evaluated,
    ) -> Result<Vec<Comparison>, Fatal> {
        let width = self.model.manifest.text.hidden_size;
        let (pictures, sound) = engine.features(prompt).map_err(failed)?;
        let compare = |what: &str, found: Vec<f32>, expected: &Array2<f32>, tolerance: Tolerance| {
            let what = format!("{what} against the {}", self.against);
            Comparison::new(what, &matrix(found, width), expected, tolerance)
        };
        let mut comparisons = Vec::new();
        if !prompt.images.is_empty() {
            comparisons.push(compare("image features", pictures, &expected.image_features, self.tolerances.pictures));
        }
        if !prompt.clips.is_empty() {
            comparisons.push(compare("audio features", sound, &expected.audio_features, self.tolerances.sound));
        }
        Ok(comparisons)
    }

    fn logits(&self, how: &str, form: &str, found: &Array2<f32>, expected: &Evaluated) -> Comparison {
        let what = format!("logits {how} against the {}{form}", self.against);
        Comparison::new(what, found, &expected.logits, self.tolerances.logits)
    }

    fn rows(&self, logits: Vec<f32>) -> Array2<f32> {
        matrix(logits, self.model.manifest.text.vocab_size)
    }
}

fn matrix(values: Vec<f32>, width: usize) -> Array2<f32> {
    Array2::from_shape_vec((values.len() / width.max(1), width), values).unwrap_or_default()
}

/// Prefills all but the last tokens in every slot and feeds these one by one to all slots: the logits of the last
/// positions, per slot.
fn decode(engine: &mut OrtEngine, prompt: &Prompt) -> Result<[Vec<f32>; SLOTS], EngineError> {
    let (start, last) = prompt.tokens.split_at(prompt.tokens.len().saturating_sub(KEPT - 1));
    let mut logits = [const { Vec::new() }; SLOTS];
    for slot in 0..SLOTS {
        engine.admit(slot, &mut Prompt { tokens: start.to_vec(), ..prompt.clone() })?;
        engine.prefill(slot)?;
        collect(engine, &mut logits);
    }
    for &token in last {
        let feeds: Vec<_> = (0..SLOTS).map(|slot| Feed::token(slot, &token)).collect();
        engine.step(&feeds)?;
        collect(engine, &mut logits);
    }
    Ok(logits)
}

fn collect(engine: &OrtEngine, logits: &mut [Vec<f32>; SLOTS]) {
    for (slot, logits) in logits.iter_mut().enumerate() {
        if let Some(Logits::Scores(scores)) = engine.logits(slot, 0) {
            logits.extend_from_slice(scores);
        }
    }
}

/// Which device ran the graphs, and what there is to say of it: why it is the processor after all.
fn ran(against: &str, card: &Card) -> String {
    let Card { device, note, .. } = card;
    let note = if note.is_empty() { String::new() } else { format!("; {note}") };
    format!("{against}: the graphs ran on {device}{note}")
}

fn failed(error: EngineError) -> Fatal {
    match error {
        EngineError::Session(fatal) => fatal,
        EngineError::Unit(fault) => {
            Fatal::new(format!("the engine cannot run the prompt: {}", fault.message), fault.hint)
        }
    }
}
