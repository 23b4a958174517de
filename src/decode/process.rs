//! One decoder process from the parent's side: started, spoken to, and buried.

use std::{
    fs::File,
    io::{self, BufReader, Read, Write},
    path::Path,
    process::{Child, ChildStderr, ChildStdout, Command, Stdio},
    sync::mpsc::{Receiver, channel},
    time::Duration,
};

use crate::base::{Fault, FaultKind, Limit, Stop, Unit};

use super::{
    form::Form,
    group,
    input::Input,
    memory, nursery,
    output::refuse,
    shared::SharedMemory,
    walls::{Reached, Walls},
    watch::{End, Watched},
    wire::{self, Answer, Ask, Reply},
};

/// The way to a child: a socket, through which descriptors can go.
#[cfg(unix)]
type Way = std::os::unix::net::UnixStream;

/// The way to a child.
#[cfg(not(unix))]
type Way = std::process::ChildStdin;

/// The hidden subcommand that a child is started with.
pub const SUBCOMMAND: &str = "decode-child";

/// How much of the child's last words is kept.
const LAST_WORDS: usize = 2048;

/// What a child is told of our environment: where libraries and programs lie. Anything else may be a secret.
const ENVIRONMENT: [&str; 12] = [
    "APPDATA",
    "HOME",
    "LANG",
    "LAPIDARY_NATIVE",
    "LD_LIBRARY_PATH",
    "LOCALAPPDATA",
    "PATH",
    "RUST_BACKTRACE",
    "SystemRoot",
    "TMPDIR",
    "USERPROFILE",
    "XDG_DATA_HOME",
];

/// A running child.
#[derive(Debug)]
pub struct Process {
    input: Way,
    output: BufReader<ChildStdout>,
    /// Memory that it shares with us.
    shared: Option<SharedMemory>,
    words: Receiver<String>,
    watched: Watched,
    patience: Duration,
    /// How much longer the present document may take.
    left: Duration,
}

impl Process {
    /// Starts `program decode-child`.
    pub fn start(program: &Path, patience: Duration, stop: Stop) -> Result<Self, Fault> {
        let failed = |error: io::Error| {
            let message = format!("the decoder process `{}` cannot be started: {error}", program.display());
            refuse(FaultKind::Internal, message, "check limits on processes and memory")
        };
        let (mut child, input) = spawn(command(program)).map_err(failed)?;
        let pipes = (child.stdout.take(), child.stderr.take());
        let watched = Watched::new(child, stop).map_err(failed)?;
        let (Some(output), Some(errors)) = pipes else {
            return Err(failed(io::Error::other("it has no pipes")));
        };
        let words = listen(errors).map_err(failed)?;
        widen(&output);
        let output = BufReader::with_capacity(1 << 16, output);
        let shared = SharedMemory::new()
            .inspect_err(|error| tracing::debug!(target: "decode", "no memory is shared: {error}"))
            .ok();
        Ok(Self { input, output, shared, words, watched, patience, left: Duration::MAX })
    }

    /// Has the child raise its walls, around `document` where there is one: the first thing that it is asked.
    pub fn raise(&mut self, walls: &Walls, document: Option<&Input>) -> io::Result<Reached> {
        self.ask(&Ask::Raise { walls: walls.clone(), shares: self.shared.is_some() })?;
        document.map_or(Ok(()), |document| self.hand(document.file()))?;
        self.shared.as_ref().map_or(Ok(()), |shared| self.hand(shared.file()))?;
        match self.reply()? {
            Reply::Raised { reached } => Ok(reached),
            _ => Err(io::Error::other("it did not say which walls stand")),
        }
    }

    /// Gives the child a descriptor.
    #[cfg(unix)]
    pub fn hand(&self, file: &File) -> io::Result<()> {
        super::hand::over(&self.input, file)
    }

    /// Elsewhere the child opens the document itself.
    #[cfg(not(unix))]
    pub fn hand(&self, _file: &File) -> io::Result<()> {
        Ok(())
    }

    /// From now on the child has so much time in all, counted while we wait for it.
    pub fn allow(&mut self, left: Duration) {
        self.left = left;
    }

    /// What is left of that time.
    pub fn left(&self) -> Duration {
        self.left
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
        self.say(&Answer::Granted { units: granted })
    }

    /// The next reply, or an error when the child ended, was killed, lost the program that it had started, or speaks
    /// nonsense.
    pub fn reply(&mut self) -> io::Result<Reply> {
        let reply = self.waiting(|child| wire::receive::<Reply>(&mut child.output))?;
        let reply = reply.ok_or(io::ErrorKind::UnexpectedEof)?;
        loss(&reply).map_or(Ok(reply), |fault| Err(io::Error::other(fault)))
    }

