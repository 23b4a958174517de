//! From a plan to the stages themselves.

use std::{path::Path, sync::Arc};

use super::{engines, pipeline::Pipeline, plan::Plan, prepare, threads::Shares};
use crate::{
    base::{ByteBudget, Fatal, Model, Output, Stop},
    decode::{self, Decoder, Reached, Render, Sandbox},
    encode::{Encoder, Manner},
    generate::{
        Capacity, Device, Engine, EngineSettings, Guide, Keeping, OrtEngine, ReplayEngine, Runtime, Spare, Vocabulary,
        declared_element,
    },
};

/// The first card, or the processor.
pub const FIRST: &[u32] = &[0];

/// Where answers come from.
#[derive(Debug, Clone, Copy)]
pub enum Answers<'a> {
    /// The model, on this device: an engine on each of these cards, as CUDA counts them; at least one. On the processor
    /// there are as many engines, and [`FIRST`] is one.
    Model(Device, &'a [u32]),
    /// A file of recorded answers.
    Replay(&'a Path),
}

impl<'a> Answers<'a> {
    /// Where the graphs run, if any do. Whoever names cards wants cards: then `auto` is CUDA.
    pub fn device(&self) -> Device {
        match self {
            Self::Model(Device::Auto, ordinals) if *ordinals != FIRST => Device::Cuda,
            Self::Model(device, _) => *device,
            Self::Replay(_) => Device::Cpu,
        }
    }

    /// One for each engine.
    pub fn ordinals(&self) -> &'a [u32] {
        match self {
            Self::Model(_, ordinals) => ordinals,
            Self::Replay(_) => FIRST,
        }
    }
}

/// The decoder of one lane.
pub fn decoder(plan: &Plan, budget: &ByteBudget, stop: &Stop) -> Decoder {
    let settings = &plan.pipeline.decode;
    let decoder = Decoder::new(settings, render(&plan.pipeline), budget.clone(), stop.clone());
    decoder.with_rungs(plan.pipeline.ladder.rungs()).with_sandbox(plan.sandbox)
}

/// The sizes at which the pipeline wants pages and frames.
pub fn render(pipeline: &Pipeline) -> Render {
    Render { page_budget: pipeline.encode.budget, frame_budget: pipeline.encode.frame_budget }
}

/// Starts a decoder child, has it raise its walls and load what it needs, so that what is missing is told before any work.
pub fn probe_decoder(settings: &decode::Settings, sandbox: Sandbox) -> Result<Reached, Fatal> {
    Decoder::new(settings, Render::SMALLEST, ByteBudget::new(0), Stop::default()).with_sandbox(sandbox).probe()
}

/// The encoder, to be cloned for each lane.
pub fn encoder(plan: &Plan) -> Result<Encoder, Fatal> {
    let schema = plan.answer.schema().to_string();
    let encoder = Encoder::in_manner(&plan.pipeline.encode, plan.model()?.clone(), &schema, &manner(plan)?)?;
    Ok(encoder.with_rungs(plan.pipeline.ladder.rungs()))
}

/// What the pipeline says of the way in which the model answers.
fn manner(plan: &Plan) -> Result<Manner, Fatal> {
    let function = match plan.pipeline.parse.output {
        Output::Json => None,
        Output::ToolCall => Some(plan.answer.function().map_err(unguidable)?),
    };
    Ok(Manner { thinking: plan.pipeline.generate.thinking, function })
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
    Guide::compile_as(plan.pipeline.parse.output, vocabulary, &plan.answer.guide()).map_err(unguidable)
}

fn unguidable(problems: Vec<String>) -> Fatal {
    Fatal::new(
        format!("the schema cannot guide decoding: {}", problems.join("; ")),
        "simplify the schema; `lapidary check` tells when it passes",
    )
}

/// How many slots of how many tokens each engine gets.
pub fn capacity(plan: &Plan, encoder: &Encoder, answers: Answers) -> Result<Capacity, Fatal> {
    let (model, settings, decode) = (plan.model()?, &plan.pipeline.generate, &plan.pipeline.decode);
    let manifest = &model.manifest;
    let (pages, frames) = (decode.pages_per_unit as usize, decode.video.frames as usize);
    let read_again = plan.pipeline.reduce.as_ref().map_or(0, |reduce| reduce.longest);
    let characters = read_again.max(decode.text.longest.unwrap_or(0) as usize);
    let longest = encoder.longest(pages, frames, decode.limits.seconds, characters);
    let prompt = longest.map_err(|fault| Fatal::new(fault.message, fault.hint))?;
    let spare = engines::spare(answers, weights(model));
    // The embeddings are looked up on the processor.
    let spare = Spare { weights: spare.weights - if spare.device == Device::Cpu { 0 } else { tables(model) }, ..spare };
    let element = declared_element(manifest, settings.decoder, spare.device);
    let (layout, device, prefill_chunk) = (model.layout, spare.device, settings.prefill_chunk);
    let keeping = Keeping { manifest, layout, device, element, prefill_chunk };
    let capacity = Capacity::choose(&keeping, settings, prompt, spare)?;
    pages_fit(plan, encoder, capacity.context)?;
    texts_fit(plan, encoder, capacity.context, characters)?;
    Ok(capacity)
}

