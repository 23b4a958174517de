//! The walls around a child: each stops what it is there to stop, and is proved to be what stops it by a child without it.

use std::{
    path::{Path, PathBuf},
    process::Command,
    thread,
    time::{Duration, Instant},
};

use lapidary::{
    base::{Kind, Stage},
    decode::{
        Level, Sandbox, Settings, Walls,
        proof::{Deed, Outcome, attempt},
    },
};

use super::{Emitted, decoder, fixture, item};

const MEMORY: u64 = 1 << 30;

const PATIENCE: Duration = Duration::from_secs(60);

fn program() -> &'static Path {
    Path::new(env!("CARGO_BIN_EXE_lapidary"))
}

fn within(most: Level, deed: &Deed) -> Outcome {
    attempt(program(), &Walls { most, memory: MEMORY, ffmpeg: None }, deed, PATIENCE).unwrap()
}

/// What stopped the deed within walls of this level; `None` with a loud word where the kernel does not have them.
fn stopped_at(most: Level, deed: &Deed) -> Option<String> {
    let outcome = within(most, deed);
    if outcome.reached.level < most {
        eprintln!("SKIPPED: this machine reaches {}; `{deed}` is not tried at {most}", outcome.reached);
        return None;
    }
    Some(outcome.stopped.unwrap_or_else(|| panic!("a child within {most} walls could {deed}")))
}

fn assert_stopped(most: Level, deed: &Deed, words: &[&str]) {
    if let Some(stopped) = stopped_at(most, deed) {
        assert!(words.iter().any(|word| stopped.contains(word)), "{deed}: {stopped}");
    }
}

fn fresh(folder: &tempfile::TempDir) -> PathBuf {
    folder.path().join("fresh")
}

#[test]
fn without_walls_a_child_does_what_it_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let deeds = [
        Deed::Read { path: "/etc/passwd".into() },
        Deed::Write { path: fresh(&folder), bytes: 1 << 20 },
        Deed::Connect,
        Deed::Start { program: "/bin/true".into() },
        Deed::Signal,
        Deed::Allocate { bytes: MEMORY },
        Deed::Open { files: 100 },
    ];
    for deed in deeds {
        let outcome = within(Level::None, &deed);
        assert_eq!((outcome.reached.level, outcome.stopped), (Level::None, None), "{deed}");
    }
}

#[test]
fn limits_stop_what_grows() {
    let folder = tempfile::tempdir().unwrap();
    assert_stopped(Level::Limits, &Deed::Allocate { bytes: MEMORY }, &["memory allocation failed"]);
    assert_stopped(Level::Limits, &Deed::Open { files: 100 }, &["Too many open files"]);
    assert_stopped(Level::Limits, &Deed::Write { path: fresh(&folder), bytes: 1 << 20 }, &["SIGXFSZ", "too large"]);
    assert_stopped(Level::Limits, &Deed::Loop { seconds: 0.0 }, &["seconds_per_document"]);
}

#[test]
fn a_child_that_loops_within_its_processor_time_is_killed_from_outside() {
    let walls = Walls { most: Level::Full, memory: MEMORY, ffmpeg: None };
    let outcome = attempt(program(), &walls, &Deed::Loop { seconds: 3600.0 }, Duration::from_secs(6)).unwrap();
    assert!(outcome.stopped.unwrap().contains("no progress for 6 s"));
}

#[test]
fn system_calls_stop_what_reaches_out() {
    let folder = tempfile::tempdir().unwrap();
    let deeds = [
        Deed::Write { path: fresh(&folder), bytes: 0 },
        Deed::Connect,
        Deed::Start { program: "/bin/true".into() },
        Deed::Trace,
        Deed::Signal,
    ];
    for deed in deeds {
        assert_stopped(Level::Seccomp, &deed, &["Operation not permitted"]);
    }
    assert!(!fresh(&folder).exists());
}

#[test]
fn a_child_reads_no_file_that_it_was_not_handed() {
    for path in ["/etc/passwd", "/proc/self/environ", "/dev/null"] {
        assert_stopped(Level::Full, &Deed::Read { path: path.into() }, &["Permission denied"]);
    }
}

#[test]
fn a_child_for_ffmpeg_starts_no_other_program_and_reads_no_other_file() {
    let folder = tempfile::tempdir().unwrap();
    let deeds = [
        (Deed::Start { program: "/bin/true".into() }, "Permission denied"),
        (Deed::Read { path: "/etc/passwd".into() }, "Permission denied"),
        (Deed::Write { path: fresh(&folder), bytes: 0 }, "Operation not permitted"),
        (Deed::Connect, "Operation not permitted"),
        (Deed::Signal, "Operation not permitted"),
    ];
    for (deed, words) in deeds {
        let walls = Walls { most: Level::Full, memory: MEMORY, ffmpeg: Some("/no/such/ffmpeg".into()) };
        let document = lapidary::decode::Input::open(&fixture("documents/receipt.pdf")).unwrap();
        let outcome = lapidary::decode::proof::attempt_around(program(), &walls, &document, &deed, PATIENCE).unwrap();
        if outcome.reached.level < Level::Full {
            eprintln!("SKIPPED: this machine reaches {}", outcome.reached);
            continue;
        }
        let stopped = outcome.stopped.unwrap_or_else(|| panic!("a child for ffmpeg could {deed}"));
        assert!(stopped.contains(words), "{deed}: {stopped}");
    }
}

#[test]
fn every_kind_of_document_is_decoded_within_all_walls() {
    let reached = decoder(&Settings::default()).probe().unwrap();
    if reached.level < Level::Full {
        return eprintln!("SKIPPED: this machine reaches {reached}");
    }
    let documents = [
        ("documents/receipt.pdf", Kind::Pdf),
        ("pictures/pages.tif", Kind::Image),
        ("sound/letter.mp3", Kind::Audio),
        ("sound/note.opus", Kind::Audio),
        ("video/shapes.mp4", Kind::Video),
    ];
    let mut decoder = decoder(&Settings::default()).with_sandbox(Sandbox::at_least(Level::Full));
    for (name, kind) in documents {
        let mut emitted = Emitted::default();
        decoder.process(item(&fixture(name), kind), &mut emitted).unwrap();
        assert!(emitted.balances() && !emitted.units.is_empty(), "{name}");
        assert!(emitted.faults.is_empty(), "{name}: {:?}", emitted.faults);
    }
}

/// The shell starts a child, tells its id, and is killed.
const ORPHAN: &str = "mkfifo way; exec 3<>way; \"$0\" decode-child <&3 >/dev/null & echo $!; sleep 2; kill -9 $$";

#[test]
fn a_child_dies_with_its_parent() {
    let folder = tempfile::tempdir().unwrap();
    let mut shell = Command::new("sh");
    let told = shell.args(["-c", ORPHAN]).arg(program()).current_dir(&folder).stderr(std::process::Stdio::null());
    let told = told.stdout(std::process::Stdio::piped()).spawn().unwrap().wait_with_output().unwrap();
    let id: u32 = String::from_utf8_lossy(&told.stdout).trim().parse().unwrap();
    let (began, alive) = (Instant::now(), || Path::new(&format!("/proc/{id}/exe")).read_link().is_ok());
    while alive() && began.elapsed() < Duration::from_secs(5) {
        thread::sleep(Duration::from_millis(20));
    }
    assert!(!alive(), "process {id} outlived its parent");
}
