//! Films: each frame carries its number as eight bars, so that the tests see which frame they got.

use std::{
    fs,
    path::{Path, PathBuf},
};

use lapidary::{
    base::{Fault, FaultKind, Film, Frame, Part, Unit},
    decode::{Gathered, Input, Settings, VideoSettings, film},
};

use super::{assert_kind, fault, fixture, gathered, order, sounds::reference, tracks::made, units};

fn settings(frames: u32, fps: Option<f64>, sound: bool) -> Settings {
    Settings { video: VideoSettings { frames, fps, sound, ..VideoSettings::default() }, ..Settings::default() }
}

fn film(name: &str, settings: &Settings) -> Film {
    match units(film::decode, name, settings).remove(0) {
        Unit::Film(film) => film,
        other => panic!("{name} became {other:?}"),
    }
}

/// The number that the bars on top of a frame spell, highest bit first.
fn number(frame: &Frame) -> u32 {
    let raster = &frame.raster;
    let bar = |bit: u32| raster.rgb[3 * (20 * raster.width + raster.width * (2 * bit + 1) / 16) as usize] > 128;
    (0..8).fold(0, |number, bit| 2 * number + u32::from(bar(bit)))
}

fn numbers(film: &Film) -> Vec<u32> {
    film.frames.iter().map(number).collect()
}

#[test]
fn frames_are_spread_over_the_film_and_know_their_times() {
    let film = film("video/shapes.mp4", &settings(32, None, true));
    let expected: Vec<u32> = (0..32).map(|index| index * 72 / 32).collect();
    assert_eq!(numbers(&film), expected);
    for frame in &film.frames {
        assert_eq!((frame.raster.width, frame.raster.height), (320, 240));
        assert!((frame.time - f64::from(number(frame)) / 12.0).abs() < 1e-3, "{}", frame.time);
    }
}

#[test]
fn every_container_is_read() {
    // The run-in of Opus and Vorbis shifts a film by some milliseconds; AVI counts frames, and ours has an empty one.
    for (name, tolerance) in [("video/shapes.webm", 0.02), ("video/shapes.mkv", 0.02), ("video/shapes.avi", 0.09)] {
        let units = units(film::decode, name, &settings(8, None, true));
        let Unit::Film(film) = &units[0] else { panic!("{name}") };
        assert_eq!(numbers(film), [0, 3, 6, 9, 12, 15, 18, 21], "{name}");
        for frame in &film.frames {
            let expected = f64::from(number(frame)) / 12.0;
            assert!((frame.time - expected).abs() < tolerance, "{name}: {} against {expected}", frame.time);
        }
        assert!(matches!(units[1..], [Unit::Clip(_)]), "{name}: {units:?}");
    }
}

#[test]
fn a_film_of_ten_bits_is_read_as_one_of_eight() {
    let film = film("video/deep.mp4", &settings(8, None, true));
    assert_eq!(numbers(&film), [0, 3, 6, 9, 12, 15, 18, 21]);
    for frame in &film.frames {
        assert!((frame.time - f64::from(number(frame)) / 12.0).abs() < 1e-3, "{}", frame.time);
    }
}

#[test]
fn frames_of_which_the_container_tells_no_times_are_spread_over_the_whole_film() {
    let spread = film("rare/packed.avi", &settings(8, None, false));
    assert_eq!(numbers(&spread), [0, 4, 9, 13, 18, 22, 27, 31]);
    let video = VideoSettings { frames: 2, window: Some(1.0), sound: false, ..VideoSettings::default() };
    let out = gathered(film::decode, "rare/packed.avi", &Settings { video, ..Settings::default() });
    let films = out.units().map(|unit| if let Unit::Film(film) = unit { film } else { panic!("{unit:?}") });
    let sought: Vec<&Frame> = films.flat_map(|film| &film.frames).collect();
    assert_eq!(sought.len(), 8);
    for frame in spread.frames.iter().chain(sought) {
        // AVI counts frames as they are decoded, and where there are B-frames each is shown one later.
        let expected = f64::from(number(frame) + 1) / 12.0;
        assert!((frame.time - expected).abs() < 1e-3, "{} of frame {}", frame.time, number(frame));
    }
}

