//! Whether the walls hold: children that try what they must not, one each, and what became of it.

use std::{
    fmt,
    path::{Path, PathBuf},
    time::Duration,
};

use serde::{Deserialize, Serialize};

use crate::base::{Fault, Stop};

use super::{
    input::Input,
    process::Process,
    walls::{Level, Reached, Walls},
    wire::{Ask, Reply},
};

/// What a child is told to try.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "deed", rename_all = "snake_case")]
pub enum Deed {
    /// Read a file that it was not handed.
    Read {
        /// Which.
        path: PathBuf,
    },
    /// Write a file.
    Write {
        /// Which.
        path: PathBuf,
        /// How large.
        bytes: u64,
    },
    /// Make a socket.
    Connect,
    /// Start a program.
    Start {
        /// Which.
        program: PathBuf,
    },
    /// Take control of its parent as debuggers do.
    Trace,
    /// Send its parent a signal.
    Signal,
    /// Allocate memory.
    Allocate {
        /// How much.
        bytes: u64,
    },
    /// Hold files open.
    Open {
        /// How many.
        files: usize,
    },
    /// Loop for ever.
    Loop {
        /// So much processor time is allowed.
        seconds: f64,
    },
}

impl Deed {
    /// The lowest level whose walls stop it.
    pub fn stopped_at(&self) -> Level {
        match self {
            Self::Allocate { .. } | Self::Open { .. } | Self::Loop { .. } => Level::Limits,
            Self::Write { bytes, .. } if *bytes > 0 => Level::Limits,
            Self::Write { .. } | Self::Connect | Self::Start { .. } | Self::Trace | Self::Signal => Level::Seccomp,
            Self::Read { .. } => Level::Full,
        }
    }

    /// What `lapidary doctor` has tried. `path` is a file that can be read, `program` one that can be started, `fresh` one
    /// that may be written, `memory` the limit.
    pub fn samples(path: &Path, program: &Path, fresh: &Path, memory: u64) -> Vec<Self> {
        vec![
            Self::Allocate { bytes: memory },
            Self::Open { files: 1000 },
            Self::Loop { seconds: 0.0 },
            Self::Write { path: fresh.to_owned(), bytes: 0 },
            Self::Connect,
            Self::Start { program: program.to_owned() },
            Self::Trace,
            Self::Signal,
            Self::Read { path: path.to_owned() },
        ]
    }
}

impl fmt::Display for Deed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Read { path } => write!(f, "read `{}`", path.display()),
            Self::Write { path, .. } => write!(f, "write `{}`", path.display()),
            Self::Connect => f.write_str("open a socket"),
            Self::Start { program } => write!(f, "start `{}`", program.display()),
            Self::Trace => f.write_str("trace its parent"),
            Self::Signal => f.write_str("signal its parent"),
            Self::Allocate { .. } => f.write_str("allocate over the limit"),
            Self::Open { files } => write!(f, "hold {files} files open"),
            Self::Loop { .. } => f.write_str("loop for ever"),
        }
    }
}

/// What became of a deed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// The walls that the child said it had.
    pub reached: Reached,
    /// What stopped it: an error, or the end of the child. `None` when it was done.
    pub stopped: Option<String>,
}

/// Has a fresh child within `walls` try `deed`; killed from outside after `patience`.
///
/// # Errors
/// When no child can be started, or it does not raise its walls.
pub fn attempt(program: &Path, walls: &Walls, deed: &Deed, patience: Duration) -> Result<Outcome, Fault> {
    attempt_within(program, (walls, None), deed, patience)
}

/// The same with walls around a document.
///
/// # Errors
/// As [`attempt`].
pub fn attempt_around(
    program: &Path,
    walls: &Walls,
    document: &Input,
    deed: &Deed,
    patience: Duration,
) -> Result<Outcome, Fault> {
    attempt_within(program, (walls, Some(document)), deed, patience)
}

fn attempt_within(
    program: &Path,
    (walls, document): (&Walls, Option<&Input>),
    deed: &Deed,
    patience: Duration,
) -> Result<Outcome, Fault> {
    let mut child = Process::start(program, patience, Stop::default())?;
    let reached = match child.raise(walls, document) {
        Ok(reached) => reached,
        Err(error) => return Err(child.bury(&error)),
    };
    let stopped = match child.ask(&Ask::Try { deed: deed.clone() }).and_then(|()| child.reply()) {
        Ok(Reply::Tried { stopped }) => stopped,
        Ok(_) => Some("it answered another question".to_owned()),
        Err(error) => Some(child.bury(&error).message),
    };
    Ok(Outcome { reached, stopped })
}
