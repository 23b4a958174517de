//! An ffmpeg process that reads one document and writes to a pipe: started within the walls of the child, killed
//! when it is dropped, its complaints kept. What it writes is a sign of life, and so is each frame that it decodes.

use std::{
    collections::VecDeque,
    io::{BufRead, BufReader, Read},
    process::{Child, ChildStderr, Command, ExitStatus, Stdio},
    sync::mpsc::{Receiver, SyncSender, sync_channel},
    thread::JoinHandle,
    time::{Duration, Instant},
};

use crate::base::{
    Fault, FaultKind, Limit,
    native::{Library, locate},
};

use super::{
    input::Input,
    memory,
    output::{Output, refuse},
    stream::Stream,
};

/// What may be opened. Playlists and the like are left out: they would make ffmpeg read other files.
const FORMATS: &str = "mov,matroska,avi,ogg,mp3,aac,flac,wav,w64,caf,aiff,asf,flv,mpeg,mpegts,mpegvideo,h264,hevc,m4v,\
                       ac3,eac3,amr,amrnb,amrwb,au,ape,tta,wv,dsf,ivf,nut,mxf,dv,rm,\
                       j2k_pipe,jpegxl_pipe,jpegxl_anim";

/// Lines of complaint that are kept.
const LINES: usize = 8;

/// What its demuxers say of a file that ends before what it holds does: ffmpeg passes over that. Its decoders speak of
/// "truncated" too, where nothing is missing from the picture.
const CUT: [&str; 5] =
    ["partial file", "ended prematurely", "ends prematurely", "Truncating packet of size", "Truncated packet! Read"];

/// The levels that lines are marked with at `-loglevel level+...`; the first four are of complaints.
const LEVELS: [&str; 8] = ["panic", "fatal", "error", "warning", "info", "verbose", "debug", "trace"];

/// What is said, as a mere information, by an ffmpeg that a signal has ended.
const ENDED: &str = "received signal";

/// A filter that says a [`SIGN`] of each frame that goes through, at `-loglevel info`. It stands before those that choose among
/// the frames: else nothing shows that work goes on between two that lie far apart. ffmpeg's own `-progress` cannot, since it
/// counts what comes out, and comes by the clock.
pub const SEEN: &str = "metadata=add:key=lapidary:value=seen,metadata=print:key=lapidary";

/// What [`SEEN`] says.
const SIGN: &str = "lapidary=seen";

/// A filter that tells when each frame that goes through is shown, at `-loglevel info`: see [`Notes::times`].
pub const TOLD: &str = "showinfo";

/// What only [`TOLD`] says beside a time.
const TELLING: &str = " fmt:";

/// Signs of life are shown so far apart.
const BEAT: Duration = Duration::from_secs(1);

/// A running ffmpeg.
#[derive(Debug)]
pub struct Ffmpeg {
    child: Child,
    output: Stream,
    notes: Option<JoinHandle<Notes>>,
    /// Holds something when a frame has gone through [`SEEN`] since it was looked into.
    signs: Receiver<()>,
    beat: Instant,
}

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

impl Ffmpeg {
    /// Starts ffmpeg on a document with arguments `before` and `after` the input, which end with an output to `-`.
    ///
    /// # Errors
    /// `Unsupported` when there is no ffmpeg.
    pub fn start(input: &Input, before: &[&str], after: &[&str]) -> Result<Self, Fault> {
        let program = locate(Library::Ffmpeg).map_err(|fatal| {
            refuse(FaultKind::Unsupported, format!("this needs ffmpeg: {}", fatal.message), fatal.hint)
        })?;
        let mut command = Command::new(program);
        command.args(["-nostdin", "-hide_banner", "-nostats", "-threads", "1"]);
        command.args(before).args(["-protocol_whitelist", "file,pipe", "-format_whitelist", FORMATS]);
        let (stdin, address) = input.for_program().map_err(|error| broken(&error))?;
        command.arg("-i").arg(address).args(after);
        command.stdin(stdin).stdout(Stdio::piped()).stderr(Stdio::piped());
        #[cfg(target_os = "linux")]
        super::leash::put_on(&mut command);
        let mut child = command.env("AV_LOG_FORCE_NOCOLOR", "1").spawn().map_err(|error| broken(&error))?;
        let (output, errors) = (child.stdout.take(), child.stderr.take());
        let (Some(output), Some(errors)) = (output, errors) else { return Err(broken(&"it has no pipes")) };
        let output = Stream::of(output).map_err(|error| {
            end(&mut child);
            broken(&error)
        })?;
        let (sender, signs) = sync_channel(1);
        let notes = Some(std::thread::spawn(move || Notes::read(errors, &sender)));
        Ok(Self { child, output, notes, signs, beat: Instant::now() })
    }