/// Bytes of a model's files.
fn weights(model: &Model) -> u64 {
    model.manifest.files.values().map(|file| file.bytes).sum()
}

/// Bytes of the graph of the embeddings and its tables.
fn tables(model: &Model) -> u64 {
    let graph = &model.manifest.graphs.embed_tokens;
    model.manifest.files.iter().filter(|(name, _)| name.starts_with(graph)).map(|(_, file)| file.bytes).sum()
}

/// Texts and notes as long as the pipeline lets them be must fit the context with their answer.
fn texts_fit(plan: &Plan, encoder: &Encoder, context: usize, characters: usize) -> Result<(), Fatal> {
    let answer = plan.pipeline.generate.most_new_tokens();
    let prompt = |characters| encoder.longest_text(characters).map_err(|fault| Fatal::new(fault.message, fault.hint));
    let needed = prompt(characters)?;
    if characters == 0 || needed.saturating_add(answer) <= context {
        return Ok(());
    }
    let fitting = context.saturating_sub(answer).saturating_sub(prompt(0)?).saturating_mul(3);
    Err(Fatal::new(
        format!(
            "a text, or notes, of {characters} characters may take {needed} tokens and their answer {answer}, but the context has {context}"
        ),
        format!("lower `longest` of `[decode.text]` and `[reduce]` to {fitting}, or raise `[generate] context`"),
    ))
}

/// Pages that are shown together must fit the context with their answer, or none of them would come through.
fn pages_fit(plan: &Plan, encoder: &Encoder, context: usize) -> Result<(), Fatal> {
    let pages = plan.pipeline.decode.pages_per_unit as usize;
    let answer = plan.pipeline.generate.most_new_tokens();
    let prompt =
        |pages: usize| encoder.longest(pages, 0, 0.0, 0).map_err(|fault| Fatal::new(fault.message, fault.hint));
    let needed = prompt(pages)?;
    if pages == 1 || needed.saturating_add(answer) <= context {
        return Ok(());
    }
    let mut fitting = pages - 1;
    while fitting > 1 && prompt(fitting)?.saturating_add(answer) > context {
        fitting -= 1;
    }
    Err(Fatal::new(
        format!(
            "[decode] `pages_per_unit` is {pages}: so many pages may take {needed} tokens and their answer {answer}, but the \
             context has {context}"
        ),
        format!("lower `pages_per_unit` to {fitting}, lower `budget` under [encode], or raise generate.context"),
    ))
}

/// An engine, with its sessions open; on a card the one with this ordinal. Loads ONNX Runtime, so it must come before any
/// thread of ours.
pub fn engine(
    plan: &Plan,
    answers: Answers,
    ordinal: u32,
    vocabulary: &Vocabulary,
    shares: Shares,
    capacity: &Capacity,
    stop: &Stop,
) -> Result<Box<dyn Engine>, Fatal> {
    let Capacity { slots, context, .. } = *capacity;
    let (model, settings) = (plan.model()?, &plan.pipeline.generate);
    match answers {
        Answers::Replay(_) if plan.pipeline.speaks_in_marks() => Err(Fatal::new(
            "recorded answers are JSON: they hold no thoughts and no calls",
            "leave out `thinking` and `output` for a run with recorded answers",
        )),
        Answers::Replay(path) => {
            let end = model.manifest.tokens.eos.first().copied().unwrap_or(model.manifest.tokens.pad);
            Ok(Box::new(ReplayEngine::read(path, vocabulary, end, slots, context)?))
        }
        Answers::Model(..) => {
            let threads = settings.threads.unwrap_or(shares.engine);
            let encoder_threads = settings.encoder_threads.unwrap_or(shares.towers);
            let buckets = Some(prepare::buckets(&plan.pipeline, model));
            let plain = EngineSettings::new(settings, answers.device());
            let lanes = EngineSettings { threads, encoder_threads, slots, context, ..plain };
            let settings = EngineSettings { ordinal, buckets, ..lanes };
            Ok(Box::new(OrtEngine::open(&Runtime::load()?, model, settings)?.heed(stop)))
        }
    }
}
