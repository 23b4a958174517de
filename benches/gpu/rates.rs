//! Tokens a second: of prompts of several lengths, and of decoding so many sequences together.
//!
//! Decoding is the loop of a run without its grammar: a step of the engine over all slots, and the likeliest token of
//! each by the sampler. `decode_step` is the step alone, in milliseconds, so that what choosing costs can be told
//! apart.

use lapidary::{
    base::{Fatal, model::Manifest},
    generate::{Engine, Feed, OrtEngine},
};
use serde_json::json;

use crate::{
    Bench, Clock, failed,
    prompts::{Taker, ids, prefill, text},
};

/// Steps before anything is measured: kernels are loaded in them.
const LEAD: usize = 8;

pub fn run(bench: &Bench) -> Result<(), Fatal> {
    let arguments = &bench.arguments;
    let plan = Plan {
        slots: arguments.value("--slots", 1)?,
        lengths: arguments.list("--lengths")?,
        short: arguments.value("--short", 32)?,
        steps: arguments.value("--steps", 64)?,
        repeats: arguments.value("--repeats", 3)?,
        manifest: &bench.model.manifest,
    };
    let longest = plan.lengths.iter().copied().max().unwrap_or_default();
    let decoded = plan.short + LEAD + plan.steps * plan.repeats;
    let layout = bench.layout(&bench.settings(plan.slots, longest.max(decoded) + 2)?);
    let mut engine = bench.open(layout)?;
    let mut taker = Taker::new(plan.manifest);
    for length in &plan.lengths {
        plan.prefills(&mut engine, &mut taker, *length, layout.prefill_chunk)?;
    }
    if plan.steps > 0 { plan.decodes(&mut engine, &mut taker) } else { Ok(()) }
}

struct Plan<'a> {
    slots: usize,
    lengths: Vec<usize>,
    /// Tokens before decoding begins.
    short: usize,
    steps: usize,
    repeats: usize,
    manifest: &'a Manifest,
}

impl Plan<'_> {
    /// The first pass of each length is not counted.
    fn prefills(&self, engine: &mut OrtEngine, taker: &mut Taker, length: usize, chunk: usize) -> Result<(), Fatal> {
        for repeat in 0..=self.repeats {
            let prompt = text(ids((10 + repeat) as u64 * 131 + length as u64, length, self.manifest));
            let clock = Clock::start();
            prefill(engine, 0, prompt)?;
            taker.take(engine, 0)?;
            if repeat > 0 {
                clock.say("prefill", length as f64 / clock.seconds(), json!({"length": length, "chunk": chunk}));
            }
            engine.release(0);
        }
        Ok(())
    }

    fn decodes(&self, engine: &mut OrtEngine, taker: &mut Taker) -> Result<(), Fatal> {
        let mut tokens = Vec::new();
        for slot in 0..self.slots {
            prefill(engine, slot, text(ids(5000 + slot as u64, self.short, self.manifest)))?;
            tokens.push(taker.take(engine, slot)?);
        }
        self.pass(engine, taker, &mut tokens, LEAD)?;
        for _ in 0..self.repeats {
            let clock = Clock::start();
            let inside = self.pass(engine, taker, &mut tokens, self.steps)?;
            let facts = || json!({"slots": self.slots, "behind": self.short});
            clock.say("decode", (self.slots * self.steps) as f64 / clock.seconds(), facts());
            clock.say("decode_step", 1000.0 * inside / self.steps as f64, facts());
        }
        Ok(())
    }

    /// Feeds each slot its latest token, so many times. Gives the seconds inside the engine.
    fn pass(&self, engine: &mut OrtEngine, taker: &mut Taker, tokens: &mut [u32], steps: usize) -> Result<f64, Fatal> {
        let mut inside = 0.0;
        for _ in 0..steps {
            let clock = Clock::start();
            let feeds: Vec<Feed> = tokens.iter().enumerate().map(|(slot, token)| Feed::token(slot, token)).collect();
            engine.step(&feeds).map_err(failed)?;
            inside += clock.seconds();
            for (slot, token) in tokens.iter_mut().enumerate() {
                *token = taker.take(engine, slot)?;
            }
        }
        Ok(inside)
    }
}
