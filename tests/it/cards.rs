//! Several engines in one run, one for each card: here on the processor, each with its share of the cores; and what the
//! program says of cards that it cannot have.

use std::{
    convert::Infallible,
    fs,
    path::{Path, PathBuf},
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::Duration,
};

use lapidary::{
    app::{
        gauge::Gauge,
        make::{Answers, FIRST},
        plan,
        report::{Ending, Report},
        run::{self, Request},
    },
    base::{Fatal, Stop},
    collect::Inputs,
    generate::Device,
};
use serde_json::Value;
use tempfile::TempDir;

use crate::{
    cli::{self, code, errors, text},
    continuing::archive::content,
    stuck::poison,
};

const BOTH: &[u32] = &[0, 1];

/// Small answers, so that runs are short.
const SCHEMA: &str = r#"{"type":"object","additionalProperties":false,"required":["a","b"],"properties":
    {"a":{"type":"string","maxLength":24},"b":{"enum":["red","green","blue"]}}}"#;

/// A folder of documents, a pipeline over it, and datasets.
struct Place(TempDir);

impl Place {
    /// So many texts, to be read by a bundle with so many slots for each engine.
    fn of(texts: usize, bundle: &str, slots: usize) -> Self {
        let place = Self(tempfile::tempdir().unwrap());
        fs::create_dir(place.path("in")).unwrap();
        (0..texts).for_each(|number| place.write(&format!("t{number:02}.txt"), &format!("Text number {number}.")));
        fs::write(place.path("schema.json"), SCHEMA).unwrap();
        let pipeline = format!(
            "name = \"cards\"\nmodel = \"{bundle}\"\nallowed_failures = 1.0\n[decode]\nlanes = 2\n[encode]\nbudget = 70\n\
             prompt = \"Describe.\"\n[generate]\nmax_tokens = 96\nslots = {slots}\nthreads = 1\nencoder_threads = 1\n\
             decoder = \"sequences\"\n[parse]\nschema = \"schema.json\"\n[write]\nrows_per_part = 3\n"
        );
        fs::write(place.path("pipeline.toml"), pipeline).unwrap();
        place
    }

