//! What a film holds, learned by reading its packets without decoding them: tracks, size, the time of every frame. A pass takes
//! about as long as reading the file.

use std::ops::Range;

use crate::base::{Fault, FaultKind};

use super::super::{
    input::Input,
    output::{Output, refuse},
    packets::{self, Line, pair, tick},
};

/// More frames than twelve hours of film at 240 a second.
const MOST_FRAMES: usize = 12 << 20;

/// What a film holds.
#[derive(Debug, Default)]
pub struct Survey {
    /// The first picture track that is no cover.
    pub pictures: Option<Pictures>,
    /// Whether there is a sound track.
    pub has_sound: bool,
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

/// A track while its packets are read.
#[derive(Debug, Default)]
struct Track {
    /// Seconds of a unit of time.
    tick: f64,
    is_sound: bool,
    pictures: Pictures,
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
        let mut tracks: Vec<Track> = Vec::new();
        let copied = ["-map", "0:V:0?", "-map", "0:a:0?", "-c", "copy"];
        let ffmpeg = packets::read(input, &copied, out, |line| note(line, &mut tracks))?;
        let notes = ffmpeg.finish()?;
        if notes.cut_off { Err(notes.fault()) } else { Ok(Self::of(tracks)) }
    }

    fn of(tracks: Vec<Track>) -> Self {
        let mut survey = Self::default();
        for mut track in tracks {
            survey.seconds = survey.seconds.max(track.pictures.end);
            survey.has_sound |= track.is_sound;
            if !track.is_sound && !track.pictures.times.is_empty() {
                // Packets come in the order of decoding.
                track.pictures.times.sort_by(f64::total_cmp);
                survey.pictures = Some(track.pictures);
            }
        }
        survey
    }
}

/// Takes in one line.
fn note(line: Line, tracks: &mut Vec<Track>) -> Result<(), Fault> {
    match line {
        // At most two tracks are mapped.
        Line::Track { index: index @ 0..2, name, value } => note_track(index, name, value, tracks),
        Line::Track { .. } => {}
        Line::Packet { index, start, duration } => {
            tracks.get_mut(index).map_or(Ok(()), |track| note_packet(track, start, duration))?;
        }
    }
    Ok(())
}

fn note_track(index: usize, name: &str, value: &str, tracks: &mut Vec<Track>) {
    tracks.resize_with(tracks.len().max(index + 1), Track::default);
    let track = &mut tracks[index];
    match name {
        "tb" => track.tick = tick(value),
        "media_type" => track.is_sound = value == "audio",
        "dimensions" => (track.pictures.width, track.pictures.height) = pair(value, 'x').unwrap_or_default(),
        _ => {}
    }
}

fn note_packet(track: &mut Track, start: i64, duration: i64) -> Result<(), Fault> {
    let (start, duration) = (start as f64 * track.tick, duration as f64 * track.tick);
    track.pictures.end = track.pictures.end.max(start + duration);
    // What lies before the start is decoded for the sake of others but not shown.
    if !track.is_sound && start > -1e-6 {
        track.pictures.times.push(start.max(0.0));
    }
    if track.pictures.times.len() > MOST_FRAMES {
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
        Survey::of(tracks)
    }

    #[test]
    fn packets_tell_times_in_the_order_of_showing() {
        let text = "#software: Lavf59\n#tb 0: 1/10\n#media_type 0: video\n#codec_id 0: h264\n#dimensions 0: 320x240\n\
                    #tb 1: 1/100\n#media_type 1: audio\n0, -1, 0, 1, 99, 0x1\n0, 0, 3, 1, 9, 0x2\n1, 0, 0, 500, 9, 0x3\n\
                    0, 1, 1, 1, 9, 0x4, S=1, 8, 0x5\n0, 2, -2, 1, 9, 0x6";
        let survey = survey(text);
        assert!(survey.has_sound);
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
        assert!(survey.pictures.is_none() && !survey.has_sound);
    }
}
