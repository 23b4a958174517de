//! The fuzz targets, run over mutations: what `cargo xtask fuzz` does at length and guided by the code, in short and the same
//! every time, or with `cargo xtask mutate` for so many seconds and each time others.

#[path = "../../fuzz/src/seeds.rs"]
mod seeds;
#[path = "../../fuzz/src/lib.rs"]
mod targets;

use std::{
    panic::catch_unwind,
    path::Path,
    time::{Duration, Instant, SystemTime},
};

use crate::hostile::damage::Dice;

const ROUNDS: usize = 2000;

/// Bytes that mean something to some parser.
const TELLING: [&[u8]; 20] = [
    b"\0",
    b"\xff",
    b"\x7f",
    b"\x80",
    b"\xff\xff\xff\xff",
    b"\xff\xff\xff\x7f",
    b"\0\0\0\0\0\0\0\0",
    b"\"",
    b"\\u0000",
    b"{",
    b"}",
    b"[[[[[[[[",
    b"]",
    b",",
    b":",
    b"-1",
    b"1e999",
    b"18446744073709551616",
    b"null",
    b"\n",
];

/// One of the seeds, changed in some places.
fn mutated(seeds: &[Vec<u8>], dice: &mut Dice) -> Vec<u8> {
    let mut bytes = seeds[dice.below(seeds.len())].clone();
    for _ in 0..dice.below(6) {
        change(&mut bytes, seeds, dice);
    }
    bytes
}

fn change(bytes: &mut Vec<u8>, seeds: &[Vec<u8>], dice: &mut Dice) {
    let place = dice.below(bytes.len() + 1);
    let end = place + dice.below((bytes.len() - place).min(64) + 1);
    match dice.below(7) {
        0 if place < bytes.len() => bytes[place] ^= 1 << dice.below(8),
        1 if place < bytes.len() => bytes[place] = dice.below(256) as u8,
        2 => drop(bytes.splice(place..place, TELLING[dice.below(TELLING.len())].iter().copied())),
        3 => drop(bytes.splice(place..end, TELLING[dice.below(TELLING.len())].iter().copied())),
        4 => drop(bytes.drain(place..end)),
        5 => bytes.extend_from_within(place..end),
        _ => {
            let other = &seeds[dice.below(seeds.len())];
            let from = dice.below(other.len());
            bytes.splice(place.., other[from..].iter().copied());
        }
    }
}

/// Mutations of a target's seeds: how many were tried, and how many of them were taken for what they pretend to be.
fn taken(name: &str, target: fn(&[u8]) -> bool) -> (usize, usize) {
    let seeds = seeds::seeds(name, Path::new(env!("CARGO_MANIFEST_DIR")));
    assert!(seeds.iter().any(|seed| target(seed)), "{name}: a seed is good");
    let time =
        std::env::var("LAPIDARY_MUTATE_SECONDS").ok().map(|seconds| seconds.parse().expect("a number of seconds"));
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let mut dice = Dice::new(time.map_or(name.len() as u64, |_| now.as_nanos() as u64));
    let (began, mut tried, mut taken) = (Instant::now(), 0, 0);
    let survives = |bytes: Vec<u8>| {
        catch_unwind(|| target(&bytes)).unwrap_or_else(|_| panic!("{name} panics at {}", bytes.escape_ascii()))
    };
    while time.map_or(tried < ROUNDS, |seconds| began.elapsed() < Duration::from_secs(seconds)) {
        tried += 1;
        taken += usize::from(survives(mutated(&seeds, &mut dice)));
    }
    (tried, taken)
}

/// Some are taken and some are not: the mutations go deep enough, and not too deep.
fn assert_holds(name: &str, target: fn(&[u8]) -> bool) {
    let (tried, taken) = taken(name, target);
    println!("{name}: {taken} of {tried} taken");
    assert!((1..tried).contains(&taken), "{name}: {taken} of {tried}");
}

#[test]
fn kinds_are_told_of_any_bytes() {
    assert_holds("sniff", targets::sniff);
}

#[test]
fn words_of_a_decoder_are_believed_only_when_they_add_up() {
    assert_holds("wire", targets::wire);
}

#[test]
fn any_answer_is_a_record_of_its_schema_or_a_fault() {
    assert_holds("parse", targets::parse);
}

#[test]
fn any_manifest_is_whole_or_refused() {
    assert_holds("manifest", targets::manifest);
}

#[test]
fn tensors_lie_inside_their_file_whatever_its_header_says() {
    assert_holds("safetensors", targets::safetensors);
}

#[test]
fn any_pipeline_file_is_read_or_refused_with_reasons() {
    assert_holds("pipeline", targets::pipeline);
}

#[test]
fn any_schema_is_compiled_or_refused_with_reasons() {
    assert_holds("schema", targets::schema);
}

#[test]
fn every_target_has_seeds_and_a_program_of_its_own() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    for target in seeds::TARGETS {
        assert!(!seeds::seeds(target, root).is_empty(), "{target}");
        assert!(root.join(format!("fuzz/fuzz_targets/{target}.rs")).is_file(), "{target}");
    }
}
