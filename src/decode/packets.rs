//! The tracks and packets of a file, told by ffmpeg without decoding them.
//!
//! Its `framecrc` output has lines such as `#dimensions 0: 320x240` about each track, and for each packet
//! `stream, dts, pts, duration, size, checksum`.

use std::ops::ControlFlow;

use crate::base::Fault;

use super::{ffmpeg::Ffmpeg, input::Input, output::Output};

/// One line.
#[derive(Debug, PartialEq, Eq)]
pub enum Line<'a> {
    /// Something about a track.
    Track { index: usize, name: &'a str, value: &'a str },
    /// A packet of a track: when it is decoded, when it is shown or heard, where that is told, and for how long, in
    /// ticks of the track.
    Packet { index: usize, decoded: Option<i64>, start: Option<i64>, duration: i64 },
}

/// What stands where a packet has no time (libavutil, `AV_NOPTS_VALUE`).
const TIMELESS: i64 = i64::MIN;

impl<'a> Line<'a> {
    /// `None` for what is neither.
    fn of(line: &'a str) -> Option<Self> {
        let Some(head) = line.strip_prefix('#') else { return Self::packet(line) };
        let (name, value) = head.split_once(": ")?;
        let (name, index) = name.split_once(' ')?;
        Some(Self::Track { index: index.parse().ok()?, name, value })
    }

    fn packet(line: &str) -> Option<Self> {
        let mut fields = line.split(',').map(|field| field.trim().parse::<i64>().ok());
        let (index, decoded, start) = (fields.next()??, fields.next()?, fields.next()?);
        let (index, duration) = (usize::try_from(index).ok()?, fields.next()??);
        let told = |time: Option<i64>| time.filter(|time| *time != TIMELESS);
        Some(Self::Packet { index, decoded: told(decoded), start: told(start), duration })
    }
}

/// Hands over the lines about what ffmpeg is told to copy, with arguments `before` the input, until `each` has enough. An
/// ffmpeg that comes back and has said all tells with [`Ffmpeg::finish`] how it went.
///
/// # Errors
/// That of `each`, and as [`Ffmpeg::start`].
pub fn read(
    input: &Input,
    before: &[&str],
    copied: &[&str],
    out: &mut dyn Output,
    mut each: impl FnMut(Line) -> Result<ControlFlow<()>, Fault>,
) -> Result<Ffmpeg, Fault> {
    let (before, form) = ([&["-loglevel", "error"][..], before].concat(), ["-f", "framecrc", "-"]);
    let mut ffmpeg = Ffmpeg::start(input, &before, &[copied, &form].concat())?;
    while let Some(line) = ffmpeg.line(out)? {
        if let Some(line) = Line::of(&line)
            && each(line)?.is_break()
        {
            break;
        }
    }
    Ok(ffmpeg)
}

/// The seconds of a tick, of the value of `tb`; 0 for nonsense.
pub fn tick(value: &str) -> f64 {
    pair(value, '/').map_or(0.0, |(top, bottom)| f64::from(top) / f64::from(bottom.max(1)))
}

/// Two numbers with a sign between.
pub fn pair(text: &str, between: char) -> Option<(u32, u32)> {
    let (left, right) = text.split_once(between)?;
    Some((left.trim().parse().ok()?, right.trim().parse().ok()?))
}

#[cfg(test)]
pub mod tests {
    use super::*;

    /// The lines of a text.
    pub fn lines(text: &str) -> impl Iterator<Item = Line<'_>> {
        text.lines().filter_map(Line::of)
    }

    #[test]
    fn tracks_and_packets_are_told_apart_from_nonsense() {
        let text = "#software: Lavf59\n#tb 0: 1/10\n0, -1, 3, 1, 99, 0x1\n1, NOPTS, 7, 0, 9, 0x3, S=1, 8, 0x5\n#\n,,,\n5, 0, 1\n-1, 0, 0, 0\n0, 0, 1, x";
        let found: Vec<_> = lines(text).collect();
        let packet = |index, decoded, start, duration| Line::Packet { index, decoded, start: Some(start), duration };
        let track = Line::Track { index: 0, name: "tb", value: "1/10" };
        assert_eq!(found, [track, packet(0, Some(-1), 3, 1), packet(1, None, 7, 0)]);
    }

    #[test]
    fn a_packet_without_a_time_is_no_packet_of_long_ago() {
        let text = "0,         21, -9223372036854775808,        1,       22, 0x497e08d5\n0, NOPTS, NOPTS, 1, 9, 0x3";
        let packet = |decoded| Line::Packet { index: 0, decoded, start: None, duration: 1 };
        assert_eq!(lines(text).collect::<Vec<_>>(), [packet(Some(21)), packet(None)]);
    }

    #[test]
    fn a_tick_of_nonsense_is_none() {
        assert_eq!(["1/10", "1/0", "x/2", "9", "99999999999/1"].map(tick), [0.1, 1.0, 0.0, 0.0, 0.0]);
    }
}
