//! Files of many tracks, channels and rates, made by ffmpeg: tones tell by their pitch what is heard, and when.

use std::{
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use lapidary::{
    base::{
        FaultKind, Part, Unit,
        native::{Library, locate},
    },
    decode::{Gathered, Input, Settings, SoundSettings, SoundTrack, VideoSettings, film, sound},
};

use super::{Decode, assert_kind, order};

const RATE: usize = 16_000;

/// A file of that name, which ffmpeg makes of sources and arguments between blanks.
pub fn made(folder: &Path, name: &str, arguments: &str) -> PathBuf {
    let path = folder.join(name);
    let mut command = Command::new(locate(Library::Ffmpeg).unwrap());
    command.args(["-nostdin", "-loglevel", "error"]).args(arguments.split(' ')).arg(&path);
    let output = command.stdin(Stdio::null()).output().unwrap();
    assert!(output.status.success(), "{name}: {}", String::from_utf8_lossy(&output.stderr));
    path
}

fn gathered(decode: Decode, path: &Path, settings: &Settings) -> Gathered {
    let mut out = Gathered::default();
    decode(&Input::open(path).unwrap(), &order(settings), &mut out).unwrap();
    out
}

/// All that is heard of a file, at 16 kHz.
fn heard(decode: Decode, path: &Path, track: SoundTrack) -> Vec<f32> {
    let sound = SoundSettings { track, ..SoundSettings::default() };
    let video = VideoSettings { frames: 0, ..VideoSettings::default() };
    let out = gathered(decode, path, &Settings { sound, video, ..Settings::default() });
    let samples = |unit: &Unit| if let Unit::Clip(clip) = unit { clip.samples.clone() } else { panic!("{unit:?}") };
    out.units().flat_map(samples).collect()
}

/// The share of a tone in some samples: its amplitude.
fn amplitude(samples: &[f32], hertz: f64) -> f64 {
    let angle = |place: usize| std::f64::consts::TAU * hertz * place as f64 / RATE as f64;
    let sums = samples.iter().enumerate().fold((0.0, 0.0), |(cosine, sine), (place, sample)| {
        (cosine + f64::from(*sample) * angle(place).cos(), sine + f64::from(*sample) * angle(place).sin())
    });
    2.0 * f64::hypot(sums.0, sums.1) / samples.len() as f64
}

fn is_near(found: f64, expected: f64) -> bool {
    (found - expected).abs() < 0.01
}

fn named(word: &str) -> SoundTrack {
    serde_json::from_value(word.into()).unwrap()
}

/// Two tracks, a low and a high tone of an eighth of full loudness each; the second begins a second late and is the longer.
const TWO: &str = "-f lavfi -i sine=frequency=400:duration=3:sample_rate=48000 -itsoffset 1 \
                   -f lavfi -i sine=frequency=1000:duration=3:sample_rate=48000 -map 0 -map 1";

#[test]
fn a_track_is_chosen_by_its_number_and_all_are_mixed_on_one_timeline() {
    let folder = tempfile::tempdir().unwrap();
    for (name, form) in [("two.mka", "-c:a flac"), ("two.m4a", "-c:a aac"), ("two.mov", "-c:a pcm_s16le")] {
        let path = made(folder.path(), name, &format!("{TWO} {form}"));
        let first = heard(sound::decode, &path, SoundTrack::Number(1));
        assert!(is_near(amplitude(&first[8000..40_000], 400.0), 0.125), "{name}");
        assert!(is_near(amplitude(&first[8000..40_000], 1000.0), 0.0), "{name}");
        let all = heard(sound::decode, &path, named("all"));
        assert!(all.len().abs_diff(4 * RATE) < RATE / 10, "{name}: {} samples", all.len());
        let (low, high) =
            (|span: std::ops::Range<usize>| amplitude(&all[span], 400.0), |span| amplitude(&all[span], 1000.0));
        assert!(low(2000..14_000) > 0.05 && is_near(high(2000..14_000), 0.0), "{name}: the first alone");
        assert!(low(18_000..46_000) > 0.05 && high(18_000..46_000) > 0.05, "{name}: both");
        assert!(is_near(low(50_000..62_000), 0.0) && high(50_000..62_000) > 0.05, "{name}: the second alone");
    }
    let path = folder.path().join("two.mka");
    let second = heard(sound::decode, &path, SoundTrack::Number(2));
    assert!(is_near(amplitude(&second[second.len() - 32_000..], 1000.0), 0.125));
    let sound = SoundSettings { track: SoundTrack::Number(3), ..SoundSettings::default() };
    let settings = Settings { sound, ..Settings::default() };
    let fault = sound::decode(&Input::open(&path).unwrap(), &order(&settings), &mut Gathered::default()).unwrap_err();
    assert_kind(&fault, FaultKind::Empty, "2 sound tracks, and number 3 is wanted");
}

#[test]
fn what_is_cut_off_of_a_track_that_ffmpeg_reads_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let tone = "-f lavfi -i sine=frequency=400:duration=6:sample_rate=48000 -c:a ac3 -movflags +faststart";
    for name in ["cut.mp4", "cut.mka"] {
        let path = made(folder.path(), name, tone);
        assert_eq!(gathered(sound::decode, &path, &Settings::default()).settled.len(), 1, "{name}: as it was made");
        let whole = std::fs::read(&path).unwrap();
        std::fs::write(&path, &whole[..whole.len() * 2 / 3]).unwrap();
        let out = gathered(sound::decode, &path, &Settings::default());
        let [(Part::Time { end, .. }, Ok(_)), (Part::Time { start, .. }, Err(fault))] = &out.settled[..] else {
            panic!("{name}: {:?}", out.promised)
        };
        assert!(start == end && (3.5..4.5).contains(end), "{name}: {start} s after {end} s");
        assert_kind(fault, FaultKind::Corrupt, "breaks off after");
    }
}

