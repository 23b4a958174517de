//! lapidary's side of `cargo xtask bench-peers`: the work that `peers/engines/workload.py` describes, by our engine in
//! this process. What came of it goes to standard output, one JSON object a line.
//!
//! `cargo bench --bench peers -- --model BUNDLE --work WORK.json --what rates|extraction [--spinning true|false]`
//!
//! The rates of decoding come from two runs that differ only in how many tokens they decode, so that opening the model
//! and prefilling drop out.

#[path = "peers/arguments.rs"]
mod arguments;
#[path = "peers/desk.rs"]
mod desk;

use std::{fs, path::Path};

use arguments::Arguments;
use desk::{Answered, Desk};
use lapidary::{
    base::{Fatal, Model, Shape},
    bundle::{Check, open},
    generate::{Device, EngineSettings, Generator, Guide, OrtEngine, Runtime, Settings, Vocabulary},
};
use serde::Deserialize;
use serde_json::{Value, json};

/// Tokens of the shorter of the two runs that decoding is measured with.
const LEAD: usize = 8;

/// An id that ends an answer and that is never an answer's best token: `<unk>`.
const NEVER: u32 = 3;

const HINT: &str = "say --model BUNDLE --work WORK.json --what rates|extraction, or use cargo xtask bench-peers";

/// The file that the Python side writes; its fields are told there.
#[derive(Deserialize, Clone)]
struct Work {
    shared: usize,
    own: usize,
    allowance: usize,
    units: usize,
    slots: usize,
    threads: usize,
    prompt: usize,
    short: usize,
    steps: usize,
    repeats: usize,
    schema: Value,
}

fn main() {
    if let Err(fatal) = run() {
        eprintln!("peers: {}\nhint: {}", fatal.message, fatal.hint);
        std::process::exit(2);
    }
}

fn run() -> Result<(), Fatal> {
    let arguments = Arguments::read(HINT)?;
    let runtime = Runtime::load()?;
    let model = open(Path::new(arguments.text("--model")?), Check::Sizes)?;
    let work = read_work(arguments.text("--work")?)?;
    let spinning = arguments.find("--spinning").map_or(Settings::default().spinning, |word| word == "true");
    let bench = Bench { runtime, model, work, spinning };
    match arguments.text("--what")? {
        "rates" => bench.rates(),
        "extraction" => bench.extraction(),
        other => Err(Fatal::new(format!("`--what {other}` is unknown"), "say rates or extraction")),
    }
}

fn read_work(path: &str) -> Result<Work, Fatal> {
    let hint = "cargo xtask bench-peers writes this file";
    let text = fs::read_to_string(path).map_err(|error| Fatal::new(format!("cannot read `{path}`: {error}"), hint))?;
    serde_json::from_str(&text).map_err(|error| Fatal::new(format!("`{path}`: {error}"), hint))
}

fn say(measure: &str, value: f64) {
    println!("{}", json!({"measure": measure, "value": value}));
}

/// `count` ordinary token ids, as workload.py makes them.
fn ids(stream: u64, count: usize) -> Vec<u32> {
    let id = |place: u64| 1000 + ((stream * 7919 + place * 104_729 + place * place * 31) % 200_003) as u32;
    (0..count as u64).map(id).collect()
}

struct Bench {
    runtime: Runtime,
    model: Model,
    work: Work,
    /// Do threads wait for work busily?
    spinning: bool,
}

impl Bench {
    fn settings(&self, max_tokens: usize) -> Settings {
        let work = &self.work;
        let longest =
            (work.shared + work.own + work.allowance).max(work.prompt + 2).max(work.short + LEAD + work.steps);
        Settings {
            max_tokens,
            slots: Some(work.slots),
            context: Some(longest.next_multiple_of(64)),
            prefill_chunk: work.prompt,
            threads: Some(work.threads),
            spinning: self.spinning,
            ..Settings::default()
        }
    }

    fn vocabulary(&self, ends: &[u32]) -> Result<Vocabulary, Fatal> {
        let manifest = &self.model.manifest;
        Vocabulary::read(&self.model.file(&manifest.graphs.tokenizer), manifest.text.vocab_size, ends)
    }

