//! Pictures, sound and films, decoded in this process from the fixtures that `fixtures/make_media.py` makes.

mod films;
mod pictures;
mod sounds;
mod tracks;

use std::path::PathBuf;

use lapidary::{
    base::{Fault, FaultKind, Unit},
    decode::{Gathered, Input, Order, Output, Render, Settings},
};

/// A decoder as the child processes call it.
type Decode = fn(&Input, &Order, &mut dyn Output) -> Result<(), Fault>;

fn fixture(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("fixtures").join(name)
}

fn input(name: &str) -> Input {
    Input::open(&fixture(name)).unwrap()
}

fn order(settings: &Settings) -> Order {
    Order::new(settings, Render { page_budget: 280.into(), frame_budget: 70 }).unwrap()
}

/// Everything that a fixture becomes.
fn gathered(decode: Decode, name: &str, settings: &Settings) -> Gathered {
    let mut out = Gathered::default();
    decode(&input(name), &order(settings), &mut out).unwrap();
    assert_eq!(out.promised.len(), out.settled.len(), "{name}: every promise is settled");
    assert!(out.promised.iter().zip(&out.settled).all(|(promised, (part, _))| promised == part));
    out
}

/// The units of a fixture of which nothing may fail.
fn units(decode: Decode, name: &str, settings: &Settings) -> Vec<Unit> {
    let out = gathered(decode, name, settings);
    out.settled
        .into_iter()
        .map(|(part, outcome)| outcome.unwrap_or_else(|fault| panic!("{name}, {part}: {fault}")))
        .collect()
}

/// The fault of a file of which nothing can be had, whether the document or its first unit has it.
fn fault(decode: Decode, path: &std::path::Path, settings: &Settings) -> Fault {
    let mut out = Gathered::default();
    match Input::open(path).and_then(|input| decode(&input, &order(settings), &mut out)) {
        Err(fault) => fault,
        Ok(()) => out.settled.remove(0).1.expect_err("a fault"),
    }
}

fn assert_kind(fault: &Fault, kind: FaultKind, words: &str) {
    assert_eq!(fault.kind, kind, "{} / {}", fault.message, fault.hint);
    let text = format!("{} / {}", fault.message, fault.hint);
    assert!(text.contains(words), "`{words}` in `{text}`");
}
