//! Runs of the model that never come to an end: one that ONNX Runtime can end between its nodes, and one that it cannot.

mod poison;

use std::{fs, path::Path, time::Duration};

use crossbeam::channel::unbounded;
use lapidary::{
    base::{FaultKind, Item, Prompt, Stop},
    bundle::Dtype,
    generate::{Generator, Settings, Stats},
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

/// A model whose embeddings loop for ages when they are to look up [`POISON`].
fn looping() -> Exported {
    let exported = models::e2b_like(Dtype::F32);
    poison::add(&exported.folder.path().join("bundle"), i64::from(POISON), poison::Kind::Loop);
    exported
}

fn answer(exported: &Exported, settings: Settings, items: Vec<Item<Prompt>>) -> (Stats, Tray) {
    let engine = models::engine(exported, &settings);
    let generator = Generator::new(engine, models::vocabulary(), None, settings).unwrap();
    let (sender, receiver) = unbounded();
    items.into_iter().for_each(|item| sender.send(item).unwrap());
    drop(sender);
    let mut tray = Tray::default();
    let stats = generator.run(receiver, &mut tray, &Stop::default()).unwrap();
    (stats, tray)
}

#[test]
fn a_unit_that_is_stuck_fails_alone_with_what_was_stuck_and_the_others_go_on() {
    let exported = looping();
    let mut poisoned = desk::prompt(2, 20);
    poisoned.tokens[7] = POISON;
    let prompts = [desk::prompt(0, 20), desk::prompt(1, 5), poisoned, desk::prompt(3, 20), desk::prompt(4, 11)];
    let items = || (0..).zip(prompts.clone()).map(|(number, prompt)| desk::item(number, prompt));
    let (stats, tray) = answer(&exported, settings(0.5), items().collect());
    assert_eq!((stats.units, stats.faults), (4, 1), "{:?}", tray.faults);
    let (name, fault) = &tray.faults[0];
    assert_eq!((name.as_str(), fault.kind), ("unit 2", FaultKind::Deadline));
    for word in ["embed_tokens", "20 rows", "stuck"] {
        assert!(fault.message.contains(word), "{word}: {}", fault.message);
    }
    assert!(fault.hint.contains("step_timeout_s"), "{}", fault.hint);
    // What its neighbours say is what they say without it.
    let sound = items().filter(|item| item.origin.source.ordinal != 2).collect();
    let (_, mut alone) = answer(&models::e2b_like(Dtype::F32), settings(0.0), sound);
    let mut tray = tray;
    for tray in [&mut tray, &mut alone] {
        tray.done.sort_by_key(|item| item.origin.source.ordinal);
    }
    let tokens = |tray: &Tray| tray.done.iter().map(|item| item.body.tokens.clone()).collect::<Vec<_>>();
    assert_eq!(tokens(&tray), tokens(&alone));
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
         step_timeout_s = 0.1\n[write]\nseconds_per_part = 1\n[parse]\nschema = \"{}\"\n",
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