/// A film with sound, made anew of shapes.mp4 with these arguments.
fn altered(folder: &Path, name: &str, arguments: &str) -> PathBuf {
    // `made` takes no blanks, which the way to the fixtures may have.
    let whole = folder.join("shapes.mp4");
    fs::copy(fixture("video/shapes.mp4"), &whole).unwrap();
    made(folder, name, &format!("-i {} -c copy {arguments}", whole.display()))
}

/// What becomes of a film.
fn settled(path: &Path, settings: &Settings) -> Vec<(Part, Result<Unit, Fault>)> {
    let mut out = Gathered::default();
    film::decode(&Input::open(path).unwrap(), &order(settings), &mut out).unwrap();
    out.settled
}

#[test]
fn a_film_whose_packets_have_no_times_at_all_has_frames() {
    let folder = tempfile::tempdir().unwrap();
    let settled = settled(&altered(folder.path(), "shapes.avi", "-map 0"), &settings(8, None, true));
    let [(Part::Frames { .. }, Ok(Unit::Film(film))), (Part::Time { .. }, Ok(_))] = &settled[..] else {
        panic!("{settled:?}")
    };
    assert_eq!(numbers(film), [0, 9, 18, 27, 36, 45, 54, 63]);
    for frame in &film.frames {
        // Late by as many frames as the decoder waits for.
        assert!((frame.time - f64::from(number(frame)) / 12.0).abs() < 0.2, "{}", frame.time);
    }
}

#[test]
fn a_picture_track_of_which_nothing_can_be_read_is_a_failure_beside_the_sound() {
    let folder = tempfile::tempdir().unwrap();
    for (name, filter, words) in
        [("noise.mp4", "noise=amount=1", "Invalid NAL unit size"), ("no-key.mp4", "noise=drop=key", "by itself")]
    {
        let path = altered(folder.path(), name, &format!("-bsf:v {filter}"));
        let both = settled(&path, &settings(4, None, true));
        let [(Part::Frames { start: 0.0, end }, Err(lost)), (Part::Time { .. }, Ok(_))] = &both[..] else {
            panic!("{name}: {both:?}")
        };
        assert!(*end > 5.0, "{name}: {end}");
        assert_kind(lost, FaultKind::Corrupt, words);
        assert!(!lost.message.contains(" @ 0x"), "{lost}");
        assert_kind(&fault(film::decode, &path, &settings(4, None, false)), FaultKind::Corrupt, words);
        // Nothing is missing where no frames are wanted.
        let sound = settled(&path, &settings(0, None, true));
        assert!(matches!(sound[..], [(Part::Time { .. }, Ok(_))]), "{name}: {sound:?}");
    }
}

#[test]
fn a_sound_track_that_holds_nothing_is_no_failure() {
    let folder = tempfile::tempdir().unwrap();
    let path = altered(folder.path(), "mute.mkv", "-bsf:a noise=drop=1");
    let settled = settled(&path, &settings(4, None, true));
    assert!(matches!(settled[..], [(Part::Frames { .. }, Ok(_))]), "{settled:?}");
}

#[test]
fn a_film_of_which_a_decoder_says_that_something_is_truncated_is_read_whole() {
    let folder = tempfile::tempdir().unwrap();
    let mut bytes = fs::read(fixture("video/shapes.mp4")).unwrap();
    // What x264 says of itself claims to be longer than it is; sixteen bytes stand between its size and its words.
    let words = bytes.windows(11).position(|window| window == b"x264 - core").unwrap();
    bytes[words - 17] += 40;
    let path = folder.path().join("longer.mp4");
    fs::write(&path, bytes).unwrap();
    let settled = settled(&path, &settings(4, None, true));
    assert!(matches!(settled[..], [(Part::Frames { .. }, Ok(_)), (Part::Time { .. }, Ok(_))]), "{settled:?}");
}

