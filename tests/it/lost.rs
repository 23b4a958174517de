//! Cards that run out of memory, or are lost in the middle of a run.

mod failing;

use std::{
    fs,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use crossbeam::channel::{Receiver, unbounded};
use lapidary::{
    app::{
        allowance::Allowance,
        collate::Collator,
        configs,
        gauge::Gauge,
        ladder::Judge,
        line::{Found, Line},
        make,
        plan::{self, Plan},
    },
    base::{ByteBudget, Fatal, FaultKind, ImagePatches, Item, Origin, Outcome, Prompt, Stop, UnitQuota},
    collect::{self, Collect, Inputs},
    generate::{
        Device, Engine, EngineSettings, Feed, Generator, Guide, OrtEngine, ReplayEngine, Runtime, Settings, Stats,
    },
    parse::Parser,
    write::{Claim, Extras, RunIdentity, Totals, Writer},
};
use ndarray::Array2;
use serde_json::{Value, json};
use tempfile::TempDir;

use failing::{Blind, Failing, LOST, SHORT, Seats, UNCLEAR};

use crate::{
    cli::{self, code, errors, text},
    continuing::archive::content,
    generate::desk::{self, Tray},
};

const ANSWER: &str = r#"{"a":"word","n":17}"#;

fn replay(slots: usize) -> ReplayEngine {
    ReplayEngine::new(&[ANSWER.to_owned()], &desk::vocabulary(), desk::END, slots, 200).unwrap()
}

fn guide() -> Guide {
    let schema = json!({
        "type": "object",
        "properties": {
            "a": { "type": "string", "maxLength": 50 },
            "n": { "type": "integer", "minimum": 0, "maximum": 99 },
        },
        "required": ["a", "n"],
        "additionalProperties": false,
    });
    Guide::compile(&desk::vocabulary(), &schema).unwrap()
}

/// So many units, whose prompts have 20 tokens, 21, and so on.
fn items(count: u32) -> Vec<Item<Prompt>> {
    (0..count).map(|number| desk::item(number, desk::prompt(number, 20 + number as usize))).collect()
}

/// Without drafts all answers take as many steps.
fn settings() -> Settings {
    Settings { drafts: false, ..Settings::default() }
}

fn run(engine: impl Engine, count: u32) -> (Stats, Tray) {
    let (stats, tray) = desk::run(engine, desk::vocabulary(), Some(guide()), settings(), items(count));
    assert!(tray.done.iter().all(|item| item.body.text == ANSWER), "whatever failed, the answers are what they are");
    (stats, tray)
}

/// How a run ends that cannot go on, and what came of its units until then.
fn ended(engine: impl Engine, items: Vec<Item<Prompt>>) -> (Fatal, Tray) {
    let generator = Generator::new(engine, desk::vocabulary(), Some(guide()), settings()).unwrap();
    let (sender, receiver) = unbounded();
    items.into_iter().for_each(|item| sender.send(item).unwrap());
    drop(sender);
    let mut tray = Tray::default();
    let fatal = generator.run(receiver, &mut tray, &Stop::default()).unwrap_err();
    (fatal, tray)
}

fn is_prompt(feed: &Feed) -> bool {
    matches!(feed, Feed::Prompt(_))
}

#[test]
fn steps_of_more_slots_than_memory_holds_are_made_of_fewer_and_no_unit_is_lost() {
    let (stats, tray) = run(Failing::new(replay(8), |feeds, _| (feeds.len() > 2).then_some(SHORT)), 20);
    assert_eq!((stats.units, stats.faults, stats.narrowed_to), (20, 0, 2), "{:?}", tray.faults);
}

#[test]
fn a_chunk_that_is_too_much_beside_answers_is_fed_apart_and_the_slots_stay_together() {
    let mixed = |feeds: &[Feed]| feeds.iter().any(is_prompt) && !feeds.iter().all(is_prompt);
    let refused = Arc::new(AtomicUsize::new(0));
    let count = refused.clone();
    let refuse = move |feeds: &[Feed], _: &Seats| {
        mixed(feeds).then(|| {
            count.fetch_add(1, Ordering::Relaxed);
            SHORT
        })
    };
    let (stats, tray) = run(Failing::new(replay(8), refuse), 20);
    assert_eq!((stats.units, stats.faults, stats.narrowed_to), (20, 0, 0), "{:?}", tray.faults);
    assert_eq!(refused.load(Ordering::Relaxed), 1, "from then on they are apart");
}

/// Every third unit finds memory only when nobody is seated beside it: more failures than an engine may have in a row.
#[test]
fn a_unit_that_memory_is_short_for_beside_others_is_tried_again_when_they_have_left() {
    let refused = Arc::new(AtomicUsize::new(0));
    let count = refused.clone();
    let refuse = move |feeds: &[Feed], seats: &Seats| {
        (seats.count() > 1 && seats.any_fed(feeds, |tokens| tokens.is_multiple_of(3))).then(|| {
            count.fetch_add(1, Ordering::Relaxed);
            SHORT
        })
    };
    let (stats, tray) = run(Failing::new(replay(4), refuse), 30);
    assert_eq!((stats.units, stats.faults, stats.narrowed_to), (30, 0, 0), "{:?}", tray.faults);
    assert!(refused.load(Ordering::Relaxed) > 16, "{refused:?} failures show little");
}

#[test]
fn a_unit_that_memory_is_short_for_alone_fails_and_the_others_go_on_together() {
    let refuse = |feeds: &[Feed], seats: &Seats| seats.any_fed(feeds, |tokens| tokens == 33).then_some(SHORT);
    let (stats, tray) = run(Failing::new(replay(4), refuse), 30);
    assert_eq!((stats.units, stats.faults, stats.narrowed_to), (29, 1, 0));
    let (name, fault) = &tray.faults[0];
    assert_eq!((name.as_str(), fault.kind), ("unit 13", FaultKind::Engine));
    assert!(fault.message.contains("memory is short") && fault.message.contains("67108864"), "{}", fault.message);
    assert!(fault.hint.contains("generate.slots") && !fault.message.contains('\n'), "{}", fault.hint);
    let mean = stats.step_slots as f64 / stats.steps as f64;
    assert!(mean > 1.5, "{mean} slots a step: nobody is seated beside another any more");
}

#[test]
fn a_lost_card_ends_the_run_with_its_number_and_no_unit_is_blamed() {
    let refuse = |_: &[Feed], seats: &Seats| (seats.left >= 2).then_some(LOST);
    let (fatal, tray) = ended(Failing::new(replay(3), refuse), items(9));
    assert!((2..=3).contains(&tray.done.len()) && tray.faults.is_empty(), "{:?}", tray.faults);
    for words in ["cuda:1 is lost", "decoding step", "CUDA failure 700: an illegal memory access"] {
        assert!(fatal.message.contains(words), "{words}: {}", fatal.message);
    }
    for words in ["no unit is at fault", "the same command goes on", "dmesg", "Xid", "nvidia-smi"] {
        assert!(fatal.hint.contains(words), "{words}: {}", fatal.hint);
    }
}

#[test]
fn a_card_that_does_not_answer_is_lost_whatever_its_last_error_says() {
    for words in [UNCLEAR, SHORT] {
        let refuse = move |_: &[Feed], seats: &Seats| (seats.left >= 1).then_some(words);
        let lost = Some(Fatal::new("the card cuda:1 is lost: it does not answer", "look at it"));
        let (fatal, tray) = ended(Failing { lost, ..Failing::new(replay(1), refuse) }, items(9));
        assert_eq!((tray.done.len(), tray.faults.len(), fatal.hint.as_str()), (1, 0, "look at it"));
        assert!(fatal.message.starts_with("the card cuda:1 is lost: it does not answer; decoding step"), "{fatal}");
    }
    let refuse = |feeds: &[Feed], seats: &Seats| seats.any_fed(feeds, |tokens| tokens == 22).then_some(UNCLEAR);
    let (stats, tray) = run(Failing::new(replay(1), refuse), 9);
    assert_eq!((stats.units, stats.faults), (8, 1), "a card that answers is not lost");
    assert_eq!(tray.faults[0].0, "unit 2");
}

#[test]
fn a_card_that_is_lost_under_the_encoders_ends_the_run_too() {
    let picture = ImagePatches { pixels: Array2::zeros((9, 768)), positions: Array2::zeros((9, 2)), soft_tokens: 1 };
    let with_picture = |number| Prompt { images: vec![picture.clone()], ..desk::prompt(number, 20) };
    let items = (0..6).map(|number| desk::item(number, with_picture(number))).collect();
    let engine = Failing { encoders: Some(Box::new(Blind)), ..Failing::new(replay(2), |_, _| None) };
    let (fatal, tray) = ended(engine, items);
    assert!(tray.done.is_empty() && tray.faults.is_empty(), "{:?}", tray.faults);
    assert!(fatal.message.contains("cuda:1 is lost: vision encoder: "), "{}", fatal.message);
}

/// Small answers, so that runs are short.
const SCHEMA: &str = r#"{"type":"object","additionalProperties":false,"required":["a","b"],"properties":
    {"a":{"type":"string","maxLength":24},"b":{"enum":["red","green","blue"]}}}"#;