    /// To be read by the tiny bundle.
    fn tiny(texts: usize) -> Self {
        Self::of(texts, &format!("{}/onnx/tiny", env!("CARGO_MANIFEST_DIR")), 2)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// Writes a document.
    fn write(&self, name: &str, text: &str) {
        fs::write(self.path("in").join(name), text).unwrap();
    }

    /// Takes a fixture for a document.
    fn take(&self, fixture: &str, name: &str) {
        let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures");
        fs::copy(fixtures.join(fixture), self.path("in").join(name)).unwrap();
    }

    /// Runs with an engine for each ordinal.
    fn run(&self, out: &str, ordinals: &[u32]) -> Result<Report, Fatal> {
        self.run_until(out, ordinals, &Gauge::default(), &Stop::default())
    }

    fn run_until(&self, out: &str, ordinals: &[u32], gauge: &Gauge, stop: &Stop) -> Result<Report, Fatal> {
        let request = Request {
            plan: plan::Request { pipeline: self.path("pipeline.toml"), ..plan::Request::default() },
            inputs: Inputs { paths: vec![text(&self.path("in")).to_owned()], ..Inputs::default() },
            output: self.path(out),
            retry_failures: false,
            continues: &|_| (),
            limit: None,
            answers: Answers::Model(Device::Cpu, ordinals),
            program: Some(env!("CARGO_BIN_EXE_lapidary").into()),
            give_up,
        };
        run::run(request, gauge, stop)
    }

    /// Runs with both engines and asks the run to stop once three units are settled.
    fn run_and(&self, out: &str, ask: fn(&Stop)) -> Report {
        let (gauge, stop, over) = (Gauge::default(), Stop::default(), AtomicBool::new(false));
        let report = thread::scope(|scope| {
            scope.spawn(|| {
                while gauge.settled.get() < 3 && !over.load(Ordering::SeqCst) {
                    thread::sleep(Duration::from_millis(1));
                }
                ask(&stop);
            });
            let report = self.run_until(out, BOTH, &gauge, &stop);
            over.store(true, Ordering::SeqCst);
            report
        });
        report.unwrap()
    }

    fn content(&self, out: &str) -> Vec<String> {
        content(&self.path(out))
    }

    fn written_report(&self, out: &str) -> Value {
        serde_json::from_slice(&fs::read(self.path(out).join("run.json")).unwrap()).unwrap()
    }
}

fn give_up(why: &Fatal) -> Infallible {
    panic!("the run is given up: {why}")
}

#[test]
fn two_engines_give_the_rows_of_one_and_the_report_lists_both() {
    let place = Place::tiny(40);
    place.take("documents/receipt.pdf", "page.pdf");
    place.take("pictures/receipt.jpg", "picture.jpg");
    let alone = place.run("one", FIRST).unwrap();
    let both = place.run("two", BOTH).unwrap();
    assert_eq!(place.content("two"), place.content("one"));
    assert_eq!((&both.ending, both.totals.balanced, both.totals.failures), (&Ending::Complete, true, 0));
    assert_eq!(both.totals.answered, alone.totals.answered);

    let [first, second] = &both.engines[..] else { panic!("{:?}", both.engines) };
    assert_eq!((first.ordinal, second.ordinal, first.slots, second.slots), (0, 1, 2, 2));
    assert!(first.units > 0 && second.units > 0, "{:?}", both.engines);
    assert_eq!(first.units + second.units, both.totals.answered);
    for share in [first.busy_share, second.busy_share, both.engine.busy_share] {
        assert!(share.is_some_and(|share| share > 0.0 && share <= 1.0), "{share:?}");
    }
    assert_eq!((both.engine.slots, alone.engine.slots), (4, 2));
    assert!(both.engine.mean_live_slots > 0.0 && both.engine.mean_live_slots <= 4.0);
    assert_eq!(both.engine.kv_bytes, 2 * alone.engine.kv_bytes);
    assert!(both.engine.kv.starts_with("on each of 2 engines: 2 slots of "), "{}", both.engine.kv);
    assert!(both.engine.note.starts_with("2 engines: cpu, engine 0; cpu, engine 1"), "{}", both.engine.note);
    assert_eq!((alone.engine.device.as_str(), both.engine.device.as_str()), ("cpu", "cpu"));
    assert!(!alone.engine.note.contains("engines"), "{}", alone.engine.note);

    let written = place.written_report("two");
    let listed = written["engines"].as_array().unwrap();
    assert_eq!(listed.iter().map(|one| one["ordinal"].as_u64()).collect::<Vec<_>>(), [Some(0), Some(1)]);
    assert!(listed.iter().all(|one| one["device"] == "cpu" && one["slots"] == 2 && one["busy_share"].is_f64()));
    assert_eq!(place.written_report("one")["engines"].as_array().map(Vec::len), Some(1));
}

/// Nothing of what tells rows apart knows how many engines there are.
#[test]
fn what_two_engines_have_answered_holds_for_one() {
    let place = Place::tiny(6);
    place.run("set", BOTH).unwrap();
    let again = place.run("set", FIRST).unwrap();
    assert_eq!((again.totals.answered, again.totals.documents_kept), (0, 6));
}

#[test]
fn a_run_on_two_engines_that_is_asked_to_stop_goes_on_where_it_was() {
    let place = Place::tiny(60);
    place.run("whole", FIRST).unwrap();
    for (out, ending) in [("drained", Ending::Drained), ("aborted", Ending::Aborted)] {
        let report = place.run_and(out, if ending == Ending::Drained { Stop::drain } else { Stop::abort });
        assert_eq!(report.ending, ending);
        assert!(report.totals.rows < 60, "it was asked in time");
        assert!(report.totals.balanced || ending == Ending::Aborted, "what is begun is finished");
        let report = place.run(out, BOTH).unwrap();
        assert_eq!((&report.ending, report.totals.balanced), (&Ending::Complete, true));
        assert_eq!(place.content(out), place.content("whole"), "{out}");
    }
}

/// The bundle finds no memory for any text with `~` (token 369 of its tokenizer), so that each engine soon fails so often
/// in a row that it is at fault itself.
#[test]
fn an_engine_of_no_more_use_ends_the_run_by_its_name_and_the_next_run_goes_on() {
    let place = Place::of(6, "bundle", 1);
    let bundle = place.path("bundle");
    cli::copy_folder(&Path::new(env!("CARGO_MANIFEST_DIR")).join("onnx/tiny"), &bundle);
    poison::add(&bundle, 369, poison::Kind::Memory);
    let later = |number: usize| format!("u{number:02}.txt");
    (0..44).for_each(|number| place.write(&later(number), &format!("No memory ~ for number {number}.")));

    let fatal = place.run("set", BOTH).unwrap_err();
    assert!(fatal.message.starts_with("cpu, engine "), "{}", fatal.message);
    assert!(fatal.message.contains("times in a row"), "{}", fatal.message);
    let report = place.written_report("set");
    assert_eq!(report["status"], "failed");
    assert_eq!(report["why"], fatal.message.as_str());
    assert_eq!(report["engines"].as_array().map(Vec::len), Some(2));

    (0..44).for_each(|number| place.write(&later(number), &format!("Memory for number {number}.")));
    let report = place.run("set", BOTH).unwrap();
    assert_eq!((&report.ending, report.totals.balanced), (&Ending::Complete, true));
    assert!(report.totals.kept > 0 && report.totals.kept + report.totals.answered == 50, "{:?}", report.totals);
    place.run("fresh", FIRST).unwrap();
    assert_eq!(place.content("set"), place.content("fresh"));
}

/// Runs the program over the fixtures with these arguments too; nothing may come of it.
fn refused(more: &[&str]) -> String {
    let folder = tempfile::tempdir().unwrap();
    let set = folder.path().join("set");
    let usual = ["run", "pipelines/demo.toml", "fixtures/pictures", "--output", text(&set)];
    let output = cli::run(&[&usual[..], more].concat());
    assert_eq!(code(&output), 2, "{more:?}: {}", errors(&output));
    assert!(!set.join("run.json").exists(), "{more:?}");
    errors(&output)
}

#[test]
fn cards_that_cannot_be_meant_are_refused_with_the_reason() {
    for (more, words) in [
        (&["--devices", "0,1,0"][..], "names card 0 twice"),
        (&["--devices", "3", "--devices", "3"], "names card 3 twice"),
        (&["--devices", "0,1", "--device", "cpu"], "`--device cpu` runs on none"),
        (&["--devices", ""], "--devices"),
        (&["--devices", "0,"], "--devices"),
        (&["--devices", "first"], "--devices"),
        (&["--devices", "4294967295"], "--devices"),
        (&["--devices", "0", "--replay", "answers.json"], "--replay"),
    ] {
        let told = refused(more);
        assert!(told.contains(words), "{more:?}: {told}");
    }
}

#[test]
fn cards_that_cannot_be_had_are_an_error_and_never_fall_back() {
    for more in [&["--devices", "97,98"][..], &["--devices", "97"]] {
        let told = refused(more);
        assert!(told.contains("cuda:97") && told.contains("does not fall back to the processor"), "{told}");
        assert!(told.contains("leave out `--devices`"), "{told}");
        let told = refused(&[more, &["--device", "cuda"]].concat());
        assert!(told.contains("cuda:97"), "{told}");
    }
}