#[test]
fn sound_that_begins_late_or_has_a_gap_keeps_its_times() {
    let folder = tempfile::tempdir().unwrap();
    let film = "-f lavfi -i color=blue:duration=6:size=64x48:rate=10";
    let late =
        format!("{film} -itsoffset 1.5 -f lavfi -i sine=frequency=400:duration=3 -map 0 -map 1 -c:v mpeg4 -c:a aac");
    let gap = format!(
        "{film} -f lavfi -i sine=frequency=400:duration=6 -filter_complex [1]aselect=lt(t\\,1)+gt(t\\,3)[a] -map 0 -map [a] \
         -c:v mpeg4 -c:a flac"
    );
    for name in ["late.mkv", "late.mp4"] {
        let samples = heard(film::decode, &made(folder.path(), name, &late), SoundTrack::Number(1));
        let loud = samples.iter().position(|sample| sample.abs() > 0.05).unwrap();
        assert!(loud.abs_diff(24_000) < 800, "{name}: it sets in at sample {loud}");
        assert!(samples.len().abs_diff(72_000) < 1600, "{name}: {} samples", samples.len());
    }
    let samples = heard(film::decode, &made(folder.path(), "gap.mkv", &gap), SoundTrack::Number(1));
    let loud = |second: f64| amplitude(&samples[(second * 16_000.0) as usize..][..3200], 400.0);
    assert!(loud(0.5) > 0.1 && loud(1.9) < 0.01 && loud(3.5) > 0.1, "{} {} {}", loud(0.5), loud(1.9), loud(3.5));
    // Without pictures Symphonia reads it.
    let gap = "-f lavfi -i sine=frequency=400:duration=6 -af aselect=lt(t\\,1)+gt(t\\,3) -c:a flac";
    let samples = heard(sound::decode, &made(folder.path(), "gap.mka", gap), SoundTrack::Number(1));
    let loud = |second: f64| amplitude(&samples[(second * 16_000.0) as usize..][..3200], 400.0);
    assert!(loud(0.5) > 0.1 && loud(1.9) < 0.01 && loud(3.5) > 0.1, "{} {} {}", loud(0.5), loud(1.9), loud(3.5));
}

#[test]
fn all_channels_are_averaged_whoever_decodes_them() {
    let folder = tempfile::tempdir().unwrap();
    // Eight channels, of which the fourth (the bass) and the last speak.
    let channels = "-f lavfi -i aevalsrc=0|0|0|0.5*sin(2*PI*400*t)|0|0|0|0.5*sin(2*PI*1000*t):duration=2:sample_rate=48000:channel_layout=7.1";
    for (name, form) in [("eight.wav", "-c:a pcm_s16le"), ("eight.flac", "-c:a flac"), ("eight.mka", "-c:a pcm_f32le")]
    {
        let path = made(folder.path(), name, &format!("{channels} {form}"));
        let samples = heard(sound::decode, &path, SoundTrack::Number(1));
        let heard = [400.0, 1000.0].map(|hertz| amplitude(&samples[1600..30_000], hertz));
        assert!(heard.iter().all(|loud| is_near(*loud, 0.5 / 8.0)), "{name}: {heard:?}");
    }
    let path = made(folder.path(), "eight.opus", &format!("{channels} -c:a libopus -b:a 512k -mapping_family 255"));
    let samples = heard(sound::decode, &path, SoundTrack::Number(1));
    assert!(is_near(amplitude(&samples[1600..30_000], 1000.0), 0.5 / 8.0), "Opus goes through ffmpeg");
}

