//! What an ffmpeg says on standard error: its complaints, the times of frames, and signs of life.

use std::{
    collections::VecDeque,
    io::{BufRead, BufReader, Read},
    process::ChildStderr,
    sync::mpsc::SyncSender,
};

use crate::base::{Fault, FaultKind, Limit};

use super::{memory, output::refuse};

/// Lines of complaint that are kept.
const LINES: usize = 8;

/// What its demuxers say of a file that ends before what it holds does: ffmpeg passes over that. Its decoders speak of
/// "truncated" too, where nothing is missing from the picture.
const CUT: [&str; 5] =
    ["partial file", "ended prematurely", "ends prematurely", "Truncating packet of size", "Truncated packet! Read"];

/// The levels that lines are marked with at `-loglevel level+...`; the first four are of complaints.
const LEVELS: [&str; 8] = ["panic", "fatal", "error", "warning", "info", "verbose", "debug", "trace"];

/// What is said, as a mere information, by an ffmpeg that a signal has ended.
pub const ENDED: &str = "received signal";

/// A filter that says a [`SIGN`] of each frame that goes through, at `-loglevel info`. It stands before those that choose among
/// the frames: else nothing shows that work goes on between two that lie far apart. ffmpeg's own `-progress` cannot, since it
/// counts what comes out, and comes by the clock.
pub const SEEN: &str = "metadata=add:key=lapidary:value=seen,metadata=print:key=lapidary";

/// What [`SEEN`] says.
pub const SIGN: &str = "lapidary=seen";

/// A filter that tells when each frame that goes through is shown, at `-loglevel info`: see [`Notes::times`].
pub const TOLD: &str = "showinfo";

/// What only [`TOLD`] says beside a time.
const TELLING: &str = " fmt:";

/// What ffmpeg said on standard error.
#[derive(Debug, Default)]
pub struct Notes {
    /// Its first line, which mostly tells the cause, and its last ones, without the addresses and paths in front; where
    /// it tells levels, those of complaints.
    pub complaints: VecDeque<String>,
    /// The file is cut off.
    pub cut_off: bool,
    /// Seconds at which the frames are shown that went through [`TOLD`], in order; of those that have a time.
    pub times: Vec<f64>,
    /// Seconds at which the first frame is shown that went through [`SEEN`].
    pub seen: Option<f64>,
    /// It marks lines with their levels.
    has_levels: bool,
}

impl Notes {
    /// Hears it out to its end; signs of life go to `signs`.
    pub fn read(errors: ChildStderr, signs: &SyncSender<()>) -> Self {
        let (mut notes, mut errors) = (Self::default(), BufReader::new(errors));
        let mut line = Vec::new();
        while errors.by_ref().take(4096).read_until(b'\n', &mut line).is_ok_and(|count| count > 0) {
            notes.hear(&String::from_utf8_lossy(&line), signs);
            line.clear();
        }
        notes
    }

    /// Hands on a sign of life, keeps anything else.
    fn hear(&mut self, line: &str, signs: &SyncSender<()>) {
        if !line.contains(SIGN) {
            return self.take_line(line);
        }
        // Where one lies there already, it says the same; where nobody looks any more, nobody waits.
        let _ = signs.try_send(());
    }

    /// Keeps what one line says.
    pub fn take_line(&mut self, line: &str) {
        let (marks, words) = parted(line);
        if let Some((_, rest)) = words.split_once("pts_time:") {
            self.take_time(rest);
        } else if self.is_complaint(&marks, words) && !line.contains("showinfo") {
            self.cut_off |= CUT.iter().any(|sign| line.contains(sign));
            self.complaints.push_back(bare(words).to_owned());
            if self.complaints.len() > LINES {
                self.complaints.remove(1);
            }
        }
    }

    /// Takes in when a frame is shown: what follows `pts_time:`.
    fn take_time(&mut self, rest: &str) {
        let time = rest.split_whitespace().next().and_then(|time| time.parse::<f64>().ok());
        let time = time.filter(|time| time.is_finite());
        if rest.contains(TELLING) {
            self.times.extend(time);
        } else {
            self.seen = self.seen.or(time);
        }
    }

    /// True for every line as long as no levels are told; then a line without one belongs to the line before.
    fn is_complaint(&mut self, marks: &[&str], words: &str) -> bool {
        let level = marks.iter().find_map(|mark| LEVELS.iter().position(|level| level == mark));
        self.has_levels |= level.is_some();
        let is_grave = level.map_or(!self.has_levels, |level| level < 4);
        !words.is_empty() && (is_grave || words.contains(ENDED))
    }

    /// The complaints in one line.
    pub fn words(&self) -> String {
        let lines: Vec<&str> = self.complaints.iter().map(String::as_str).collect();
        if lines.is_empty() { "ffmpeg gave up without a word".to_owned() } else { lines.join("; ") }
    }

    /// The fault that the complaints stand for.
    pub fn fault(&self) -> Fault {
        let words = self.words();
        let has = |text: &str| words.contains(text);
        if has("No such file") || has("Permission denied") {
            refuse(FaultKind::Unreadable, words, "check the file and its permissions")
        } else if has("exceeds specified max pixel count") {
            refuse(FaultKind::TooLarge, format!("ffmpeg says: {words}"), "raise `[decode.limits] pixels`")
                .over(Limit::Pixels)
        } else if memory::was_refused(&words) {
            memory::refused(format!("ffmpeg says: {words}"))
        } else if has("decoder found") || has("not whitelisted") || has("Unknown decoder") {
            refuse(FaultKind::Unsupported, format!("ffmpeg says: {words}"), "convert the file to a common format")
        } else {
            refuse(FaultKind::Corrupt, format!("ffmpeg says: {words}"), "fetch the file again or convert it anew")
        }
    }
}