    /// Opens the engine and lets `script` ask it.
    fn serve<T: Send>(
        &self,
        max_tokens: usize,
        schema: Option<&Value>,
        script: impl FnOnce(&Desk) -> T + Send,
    ) -> Result<T, Fatal> {
        let settings = self.settings(max_tokens);
        let guided = schema.is_some();
        let vocabulary = self.vocabulary(if guided { &self.model.manifest.tokens.eos } else { &[NEVER] })?;
        let guide = schema.map(|schema| guide(&vocabulary, schema)).transpose()?;
        let engine = EngineSettings::new(&settings, Device::Cpu);
        let engine = OrtEngine::open(&self.runtime, &self.model, engine)?;
        desk::run(Generator::new(engine, vocabulary, guide, settings)?, script)
    }

    fn rates(&self) -> Result<(), Fatal> {
        let work = &self.work;
        for (prefill, after) in self.serve(1, None, |desk| self.prefills(desk))?.into_iter().skip(1) {
            say("prefill", work.prompt as f64 / prefill);
            say("prefill_after_shared", work.own as f64 / after);
        }
        let short = self.serve(LEAD, None, |desk| self.decodes(desk))?;
        let long = self.serve(LEAD + work.steps, None, |desk| self.decodes(desk))?;
        for (short, long) in short.into_iter().zip(long).skip(1) {
            say("decode", work.steps as f64 / (long.0 - short.0));
            say("decode_batch", (work.slots * work.steps) as f64 / (long.1 - short.1));
        }
        Ok(())
    }

    /// Seconds of a prompt alone, and of one whose beginning is kept; the first pass warms up.
    fn prefills(&self, desk: &Desk) -> Vec<(f64, f64)> {
        let work = &self.work;
        let after = |stream: u64| [ids(1, work.shared), ids(stream, work.own)].concat();
        (0..=work.repeats as u64)
            .map(|repeat| {
                let alone = desk.ask(vec![ids(10 + repeat, work.prompt)]).seconds;
                // The beginning may have been dropped since; this brings it back.
                desk.ask(vec![after(900 + repeat)]);
                (alone, desk.ask(vec![after(20 + repeat)]).seconds)
            })
            .collect()
    }

    /// Seconds of one sequence alone and of all slots together.
    fn decodes(&self, desk: &Desk) -> Vec<(f64, f64)> {
        let prompts = |repeat: usize, rows: usize| {
            (0..rows).map(|row| ids((30 + 50 * repeat + row) as u64, self.work.short)).collect()
        };
        let pass = |repeat| {
            let alone = desk.ask(prompts(repeat, 1)).seconds;
            (alone, desk.ask(prompts(repeat + 100, self.work.slots)).seconds)
        };
        (0..=self.work.repeats).map(pass).collect()
    }

    fn extraction(&self) -> Result<(), Fatal> {
        let work = &self.work;
        let prompt = |unit: u64| [ids(1, work.shared), ids(1000 + unit, work.own)].concat();
        let ask = |desk: &Desk| desk.ask((0..work.units as u64).map(prompt).collect());
        let Answered { seconds, first, tokens } = self.serve(work.allowance, Some(&work.schema), ask)?;
        say("units_per_minute", 60.0 * work.units as f64 / seconds);
        say("first_row", first);
        say("answer_tokens", tokens as f64 / work.units as f64);
        say("peak_bytes", peak_bytes());
        Ok(())
    }
}

fn guide(vocabulary: &Vocabulary, schema: &Value) -> Result<Guide, Fatal> {
    let unfit = |problems: String| Fatal::new(format!("the schema cannot be used: {problems}"), "mend the schema");
    let shape = Shape::compile(schema).map_err(|problems| unfit(format!("{problems:?}")))?;
    Guide::compile(vocabulary, &shape.guide()).map_err(|problems| unfit(problems.join("; ")))
}

/// The most memory that this process had resident, mapped files included; 0 where the system does not tell.
fn peak_bytes() -> f64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kilobytes = line.and_then(|line| line.split_whitespace().next()?.parse::<f64>().ok());
    1024.0 * kilobytes.unwrap_or_default()
}
