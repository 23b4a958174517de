//! An ffmpeg process that reads one document and writes to a pipe: started within the walls of the child, killed
//! when it is dropped, its complaints kept. What it writes is a sign of life, and so is each frame that it decodes.

use std::{
    collections::VecDeque,
    io::{BufRead, BufReader, Read},
    process::{Child, ChildStderr, Command, Stdio},
    sync::mpsc::{Receiver, SyncSender, sync_channel},
    thread::JoinHandle,
    time::{Duration, Instant},
};

use crate::base::{
    Fault, FaultKind,
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
                       ac3,eac3,amr,amrnb,amrwb,au,ape,tta,wv,dsf,ivf,nut,mxf,dv,rm";

/// Lines of complaint that are kept.
const LINES: usize = 8;

/// What is said of a file that ends before what it holds does: ffmpeg passes over that.
const CUT: [&str; 3] = ["partial file", "prematurely", "runcat"];

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
    /// Its last lines, without the addresses and paths in front.
    pub complaints: VecDeque<String>,
    /// The file is cut off.
    pub cut_off: bool,
    /// Seconds at which the frames are shown that went through [`TOLD`], in order; of those that have a time.
    pub times: Vec<f64>,
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
        if status.success() { Ok(notes) } else { Err(notes.fault()) }
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
        if let Some((_, rest)) = line.split_once("pts_time:") {
            let time = rest.split_whitespace().next().and_then(|time| time.parse::<f64>().ok());
            self.times.extend(time.filter(|time| time.is_finite() && rest.contains(TELLING)));
        } else if !line.contains("showinfo") && !line.trim().is_empty() {
            self.cut_off |= CUT.iter().any(|sign| line.contains(sign));
            self.complaints.push_back(bare(line).to_owned());
            self.complaints.drain(..self.complaints.len().saturating_sub(LINES));
        }
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
        } else if memory::was_refused(&words) {
            memory::refused(format!("ffmpeg says: {words}"))
        } else if has("decoder found") || has("not whitelisted") || has("Unknown decoder") {
            refuse(FaultKind::Unsupported, format!("ffmpeg says: {words}"), "convert the file to a common format")
        } else {
            refuse(FaultKind::Corrupt, format!("ffmpeg says: {words}"), "fetch the file again or convert it anew")
        }
    }
}

/// A line without the part of ffmpeg that says it (`[mov @ 0x1234] `) and without our own address of the file.
fn bare(line: &str) -> &str {
    let line = line.trim();
    let line = line.strip_prefix('[').and_then(|rest| rest.split_once("] ")).map_or(line, |(_, rest)| rest);
    line.strip_prefix("file:").and_then(|rest| rest.split_once(": ")).map_or(line, |(_, rest)| rest)
}

fn broken(error: &dyn std::fmt::Display) -> Fault {
    refuse(FaultKind::Internal, format!("ffmpeg cannot be used: {error}"), "run `lapidary runtime install`")
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::{super::output::Gathered, *};

    #[test]
    fn complaints_lose_addresses_and_the_last_ones_are_kept() {
        let mut notes = Notes::default();
        for number in 0..20 {
            notes.take_line(&format!("[mov,mp4 @ 0x55aa] complaint {number}\n"));
        }
        notes.take_line("file:/a/b.mp4: Invalid data found when processing input\n");
        assert_eq!(notes.complaints.len(), LINES);
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
    fn time_stamps_are_read_from_showinfo() {
        let mut notes = Notes::default();
        notes.take_line("[Parsed_showinfo_1 @ 0x1] n:   0 pts:   1024 pts_time:0.0833 duration: 512 fmt:yuv420p");
        notes.take_line("[Parsed_showinfo_1 @ 0x1]   side data - something");
        notes.take_line("[Parsed_showinfo_1 @ 0x1] n:   1 pts:  NOPTS pts_time:NOPTS duration: 512 fmt:yuv420p");
        notes.take_line("[Parsed_metadata_1 @ 0x1] frame:1    pts:2048    pts_time:0.1667");
        assert_eq!(notes.times, [0.0833]);
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