/// What stands in brackets before a line, the parts of ffmpeg that say it and its level (`[mov @ 0x1234] [error] `), and
/// the rest.
fn parted(line: &str) -> (Vec<&str>, &str) {
    let (mut marks, mut words) = (Vec::new(), line.trim_start());
    while let Some((mark, rest)) = words.strip_prefix('[').and_then(|words| words.split_once("] ")) {
        marks.push(mark);
        words = rest;
    }
    (marks, words.trim())
}

/// Words without our own address of the file before them.
fn bare(words: &str) -> &str {
    words.strip_prefix("file:").and_then(|rest| rest.split_once(": ")).map_or(words, |(_, rest)| rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn complaints_lose_addresses_and_the_first_and_the_last_ones_are_kept() {
        let mut notes = Notes::default();
        for number in 0..20 {
            notes.take_line(&format!("[mov,mp4 @ 0x55aa] complaint {number}\n"));
        }
        notes.take_line("file:/a/b.mp4: Invalid data found when processing input\n");
        assert_eq!(notes.complaints.len(), LINES);
        assert!(notes.words().starts_with("complaint 0; complaint 14; "), "{}", notes.words());
        assert!(notes.words().ends_with("complaint 19; Invalid data found when processing input"));
    }
    #[test]
    fn a_file_that_is_cut_off_is_told_however_much_is_said_after() {
        let mut notes = Notes::default();
        notes.take_line("[ac3 @ 0x1] incomplete frame\n");
        assert!(!notes.cut_off);
        notes.take_line("[in#0/mov,mp4 @ 0x55d6] stream 0, offset 0xbe45: partial file\n");
        (0..20).for_each(|_| notes.take_line("[ac3 @ 0x1] incomplete frame\n"));
        assert!(notes.cut_off && !notes.words().contains("partial file"));
    }
    #[test]
    fn what_a_decoder_calls_truncated_does_not_cut_off_its_file() {
        let cut_off = |line: &str| {
            let mut notes = Notes::default();
            notes.take_line(line);
            notes.cut_off
        };
        assert!(!cut_off("[h264 @ 0x1] SEI type 5 size 706 truncated at 667\n"));
        assert!(!cut_off("[aac @ 0x1] Frame too small (2 bytes). Truncated file?\n"));
        assert!(cut_off("[in#0/matroska,webm @ 0x1] File ended prematurely\n"));
        assert!(cut_off("[in#0/matroska,webm @ 0x1] [error] File ended prematurely at pos. 7 (0x7)\n"));
        assert!(cut_off("Truncating packet of size 4096 to 77\n"));
    }
    #[test]
    fn where_levels_are_told_only_complaints_are_kept_and_no_address_of_memory() {
        let mut notes = Notes::default();
        for line in [
            "[h264 @ 0x55e2] [error] left block unavailable for requested intra mode",
            "[h264 @ 0x55e2] [info] concealing 59 DC, 59 AC, 59 MV errors in I frame",
            "[info] Input #0, mov,mp4,m4a,3gp,3g2,mj2, from 'file:/dev/stdin':",
            "[info]     comment         : Cannot allocate memory",
            "                : partial file",
            "[Parsed_metadata_1 @ 0x7f] [info] frame:0    pts:1024    pts_time:0.0416667",
            "[Parsed_metadata_1 @ 0x7f] [info] frame:1    pts:2048    pts_time:0.0833333",
            "[Parsed_showinfo_4 @ 0x7f] [info] n:   0 pts:   1024 pts_time:0.0416667 duration: 512 fmt:yuv420p10le",
            "[Parsed_showinfo_4 @ 0x7f] [info] color_range:tv color_space:unknown",
            "[vist#0:0/h264 @ 0x55e2] [dec:h264 @ 0x55e3] [error] Error submitting packet to decoder: Invalid data",
            "    Last message repeated 3 times",
            "[swscaler @ 0x55e2] [warning] deprecated pixel format used",
            "[info] Exiting normally, received signal 15.",
        ] {
            notes.take_line(&format!("{line}\n"));
        }
        assert_eq!((&notes.times[..], notes.seen, notes.cut_off), (&[0.041_666_7][..], Some(0.041_666_7), false));
        let complaints = [
            "left block unavailable for requested intra mode",
            "Error submitting packet to decoder: Invalid data",
            "deprecated pixel format used",
            "Exiting normally, received signal 15.",
        ];
        assert_eq!(notes.complaints, complaints);
    }
    #[test]
    fn time_stamps_are_read_from_showinfo() {
        let mut notes = Notes::default();
        notes.take_line("[Parsed_showinfo_1 @ 0x1] n:   0 pts:   1024 pts_time:0.0833 duration: 512 fmt:yuv420p");
        notes.take_line("[Parsed_showinfo_1 @ 0x1]   side data - something");
        notes.take_line("[Parsed_showinfo_1 @ 0x1] n:   1 pts:  NOPTS pts_time:NOPTS duration: 512 fmt:yuv420p");
        notes.take_line("[Parsed_metadata_1 @ 0x1] frame:1    pts:2048    pts_time:0.1667");
        assert_eq!((&notes.times[..], notes.seen), (&[0.0833][..], Some(0.1667)));
        assert!(notes.complaints.is_empty());
    }
}