    /// The bytes of a unit, from the shared memory or behind the word that announced it.
    pub fn unit(&mut self, form: &Form, shared: bool) -> io::Result<Unit> {
        if !shared {
            return self.waiting(|child| form.read(&mut child.output));
        }
        let memory = self.shared.as_ref().ok_or_else(|| io::Error::other("it shares no memory"))?;
        let unit = form.read(&mut memory.reader())?;
        // A child that meanwhile died of the next unit hears it no more; that it says no further word will tell.
        let _ = self.say(&Answer::Taken);
        Ok(unit)
    }

    /// So many bytes that it has announced.
    pub fn bytes(&mut self, count: u64) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        self.waiting(|child| child.output.by_ref().take(count).read_to_end(&mut bytes))?;
        if (bytes.len() as u64) < count { Err(io::ErrorKind::UnexpectedEof.into()) } else { Ok(bytes) }
    }

    /// What became of a child that went silent: killed for slowness, or dead by its own hand. One that has said what
    /// ended the program that it had started is believed.
    pub fn bury(self, error: &io::Error) -> Fault {
        if let Some(fault) = error.get_ref().and_then(|inner| inner.downcast_ref::<Fault>()) {
            return fault.clone();
        }
        drop(self.input);
        let End { late, status, out_of_time } = self.watched.end();
        if late && !self.left.is_zero() {
            return no_progress(self.patience);
        }
        if late || out_of_time {
            return over_time();
        }
        let words = self.words.recv_timeout(Duration::from_millis(500)).unwrap_or_default();
        tracing::debug!(target: "decode", "the last words of the decoder process: {}", words.trim_end());
        let cause = match error.kind() {
            io::ErrorKind::UnexpectedEof | io::ErrorKind::BrokenPipe => String::new(),
            _ => format!(" ({error})"),
        };
        let message = format!("the decoder process ended with {}{cause}{}", status, quoted(&words));
        if memory::was_refused(&words) {
            return memory::refused(message);
        }
        refuse(FaultKind::ChildDied, message, "the file may be damaged or made to do harm; look at it apart")
    }

    /// Waits for the child under both deadlines.
    fn waiting<T>(&mut self, wait: impl FnOnce(&mut Self) -> T) -> T {
        let began = self.watched.expect(Some(self.patience.min(self.left)));
        let result = wait(self);
        let ended = self.watched.expect(None);
        self.left = self.left.saturating_sub(ended.saturating_sub(began));
        result
    }

    fn say(&mut self, message: &impl serde::Serialize) -> io::Result<()> {
        self.waiting(|child| wire::send(&mut child.input, message).and_then(|()| child.input.flush()))
    }
}

fn command(program: &Path) -> Command {
    let mut command = Command::new(program);
    command.arg(SUBCOMMAND).stdout(Stdio::piped()).stderr(Stdio::piped()).env_clear();
    command.envs(ENVIRONMENT.iter().filter_map(|name| Some((name, std::env::var_os(name)?))));
    group::lead(&mut command);
    command
}

#[cfg(unix)]
fn spawn(mut command: Command) -> io::Result<(Child, Way)> {
    let (ours, theirs) = Way::pair()?;
    command.stdin(std::os::fd::OwnedFd::from(theirs));
    Ok((nursery::spawn(command)?, ours))
}

#[cfg(not(unix))]
fn spawn(mut command: Command) -> io::Result<(Child, Way)> {
    command.stdin(Stdio::piped());
    let mut child = nursery::spawn(command)?;
    let input = child.stdin.take().ok_or_else(|| io::Error::other("it has no pipes"))?;
    Ok((child, input))
}

/// Lets units that are too long for the shared memory through in few turns: the system's usual pipe holds 64 KB. One that stays
/// narrow is only slower.
#[cfg(target_os = "linux")]
fn widen(output: &ChildStdout) {
    const BYTES: usize = 1 << 20;
    if let Err(error) = rustix::pipe::fcntl_setpipe_size(output, BYTES) {
        tracing::debug!(target: "decode", "the pipe of a decoder process stays narrow: {error}");
    }
}

#[cfg(not(target_os = "linux"))]
fn widen(_output: &ChildStdout) {}

/// The fault of a child whose program was ended from outside, as when memory runs out: as if the child itself had died,
/// so that another one tries again.
fn loss(reply: &Reply) -> Option<Fault> {
    match reply {
        Reply::UnitFault { fault, .. } | Reply::DocumentFault { fault } => {
            Some(Fault::from(fault.clone())).filter(|fault| fault.kind == FaultKind::ChildDied)
        }
        _ => None,
    }
}

fn no_progress(patience: Duration) -> Fault {
    let message = format!("the decoder showed no progress for {} s and was killed", patience.as_secs_f64());
    let hint = "raise `[decode] seconds_without_progress` or look at the file";
    refuse(FaultKind::Deadline, message, hint).over(Limit::SecondsWithoutProgress)
}

/// The fault of a document that takes too long, by the clock or by the processor's.
pub fn over_time() -> Fault {
    let message = "the decoder took longer for this document than `seconds_per_document` and was killed";
    let hint = "raise `[decode] seconds_per_document` or look at the file";
    refuse(FaultKind::Deadline, message, hint).over(Limit::SecondsPerDocument)
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
