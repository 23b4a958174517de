//! The tracks and packets of a file, told by ffmpeg without decoding them.
//!
//! Its `framecrc` output has lines such as `#dimensions 0: 320x240` about each track, and for each packet
//! `stream, dts, pts, duration, size, checksum`.

use crate::base::Fault;

use super::{ffmpeg::Ffmpeg, input::Input, output::Output};

/// One line.
#[derive(Debug, PartialEq, Eq)]
pub enum Line<'a> {
    /// Something about a track.
    Track { index: usize, name: &'a str, value: &'a str },
    /// When a packet of a track is shown or heard, and for how long, in ticks of the track.
    Packet { index: usize, start: i64, duration: i64 },
}

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
        let (index, _, start, duration) = (fields.next()??, fields.next()?, fields.next()??, fields.next()??);
        Some(Self::Packet { index: usize::try_from(index).ok()?, start, duration })
    }
}

/// Hands over the lines about what ffmpeg is told to copy; the ffmpeg that comes back has said all, and
/// [`Ffmpeg::finish`] tells how it went.
///
/// # Errors
/// That of `each`, and as [`Ffmpeg::start`].
pub fn read(
    input: &Input,
    copied: &[&str],
    out: &mut dyn Output,
    mut each: impl FnMut(Line) -> Result<(), Fault>,
) -> Result<Ffmpeg, Fault> {
    let form = ["-f", "framecrc", "-"];
    let mut ffmpeg = Ffmpeg::start(input, &["-loglevel", "error"], &[copied, &form].concat())?;
    while let Some(line) = ffmpeg.line(out)? {
        Line::of(&line).map_or(Ok(()), &mut each)?;
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
        let text = "#software: Lavf59\n#tb 0: 1/10\n0, -1, 3, 1, 99, 0x1\n1, NOPTS, 7, 0, 9, 0x3, S=1, 8, 0x5\n#\n,,,\n5, 0, 1\n0, 0, NOPTS, 1\n-1, 0, 0, 0";
        let found: Vec<_> = lines(text).collect();
        let packet = |index, start, duration| Line::Packet { index, start, duration };
        assert_eq!(found, [Line::Track { index: 0, name: "tb", value: "1/10" }, packet(0, 3, 1), packet(1, 7, 0)]);
    }

    #[test]
    fn a_tick_of_nonsense_is_none() {
        assert_eq!(["1/10", "1/0", "x/2", "9", "99999999999/1"].map(tick), [0.1, 1.0, 0.0, 0.0, 0.0]);
    }
}
