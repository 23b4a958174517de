//! The sound of any file through ffmpeg: what Symphonia cannot read, and the sound tracks of films.

use std::ops::ControlFlow;

use crate::base::{Fault, FaultKind};

use super::{
    super::{
        ffmpeg::Ffmpeg,
        input::Input,
        order::Order,
        output::{Output, refuse},
        packets::{self, Line, tick},
        settings::{AllTracks, SoundTrack},
    },
    breaks_off,
    clips::{Clips, RATE},
    finite, lose_the_rest,
};

/// Frames of samples read at a time.
const BLOCK: usize = 1 << 14;

/// Most channels that a track may have.
const MOST_CHANNELS: usize = 64;

/// Most tracks that are mixed.
const MOST_TRACKS: usize = 64;

/// To 16 kHz, at the times of the file: a gap is filled with silence, and what overlaps is cut away (ffmpeg-filters, `aresample`;
/// swresample, `async`). Where rate or channels change on the way ffmpeg begins anew with this, so the silence before the first
/// sample is not its business.
const TIMED: &str = "aresample=16000:async=1:min_hard_comp=0.1";

/// The same, and silence from the beginning of the file on: of tracks that are mixed.
const FROM_THE_START: &str = "aresample=16000:async=1:min_hard_comp=0.1:first_pts=0";

/// Hands over the sound track that is asked for, or all of them mixed, as clips; channels are averaged.
///
/// # Errors
/// As [`super::decode`], `Empty` when there is no such track, and `Unsupported` without an ffmpeg.
pub fn decode(input: &Input, order: &Order, out: &mut dyn Output) -> Result<(), Fault> {
    let Source { arguments, late } = source(input, order.sound.track, out)?;
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let mut clips = Clips::new(order);
    if wait(late, &mut clips, out)? {
        return Ok(());
    }
    // Tags would make the head as long as they are.
    let form =
        ["-vn", "-sn", "-dn", "-map_metadata", "-1", "-fflags", "+bitexact", "-c:a", "pcm_f32le", "-f", "wav", "-"];
    let mut ffmpeg = Ffmpeg::start(input, &["-loglevel", "error"], &[&arguments[..], &form].concat())?;
    if let Some(channels) = channels(&mut ffmpeg, out)?
        && flow(&mut ffmpeg, channels, &mut clips, out)?
    {
        return Ok(());
    }
    let notes = ffmpeg.finish()?;
    match clips.finish(out)? {
        Some(end) if notes.cut_off => lose_the_rest(end, breaks_off(end, &notes.words()), out),
        _ => Ok(()),
    }
}

/// What is heard.
struct Source {
    /// What ffmpeg is told.
    arguments: Vec<String>,
    /// Seconds after which it begins.
    late: f64,
}

fn source(input: &Input, track: SoundTrack, out: &mut dyn Output) -> Result<Source, Fault> {
    match track {
        SoundTrack::Number(1) => alone(input, 1, out),
        SoundTrack::Number(number) => match tracks(input, out)? {
            there if there < number as usize => Err(no_such_track(number, there)),
            _ => alone(input, number, out),
        },
        SoundTrack::Named(AllTracks::All) => match tracks(input, out)? {
            0 | 1 => alone(input, 1, out),
            count => {
                let mixed = ["-filter_complex", &mixed(count.min(MOST_TRACKS)), "-map", "[all]"];
                Ok(Source { arguments: mixed.map(str::to_owned).into(), late: 0.0 })
            }
        },
    }
}

fn alone(input: &Input, number: u32, out: &mut dyn Output) -> Result<Source, Fault> {
    let map = format!("0:a:{}", number.saturating_sub(1));
    let late = begins(input, &map, out)?;
    Ok(Source { arguments: ["-map", &map, "-af", TIMED].map(str::to_owned).into(), late })
}

/// At which second of the file the first packet of a track stands; 0 where that is not told.
fn begins(input: &Input, map: &str, out: &mut dyn Output) -> Result<f64, Fault> {
    let (mut unit, mut late) = (0.0, 0.0);
    packets::read(input, &[], &["-map", map, "-c", "copy", "-frames:a", "1"], out, |line| {
        match line {
            Line::Track { name: "tb", value, .. } => unit = tick(value),
            Line::Track { .. } => {}
            Line::Packet { start, .. } => late = start.map_or(0.0, |start| start as f64 * unit),
        }
        Ok(ControlFlow::Continue(()))
    })?;
    // What is wrong with the file is told when it is decoded.
    Ok(late.max(0.0))
}

