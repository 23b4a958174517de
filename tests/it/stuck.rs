//! Runs of the model that never come to an end, one that ONNX Runtime can end between its nodes and one that it cannot;
//! and runs for which there is no memory.

pub mod poison;

use std::{fs, path::Path, time::Duration};

use lapidary::{
    base::{FaultKind, Item, Prompt},
    bundle::Dtype,
    generate::{Settings, Stats},
};
use serde_json::Value;
use tempfile::TempDir;

use crate::{
    cli,
    generate::{
        desk::{self, Tray},
        models::{self, Exported},
    },
};

/// A token that no other prompt here has.
const POISON: u32 = 280;

fn settings(step_timeout_s: f64) -> Settings {
    let (slots, context) = (Some(3), Some(100));
    Settings { slots, context, max_tokens: 8, step_timeout_s, ..Settings::default() }
}

/// A model whose embeddings do that when they are to look up [`POISON`].
fn poisoned(kind: poison::Kind) -> Exported {
    let exported = models::e2b_like(Dtype::F32);
    poison::add(&exported.folder.path().join("bundle"), i64::from(POISON), kind);
    exported
}

/// Five units, of which the third is poisoned.
fn items() -> impl Iterator<Item = Item<Prompt>> {
    let lengths = [20, 5, 20, 20, 11];
    (0..).zip(lengths).map(|(number, length)| {
        let mut prompt = desk::prompt(number, length);
        if number == 2 {
            prompt.tokens[7] = POISON;
        }
        desk::item(number, prompt)
    })
}

/// The tokens of what was answered, by unit.
fn tokens(mut tray: Tray) -> Vec<(u64, Vec<u32>)> {
    tray.done.sort_by_key(|item| item.origin.source.ordinal);
    tray.done.into_iter().map(|item| (item.origin.source.ordinal, item.body.tokens)).collect()
}

/// What all but the third say in a model that is sound.
fn sound() -> Vec<(u64, Vec<u32>)> {
    let items = items().filter(|item| item.origin.source.ordinal != 2).collect();
    tokens(answer(&models::e2b_like(Dtype::F32), settings(0.0), items).1)
}

fn answer(exported: &Exported, settings: Settings, items: Vec<Item<Prompt>>) -> (Stats, Tray) {
    let engine = models::engine(exported, &settings);
    desk::run(engine, models::vocabulary(), None, settings, items)
}

#[test]
fn a_unit_that_is_stuck_fails_alone_with_what_was_stuck_and_the_others_go_on() {
    let exported = poisoned(poison::Kind::Loop);
    let (stats, tray) = answer(&exported, settings(0.5), items().collect());
    assert_eq!((stats.units, stats.faults), (4, 1), "{:?}", tray.faults);
    let (name, fault) = &tray.faults[0];
    assert_eq!((name.as_str(), fault.kind), ("unit 2", FaultKind::Deadline));
    for word in ["embed_tokens", "20 rows", "stuck"] {
        assert!(fault.message.contains(word), "{word}: {}", fault.message);
    }
    assert!(fault.hint.contains("step_timeout_s"), "{}", fault.hint);
    assert_eq!(tokens(tray), sound(), "its neighbours say what they say without it");
}

#[test]
fn a_unit_for_which_there_is_no_memory_fails_alone_and_the_others_go_on() {
    let (stats, tray) = answer(&poisoned(poison::Kind::Memory), settings(60.0), items().collect());
    assert_eq!((stats.units, stats.faults), (4, 1), "{:?}", tray.faults);
    let (name, fault) = &tray.faults[0];
    assert_eq!((name.as_str(), fault.kind), ("unit 2", FaultKind::Engine));
    assert_eq!(tokens(tray), sound());
}

#[test]
fn a_chunk_that_is_too_long_for_the_engine_is_fed_in_shorter_ones() {
    let items = || (0..3).map(|number| desk::item(number, desk::prompt(number, 90))).collect();
    let settings = |prefill_chunk| Settings { prefill_chunk, slots: Some(1), ..settings(60.0) };
    let (stats, tray) = answer(&poisoned(poison::Kind::Many), settings(256), items());
    assert_eq!((stats.units, stats.faults), (3, 0), "{:?}", tray.faults);
    // 90, 45 and 22 tokens were tried.
    let (_, alone) = answer(&models::e2b_like(Dtype::F32), settings(22), items());
    assert_eq!(tokens(tray), tokens(alone));
}

/// The tiny bundle, poisoned by `~` (token 369), and a pipeline over it.
fn place(kind: poison::Kind) -> TempDir {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let folder = tempfile::tempdir().unwrap();
    let bundle = folder.path().join("bundle");
    cli::copy_folder(&root.join("onnx/tiny"), &bundle);
    poison::add(&bundle, 369, kind);
    let pipeline = format!(
        "name = \"stuck\"\nmodel = \"bundle\"\nallowed_failures = 1.0\n[generate]\nmax_tokens = 160\nslots = 1\n\
         step_timeout_s = 0.3\n[write]\nseconds_per_part = 1\n[parse]\nschema = \"{}\"\n",
        root.join("schemas/demo.json").display()
    );
    fs::write(folder.path().join("pipeline.toml"), pipeline).unwrap();
    let texts = folder.path().join("texts");
    fs::create_dir(&texts).unwrap();
    for (name, text) in [("1.txt", "A note."), ("2.txt", "Another."), ("3.txt", "Stuck ~ here."), ("4.txt", "After.")] {
        fs::write(texts.join(name), text).unwrap();
    }
    folder
}

/// Exit code, what was said, and `run.json`.
fn run(folder: &Path) -> (i32, String, Value) {
    let path = |name: &str| folder.join(name).display().to_string();
    let (pipeline, texts, set) = (path("pipeline.toml"), path("texts"), path("set"));
    let output = cli::run(&["run", &pipeline, &texts, "--output", &set, "--device", "cpu"]);
    let report = fs::read(folder.join("set/run.json")).unwrap_or_else(|error| panic!("{error}: {output:?}"));
    (cli::code(&output), cli::errors(&output), serde_json::from_slice(&report).unwrap())
}

#[test]
fn a_run_with_a_unit_that_can_be_ended_ends_well() {
    let folder = place(poison::Kind::Loop);
    let (code, said, report) = run(folder.path());
    assert_eq!((code, report["status"].as_str()), (0, Some("complete")), "{said}");
    assert_eq!(report["totals"]["failures_by_stage"]["generate"]["deadline"], 1, "{report}");
    assert_eq!(report["totals"]["balanced"], true);
}

#[test]
fn a_run_that_cannot_be_ended_is_given_up_with_its_rows_whole_and_the_cause_named() {
    let folder = place(poison::Kind::Node);
    let (code, said, report) = run(folder.path());
    assert_eq!((code, report["status"].as_str()), (2, Some("failed")), "{said}");
    for text in [report["why"].as_str().unwrap(), &said] {
        assert!(text.contains("embed_tokens") && text.contains("cannot be ended"), "{text}");
    }
    let rows = cli::shown(&folder.path().join("set"), &[]);
    assert_eq!(rows.len() as u64, report["totals"]["rows"].as_u64().unwrap());
    let sources: Vec<&str> = rows.iter().filter_map(|row| row["_source"].as_str()).collect();
    assert!(sources.iter().any(|source| source.ends_with("1.txt")), "{sources:?}");
    assert!(sources.iter().all(|source| !source.ends_with("3.txt")), "{sources:?}");
    assert!(Duration::from_secs_f64(report["seconds"].as_f64().unwrap()) < Duration::from_secs(300), "was it ended?");
}
