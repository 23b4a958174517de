//! What a film holds, learned by reading its packets without decoding them: tracks, size, the time of every frame. A pass takes
//! about as long as reading the file.

use std::ops::{ControlFlow, Range};

use crate::base::{Fault, FaultKind};

use super::super::{
    ffmpeg::Ffmpeg,
    input::Input,
    notes::Notes,
    output::{Output, refuse},
    packets::{self, Line, pair, tick},
    settings::SoundTrack,
};

/// More frames than twelve hours of film at 240 a second.
const MOST_FRAMES: usize = 12 << 20;

/// Has ffmpeg make the times of packets that say none of the order in which they are decoded (ffmpeg-formats, `fflags`).
const MADE: [&str; 2] = ["-fflags", "+genpts"];

/// What a film holds.
#[derive(Debug, Default)]
pub struct Survey {
    /// The first picture track that is no cover.
    pub pictures: Option<Pictures>,
    /// Why there are none, where there is a picture track all the same.
    pub damage: Option<Fault>,
    /// Whether there is a sound track.
    pub has_sound: bool,
    /// Whether the first sound track holds nothing.
    pub is_mute: bool,
    /// End of the longest track.
    pub seconds: f64,
}

/// A track of moving pictures.
#[derive(Debug, Default)]
pub struct Pictures {
    /// Pixels per row as stored, before any rotation.
    pub width: u32,
    /// Rows as stored.
    pub height: u32,
    /// Seconds at which each frame is shown, ascending.
    pub times: Vec<f64>,
    /// When the last frame is over.
    pub end: f64,
    /// How much each frame differs from the one before, 0 to 1, where that was asked for.
    pub changes: Vec<f32>,
}

/// What a track is of.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Sort {
    #[default]
    Untold,
    Pictures,
    Sound,
}

impl Sort {
    fn of(media_type: &str) -> Self {
        match media_type {
            "video" => Self::Pictures,
            "audio" => Self::Sound,
            _ => Self::Untold,
        }
    }
}

/// A track while its packets are read.
#[derive(Debug, Default)]
struct Track {
    /// Seconds of a unit of time.
    tick: f64,
    sort: Sort,
    /// Whether there is a packet of it.
    holds_something: bool,
    /// Whether there is a frame that does not say when it is shown.
    lacks_times: bool,
    pictures: Pictures,
    /// Seconds at which such frames are decoded.
    untold: Vec<f64>,
}

impl Pictures {
    /// The frames, by number, that begin within a span of seconds; at the end of the film those too that begin right there and
    /// last no time.
    pub fn within(&self, span: &Range<f64>) -> Range<usize> {
        let before = |second: f64| self.times.partition_point(|time| *time < second);
        let end = if span.end >= self.end { self.times.len() } else { before(span.end) };
        before(span.start)..end
    }
}

impl Pictures {
    /// The frame that begins nearest to a time.
    pub fn shown_at(&self, time: f64) -> Option<usize> {
        let next = self.times.partition_point(|begins| *begins < time);
        let near = next.checked_sub(1).into_iter().chain([next]).filter(|frame| *frame < self.times.len());
        near.min_by(|one, other| (self.times[*one] - time).abs().total_cmp(&(self.times[*other] - time).abs()))
    }
}

impl Survey {
    /// Reads all packets of the film.
    pub fn take(input: &Input, out: &mut dyn Output) -> Result<Self, Fault> {
        let (mut tracks, mut ffmpeg) = read(input, &[], out)?;
        // Not at once: where nothing is missing it would move times that are right by a frame (H.264 in AVI).
        if tracks.iter().any(|track| track.lacks_times) {
            drop(ffmpeg);
            (tracks, ffmpeg) = read(input, &MADE, out)?;
        }
        let notes = ffmpeg.finish()?;
        if notes.cut_off { Err(notes.fault()) } else { Ok(Self::of(tracks, &notes)) }
    }