/// A folder of texts, a pipeline over it with the tiny bundle, and datasets.
struct Place(TempDir);

impl Place {
    fn of(texts: usize) -> Self {
        let place = Self(tempfile::tempdir().unwrap());
        fs::create_dir(place.path("in")).unwrap();
        for number in 0..texts {
            fs::write(place.path("in").join(format!("{number:02}.txt")), format!("Text number {number}.")).unwrap();
        }
        fs::write(place.path("schema.json"), SCHEMA).unwrap();
        let root = env!("CARGO_MANIFEST_DIR");
        let pipeline = format!(
            "name = \"lost\"\nmodel = \"{root}/onnx/tiny\"\n[encode]\nprompt = \"Describe.\"\n[generate]\n\
             max_tokens = 96\nslots = 2\nthreads = 1\ndecoder = \"sequences\"\n[parse]\nschema = \"schema.json\"\n\
             [write]\nrows_per_part = 3\n"
        );
        fs::write(place.path("pipeline.toml"), pipeline).unwrap();
        place
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn inputs(&self) -> String {
        text(&self.path("in")).to_owned()
    }

    fn plan(&self) -> Plan {
        Plan::new(&plan::Request { pipeline: self.path("pipeline.toml"), ..plan::Request::default() }).unwrap()
    }

    /// Runs the program to the end, and gives its report.
    fn run(&self, out: &str) -> Value {
        let (pipeline, inputs, set) = (self.path("pipeline.toml"), self.inputs(), self.path(out));
        let output = cli::run(&["run", text(&pipeline), &inputs, "--output", text(&set), "--device", "cpu"]);
        assert_eq!(code(&output), 0, "{}", errors(&output));
        serde_json::from_slice(&fs::read(set.join("run.json")).unwrap()).unwrap()
    }

    /// Runs the same line with the same model on a card that is lost once two units have been answered and their rows
    /// are with the writer. Gives how the run ended, and what was written.
    fn run_until_the_card_is_lost(&self, out: &str) -> (Fatal, Totals) {
        let (plan, stop) = (self.plan(), Stop::default());
        let claim = Claim::take(&self.path(out)).unwrap();
        let (parse, model) = (&plan.pipeline.parse, plan.model().unwrap());
        let config = |kind| configs::config(&plan.pipeline, &plan.shape, "", kind);
        let identity = RunIdentity::new(model.hash.clone(), config);
        let extras = Extras { evidence: parse.evidence, record: parse.record, ..Extras::default() };
        let write = plan.pipeline.write.clone();
        let mut writer = Writer::create(&claim, plan.shape.clone(), extras, write, identity, false).unwrap();
        let (wrote, written) = unbounded();
        let encoder = make::encoder(&plan).unwrap();
        let vocabulary = make::vocabulary(model, &encoder).unwrap();
        let guide = make::guide(&plan, &vocabulary).unwrap();
        let generate = plan.pipeline.generate.clone();
        let generator = Generator::new(losing(&plan, written), vocabulary, Some(guide), generate).unwrap();
        let inputs = Inputs { paths: vec![self.inputs()], ..Inputs::default() };
        let collect = Collect::new(plan.pipeline.collect.clone(), inputs).unwrap();
        let budget = ByteBudget::new(1 << 30);
        let decoder = make::decoder(&plan, &budget, &stop).with_program(env!("CARGO_BIN_EXE_lapidary"));
        let mut judge = Judge::new(plan.shape.clone(), plan.pipeline.ladder.clone()).with_record(parse.record);
        let mut collator = Collator::new(parse.record, plan.shape.clone(), plan.merging.clone());
        let line = Line {
            collect: Box::new(|found| {
                collect.run(&stop, &mut |one| match one {
                    collect::Found::Document(item) => found(Found::Document(item)),
                    other => panic!("{other:?}"),
                });
            }),
            decode: vec![Box::new(decoder)],
            allowance: Allowance {
                quota: UnitQuota::new(None),
                keep: Box::new(|_: &Origin| None),
                whole_documents: false,
            },
            encode: vec![Box::new(encoder)],
            generate: vec![Box::new(|prompts, emit| generator.run(prompts, emit, &stop))],
            parse: Box::new(Parser::of(parse.output, plan.answer.clone()).with_record(parse.record)),
            judge: &mut judge,
            collator: &mut collator,
            write: Box::new(|outcome| match outcome {
                Some(outcome) => {
                    if matches!(outcome, Outcome::Row(_)) {
                        // Nobody listens once the card is lost.
                        let _ = wrote.send(());
                    }
                    writer.accept(outcome);
                    Ok(())
                }
                None => writer.tick(),
            }),
            last_words: Box::new(|why| panic!("{why}")),
            ahead: 2,
        };
        let fatal = line.run(&Gauge::default(), &stop).unwrap_err();
        assert!(stop.aborting(), "the run is over");
        (fatal, writer.interrupt().unwrap())
    }
}

/// The engine of a plan, on a card that is lost when two units have left and as many rows are written.
fn losing(plan: &Plan, written: Receiver<()>) -> impl Engine + use<> {
    let settings = EngineSettings { threads: 1, ..EngineSettings::new(&plan.pipeline.generate, Device::Cpu) };
    let engine = OrtEngine::open(&Runtime::load().unwrap(), plan.model().unwrap(), settings).unwrap();
    let refuse = move |_: &[Feed], seats: &Seats| {
        (seats.left >= 2).then(|| {
            (0..2).for_each(|_| written.recv_timeout(Duration::from_secs(300)).unwrap());
            LOST
        })
    };
    Failing::new(engine, refuse)
}

#[test]
fn after_a_lost_card_the_same_command_goes_on_and_the_dataset_is_whole() {
    let place = Place::of(12);
    let (fatal, totals) = place.run_until_the_card_is_lost("set");
    assert!(fatal.message.contains("cuda:1 is lost") && fatal.hint.contains("the same command goes on"), "{fatal}");
    assert!((2..=3).contains(&totals.rows), "{totals:?}");
    assert_eq!(totals.failures, 0, "the units in the slots are not done, and not failed");

    let report = place.run("set");
    let total = |name: &str| report["totals"][name].as_u64().unwrap_or_else(|| panic!("no {name} in {report}"));
    assert_eq!((report["status"].as_str(), total("failures")), (Some("complete"), 0));
    assert_eq!((total("kept"), total("answered")), (totals.rows, 12 - totals.rows), "each unit is answered once");
    assert_eq!(report["totals"]["balanced"], true);
    place.run("fresh");
    assert_eq!(content(&place.path("set")), content(&place.path("fresh")));
}
