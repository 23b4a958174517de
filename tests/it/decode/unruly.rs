//! Children that die, hang and lie: each costs its page, named, and nothing else.

use std::{fs, path::Path, path::PathBuf};

use lapidary::{
    base::{ByteBudget, Fault, FaultKind, Kind, Part, Stage, Stop, UnitQuota},
    decode::{Decoder, Settings},
};

use super::{Emitted, RENDER, item};

fn program() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/decode/unruly_child.py")
}

fn decoder(seconds: f64, stop: Stop) -> Decoder {
    let settings = Settings { seconds_without_progress: seconds, ..Settings::default() };
    Decoder::new(&settings, RENDER, ByteBudget::new(1 << 30), UnitQuota::new(None), stop).with_program(program())
}

/// A document of deeds, one a page, through a lane that waits so long for each.
fn misbehave(deeds: &str, seconds: f64) -> Result<Emitted, Fault> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("deeds");
    fs::write(&path, deeds).unwrap();
    let mut emitted = Emitted::default();
    let outcome = decoder(seconds, Stop::default()).process(item(&path, Kind::Pdf), &mut emitted);
    assert!(emitted.balances(), "{} promised", emitted.promised);
    outcome.map(|()| emitted)
}

fn faults(emitted: &Emitted) -> Vec<(u32, FaultKind)> {
    let number = |part: &Part| match part {
        Part::Page { number, .. } => *number,
        _ => 0,
    };
    emitted.faults.iter().map(|(part, fault)| (number(part), fault.kind)).collect()
}

#[test]
fn a_page_that_kills_its_child_once_is_tried_again() {
    let emitted = misbehave("ok once ok", 30.0).unwrap();
    assert_eq!((emitted.pages(), faults(&emitted)), (vec![1, 2, 3], vec![]));
}

#[test]
fn a_page_that_kills_its_child_twice_is_lost_and_the_others_are_not() {
    let emitted = misbehave("ok die ok ok", 30.0).unwrap();
    assert_eq!((emitted.pages(), faults(&emitted)), (vec![1, 3, 4], vec![(2, FaultKind::ChildDied)]));
    let message = &emitted.faults[0].1.message;
    assert!(message.contains("7") && message.contains("the decoder met its end"), "{message}");
}

#[test]
fn a_page_that_hangs_is_killed_from_outside() {
    let emitted = misbehave("ok hang ok", 6.0).unwrap();
    assert_eq!((emitted.pages(), faults(&emitted)), (vec![1, 3], vec![(2, FaultKind::Deadline)]));
    assert!(emitted.faults[0].1.hint.contains("seconds_without_progress"));
}

#[test]
fn a_child_that_lies_is_not_believed() {
    for deed in ["other", "huge", "junk"] {
        let emitted = misbehave(&format!("ok {deed} ok"), 30.0).unwrap();
        assert_eq!((emitted.pages(), faults(&emitted)), (vec![1, 3], vec![(2, FaultKind::ChildDied)]), "{deed}");
    }
}

#[test]
fn a_document_that_cannot_even_be_opened_fails_as_a_whole() {
    assert_eq!(misbehave("open-die", 30.0).err().unwrap().kind, FaultKind::ChildDied);
    assert_eq!(misbehave("open-hang", 6.0).err().unwrap().kind, FaultKind::Deadline);
}

#[test]
fn a_document_that_costs_child_after_child_is_given_up_and_still_balances() {
    let emitted = misbehave(&"die ".repeat(30), 30.0).unwrap();
    assert_eq!((emitted.units.len(), emitted.faults.len()), (0, 30));
}

#[test]
fn an_aborted_run_leaves_a_hanging_child_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("deeds");
    fs::write(&path, "ok hang").unwrap();
    let stop = Stop::default();
    let mut emitted = Emitted {
        watcher: Some(Box::new({
            let stop = stop.clone();
            move |_| stop.abort()
        })),
        ..Emitted::default()
    };
    decoder(3600.0, stop).process(item(&path, Kind::Pdf), &mut emitted).unwrap();
    assert_eq!(emitted.units.len(), 1);
}

#[test]
fn a_program_that_is_not_there_is_a_fault() {
    let mut decoder = decoder(1.0, Stop::default()).with_program("/no/such/program");
    let fault = decoder.process(item(&program(), Kind::Pdf), &mut Emitted::default()).unwrap_err();
    assert_eq!(fault.kind, FaultKind::Internal);
}
