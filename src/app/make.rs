//! From a plan to the stages themselves.

use std::{path::Path, sync::Arc};

use super::{plan::Plan, threads::Shares};
use crate::{
    base::{ByteBudget, Fatal, Model, Stop, UnitQuota, grid::BUDGETS},
    decode::{self, Decoder, Render},
    encode::Encoder,
    generate::{Device, Engine, EngineSettings, Guide, OrtEngine, ReplayEngine, Runtime, Vocabulary},
};

/// Where answers come from.
#[derive(Debug, Clone, Copy)]
pub enum Answers<'a> {
    /// The model, on this device.
    Model(Device),
    /// A file of recorded answers.
    Replay(&'a Path),
}

/// The decoder of one lane.
pub fn decoder(plan: &Plan, budget: &ByteBudget, quota: &UnitQuota, stop: &Stop) -> Decoder {
    let encode = &plan.pipeline.encode;
    let render = Render { page_budget: encode.budget, frame_budget: encode.frame_budget };
    Decoder::new(&plan.pipeline.decode, render, budget.clone(), quota.clone(), stop.clone())
}

/// Starts a decoder child and has it load what it needs, so that a missing library is told before any work.
pub fn probe_decoder() -> Result<(), Fatal> {
    let render = Render { page_budget: BUDGETS[0], frame_budget: BUDGETS[0] };
    let (budget, quota) = (ByteBudget::new(0), UnitQuota::new(Some(0)));
    Decoder::new(&decode::Settings::default(), render, budget, quota, Stop::default()).probe()
}

/// The encoder, to be cloned for each lane.
pub fn encoder(plan: &Plan) -> Result<Encoder, Fatal> {
    Encoder::new(&plan.pipeline.encode, plan.model()?.clone(), &plan.shape.schema().to_string())
}

/// The vocabulary of the plan's bundle, which spells as the encoder's tokenizer does.
pub fn vocabulary(model: &Model, encoder: &Encoder) -> Result<Vocabulary, Fatal> {
    let manifest = &model.manifest;
    let file = model.file(&manifest.graphs.tokenizer);
    let vocabulary = Vocabulary::read(&file, manifest.text.vocab_size, &manifest.tokens.eos)?;
    Ok(vocabulary.with_speller(Arc::new(encoder.tokenizer())))
}

/// The grammar of the answers.
pub fn guide(plan: &Plan, vocabulary: &Vocabulary) -> Result<Guide, Fatal> {
    Guide::compile(vocabulary, &plan.shape.guide()).map_err(|problems| {
        Fatal::new(
            format!("the schema cannot guide decoding: {}", problems.join("; ")),
            "simplify the schema; `lapidary check` tells when it passes",
        )
    })
}

/// The engine, with its sessions open. Loads ONNX Runtime, so it must come before any thread of ours.
pub fn engine(
    plan: &Plan,
    answers: Answers,
    vocabulary: &Vocabulary,
    shares: Shares,
) -> Result<Box<dyn Engine>, Fatal> {
    let (model, settings) = (plan.model()?, &plan.pipeline.generate);
    match answers {
        Answers::Replay(path) => {
            let end = model.manifest.tokens.eos.first().copied().unwrap_or(model.manifest.tokens.pad);
            Ok(Box::new(ReplayEngine::read(path, vocabulary, end, settings.slots, settings.context)?))
        }
        Answers::Model(device) => {
            let threads = settings.threads.unwrap_or(shares.engine);
            let encoder_threads = settings.encoder_threads.unwrap_or(shares.towers);
            let settings = EngineSettings { threads, encoder_threads, ..EngineSettings::new(settings, device) };
            Ok(Box::new(OrtEngine::open(&Runtime::load()?, model, settings)?))
        }
    }
}