#[test]
fn a_rate_asks_for_frames_at_full_seconds() {
    assert_eq!(numbers(&film("video/shapes.mp4", &settings(32, Some(1.0), false))), [0, 12, 24, 36, 48, 60]);
    assert_eq!(numbers(&film("video/shapes.mp4", &settings(3, Some(1.0), false))), [0, 24, 48]);
}

#[test]
fn in_a_long_film_the_same_frames_are_found_by_seeking() {
    let film = film("video/slow.mp4", &settings(5, None, false));
    assert_eq!(numbers(&film), [0, 30, 60, 90, 120]);
    assert!(film.frames.iter().all(|frame| (frame.time - f64::from(number(frame))).abs() < 1e-3));
}

#[test]
fn a_long_film_in_windows_is_several_units_with_the_same_frames() {
    let windows = |fps: Option<f64>| {
        let video = VideoSettings { frames: 4, fps, window: Some(40.0), sound: false, ..VideoSettings::default() };
        gathered(film::decode, "video/slow.mp4", &Settings { video, ..Settings::default() })
    };
    let out = windows(None);
    let spans: Vec<Part> =
        (0..4).map(|n| Part::Frames { start: 37.5 * f64::from(n), end: 37.5 * f64::from(n + 1) }).collect();
    assert_eq!(out.promised, spans);
    let films: Vec<&Film> = out.units().map(|unit| if let Unit::Film(film) = unit { film } else { panic!() }).collect();
    // Of 38 and 37 frames a stretch the numbers that transformers would choose in each.
    let found: Vec<Vec<u32>> = films.iter().map(|film| numbers(film)).collect();
    assert_eq!(found, [[0, 9, 19, 28], [38, 47, 56, 65], [75, 84, 94, 103], [113, 122, 131, 140]]);
    for frame in films.iter().flat_map(|film| &film.frames) {
        assert!((frame.time - f64::from(number(frame))).abs() < 1e-3, "{} of frame {}", frame.time, number(frame));
    }
}

#[test]
fn windows_of_a_film_whose_ticks_are_as_long_as_its_frames_have_true_times() {
    let video = VideoSettings { frames: 2, window: Some(1.0), sound: false, ..VideoSettings::default() };
    let out = gathered(film::decode, "video/shapes.avi", &Settings { video, ..Settings::default() });
    let films = out.units().map(|unit| if let Unit::Film(film) = unit { film } else { panic!("{unit:?}") });
    let frames: Vec<&Frame> = films.flat_map(|film| &film.frames).collect();
    assert_eq!(frames.len(), 6);
    for frame in frames {
        // It has an empty frame after the first.
        let place = number(frame) + u32::from(number(frame) > 0);
        assert!((frame.time - f64::from(place) / 12.0).abs() < 1e-3, "{} of frame {}", frame.time, number(frame));
    }
}

#[test]
fn frames_are_the_right_ones_where_ffmpeg_lands_amid_a_group_of_pictures() {
    let video = VideoSettings { frames: 3, window: Some(7.0), sound: false, ..VideoSettings::default() };
    let out = gathered(film::decode, "rare/sparse.mpg", &Settings { video, ..Settings::default() });
    assert_eq!(out.settled.len(), 5);
    for (part, unit) in &out.settled {
        let (Part::Frames { start, end }, Ok(Unit::Film(film))) = (part, unit) else { panic!("{part}: {unit:?}") };
        assert_eq!(film.frames.len(), 3, "{part}");
        assert!((film.frames[0].time - start).abs() < 0.1, "{part} begins with {}", film.frames[0].time);
        for frame in &film.frames {
            assert!(frame.time > start - 1e-3 && frame.time < *end, "{part} has {}", frame.time);
            // Each number is shown for half a second.
            assert_eq!(number(frame), ((frame.time + 1e-3) * 2.0) as u32, "{part} at {}", frame.time);
        }
    }
}

#[test]
fn frames_that_hardly_differ_are_shown_once() {
    let video = VideoSettings { frames: 8, least_change: 0.9, sound: false, ..VideoSettings::default() };
    assert_eq!(numbers(&film("video/shapes.mp4", &Settings { video, ..Settings::default() })), [0]);
}

