//! Children that die, hang and lie: each costs its page, named, and nothing else.

use std::{fs, path::Path, path::PathBuf};

use lapidary::{
    base::{ByteBudget, Fault, FaultKind, Kind, Limit, Part, Stage, Stop},
    decode::{Decoder, Level, Sandbox, Settings},
};

use super::{Emitted, RENDER, item};

fn program() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/decode/unruly_child.py")
}

fn decoder(seconds: f64, stop: Stop) -> Decoder {
    decoder_under(&Settings { seconds_without_progress: seconds, ..Settings::default() }, stop)
}

fn decoder_under(settings: &Settings, stop: Stop) -> Decoder {
    Decoder::new(settings, RENDER, ByteBudget::new(1 << 30), stop).with_program(program())
}

/// A document of deeds, one a page, through a lane that waits so long for each.
fn misbehave(deeds: &str, seconds: f64) -> Result<Emitted, Fault> {
    let settings = Settings { seconds_without_progress: seconds, ..Settings::default() };
    misbehave_under(deeds, &settings)
}

/// The same under other settings. `@` in a deed stands for a file that is not there yet.
fn misbehave_under(deeds: &str, settings: &Settings) -> Result<Emitted, Fault> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("deeds");
    fs::write(&path, deeds.replace('@', &folder.path().join("marker").display().to_string())).unwrap();
    let mut emitted = Emitted::default();
    let outcome = decoder_under(settings, Stop::default()).process(item(&path, Kind::Pdf), &mut emitted);
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
    let emitted = misbehave("ok once:@ ok", 30.0).unwrap();
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
fn a_unit_whose_ffmpeg_was_ended_from_outside_is_tried_again_once() {
    let emitted = misbehave("ok lost:@ ok", 30.0).unwrap();
    assert_eq!((emitted.pages(), faults(&emitted)), (vec![1, 2, 3], vec![]));
    let emitted = misbehave("ok lost ok", 30.0).unwrap();
    assert_eq!((emitted.pages(), faults(&emitted)), (vec![1, 3], vec![(2, FaultKind::ChildDied)]));
    assert_eq!(emitted.faults[0].1.message, "ffmpeg was ended by signal 9");
}

#[cfg(target_os = "linux")]
#[test]
fn a_page_that_lies_in_shared_memory_outlives_its_child() {
    let emitted = misbehave("ok last ok last ok", 30.0).unwrap();
    assert_eq!((emitted.pages(), faults(&emitted)), (vec![1, 2, 3, 4, 5], vec![]));
}

#[test]
fn a_page_that_hangs_is_killed_from_outside() {
    let emitted = misbehave("ok hang ok", 6.0).unwrap();
    assert_eq!((emitted.pages(), faults(&emitted)), (vec![1, 3], vec![(2, FaultKind::Deadline)]));
    assert!(emitted.faults[0].1.hint.contains("seconds_without_progress"));
}

#[test]
fn a_child_that_lies_is_not_believed() {
    for deed in ["other", "huge", "air", "junk"] {
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
fn a_document_may_cost_so_many_children_and_no_more() {
    let settings = Settings { children_per_document: 4, ..Settings::default() };
    let emitted = misbehave_under(&"ok die ".repeat(10), &settings).unwrap();
    assert_eq!(emitted.pages(), [1, 3]);
    let last = &emitted.faults.last().unwrap().1;
    assert_eq!((last.kind, last.limit), (FaultKind::ChildDied, Some(Limit::ChildrenPerDocument)));
    assert!(last.message.contains("4 decoder processes") && last.message.contains("the decoder met its end"), "{last}");
}

#[test]
fn a_document_that_works_on_for_ever_is_ended_by_the_time_for_all_of_it() {
    let settings = Settings { seconds_per_document: 4.0, ..Settings::default() };
    let emitted = misbehave_under("ok babble ok", &settings).unwrap();
    assert_eq!(
        (emitted.pages(), faults(&emitted)),
        (vec![1], vec![(2, FaultKind::Deadline), (3, FaultKind::Deadline)])
    );
    assert_eq!(emitted.faults[0].1.limit, Some(Limit::SecondsPerDocument));
}

#[test]
fn a_document_that_becomes_too_much_is_cut_off() {
    let mut settings = Settings::default();
    settings.limits.decoded_bytes = 30;
    let emitted = misbehave_under("ok ok ok ok", &settings).unwrap();
    assert_eq!(emitted.pages(), [1, 2]);
    assert!(emitted.faults.iter().all(|(_, fault)| fault.limit == Some(Limit::DecodedBytes)));
}

#[test]
fn a_poisonous_document_leaves_the_lane_to_the_next() {
    let folder = tempfile::tempdir().unwrap();
    let documents = [("poison", "die ".repeat(9)), ("well", "ok ok".to_owned())];
    let mut decoder = decoder(30.0, Stop::default());
    let mut pages = Vec::new();
    for (name, deeds) in documents {
        let path = folder.path().join(name);
        fs::write(&path, deeds).unwrap();
        let mut emitted = Emitted::default();
        decoder.process(item(&path, Kind::Pdf), &mut emitted).unwrap();
        assert!(emitted.balances());
        pages.push(emitted.pages());
    }
    assert_eq!(pages, [vec![], vec![1, 2]]);
}

#[test]
fn poisonous_documents_among_others_cost_their_own_children_and_no_more() {
    let folder = tempfile::tempdir().unwrap();
    let deaths = folder.path().join("deaths");
    let poison = format!("die:{} ", deaths.display()).repeat(100);
    let mut decoder = decoder(30.0, Stop::default());
    let mut pages = Vec::new();
    for (number, deeds) in ["ok ok", &poison, "ok", &poison, "ok ok ok"].iter().enumerate() {
        let path = folder.path().join(number.to_string());
        fs::write(&path, deeds).unwrap();
        let mut emitted = Emitted::default();
        decoder.process(item(&path, Kind::Pdf), &mut emitted).unwrap();
        assert!(emitted.balances());
        pages.push(emitted.pages().len());
    }
    assert_eq!(pages, [2, 0, 1, 0, 3]);
    // Each of the two is given up after 8 pages, of which each has cost 2 children.
    assert_eq!(fs::read(&deaths).unwrap().len(), 2 * 16);
}

#[test]
fn walls_that_are_lower_than_they_must_be_are_refused() {
    let mut decoder = decoder(30.0, Stop::default()).with_sandbox(Sandbox::at_least(Level::Limits));
    let fault = decoder.process(item(&program(), Kind::Pdf), &mut Emitted::default()).unwrap_err();
    assert!(fault.message.contains("reaches none, `limits` is demanded"), "{fault}");
    assert!(fault.hint.contains("--sandbox"));
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
