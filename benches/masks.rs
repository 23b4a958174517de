//! What the grammar costs beside the model: the time of one token mask and of compiling, over the schemas of the project
//! and of the tests' catalogue, with the full vocabulary of 262,144 tokens.
//!
//! `cargo bench --bench masks`; prints a table for BENCHMARKS.md.

#[allow(dead_code, reason = "the tests use more of it")]
#[path = "../tests/it/catalogue.rs"]
mod catalogue;
#[allow(dead_code, reason = "the tests use more of it")]
#[path = "../tests/it/vocabulary.rs"]
mod vocabulary_of_tests;

use std::{
    fs,
    path::Path,
    time::{Duration, Instant},
};

use lapidary::{
    base::Shape,
    generate::{Guide, Guided, Vocabulary},
};
use serde_json::Value;

/// Answers per schema, and tokens that are drawn before each is closed.
const ANSWERS: u64 = 3;
const DRAWN: usize = 48;

/// Times of one schema.
struct Times {
    name: String,
    compile: Duration,
    masks: Vec<Duration>,
}

fn main() {
    let (vocabulary, _) = vocabulary_of_tests::full_speller();
    let times: Vec<Times> = schemas().into_iter().map(|schema| measure(&vocabulary, schema)).collect();
    println!("| {} schemas, full vocabulary | median | p99 | worst |\n|---|---|---|---|", times.len());
    let mut compiles: Vec<Duration> = times.iter().map(|one| one.compile).collect();
    println!("{}", row("compiling", &mut compiles, &worst(&times, |one| one.compile)));
    let mut masks: Vec<Duration> = times.iter().flat_map(|one| one.masks.clone()).collect();
    let slowest = worst(&times, |one| one.masks.iter().max().copied().unwrap_or_default());
    println!("{}", row("one mask", &mut masks, &slowest));
    let median = worst(&times, |one| percentile(&mut one.masks.clone(), 50));
    println!("\nThe schema with the slowest median mask is {median}.");
}

fn schemas() -> Vec<catalogue::Named> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("schemas");
    let entries = fs::read_dir(folder).expect("the folder is there");
    let own = entries.map(|entry| {
        let path = entry.expect("a file").path();
        let text = fs::read_to_string(&path).expect("readable");
        (path.file_name().unwrap_or_default().display().to_string(), serde_json::from_str(&text).expect("JSON"))
    });
    own.chain(catalogue::schemas()).collect()
}

fn measure(vocabulary: &Vocabulary, (name, schema): (String, Value)) -> Times {
    let guide = Shape::compile(&schema).expect("the schema is supported").guide();
    let start = Instant::now();
    let mut guide = Guide::compile(vocabulary, &guide).expect("the schema can be guided");
    let compile = start.elapsed();
    let masks = (1..=ANSWERS).flat_map(|seed| masks_of(guide.begin(), seed)).collect();
    Times { name, compile, masks }
}

/// The times of the masks of one answer, whose tokens are drawn among those allowed.
fn masks_of(mut guided: Guided, seed: u64) -> Vec<Duration> {
    let (mut state, mut times) = (seed, Vec::new());
    while times.len() < DRAWN && !guided.is_complete() {
        let start = Instant::now();
        let mask = guided.mask().expect("the grammar goes on");
        times.push(start.elapsed());
        let allowed: Vec<u32> = mask.iter().collect();
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        guided.consume(allowed[(state >> 33) as usize % allowed.len()]).expect("the token is allowed");
    }
    times
}

fn percentile(times: &mut [Duration], percent: usize) -> Duration {
    times.sort_unstable();
    times.get((times.len() * percent / 100).min(times.len().saturating_sub(1))).copied().unwrap_or_default()
}

fn worst(times: &[Times], of: impl Fn(&Times) -> Duration) -> String {
    let slowest = times.iter().max_by_key(|one| of(one));
    slowest.map_or(String::new(), |one| format!("{} (`{}`)", told(of(one)), one.name))
}

fn row(what: &str, times: &mut [Duration], worst: &str) -> String {
    format!("| {what} | {} | {} | {worst} |", told(percentile(times, 50)), told(percentile(times, 99)))
}

fn told(time: Duration) -> String {
    match time.as_micros() {
        micros if micros < 1000 => format!("{micros} µs"),
        micros => format!("{:.1} ms", micros as f64 / 1000.0),
    }
}