/// Silence before a track that begins late; true when no more is wanted.
fn wait(late: f64, clips: &mut Clips, out: &mut dyn Output) -> Result<bool, Fault> {
    let mut left = (late * f64::from(RATE)) as u64;
    while left > 0 {
        let count = left.min(BLOCK as u64);
        clips.room().extend(std::iter::repeat_n(0.0, count as usize));
        left -= count;
        if clips.flow(out)?.is_break() {
            return Ok(true);
        }
    }
    Ok(false)
}

/// The filters that mix so many tracks, each made mono, as long as the longest.
fn mixed(count: usize) -> String {
    let each: String =
        (0..count).map(|at| format!("[0:a:{at}]{FROM_THE_START},aformat=channel_layouts=mono[t{at}];")).collect();
    let names: String = (0..count).map(|at| format!("[t{at}]")).collect();
    format!("{each}{names}amix=inputs={count}:duration=longest[all]")
}

/// How many sound tracks there are, told by the header of a copy of no length.
fn tracks(input: &Input, out: &mut dyn Output) -> Result<usize, Fault> {
    let mut count = 0;
    packets::read(input, &[], &["-map", "0:a?", "-c", "copy", "-t", "0"], out, |line| {
        count += usize::from(matches!(line, Line::Track { name: "media_type", .. }));
        Ok(ControlFlow::Continue(()))
    })?;
    // A file without any is no output at all, which ffmpeg says itself.
    Ok(count)
}

fn no_such_track(number: u32, there: usize) -> Fault {
    let tracks = if there == 1 { "one sound track".to_owned() } else { format!("{there} sound tracks") };
    let message = format!("the file has {tracks}, and number {number} is wanted");
    refuse(FaultKind::Empty, message, "set `track` of `[decode] sound` to one that is there, or to \"all\"")
}

/// Hands over all samples; true when no more are wanted.
fn flow(ffmpeg: &mut Ffmpeg, channels: usize, clips: &mut Clips, out: &mut dyn Output) -> Result<bool, Fault> {
    let mut bytes = vec![0; 4 * channels * BLOCK];
    loop {
        let count = ffmpeg.fill(&mut bytes, out)?;
        clips.room().extend(bytes[..count].chunks_exact(4 * channels).map(average));
        if clips.flow(out)?.is_break() {
            return Ok(true);
        }
        if count < bytes.len() {
            return Ok(false);
        }
    }
}

/// Reads the head of the WAV that ffmpeg writes, up to its samples; `None` where it ends before. The sizes in it say nothing,
/// since it goes to a pipe.
fn channels(ffmpeg: &mut Ffmpeg, out: &mut dyn Output) -> Result<Option<usize>, Fault> {
    let mut head = [0; 12];
    let mut channels = None;
    if ffmpeg.fill(&mut head, out)? < head.len() {
        return Ok(None);
    }
    loop {
        let mut chunk = [0; 8];
        if ffmpeg.fill(&mut chunk, out)? < chunk.len() {
            return Ok(None);
        }
        let (name, size) = (&chunk[..4], u32::from_le_bytes([chunk[4], chunk[5], chunk[6], chunk[7]]) as usize);
        if name == b"data" {
            return channels.filter(|count| (1..=MOST_CHANNELS).contains(count)).map(Some).ok_or_else(garbled);
        }
        let mut body = vec![0; size.min(1 << 16)];
        if ffmpeg.fill(&mut body, out)? < body.len() {
            return Ok(None);
        }
        if name == b"fmt " {
            channels = body.get(2..4).map(|count| usize::from(u16::from_le_bytes([count[0], count[1]])));
        }
    }
}

fn garbled() -> Fault {
    refuse(FaultKind::Internal, "ffmpeg sent something that is no sound", "run `lapidary runtime install`")
}

/// The mean of all channels of one moment.
fn average(frame: &[u8]) -> f32 {
    let (samples, _) = frame.as_chunks::<4>();
    finite(samples.iter().map(|bytes| f32::from_le_bytes(*bytes)).sum::<f32>() / samples.len() as f32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn channels_are_averaged_and_what_is_no_number_is_silence() {
        let frame = |samples: &[f32]| samples.iter().flat_map(|one| one.to_le_bytes()).collect::<Vec<_>>();
        assert_eq!(average(&frame(&[0.5, -0.25, 0.0, 0.75])), 0.25);
        assert_eq!(average(&frame(&[9.0])), 1.0);
        assert_eq!(average(&frame(&[f32::NAN, 0.5])), 0.0);
    }
}
