//! One decoder process from the parent's side: started, spoken to, and buried.

use std::{
    io::{self, BufReader, Read, Write},
    path::Path,
    process::{ChildStderr, ChildStdin, ChildStdout, Command, Stdio},
    sync::mpsc::{Receiver, channel},
    time::Duration,
};

use crate::base::{Fault, FaultKind, Stop, Unit};

use super::{
    form::Form,
    group,
    output::refuse,
    watch::Watched,
    wire::{self, Ask, Grant, Reply},
};

/// The hidden subcommand that a child is started with.
pub const SUBCOMMAND: &str = "decode-child";

/// How much of the child's last words is kept.
const LAST_WORDS: usize = 2048;

/// A running child.
#[derive(Debug)]
pub struct Process {
    input: ChildStdin,
    output: BufReader<ChildStdout>,
    words: Receiver<String>,
    watched: Watched,
    patience: Duration,
}

impl Process {
    /// Starts `program decode-child`.
    pub fn start(program: &Path, patience: Duration, stop: Stop) -> Result<Self, Fault> {
        let mut command = Command::new(program);
        command.arg(SUBCOMMAND).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        group::lead(&mut command);
        let failed = |error: io::Error| {
            let message = format!("the decoder process `{}` cannot be started: {error}", program.display());
            refuse(FaultKind::Internal, message, "check limits on processes and memory")
        };
        let mut child = command.spawn().map_err(failed)?;
        let pipes = (child.stdin.take(), child.stdout.take(), child.stderr.take());
        let watched = Watched::new(child, stop).map_err(failed)?;
        let (Some(input), Some(output), Some(errors)) = pipes else {
            return Err(failed(io::Error::other("it has no pipes")));
        };
        let words = listen(errors).map_err(failed)?;
        Ok(Self { input, output: BufReader::with_capacity(1 << 16, output), words, watched, patience })
    }

    /// The id of the process.
    pub fn id(&self) -> u32 {
        self.watched.id()
    }

    /// Tells the child what to do next.
    pub fn ask(&mut self, ask: &Ask) -> io::Result<()> {
        self.say(ask)
    }

    /// Answers a promise.
    pub fn grant(&mut self, granted: usize) -> io::Result<()> {
        self.say(&Grant { granted })
    }

    /// The next reply, or an error when the child ended, was killed, or speaks nonsense.
    pub fn reply(&mut self) -> io::Result<Reply> {
        self.watched.expect(Some(self.patience));
        let reply = wire::receive(&mut self.output);
        self.watched.expect(None);
        reply?.ok_or_else(|| io::ErrorKind::UnexpectedEof.into())
    }

    /// The bytes of a unit.
    pub fn unit(&mut self, form: &Form) -> io::Result<Unit> {
        self.watched.expect(Some(self.patience));
        let unit = form.read(&mut self.output);
        self.watched.expect(None);
        unit
    }

    /// What became of a child that went silent: killed for slowness, or dead by its own hand.
    pub fn bury(self, error: &io::Error) -> Fault {
        let seconds = self.patience.as_secs_f64();
        drop(self.input);
        let end = self.watched.end();
        if end.late {
            let message = format!("the decoder showed no progress for {seconds} s and was killed");
            return refuse(
                FaultKind::Deadline,
                message,
                "raise `[decode] seconds_without_progress` or look at the file",
            );
        }
        let words = self.words.recv_timeout(Duration::from_millis(500)).unwrap_or_default();
        let cause = match error.kind() {
            io::ErrorKind::UnexpectedEof | io::ErrorKind::BrokenPipe => String::new(),
            _ => format!(" ({error})"),
        };
        let message = format!("the decoder process ended with {}{cause}{}", end.status, quoted(&words));
        refuse(FaultKind::ChildDied, message, "the file may be damaged or made to do harm; look at it apart")
    }

    fn say(&mut self, message: &impl serde::Serialize) -> io::Result<()> {
        self.watched.expect(Some(self.patience));
        let said = wire::send(&mut self.input, message).and_then(|()| self.input.flush());
        self.watched.expect(None);
        said
    }
}

/// The last line that is not empty.
fn quoted(words: &str) -> String {
    words.lines().rev().find(|line| !line.trim().is_empty()).map(|line| format!(": {line}")).unwrap_or_default()
}

/// Reads standard error to its end and hands over the last of it.
fn listen(mut errors: ChildStderr) -> io::Result<Receiver<String>> {
    let (tell, words) = channel();
    std::thread::Builder::new().name("decode-stderr".into()).spawn(move || {
        let (mut last, mut buffer) = (Vec::new(), [0; 1024]);
        while let Ok(count @ 1..) = errors.read(&mut buffer) {
            last.extend_from_slice(&buffer[..count]);
            last.drain(..last.len().saturating_sub(LAST_WORDS));
        }
        let _ = tell.send(String::from_utf8_lossy(&last).into_owned());
    })?;
    Ok(words)
}
