//! With any schema, sampler and allowance, what the tiny model finishes is valid: run over the project's own schemas and
//! over the catalogue of shapes.

use std::{fs, path::Path, sync::OnceLock};

use jsonschema::Validator;
use lapidary::{
    base::{Prompt, Shape},
    bundle::{Check, open},
    generate::{
        Card, Device, Engine, EngineError, EngineSettings, Feed, Guide, Logits, OrtEngine, Reused, Runtime, Settings,
        Slot, Vocabulary,
    },
};
use serde_json::Value;

use super::desk;
use crate::{catalogue, vocabulary};

/// Units of one run.
const UNITS: u32 = 3;

/// The schemas are shared out over so many tests, which run side by side.
const SHARES: usize = 2;

/// How tokens are drawn, and how many are allowed beyond what closing takes.
const WAYS: [(f32, usize); 3] = [(0.0, 32), (1.0, 1), (3.0, 16)];

/// The tiny model, loaded once for all schemas.
fn tiny() -> OrtEngine {
    let model = open(&Path::new(env!("CARGO_MANIFEST_DIR")).join("onnx/tiny"), Check::Sizes).unwrap();
    let settings = Settings { slots: Some(UNITS as usize), context: Some(4096), ..Settings::default() };
    let settings = EngineSettings { threads: 1, ..EngineSettings::new(&settings, Device::Cpu) };
    OrtEngine::open(&Runtime::load().unwrap(), &model, settings).unwrap()
}

/// An engine that a generator may have for one run.
struct Lent<'a>(&'a mut OrtEngine);

impl Engine for Lent<'_> {
    fn card(&self) -> &Card {
        self.0.card()
    }

    fn admit(&mut self, slot: Slot, prompt: &mut Prompt) -> Result<Reused, EngineError> {
        self.0.admit(slot, prompt)
    }

    fn remaining(&self, slot: Slot) -> usize {
        self.0.remaining(slot)
    }

    fn step(&mut self, feeds: &[Feed]) -> Result<(), EngineError> {
        self.0.step(feeds)
    }

    fn logits(&self, slot: Slot, place: usize) -> Option<Logits<'_>> {
        self.0.logits(slot, place)
    }

    fn retract(&mut self, slot: Slot, count: usize) -> Result<(), EngineError> {
        self.0.retract(slot, count)
    }

    fn release(&mut self, slot: Slot) {
        self.0.release(slot);
    }
}

/// Read once: it is shared by all runs.
fn vocabulary() -> Vocabulary {
    static VOCABULARY: OnceLock<Vocabulary> = OnceLock::new();
    VOCABULARY.get_or_init(vocabulary::tiny_speller).clone()
}

/// One schema with its checks.
struct Case {
    name: String,
    shape: Shape,
    validator: Validator,
}

impl Case {
    fn new((name, schema): (String, Value)) -> Self {
        let shape = Shape::compile(&schema).unwrap_or_else(|problems| panic!("{name}: {problems:#?}"));
        Self { name, shape, validator: catalogue::validator(&schema) }
    }

    /// Generates in one way and checks all answers.
    fn run(&self, engine: &mut OrtEngine, seed: u64, (temperature, beyond): (f32, usize)) -> usize {
        let vocabulary = vocabulary();
        let guide = Guide::compile(&vocabulary, &self.shape.guide())
            .unwrap_or_else(|problems| panic!("{}: {problems:?}", self.name));
        let settings = Settings { temperature, seed, max_tokens: guide.reserve() + beyond, ..Settings::default() };
        let units = (0..UNITS).map(|unit| desk::item(unit, desk::prompt(seed as u32 + unit, 6))).collect();
        let (_, tray) = desk::run(Lent(engine), vocabulary, Some(guide), settings, units);
        assert!(tray.faults.is_empty(), "{}: {:?}", self.name, tray.faults);
        tray.done.iter().for_each(|item| self.check(&item.body.text));
        tray.done.len()
    }

    fn check(&self, text: &str) {
        let answer: Value = serde_json::from_str(text).unwrap_or_else(|error| panic!("{}: {error}: {text}", self.name));
        let settled = self.shape.settle(answer).unwrap_or_else(|told| panic!("{}: {told:?}: {text}", self.name));
        assert!(catalogue::fits(&self.validator, &settled.record), "{}: {text} became {}", self.name, settled.record);
    }
}

fn of_the_project() -> Vec<catalogue::Named> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("schemas");
    let paths = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    paths.map(|path| (path.display().to_string(), serde_json::from_slice(&fs::read(&path).unwrap()).unwrap())).collect()
}

/// Runs every schema of a share in all ways; returns how many there were and how many answers were finished.
fn run(share: usize) -> (usize, usize) {
    let mut engine = tiny();
    let all = of_the_project().into_iter().chain(catalogue::schemas());
    let cases: Vec<Case> = all.skip(share).step_by(SHARES).map(Case::new).collect();
    let finished =
        (0..).zip(&cases).map(|(seed, case)| WAYS.iter().map(|way| case.run(&mut engine, seed, *way)).sum::<usize>());
    (cases.len(), finished.sum())
}

#[test]
fn every_finished_generation_parses_and_validates() {
    let (schemas, finished) = run(0);
    assert!(schemas > 90, "{schemas}");
    assert_eq!(finished, schemas * WAYS.len() * UNITS as usize);
}

#[test]
fn so_does_the_other_half() {
    let (schemas, finished) = run(1);
    assert!(schemas > 90, "{schemas}");
    assert_eq!(finished, schemas * WAYS.len() * UNITS as usize);
}
