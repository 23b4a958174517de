//! Whether the walls around the decoder children hold on this machine: each is tried by a child of its own.

use std::{path::Path, time::Duration};

use crate::{
    base::{
        Fatal, Fault,
        native::{Library, locate},
    },
    decode::{
        Level, Sandbox, Settings, Walls,
        proof::{Deed, Outcome, attempt},
    },
};

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
    let own = std::env::current_exe().map_err(|error| Fatal::new(error.to_string(), "start it by its full path"))?;
    let walls = Walls { most: sandbox.most, memory: Settings::default().limits.memory, ffmpeg: None };
    let fresh = std::env::temp_dir().join(format!("lapidary-doctor-{}", std::process::id()));
    let deeds = Deed::samples(&readable(&own), &own, &fresh, walls.memory);
    let trials = deeds.into_iter().map(|deed| trial(&own, &walls, deed)).collect::<Result<_, Fault>>();
    // It is there only where the walls did not hold.
    let _ = std::fs::remove_file(&fresh);
    trials.map_err(|fault| Fatal::new(fault.message, fault.hint))
}

fn trial(program: &Path, walls: &Walls, deed: Deed) -> Result<Trial, Fault> {
    let outcome = attempt(program, walls, &deed, Duration::from_secs(20))?;
    Ok(Trial { deed, outcome })
}

/// A library that the child has no business with.
fn readable(own: &Path) -> std::path::PathBuf {
    locate(Library::Pdfium).unwrap_or_else(|_| own.to_owned())
}
