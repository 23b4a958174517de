//! Whether the walls around the decoder children hold on this machine: each is tried by a child of its own.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use crate::{
    base::{
        Fatal, Fault,
        native::{Library, locate},
    },
    decode::{
        Input, Level, Sandbox, Settings, Walls,
        proof::{Deed, Outcome, attempt, attempt_around},
    },
};

/// How long a child may take over one deed.
const PATIENCE: Duration = Duration::from_secs(20);

/// A deed and what became of it.
#[derive(Debug)]
pub struct Trial {
    /// What was tried.
    pub deed: Deed,
    /// What came of it.
    pub outcome: Outcome,
}

impl Trial {
    /// True when it was stopped, or when nothing that stands was to stop it.
    pub fn is_as_said(&self) -> bool {
        self.outcome.stopped.is_some() || self.outcome.reached.level < self.deed.stopped_at()
    }
}

/// Tries everything that a child should not be able to do.
///
/// # Errors
/// When no child can be started.
pub fn trials(sandbox: Sandbox) -> Result<Vec<Trial>, Fatal> {
    if sandbox.most == Level::None {
        return Ok(Vec::new());
    }
    let own = own()?;
    let walls = Walls { most: sandbox.most, memory: Settings::default().limits.memory, ffmpeg: None };
    let fresh = std::env::temp_dir().join(format!("lapidary-doctor-{}", std::process::id()));
    let deeds = Deed::samples(&readable(&own), &own, &fresh, walls.memory);
    let trials = deeds.into_iter().map(|deed| trial(&own, &walls, deed)).collect::<Result<_, Fault>>();
    // It is there only where the walls did not hold.
    let _ = std::fs::remove_file(&fresh);
    trials.map_err(fatal)
}

/// Whether a child that may start `ffmpeg` can.
///
/// # Errors
/// Why not.
pub fn starts_ffmpeg(sandbox: Sandbox, ffmpeg: &Path) -> Result<(), Fatal> {
    let own = own()?;
    let memory = Settings::default().limits.memory;
    let walls = Walls { most: sandbox.most, memory, ffmpeg: Some(ffmpeg.to_owned()) };
    let deed = Deed::Start { program: ffmpeg.to_owned() };
    let outcome = Input::open(&own).and_then(|input| attempt_around(&own, &walls, &input, &deed, PATIENCE));
    match outcome.map_err(fatal)?.stopped {
        None => Ok(()),
        Some(why) => Err(Fatal::new(
            format!("`{}` does not start within the walls: {why}", ffmpeg.display()),
            "take the one of `lapidary runtime install`: leave the other out of PATH",
        )),
    }
}

/// This program, which is started again as a child.
fn own() -> Result<PathBuf, Fatal> {
    std::env::current_exe().map_err(|error| Fatal::new(error.to_string(), "start it by its full path"))
}

fn fatal(fault: Fault) -> Fatal {
    Fatal::new(fault.message, fault.hint)
}

fn trial(program: &Path, walls: &Walls, deed: Deed) -> Result<Trial, Fault> {
    let outcome = attempt(program, walls, &deed, PATIENCE)?;
    Ok(Trial { deed, outcome })
}

/// A library that the child has no business with.
fn readable(own: &Path) -> PathBuf {
    locate(Library::Pdfium).unwrap_or_else(|_| own.to_owned())
}
