//! The extraction workload in tokens, as benches/peers has it: all units begin alike, each has tokens of its own, and
//! each is answered under the grammar of a schema. Tokens stand in for pictures: whole pages go through `lapidary
//! run`.

use std::{fs, path::Path};

use lapidary::{
    base::{Fatal, Shape},
    generate::{Generator, Guide, Settings, Vocabulary},
};
use serde_json::{Value, json};

use crate::{
    Bench, Clock,
    desk::{self, Answered, Desk},
    prompts::ids,
};

pub fn run(bench: &Bench) -> Result<(), Fatal> {
    let arguments = &bench.arguments;
    let [shared, own, allowance, units, slots] =
        [("--shared", 400), ("--own", 296), ("--allowance", 156), ("--units", 64), ("--slots", 32)]
            .map(|(name, absent)| arguments.value::<usize>(name, absent));
    let (shared, own, allowance, units, slots) = (shared?, own?, allowance?, units?, slots?);
    let settings = Settings { max_tokens: allowance, ..bench.settings(slots, shared + own + allowance)? };
    let manifest = &bench.model.manifest;
    let tokenizer = bench.model.file(&manifest.graphs.tokenizer);
    let vocabulary = Vocabulary::read(&tokenizer, manifest.text.vocab_size, &manifest.tokens.eos)?;
    let guide = guide(&vocabulary, &schema(arguments.text("--schema")?)?)?;
    let engine = bench.open(bench.layout(&settings))?;
    let prompt = |unit: u64| [ids(1, shared, manifest), ids(1000 + unit, own, manifest)].concat();
    let prompts: Vec<Vec<u32>> = (0..units as u64).map(prompt).collect();
    desk::run(Generator::new(engine, vocabulary, Some(guide), settings)?, |desk: &Desk| ask(desk, prompts, slots))
}

/// Hands in all prompts at once, and says what came of it while the engine is still open.
fn ask(desk: &Desk, prompts: Vec<Vec<u32>>, slots: usize) {
    let (units, clock) = (prompts.len(), Clock::start());
    let Answered { seconds, first, tokens } = desk.ask(prompts);
    let facts = json!({"units": units, "slots": slots, "answer": tokens as f64 / units.max(1) as f64, "first": first});
    clock.say("units", units as f64 / seconds, facts);
}

fn schema(path: &str) -> Result<Value, Fatal> {
    let hint = "name a JSON Schema, such as benches/peers/engines/invoice.json";
    let text = fs::read_to_string(Path::new(path)).map_err(|error| Fatal::new(format!("`{path}`: {error}"), hint))?;
    serde_json::from_str(&text).map_err(|error| Fatal::new(format!("`{path}`: {error}"), hint))
}

fn guide(vocabulary: &Vocabulary, schema: &Value) -> Result<Guide, Fatal> {
    let unfit = |problems: String| Fatal::new(format!("the schema cannot be used: {problems}"), "mend the schema");
    let shape = Shape::compile(schema).map_err(|problems| unfit(format!("{problems:?}")))?;
    Guide::compile(vocabulary, &shape.guide()).map_err(|problems| unfit(problems.join("; ")))
}