#[test]
fn uneven_frames_keep_their_true_times() {
    let film = film("video/uneven.mkv", &settings(30, None, false));
    assert_eq!(numbers(&film), (0..30).collect::<Vec<_>>());
    for (index, frame) in film.frames.iter().enumerate() {
        let expected = if index < 15 { index as f64 * 0.1 } else { 1.5 + (index - 15) as f64 * 0.5 };
        assert!((frame.time - expected).abs() < 2e-3, "{index}: {}", frame.time);
    }
}

#[test]
fn the_sound_comes_after_the_frames() {
    let out = gathered(film::decode, "video/shapes.mp4", &settings(4, None, true));
    let [Part::Frames { start: 0.0, end }, Part::Time { start: 0.0, end: heard }] = out.promised[..] else {
        panic!("{:?}", out.promised)
    };
    assert!((end - 6.0).abs() < 1e-2 && (heard - 6.0).abs() < 5e-2, "{end} {heard}");
    let Some(Unit::Clip(clip)) = out.units().nth(1) else { panic!() };
    assert_eq!(clip.samples, reference(&fixture("video/shapes.mp4")));
}

#[test]
fn no_frames_leaves_the_sound_and_no_sound_leaves_the_frames() {
    let sound = units(film::decode, "video/shapes.mp4", &settings(0, None, true));
    assert!(matches!(sound[..], [Unit::Clip(_)]), "{sound:?}");
    let frames = units(film::decode, "video/shapes.mp4", &settings(2, None, false));
    assert!(matches!(frames[..], [Unit::Film(_)]), "{frames:?}");
    let silent = units(film::decode, "video/silent.mp4", &settings(2, None, true));
    assert!(matches!(silent[..], [Unit::Film(_)]), "{silent:?}");
    let heard = units(film::decode, "video/only-sound.mp4", &settings(2, None, true));
    assert!(matches!(heard[..], [Unit::Clip(_)]), "{heard:?}");
    let nothing = fault(film::decode, &fixture("video/silent.mp4"), &settings(0, None, true));
    assert_kind(&nothing, FaultKind::Empty, "[decode.video]");
}

/// So many frames from a number on, each a PNG as bright as its number, one in ten seconds.
fn greys(folder: &Path, name: &str, size: &str, first: u32, count: u32) -> PathBuf {
    let source = format!("nullsrc=size={size}:rate=1/10:duration={}", 10 * count);
    let form = if name.ends_with(".mkv") { "matroska" } else { "image2pipe" };
    let grey = format!("geq=r=N+{first}:g=N+{first}:b=N+{first}");
    made(folder, name, &format!("-f lavfi -i {source},{grey} -pix_fmt rgb24 -c:v png -f {form}"))
}

/// The place of each of so many frames, by its time and the seconds that one takes, and how bright it is.
fn shown(path: &Path, frames: u32, seconds: f64) -> Vec<(f64, u8)> {
    let mut out = Gathered::default();
    film::decode(&Input::open(path).unwrap(), &order(&settings(frames, None, false)), &mut out).unwrap();
    let Some(Unit::Film(film)) = out.units().next() else { panic!("{:?}", out.settled) };
    film.frames.iter().map(|frame| (frame.time / seconds, frame.raster.rgb[0])).collect()
}

/// The numbers of the frames, of which each must be in its own place.
fn in_their_places(shown: &[(f64, u8)]) -> Vec<u8> {
    assert!(shown.iter().all(|(place, grey)| (place - f64::from(*grey)).abs() < 1e-3), "{shown:?}");
    shown.iter().map(|(_, grey)| *grey).collect()
}