#[test]
fn a_rate_that_changes_on_the_way_keeps_pitch_and_length() {
    let folder = tempfile::tempdir().unwrap();
    let part = |name: &str, rate: u32| {
        let tone = format!(
            "-f lavfi -i sine=frequency=400:duration=2:sample_rate={rate} -c:a libmp3lame -write_xing 0 -id3v2_version 0"
        );
        std::fs::read(made(folder.path(), name, &tone)).unwrap()
    };
    let path = folder.path().join("both.mp3");
    std::fs::write(&path, [part("one.mp3", 44_100), part("two.mp3", 22_050)].concat()).unwrap();
    let samples = heard(sound::decode, &path, SoundTrack::Number(1));
    assert!(samples.len().abs_diff(4 * RATE) < RATE / 5, "{} samples", samples.len());
    let heard = [8000..24_000, 40_000..60_000].map(|span| amplitude(&samples[span], 400.0));
    assert!(heard.iter().all(|loud| is_near(*loud, 0.125)), "{heard:?}");
}

#[test]
fn channels_that_change_in_a_film_keep_what_follows_at_its_time() {
    let folder = tempfile::tempdir().unwrap();
    let part = |name: &str, hertz: u32, layout: &str, offset: u32| {
        let tone = format!(
            "-f lavfi -i color=blue:duration=3:size=64x48:rate=10 -f lavfi -i sine=frequency={hertz}:duration=3:sample_rate=48000 \
             -af aformat=channel_layouts={layout} -c:v mpeg2video -c:a ac3 -output_ts_offset {offset}"
        );
        std::fs::read(made(folder.path(), name, &tone)).unwrap()
    };
    let path = folder.path().join("both.ts");
    std::fs::write(&path, [part("one.ts", 400, "5.1", 0), part("two.ts", 1000, "stereo", 3)].concat()).unwrap();
    let samples = heard(film::decode, &path, SoundTrack::Number(1));
    assert!(samples.len().abs_diff(6 * RATE) < RATE / 4, "{} samples", samples.len());
    let loud = |second: f64, hertz: f64| amplitude(&samples[(second * 16_000.0) as usize..][..8000], hertz);
    assert!(loud(1.5, 400.0) > 0.01 && loud(1.5, 1000.0) < 0.005, "{} {}", loud(1.5, 400.0), loud(1.5, 1000.0));
    assert!(loud(4.5, 1000.0) > 0.01 && loud(4.5, 400.0) < 0.005, "{} {}", loud(4.5, 1000.0), loud(4.5, 400.0));
}

#[test]
fn frames_are_made_smaller_until_all_of_them_fit_into_the_limit() {
    let folder = tempfile::tempdir().unwrap();
    let path = made(folder.path(), "film.mp4", "-f lavfi -i testsrc=duration=2:size=640x480:rate=10 -c:v mpeg4");
    let video = VideoSettings { frames: 8, ..VideoSettings::default() };
    let mut settings = Settings { video, ..Settings::default() };
    settings.limits.pixels = 8 * 640 * 480 * 6 / 10;
    let out = gathered(film::decode, &path, &settings);
    let [(_, Ok(Unit::Film(film)))] = &out.settled[..] else { panic!("{:?}", out.promised) };
    let sizes: Vec<_> = film.frames.iter().map(|frame| (frame.raster.width, frame.raster.height)).collect();
    assert_eq!(sizes, [(495, 371); 8], "0.7746 of 640 x 480; the model sees 432 x 336");
}

#[test]
fn frames_are_taken_where_the_picture_changes() {
    let folder = tempfile::tempdir().unwrap();
    let colours = "-f lavfi -i color=black:d=1.5:s=64x48:r=10 -f lavfi -i color=gray:d=2.5:s=64x48:r=10 \
                   -f lavfi -i color=white:d=1:s=64x48:r=10 -filter_complex [0][1][2]concat=n=3 -c:v mpeg4";
    let path = made(folder.path(), "scenes.mp4", colours);
    let times = |frames: u32, window: Option<f64>| -> Vec<f64> {
        let video = VideoSettings { frames, scenes: Some(0.1), window, ..VideoSettings::default() };
        let out = gathered(film::decode, &path, &Settings { video, ..Settings::default() });
        let film = |unit: &Unit| if let Unit::Film(film) = unit { film.clone() } else { panic!("{unit:?}") };
        out.units().flat_map(|unit| film(unit).frames).map(|frame| (frame.time * 10.0).round() / 10.0).collect()
    };
    assert_eq!(times(32, None), [0.0, 1.5, 4.0]);
    assert_eq!(times(32, Some(2.5)), [0.0, 1.5, 2.5, 4.0], "each window has its first frame");
    assert_eq!(times(2, None).len(), 2);
}
