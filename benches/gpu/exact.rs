//! Logits on the device against logits on the processor: a prompt with pictures, longer than the sliding window, in
//! chunks; then several prompts of different lengths, decoded together step by step.
//!
//! The tokens that are decoded are those of the reference, so that all see the same. With `--reference` the reference
//! is that bundle on the processor (f32 of the same weights), else the bundle itself on the processor. Differences
//! are norms over the norm of the reference; `agree` is the share of places where the likeliest token is the same.

use std::path::Path;

use lapidary::{
    base::{Fatal, Model, Prompt},
    bundle::{Check, open},
    generate::{Device, Engine, EngineSettings, Feed, Logits, OrtEngine},
};
use serde_json::json;

use crate::{
    Bench, Clock, failed,
    prompts::{Taker, ids, picture, places, prefill, text},
};

/// Steps that are decoded together.
const STEPS: usize = 6;

/// Pictures of the first prompt, soft tokens across and down; the first is larger than the windows of the small models.
const PICTURES: [(usize, usize); 2] = [(4, 3), (2, 2)];

/// Prompt tokens of one call.
const CHUNK: usize = 48;

pub fn run(bench: &Bench) -> Result<(), Fatal> {
    let named = bench.arguments.find("--reference");
    let reference = named.map(|folder| open(Path::new(folder), Check::Sizes)).transpose()?;
    let expected = course(bench, reference.as_ref().unwrap_or(&bench.model), Device::Cpu, None)?;
    let against = if reference.is_some() { "f32 on cpu" } else { "itself on cpu" };
    if reference.is_some() {
        let clock = Clock::start();
        let beside = course(bench, &bench.model, Device::Cpu, Some(&expected.tokens))?;
        tell(&clock, &beside, &expected, against, Device::Cpu, bench);
    }
    let clock = Clock::start();
    let found = course(bench, &bench.model, bench.device, Some(&expected.tokens))?;
    tell(&clock, &found, &expected, against, bench.device, bench);
    Ok(())
}

/// What an engine makes of everything.
struct Course {
    /// `[positions, vocabulary]` of the first prompt.
    prompt: Vec<f32>,
    /// `[prompts x (1 + steps), vocabulary]`: what follows each prompt, and each token.
    steps: Vec<f32>,
    /// What is fed in each step, one token a prompt.
    tokens: Vec<Vec<u32>>,
}

fn course(bench: &Bench, model: &Model, device: Device, said: Option<&[Vec<u32>]>) -> Result<Course, Fatal> {
    let prompts = prompts(model);
    let longest = prompts.iter().map(|prompt| prompt.tokens.len()).max().unwrap_or_default();
    let mut settings = bench.settings(prompts.len(), longest + STEPS + 2)?;
    settings.prefill_chunk = CHUNK;
    let mut engine = OrtEngine::open(&bench.runtime, model, EngineSettings::new(&settings, device))?;
    let mut whole = prompts[0].clone();
    let prompt = engine.score(0, &mut whole).map_err(failed)?;
    engine.release(0);
    let mut course = Course { prompt, steps: Vec::new(), tokens: Vec::new() };
    decode(&mut engine, prompts, model, said, &mut course)?;
    Ok(course)
}

fn decode(
    engine: &mut OrtEngine,
    prompts: Vec<Prompt>,
    model: &Model,
    said: Option<&[Vec<u32>]>,
    course: &mut Course,
) -> Result<(), Fatal> {
    let slots = prompts.len();
    let mut taker = Taker::new(&model.manifest);
    let mut next = Vec::new();
    for (slot, prompt) in prompts.into_iter().enumerate() {
        prefill(engine, slot, prompt)?;
        next.push(taker.take(engine, slot)?);
        course.steps.extend(scores(engine, slot));
    }
    for step in 0..STEPS {
        let tokens = said.and_then(|said| said.get(step)).cloned().unwrap_or(next);
        let feeds: Vec<Feed> = tokens.iter().enumerate().map(|(slot, token)| Feed::token(slot, token)).collect();
        engine.step(&feeds).map_err(failed)?;
        next = (0..slots).map(|slot| taker.take(engine, slot)).collect::<Result<_, _>>()?;
        (0..slots).for_each(|slot| course.steps.extend(scores(engine, slot)));
        course.tokens.push(tokens);
    }
    Ok(())
}

/// What follows in a slot; nothing where the engine does not tell, which the comparison takes for a difference.
fn scores(engine: &OrtEngine, slot: usize) -> Vec<f32> {
    match engine.logits(slot, 0) {
        Some(Logits::Scores(scores)) => scores.to_vec(),
        _ => Vec::new(),
    }
}

/// Three prompts: with pictures (where the model sees) and longer than two windows; short; and between.
fn prompts(model: &Model) -> Vec<Prompt> {
    let (manifest, tokens) = (&model.manifest, &model.manifest.tokens);
    let long = (2 * manifest.text.sliding_window + 37).min(manifest.text.max_positions / 2);
    let opening = |stream: u64, count: usize| [vec![tokens.bos], ids(stream, count, manifest)].concat();
    let mut first = text(opening(1, long / 2));
    if manifest.vision.is_some() {
        first.budget = 70;
        for (number, (across, down)) in PICTURES.into_iter().enumerate() {
            let picture = picture(7 + number as u64, across, down);
            first.tokens.extend(places(&picture, tokens));
            first.tokens.extend(ids(11 + number as u64, 5, manifest));
            first.images.push(picture);
        }
    }
    first.tokens.extend(ids(2, long / 2, manifest));
    vec![first, text(opening(3, 9)), text(opening(4, long - long / 4))]
}

fn tell(clock: &Clock, found: &Course, expected: &Course, against: &str, on: Device, bench: &Bench) {
    let width = bench.model.manifest.text.vocab_size;
    let pairs = [("prompt", &found.prompt, &expected.prompt), ("steps", &found.steps, &expected.steps)];
    for (what, found, expected) in pairs {
        let facts = json!({
            "what": what,
            "against": against,
            "on": on.as_str(),
            "agree": agreement(found, expected, width),
        });
        clock.say("difference", distance(found, expected), facts);
    }
}

/// The norm of the difference over that of what is expected; infinite where there is not as much of both. JSON has no
/// such number, nor one for what is none: both become `null`.
fn distance(found: &[f32], expected: &[f32]) -> f64 {
    if found.len() != expected.len() || expected.is_empty() {
        return f64::INFINITY;
    }
    let square = |value: f32| f64::from(value) * f64::from(value);
    let error: f64 = found.iter().zip(expected).map(|(a, b)| square(a - b)).sum();
    (error / expected.iter().copied().map(square).sum::<f64>()).sqrt()
}

/// The share of rows whose highest scores are at the same place.
fn agreement(found: &[f32], expected: &[f32], width: usize) -> f64 {
    let highest = |row: &[f32]| (0..row.len()).max_by(|a, b| row[*a].total_cmp(&row[*b]));
    let rows = found.chunks(width.max(1)).zip(expected.chunks(width.max(1)));
    let (alike, all) = rows.fold((0_u32, 0_u32), |(alike, all), (found, expected)| {
        (alike + u32::from(highest(found) == highest(expected)), all + 1)
    });
    f64::from(alike) / f64::from(all.max(1))
}
