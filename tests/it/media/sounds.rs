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

/// FLAC, MP4, Matroska and WAV say how long they are, so that a cut shows, as do most MP3s; Ogg only ends. WebM is left to ffmpeg.
#[test]
fn a_recording_that_breaks_off_keeps_what_came_before_and_names_the_loss() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["note.flac", "note-alac.m4a", "note.webm", "note.mp3"] {
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

/// Seconds of sound, and the faults, of a file that holds these bytes.
fn heard(bytes: &[u8]) -> (f64, Vec<lapidary::base::Fault>) {
    let file = tempfile::NamedTempFile::new().unwrap();
    fs::write(file.path(), bytes).unwrap();
    let mut out = Gathered::default();
    sound::decode(&Input::open(file.path()).unwrap(), &order(&Settings::default()), &mut out).unwrap();
    let samples = |unit: &Unit| if let Unit::Clip(clip) = unit { clip.samples.len() } else { panic!("{unit:?}") };
    let seconds = out.units().map(samples).sum::<usize>() as f64 / 16_000.0;
    (seconds, out.settled.into_iter().filter_map(|(_, outcome)| outcome.err()).collect())
}

/// A second of a tone, 16 bits at 16 kHz, with these sizes in its header.
fn wav(riff: u32, data: u32) -> Vec<u8> {
    let format = b"WAVEfmt \x10\0\0\0\x01\0\x01\0\x80\x3e\0\0\0\x7d\0\0\x02\0\x10\0data";
    let sample = |at: u32| ((f64::from(at) * 0.2).sin() * 9000.0) as i16;
    let tone: Vec<u8> = (0..16_000).flat_map(|at| sample(at).to_le_bytes()).collect();
    [&b"RIFF"[..], &riff.to_le_bytes(), format, &data.to_le_bytes(), &tone].concat()
}

#[test]
fn a_wav_that_was_written_to_a_pipe_ends_with_the_file_and_one_that_was_cut_says_so() {
    for size in [u32::MAX, 0x8000_0000, 0x7fff_f000] {
        let (seconds, faults) = heard(&wav(size.saturating_add(36), size));
        assert!((seconds - 1.0).abs() < 0.01 && faults.is_empty(), "{size:x}: {seconds} s, {faults:?}");
    }
    let (_, faults) = heard(&wav(64_036, 64_000));
    assert!(faults.len() == 1 && faults[0].message.contains("breaks off"), "{faults:?}");
}

#[test]
fn what_symphonia_opens_and_cannot_read_goes_to_ffmpeg() {
    let (seconds, faults) = heard(&wav(36, 0));
    assert!((seconds - 1.0).abs() < 0.01 && faults.is_empty(), "a recorder without power: {seconds} s, {faults:?}");
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