    fn of(tracks: Vec<Track>, notes: &Notes) -> Self {
        let mut survey = Self::default();
        for track in tracks {
            survey.seconds = survey.seconds.max(track.pictures.end);
            match track.sort {
                Sort::Untold => {}
                Sort::Sound => (survey.has_sound, survey.is_mute) = (true, !track.holds_something),
                Sort::Pictures => {
                    survey.pictures = track.frames();
                    survey.damage = survey.pictures.is_none().then(|| unreadable(notes));
                }
            }
        }
        survey
    }

    /// Whether the sound track that is asked for may hold something: only the first was looked into.
    pub fn is_heard(&self, track: SoundTrack) -> bool {
        self.has_sound && !(self.is_mute && track == SoundTrack::Number(1))
    }
}

impl Track {
    /// Its frames in the order of showing, or `None` where no time of any is told.
    fn frames(mut self) -> Option<Pictures> {
        // Fewer are the second fields of frames, which are shown with the first.
        if self.untold.len() > 2 * self.pictures.times.len() {
            self.pictures.times.append(&mut self.untold);
        }
        // Packets come in the order of decoding.
        self.pictures.times.sort_by(f64::total_cmp);
        (!self.pictures.times.is_empty()).then_some(self.pictures)
    }
}

fn unreadable(notes: &Notes) -> Fault {
    let why = if notes.complaints.is_empty() {
        "it holds no frame that can be decoded by itself".to_owned()
    } else {
        format!("ffmpeg says: {}", notes.words())
    };
    let message = format!("nothing of its picture track can be read: {why}");
    refuse(FaultKind::Corrupt, message, "fetch the file again or convert it anew")
}

