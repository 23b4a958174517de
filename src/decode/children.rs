//! The children of one lane: a steady one for document after document, and a special one for each document that takes
//! ffmpeg, whose walls are raised around that document.

use std::{io, path::PathBuf, time::Duration};

use crate::base::{
    Fault, FaultKind, Stop,
    native::{Library, locate, pinned_once},
};

use super::{
    input::Input,
    output::refuse,
    process::Process,
    settings::Settings,
    walls::{Reached, Sandbox, Walls},
};

/// Which child is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Which {
    /// The one for document after document.
    Steady,
    /// The one that may start ffmpeg.
    Special,
}

/// At most one child of each sort.
#[derive(Debug)]
pub struct Children {
    /// Another program than the running one.
    pub program: Option<PathBuf>,
    /// What is wanted of their walls.
    pub sandbox: Sandbox,
    patience: Duration,
    recycle_after: u32,
    memory: u64,
    stop: Stop,
    steady: Option<Process>,
    special: Option<Process>,
    /// Documents that the steady one has done.
    documents: u32,
    reached: Option<Reached>,
}

impl Children {
    /// None yet.
    pub fn new(settings: &Settings, stop: Stop) -> Self {
        let patience = Duration::try_from_secs_f64(settings.seconds_without_progress);
        Self {
            program: None,
            sandbox: Sandbox::AUTO,
            patience: patience.unwrap_or(Duration::from_secs(60)),
            recycle_after: settings.recycle_after,
            memory: settings.limits.memory,
            stop,
            steady: None,
            special: None,
            documents: 0,
            reached: None,
        }
    }

    /// The child that is meant, started and within its walls; a special one stands around `document`.
    ///
    /// # Errors
    /// `Internal` when it cannot be started, or its walls are lower than they must be.
    pub fn ready(&mut self, which: Which, document: &Input) -> Result<&mut Process, Fault> {
        match which {
            Which::Steady => self.steady(),
            Which::Special => self.special(document),
        }
    }

    /// The steady child, started and within its walls.
    ///
    /// # Errors
    /// As [`Children::ready`].
    pub fn steady(&mut self) -> Result<&mut Process, Fault> {
        if self.steady.is_none() {
            self.steady = Some(self.start(None)?);
            self.documents = 0;
        }
        self.steady.as_mut().ok_or_else(unborn)
    }

    fn special(&mut self, document: &Input) -> Result<&mut Process, Fault> {
        if self.special.is_none() {
            self.special = Some(self.start(Some(document))?);
        }
        self.special.as_mut().ok_or_else(unborn)
    }

    /// The child that is meant, when one runs.
    pub fn get(&self, which: Which) -> Option<&Process> {
        match which {
            Which::Steady => self.steady.as_ref(),
            Which::Special => self.special.as_ref(),
        }
    }

    /// Gives the child away, to be buried or dropped.
    pub fn take(&mut self, which: Which) -> Option<Process> {
        match which {
            Which::Steady => self.steady.take(),
            Which::Special => self.special.take(),
        }
    }

    /// The walls of the last child that was started.
    pub fn reached(&self) -> Option<&Reached> {
        self.reached.as_ref()
    }

    /// A document is through: a special child was for it alone, a steady one grows old.
    pub fn finish_document(&mut self) {
        self.special = None;
        self.documents += 1;
        if self.recycle_after > 0 && self.documents >= self.recycle_after {
            self.steady = None;
        }
    }

    fn start(&mut self, document: Option<&Input>) -> Result<Process, Fault> {
        let own = || std::env::current_exe().map_err(|error| refuse(FaultKind::Internal, error.to_string(), ""));
        let program = self.program.clone().map_or_else(own, Ok)?;
        let ffmpeg = document.map(|_| ffmpeg()).transpose()?;
        let mut child = Process::start(&program, self.patience, self.stop.clone())?;
        let walls = Walls { most: self.sandbox.most, memory: self.memory, ffmpeg };
        let reached = match child.raise(&walls, document) {
            Ok(reached) => reached,
            Err(error) => return Err(child.bury(&error)),
        };
        self.sandbox.check(&reached)?;
        self.reached = Some(reached);
        Ok(child)
    }
}

impl Sandbox {
    /// # Errors
    /// When the walls that were reached are lower than they must be.
    fn check(&self, reached: &Reached) -> Result<(), Fault> {
        if reached.level >= self.least {
            return Ok(());
        }
        let message = format!("the sandbox of the decoder processes reaches {reached}, `{}` is demanded", self.least);
        let hint = "run where the kernel has what is missing, or ask for less with `--sandbox`; see `lapidary doctor`";
        Err(refuse(FaultKind::Internal, message, hint))
    }
}

/// The ffmpeg that a child may start. Where there is none the child will say so, in its place.
fn ffmpeg() -> Result<PathBuf, Fault> {
    if locate(Library::Ffmpeg).is_err() {
        return Ok(Library::Ffmpeg.file_name().into());
    }
    pinned_once(Library::Ffmpeg).map_err(|fatal| refuse(FaultKind::Internal, fatal.message, fatal.hint))
}

fn unborn() -> Fault {
    refuse(FaultKind::ChildDied, "the decoder process did not start", "report it with the file")
}

/// The fault of a child that went silent.
pub fn bury(child: Option<Process>, error: &io::Error) -> Fault {
    child.map_or_else(unborn, |child| child.bury(error))
}
