//! Sound of every format, compared with what ffmpeg makes of the same file.

use std::{
    fs,
    path::Path,
    process::{Command, Stdio},
};

use lapidary::{
    base::{
        FaultKind, Part, Unit,
        native::{Library, locate},
    },
    decode::{Gathered, Input, Settings, sound},
};
use proptest::prelude::*;

use super::{assert_kind, fault, fixture, gathered, input, order, units};

fn clips(name: &str) -> Vec<Vec<f32>> {
    let clip = |unit| match unit {
        Unit::Clip(clip) => clip.samples,
        other => panic!("{name} became {other:?}"),
    };
    units(sound::decode, name, &Settings::default()).into_iter().map(clip).collect()
}

/// 16 kHz mono of a file, made by ffmpeg.
pub fn reference(path: &Path) -> Vec<f32> {
    let mut command = Command::new(locate(Library::Ffmpeg).unwrap());
    command.args(["-nostdin", "-loglevel", "error", "-i"]).arg(path);
    command.args(["-map", "0:a:0", "-ac", "1", "-ar", "16000", "-f", "f32le", "-"]);
    let bytes = command.stdin(Stdio::null()).output().unwrap().stdout;
    bytes.chunks_exact(4).map(|bytes| f32::from_le_bytes(bytes.try_into().unwrap())).collect()
}

fn correlation(a: &[f32], b: &[f32]) -> f64 {
    let pairs = || a.iter().zip(b).map(|(a, b)| (f64::from(*a), f64::from(*b)));
    let (dot, aa, bb) = pairs().fold((0.0, 0.0, 0.0), |(d, x, y), (a, b)| (d + a * b, x + a * a, y + b * b));
    dot / (aa * bb).sqrt()
}

#[test]
fn every_format_sounds_as_ffmpeg_says() {
    let names = [
        "note.wav",
        "note-24.wav",
        "note-float.wav",
        "note-8.wav",
        "note.mp3",
        "note.m4a",
        "note-alac.m4a",
        "note.flac",
        "note.ogg",
        "note.opus",
        "note.webm",
        "letter.mp3",
    ];
    for name in names {
        let ours = clips(&format!("sound/{name}")).concat();
        let theirs = reference(&fixture("sound").join(name));
        let difference = ours.len().abs_diff(theirs.len());
        // ffmpeg plays the last block of AAC to its end, beyond what the edit list says (71,994 samples as recorded).
        let share = if name == "note.m4a" { 2e-3 } else { 1e-3 };
        assert!(difference as f64 <= theirs.len() as f64 * share, "{name}: {} against {}", ours.len(), theirs.len());
        let likeness = correlation(&ours, &theirs);
        println!("{name}: {} against {} samples, correlation {likeness:.6}", ours.len(), theirs.len());
        assert!(likeness > 0.999, "{name}: {likeness}");
    }
}

#[test]
fn a_long_recording_becomes_clips_of_thirty_seconds() {
    let out = gathered(sound::decode, "sound/letter.mp3", &Settings::default());
    assert_eq!(out.promised.len(), 3);
    assert_eq!(out.promised[..2], [Part::Time { start: 0.0, end: 30.0 }, Part::Time { start: 30.0, end: 60.0 }]);
    let Part::Time { start, end } = out.promised[2] else { panic!() };
    assert!(start == 60.0 && (end - 71.5).abs() < 0.2, "{end}");
    let mut limited = Gathered { limit: Some(1), ..Gathered::default() };
    sound::decode(&input("sound/letter.mp3"), &order(&Settings::default()), &mut limited).unwrap();
    assert_eq!(limited.settled.len(), 1);
}

/// FLAC, MP4, Matroska and WAV say how long they are, so that a cut shows; MP3 and Ogg only end. WebM is left to ffmpeg.
#[test]
fn a_recording_that_breaks_off_keeps_what_came_before_and_names_the_loss() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["note.flac", "note-alac.m4a", "note.webm"] {
        let whole = fs::read(fixture("sound").join(name)).unwrap();
        let cut = folder.path().join(name);
        fs::write(&cut, &whole[..whole.len() * 2 / 3]).unwrap();
        let mut out = Gathered::default();
        match sound::decode(&Input::open(&cut).unwrap(), &order(&Settings::default()), &mut out) {
            Err(fault) => assert_eq!(fault.kind, FaultKind::Corrupt, "{name}: {fault}"),
            Ok(()) => {
                let losses: Vec<_> = out.settled.iter().filter_map(|(_, outcome)| outcome.as_ref().err()).collect();
                assert!(losses.len() == 1 && losses[0].message.contains("breaks off"), "{name}: {losses:?}");
                assert_eq!((out.promised.len(), out.settled.len()), (2, 2), "{name}");
            }
        }
    }
}

#[test]
fn noise_is_no_sound() {
    let fault = fault(sound::decode, &fixture("broken/noise.mp3"), &Settings::default());
    println!("{} / {}", fault.message, fault.hint);
    assert!(matches!(fault.kind, FaultKind::Corrupt | FaultKind::Empty | FaultKind::Unsupported), "{fault:?}");
    assert!(!fault.message.is_empty() && !fault.hint.is_empty());
}

#[test]
fn sound_that_is_not_there_or_too_long_has_its_own_faults() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("sound.wav");
    assert_eq!(fault(sound::decode, &path, &Settings::default()).kind, FaultKind::Unreadable);
    fs::write(&path, b"").unwrap();
    assert_eq!(fault(sound::decode, &path, &Settings::default()).kind, FaultKind::Empty);
    let header = &fs::read(fixture("sound/note.wav")).unwrap()[..44];
    let mut silent = header.to_vec();
    silent[40..44].copy_from_slice(&[0; 4]);
    fs::write(&path, silent).unwrap();
    let nothing = fault(sound::decode, &path, &Settings::default());
    assert!(matches!(nothing.kind, FaultKind::Empty | FaultKind::Corrupt), "{nothing:?}");
    let mut settings = Settings::default();
    settings.limits.seconds = 2.0;
    for name in ["sound/note.flac", "sound/note.opus"] {
        let long = fault(sound::decode, &fixture(name), &settings);
        assert_kind(&long, FaultKind::TooLarge, "[decode.limits] seconds");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn damage_never_takes_the_decoder_down(
        which in 0_usize..6,
        cut in 0.0_f64..1.3,
        flips in prop::collection::vec((0.0_f64..1.0, 0_u8..8), 0..12),
    ) {
        const NAMES: [&str; 6] = ["note-8.wav", "note.mp3", "note.m4a", "note.ogg", "note.flac", "note-alac.m4a"];
        let mut bytes = fs::read(fixture("sound").join(NAMES[which])).unwrap();
        for (place, bit) in flips {
            // Headers are where it hurts.
            let at = (place * place * bytes.len() as f64) as usize;
            bytes[at] ^= 1 << bit;
        }
        bytes.truncate((cut * bytes.len() as f64) as usize);
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), &bytes).unwrap();
        let mut out = Gathered::default();
        let _ = sound::decode(&Input::open(file.path()).unwrap(), &order(&Settings::default()), &mut out);
        for unit in out.units() {
            let Unit::Clip(clip) = unit else { panic!("{unit:?}") };
            prop_assert!((1..=480_000).contains(&clip.samples.len()));
            prop_assert!(clip.samples.iter().all(|sample| sample.is_finite()));
        }
    }
}