    /// Reads what is there, at most `buffer`; 0 is the end. Bytes are a sign of life.
    fn read(&mut self, buffer: &mut [u8], out: &mut dyn Output) -> Result<usize, Fault> {
        self.wait(out)?;
        let count = self.output.read(buffer).map_err(|error| broken(&error))?;
        self.show_life(out)?;
        Ok(count)
    }

    /// Fills `buffer`; gives its bytes, which are fewer than it holds only at the end of the output.
    pub fn fill(&mut self, buffer: &mut [u8], out: &mut dyn Output) -> Result<usize, Fault> {
        let mut filled = 0;
        while filled < buffer.len() {
            match self.read(&mut buffer[filled..], out)? {
                0 => break,
                count => filled += count,
            }
        }
        Ok(filled)
    }

    /// The next line without its end, or `None` at the end. Lines are at most 4 KiB long.
    pub fn line(&mut self, out: &mut dyn Output) -> Result<Option<String>, Fault> {
        self.wait(out)?;
        let mut line = Vec::new();
        self.output.by_ref().take(4096).read_until(b'\n', &mut line).map_err(|error| broken(&error))?;
        self.show_life(out)?;
        Ok((!line.is_empty()).then(|| String::from_utf8_lossy(&line).trim_end().to_owned()))
    }

    /// Waits for the end, which must be a good one.
    pub fn finish(mut self) -> Result<Notes, Fault> {
        let status = self.child.wait().map_err(|error| broken(&error))?;
        let notes = self.notes.take().and_then(|notes| notes.join().ok()).unwrap_or_default();
        if status.success() { Ok(notes) } else { Err(ended(status, &notes).unwrap_or_else(|| notes.fault())) }
    }

    /// Until there is something to read, or the end. One that decodes nothing meanwhile is not alive.
    fn wait(&mut self, out: &mut dyn Output) -> Result<(), Fault> {
        while !self.output.comes_within(BEAT).map_err(|error| broken(&error))? {
            if self.signs.try_recv().is_ok() {
                self.show_life(out)?;
            }
        }
        Ok(())
    }

    fn show_life(&mut self, out: &mut dyn Output) -> Result<(), Fault> {
        if self.beat.elapsed() < BEAT {
            return Ok(());
        }
        self.beat = Instant::now();
        out.heartbeat()
    }
}

impl Drop for Ffmpeg {
    fn drop(&mut self) {
        end(&mut self.child);
    }
}

/// Both fail when the process has ended and was waited for, which is as well.
fn end(child: &mut Child) {
    let _ = child.kill();
    let _ = child.wait();
}

/// The fault of one that a signal has ended, before it could say what is wrong with its document, if anything is; `None`
/// where it ended by itself.
#[cfg(unix)]
fn ended(status: ExitStatus, notes: &Notes) -> Option<Fault> {
    use super::{process::over_time, watch::ran_out_of_time};
    if ran_out_of_time(&status) {
        return Some(over_time());
    }
    let after = if notes.complaints.is_empty() { String::new() } else { format!(" after: {}", notes.words()) };
    let message = format!("ffmpeg was ended by {}{after}", ender(status, notes)?);
    if memory::was_refused(&message) {
        return Some(memory::refused(message));
    }
    let hint = "lower `[decode] lanes` if the machine ran out of memory; else look at the file apart";
    Some(refuse(FaultKind::ChildDied, message, hint))
}

/// Elsewhere there are no signals.
#[cfg(not(unix))]
fn ended(_status: ExitStatus, _notes: &Notes) -> Option<Fault> {
    None
}

/// What ended it. Some signals ffmpeg takes and exits with 255, which it explains only at `-loglevel info`; with any
/// other end of that sort come complaints.
#[cfg(unix)]
fn ender(status: ExitStatus, notes: &Notes) -> Option<String> {
    use std::os::unix::process::ExitStatusExt;
    let explained = || notes.complaints.iter().any(|line| line.contains("received signal"));
    match (status.signal(), status.code()) {
        (Some(signal), _) => Some(format!("signal {signal}")),
        (None, Some(255)) if notes.complaints.is_empty() || explained() => Some("a signal".to_owned()),
        _ => None,
    }
}