#[test]
fn where_a_long_film_is_damaged_the_frame_that_comes_has_its_own_time_and_comes_once() {
    let folder = tempfile::tempdir().unwrap();
    let path = greys(folder.path(), "greys.mkv", "32x24", 0, 20);
    let mut bytes = fs::read(&path).unwrap();
    let heads: Vec<usize> = (0..bytes.len()).filter(|at| bytes[*at..].starts_with(b"IHDR")).collect();
    assert_eq!(heads.len(), 20);
    // Width and height are nothing.
    heads[12..14].iter().for_each(|at| bytes[at + 4..at + 12].fill(0));
    fs::write(&path, bytes).unwrap();
    let others: Vec<u8> = (0..20).filter(|number| !(12..14).contains(number)).collect();
    assert_eq!(in_their_places(&shown(&path, 20, 10.0)), others);
}

#[test]
fn a_film_that_changes_its_size_has_each_frame_at_its_time() {
    let folder = tempfile::tempdir().unwrap();
    let large = greys(folder.path(), "large.png", "32x24", 0, 30);
    let small = greys(folder.path(), "small.png", "16x12", 30, 30);
    let both = folder.path().join("both.png");
    fs::write(&both, [fs::read(large).unwrap(), fs::read(small).unwrap()].concat()).unwrap();
    let film = made(folder.path(), "both.mkv", &format!("-f png_pipe -framerate 1 -i {} -c copy", both.display()));
    assert_eq!(in_their_places(&shown(&film, 6, 1.0)), [0, 10, 20, 30, 40, 50]);
}

#[test]
fn a_long_film_whose_frames_grow_over_the_limit_is_not_handed_over_in_part() {
    let folder = tempfile::tempdir().unwrap();
    let small = greys(folder.path(), "small.png", "16x12", 0, 7);
    let large = greys(folder.path(), "large.png", "32x24", 7, 13);
    let both = folder.path().join("both.png");
    fs::write(&both, [fs::read(small).unwrap(), fs::read(large).unwrap()].concat()).unwrap();
    let film = made(folder.path(), "both.mkv", &format!("-f png_pipe -framerate 1/10 -i {} -c copy", both.display()));
    let mut settings = settings(3, None, false);
    settings.limits.pixels = 700;
    assert_kind(&fault(film::decode, &film, &settings), FaultKind::TooLarge, "32 x 24");
}

#[test]
fn a_film_held_upright_is_turned() {
    let film = film("video/turned.mov", &settings(2, None, false));
    assert!(film.frames.iter().all(|frame| (frame.raster.width, frame.raster.height) == (240, 320)));
}

#[test]
fn a_film_with_fewer_frames_than_asked_gives_all() {
    assert_eq!(film("video/turned.mov", &settings(32, None, false)).frames.len(), 12);
}

#[test]
fn a_film_cut_off_is_corrupt_in_ffmpegs_own_words() {
    let cut = fault(film::decode, &fixture("broken/truncated.mp4"), &Settings::default());
    assert_kind(&cut, FaultKind::Corrupt, "moov atom not found");
    let noise = fault(film::decode, &fixture("broken/noise.bin"), &Settings::default());
    assert_eq!(noise.kind, FaultKind::Corrupt, "{noise:?}");
}

#[test]
fn films_over_a_limit_name_it() {
    let mut settings = settings(2, None, true);
    settings.limits.seconds = 5.0;
    let long = fault(film::decode, &fixture("video/shapes.mp4"), &settings);
    assert_kind(&long, FaultKind::TooLarge, "[decode.limits] seconds");
    settings.limits.seconds = 50.0;
    settings.limits.pixels = 320 * 240 - 1;
    let large = fault(film::decode, &fixture("video/shapes.mp4"), &settings);
    assert_kind(&large, FaultKind::TooLarge, "[decode.limits] pixels");
    // Each frame would do, but they are small already, and there are two of them.
    settings.limits.pixels = 2 * 320 * 240 - 1;
    let large = fault(film::decode, &fixture("video/shapes.mp4"), &settings);
    assert_kind(&large, FaultKind::TooLarge, "its 2 frames together");
    settings.limits.pixels = 2 * 320 * 240;
    assert!(matches!(units(film::decode, "video/shapes.mp4", &settings)[0], Unit::Film(_)));
}