/// Reads the packets of the first picture track and the first sound track: all, or where no times are made only up to
/// the first frame that has none.
fn read(input: &Input, before: &[&str], out: &mut dyn Output) -> Result<(Vec<Track>, Ffmpeg), Fault> {
    let mut tracks: Vec<Track> = Vec::new();
    let copied = ["-map", "0:V:0?", "-map", "0:a:0?", "-c", "copy"];
    let ffmpeg = packets::read(input, before, &copied, out, |line| {
        note(line, &mut tracks)?;
        let enough = before.is_empty() && tracks.iter().any(|track| track.lacks_times);
        Ok(if enough { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
    })?;
    Ok((tracks, ffmpeg))
}

/// Takes in one line.
fn note(line: Line, tracks: &mut Vec<Track>) -> Result<(), Fault> {
    match line {
        // At most two tracks are mapped.
        Line::Track { index: index @ 0..2, name, value } => note_track(index, name, value, tracks),
        Line::Track { .. } => {}
        Line::Packet { index, decoded, start, duration } => {
            tracks.get_mut(index).map_or(Ok(()), |track| note_packet(track, decoded, start, duration))?;
        }
    }
    Ok(())
}

fn note_track(index: usize, name: &str, value: &str, tracks: &mut Vec<Track>) {
    tracks.resize_with(tracks.len().max(index + 1), Track::default);
    let track = &mut tracks[index];
    match name {
        "tb" => track.tick = tick(value),
        "media_type" => track.sort = Sort::of(value),
        "dimensions" => (track.pictures.width, track.pictures.height) = pair(value, 'x').unwrap_or_default(),
        _ => {}
    }
}

fn note_packet(track: &mut Track, decoded: Option<i64>, shown: Option<i64>, duration: i64) -> Result<(), Fault> {
    track.holds_something = true;
    track.lacks_times |= track.sort == Sort::Pictures && shown.is_none();
    let Some(start) = shown.or(decoded) else { return Ok(()) };
    let (start, duration) = (start as f64 * track.tick, duration as f64 * track.tick);
    track.pictures.end = track.pictures.end.max(start + duration);
    // What lies before the start is decoded for the sake of others but not shown.
    if track.sort == Sort::Pictures && start > -1e-6 {
        let times = if shown.is_some() { &mut track.pictures.times } else { &mut track.untold };
        times.push(start.max(0.0));
    }
    if track.pictures.times.len() + track.untold.len() > MOST_FRAMES {
        let message = format!("the film has more than {MOST_FRAMES} frames");
        return Err(refuse(FaultKind::TooLarge, message, "cut the film"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::{super::super::packets::tests::lines, *};

    fn survey(text: &str) -> Survey {
        let mut tracks = Vec::new();
        lines(text).for_each(|line| note(line, &mut tracks).unwrap());
        Survey::of(tracks, &Notes::default())
    }

    #[test]
    fn packets_tell_times_in_the_order_of_showing() {
        let text = "#software: Lavf59\n#tb 0: 1/10\n#media_type 0: video\n#codec_id 0: h264\n#dimensions 0: 320x240\n\
                    #tb 1: 1/100\n#media_type 1: audio\n0, -1, 0, 1, 99, 0x1\n0, 0, 3, 1, 9, 0x2\n1, 0, 0, 500, 9, 0x3\n\
                    0, 1, 1, 1, 9, 0x4, S=1, 8, 0x5\n0, 2, -2, 1, 9, 0x6";
        let survey = survey(text);
        assert!(survey.is_heard(SoundTrack::Number(1)) && survey.damage.is_none());
        assert_eq!(survey.seconds, 5.0);
        let pictures = survey.pictures.unwrap();
        assert_eq!((pictures.width, pictures.height), (320, 240));
        assert!(pictures.times.iter().zip([0.0, 0.1, 0.3]).all(|(a, b)| (a - b).abs() < 1e-9), "{:?}", pictures.times);
        assert!((pictures.end - 0.4).abs() < 1e-9);
    }

    #[test]
    fn a_time_is_told_by_the_nearest_frame() {
        let film = Pictures { times: vec![0.0, 1.0, 2.5], ..Pictures::default() };
        assert_eq!([-1.0, 0.4, 0.6, 1.0, 2.4, 9.0].map(|time| film.shown_at(time).unwrap()), [0, 0, 1, 1, 2, 2]);
        assert_eq!(Pictures::default().shown_at(0.0), None);
    }

    #[test]
    fn a_frame_that_lasts_no_time_is_part_of_the_film() {
        let pictures = |times: &[f64], end| Pictures { times: times.to_vec(), end, ..Pictures::default() };
        assert_eq!(pictures(&[0.0], 0.0).within(&(0.0..0.0)), 0..1);
        let film = pictures(&[0.0, 1.0, 2.0], 2.0);
        assert_eq!((film.within(&(0.0..1.0)), film.within(&(1.0..2.0))), (0..1, 1..3));
    }

    #[test]
    fn lines_of_nonsense_are_passed_over() {
        let survey = survey("#tb 9999999: 1/0\n#tb 0: 1/0\n5, 0, 1, 2\n0, x, y, z\n,,,\n#\n#dimensions 0: axb");
        assert!(survey.pictures.is_none() && survey.damage.is_none() && !survey.has_sound);
    }

    #[test]
    fn a_track_that_is_announced_and_holds_nothing_is_told_from_none() {
        let survey = survey("#tb 0: 1/10\n#media_type 0: video\n#tb 1: 1/100\n#media_type 1: audio\n");
        assert!(survey.pictures.is_none());
        let damage = survey.damage.as_ref().unwrap();
        assert!(damage.kind == FaultKind::Corrupt && damage.message.contains("by itself"), "{damage:?}");
        // Another track than the first may hold something.
        assert!(!survey.is_heard(SoundTrack::Number(1)) && survey.is_heard(SoundTrack::Number(2)));
    }

    #[test]
    fn the_second_fields_of_frames_are_no_frames_but_frames_packed_together_are() {
        let track = |groups: [&[&str]; 2]| {
            let packets = |(at, group): (usize, &&[&str])| -> String {
                let packet = |(more, shown): (usize, &&str)| format!("0, {}, {shown}, 1, 9, 0x1\n", 10 * at + more);
                group.iter().enumerate().map(packet).collect()
            };
            let packets: String = groups.iter().enumerate().map(packets).collect();
            survey(&format!("#tb 0: 1/10\n#media_type 0: video\n{packets}")).pictures.unwrap().times.len()
        };
        let none = i64::MIN.to_string();
        assert_eq!(track([&["0", &none], &["10", &none]]), 2);
        assert_eq!(track([&["0", &none, &none, &none], &["10", &none, &none, &none]]), 8);
    }
}