impl Notes {
    fn read(errors: ChildStderr, signs: &SyncSender<()>) -> Self {
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

    fn take_line(&mut self, line: &str) {
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

fn broken(error: &dyn std::fmt::Display) -> Fault {
    refuse(FaultKind::Internal, format!("ffmpeg cannot be used: {error}"), "run `lapidary runtime install`")
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::{super::output::Gathered, *};

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

    /// At work on six seconds of film, not faster than they are shown, with nothing to write.
    fn watched(chosen: &str) -> Ffmpeg {
        let film = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/video/shapes.mp4");
        let filter = format!("{SEEN},select={chosen},{TOLD}");
        let after = ["-map", "0:V:0", "-an", "-vf", &filter, "-f", "null", "-"];
        Ffmpeg::start(&Input::open(&film).unwrap(), &["-loglevel", "info", "-re"], &after).unwrap()
    }

    #[test]
    fn frames_that_are_passed_over_are_signs_of_life() {
        let (mut ffmpeg, mut out) = (watched("eq(n\\,71)"), Gathered::default());
        assert_eq!(ffmpeg.line(&mut out).unwrap(), None);
        assert!(out.heartbeats >= 3, "{} in five seconds", out.heartbeats);
        let notes = ffmpeg.finish().unwrap();
        assert_eq!((notes.times.len(), notes.words().contains(SIGN)), (1, false));
    }

    /// The fault of one at work that is sent a signal.
    #[cfg(unix)]
    fn struck(signal: rustix::process::Signal) -> Fault {
        let (mut ffmpeg, mut out) = (watched("0"), Gathered::default());
        ffmpeg.signs.recv_timeout(Duration::from_secs(60)).unwrap();
        rustix::process::kill_process(rustix::process::Pid::from_child(&ffmpeg.child), signal).unwrap();
        assert_eq!(ffmpeg.line(&mut out).unwrap(), None);
        ffmpeg.finish().unwrap_err()
    }

    #[cfg(unix)]
    #[test]
    fn one_that_is_ended_from_outside_does_not_make_its_film_corrupt() {
        use rustix::process::Signal;
        for (signal, words) in [(Signal::KILL, "ended by signal 9 after: "), (Signal::TERM, "by a signal after: ")] {
            let fault = struck(signal);
            assert_eq!((fault.kind, fault.limit), (FaultKind::ChildDied, None));
            assert!(fault.message.contains(words), "{}", fault.message);
            assert!(fault.hint.contains("memory"), "{}", fault.hint);
        }
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn one_whose_processor_time_is_used_up_has_taken_too_long() {
        let fault = struck(rustix::process::Signal::XCPU);
        if fault.kind == FaultKind::ChildDied && fault.message.contains("ended by a signal") {
            return; // This machine has no filters, so ffmpeg takes the signal.
        }
        assert_eq!((fault.kind, fault.limit), (FaultKind::Deadline, Some(Limit::SecondsPerDocument)));
    }

    #[cfg(unix)]
    #[test]
    fn one_that_ends_by_itself_is_asked_why() {
        use std::os::unix::process::ExitStatusExt;
        let of = |code: i32, line: &str| {
            let mut notes = Notes::default();
            notes.take_line(line);
            ended(ExitStatus::from_raw(code << 8), &notes).map(|fault| fault.kind)
        };
        assert_eq!(of(1, "Invalid data found"), None);
        assert_eq!(of(255, "Operation not permitted"), None);
        assert_eq!(of(255, ""), Some(FaultKind::ChildDied));
    }

    #[cfg(unix)]
    #[test]
    fn one_that_stands_still_shows_no_life() {
        use rustix::process::{Pid, Signal, kill_process};
        let (mut ffmpeg, mut out) = (watched("0"), Gathered::default());
        let id = Pid::from_child(&ffmpeg.child);
        kill_process(id, Signal::STOP).unwrap();
        let end = std::thread::spawn(move || {
            std::thread::sleep(Duration::from_secs(5));
            kill_process(id, Signal::KILL)
        });
        assert_eq!(ffmpeg.line(&mut out).unwrap(), None);
        end.join().unwrap().unwrap();
        // Two may be of frames before it was stopped, one is of the end; without end there would be five.
        assert!(out.heartbeats <= 3, "{}", out.heartbeats);
    }
}
