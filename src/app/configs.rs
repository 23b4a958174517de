//! Which settings decide what comes of a document, kind by kind: a run that goes on with a dataset asks again only where
//! they have changed.

use serde::Serialize;
use serde_json::{Value, json};
use toml::Table;

use super::pipeline::Pipeline;
use crate::{
    base::{Kind, Shape},
    write::Config,
};

/// The settings of a pipeline that concern documents of this kind. `answers` is what answers come from beside the model.
pub fn config(pipeline: &Pipeline, shape: &Shape, answers: &str, kind: Kind) -> Config {
    let own = json!([common(pipeline, shape), of_kind(pipeline, kind), answers]);
    let chances = chances(pipeline);
    Config { answers: hash(&own), failures: hash(&json!([own, chances])), units: hash(&units(pipeline, kind)) }
}

/// What decides every answer.
fn common(pipeline: &Pipeline, shape: &Shape) -> Value {
    let (encode, generate) = (&pipeline.encode, &pipeline.generate);
    let sampler = json!([generate.temperature, generate.top_k, generate.top_p, generate.seed, generate.loop_tokens]);
    let lengths = json!([generate.max_tokens, generate.thinking, generate.thinking_tokens, generate.keeps_thoughts()]);
    let written = written(pipeline);
    json!([encode.system, encode.prompt, encode.schema_in_prompt, sampler, lengths, shape.schema(), written])
}

/// Tables that concern answers as a whole, as they stand in the file. Where the schema lies is nothing to them.
fn written(pipeline: &Pipeline) -> Value {
    let mut table: Table = pipeline.canonical.parse().unwrap_or_default();
    let mut taken = |name: &str| table.remove(name).and_then(|value| serde_json::to_value(value).ok());
    let (mut parse, ladder, reduce) = (taken("parse").unwrap_or_default(), taken("ladder"), taken("reduce"));
    parse.as_object_mut().map(|parse| parse.remove("schema"));
    if reduce.is_some() { json!([parse, ladder, reduce]) } else { json!([parse, ladder]) }
}

fn of_kind(pipeline: &Pipeline, kind: Kind) -> Value {
    let (decode, encode) = (&pipeline.decode, &pipeline.encode);
    match kind {
        Kind::Pdf => json!([encode.budget.to_string(), decode.text_layer, decode.pages_per_unit]),
        Kind::Image => json!([encode.budget.to_string(), decode.pages_per_unit]),
        Kind::Video => json!([encode.frame_budget, told(&decode.video), told(&decode.sound)]),
        Kind::Audio => json!([told(&decode.sound)]),
        Kind::Text => json!([told(&decode.text)]),
    }
}

/// What may stand between a document and its answer, or the end of it: limits, deadlines, passwords, room.
fn chances(pipeline: &Pipeline) -> Value {
    let (decode, generate) = (&pipeline.decode, &pipeline.generate);
    let patience = json!([decode.seconds_without_progress, decode.seconds_per_document, decode.children_per_document]);
    let room = json!([generate.context, generate.step_timeout_s, generate.kv_memory_mb, pipeline.memory_mb]);
    json!([told(&decode.limits), decode.passwords, patience, room])
}

fn units(pipeline: &Pipeline, kind: Kind) -> Value {
    match kind {
        Kind::Pdf | Kind::Image => json!([pipeline.decode.pages, pipeline.decode.pages_per_unit]),
        Kind::Audio | Kind::Video => json!([told(&pipeline.decode.sound)]),
        Kind::Text => json!([told(&pipeline.decode.text)]),
    }
}

fn told(settings: &impl Serialize) -> Value {
    serde_json::to_value(settings).unwrap_or_default()
}

fn hash(told: &Value) -> String {
    blake3::hash(told.to_string().as_bytes()).to_hex().to_string()
}
