//! An ffmpeg process that reads one document and writes to a pipe: started within the walls of the child, killed
//! when it is dropped, its complaints kept. What it writes is a sign of life, and so is each frame that it decodes.

use std::{
    io::{BufRead, Read},
    process::{Child, Command, ExitStatus, Stdio},
    sync::mpsc::{Receiver, sync_channel},
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
    notes::{ENDED, Notes},
    output::{Output, refuse},
    stream::Stream,
};

/// What may be opened. Playlists and the like are left out: they would make ffmpeg read other files.
const FORMATS: &str = "mov,matroska,avi,ogg,mp3,aac,flac,wav,w64,caf,aiff,asf,flv,mpeg,mpegts,mpegvideo,h264,hevc,m4v,\
                       ac3,eac3,amr,amrnb,amrwb,au,ape,tta,wv,dsf,ivf,nut,mxf,dv,rm,\
                       j2k_pipe,jpegxl_pipe,jpegxl_anim";

/// Signs of life are shown so far apart.
const BEAT: Duration = Duration::from_secs(1);

/// A running ffmpeg.
#[derive(Debug)]
pub struct Ffmpeg {
    child: Child,
    output: Stream,
    notes: Option<JoinHandle<Notes>>,
    /// Holds something when a frame has gone through [`super::notes::SEEN`] since it was looked into.
    signs: Receiver<()>,
    beat: Instant,
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
    let explained = || notes.complaints.iter().any(|line| line.contains(ENDED));
    match (status.signal(), status.code()) {
        (Some(signal), _) => Some(format!("signal {signal}")),
        (None, Some(255)) if notes.complaints.is_empty() || explained() => Some("a signal".to_owned()),
        _ => None,
    }
}

fn broken(error: &dyn std::fmt::Display) -> Fault {
    refuse(FaultKind::Internal, format!("ffmpeg cannot be used: {error}"), "run `lapidary runtime install`")
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::{
        super::{
            notes::{SEEN, SIGN, TOLD},
            output::Gathered,
        },
        *,
    };
    use crate::base::Limit;

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
