//! The walls around a decoder child. The child raises them itself, before it reads a byte of any document; what is
//! raised cannot be taken down again, and a program that it starts stands within the same walls.
//!
//! - limits (Unix): memory, processor time, open files, no file that grows, no core file;
//! - system calls (Linux, seccomp): those that decoding takes and no others;
//! - files (Linux, landlock): fonts to read, and for ffmpeg the program, its libraries and the one document.

#[cfg(target_os = "linux")]
mod calls;
#[cfg(target_os = "linux")]
mod files;
mod level;
#[cfg(unix)]
mod limits;

use std::{fs::File, path::PathBuf, sync::OnceLock};

use serde::{Deserialize, Serialize};

#[cfg(target_os = "linux")]
pub use calls::without_processes;
pub use level::{Level, Reached, Sandbox};

/// What to raise.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Walls {
    /// Up to which level.
    pub most: Level,
    /// Bytes of address space.
    pub memory: u64,
    /// The ffmpeg that may be started, on the one document that is handed over with this.
    pub ffmpeg: Option<PathBuf>,
}

/// How far the walls around this process reach.
static AROUND: OnceLock<Level> = OnceLock::new();

/// Raises what the system has of the walls that are asked for, and says what stands. To be called once, while the
/// process has one thread.
pub fn raise(walls: &Walls, document: Option<&File>) -> Reached {
    let reached = build(walls, document);
    let _ = AROUND.set(reached.level);
    reached
}

/// How far the walls around this process reach: [`Level::None`] where it has raised none.
pub fn around() -> Level {
    AROUND.get().copied().unwrap_or(Level::None)
}

fn build(walls: &Walls, document: Option<&File>) -> Reached {
    let mut reached = Reached::nothing();
    if walls.most == Level::None {
        return reached;
    }
    let limits = reached.note("limits", limit(walls.memory));
    // The calls that raise the wall around files are not among those that are allowed afterwards.
    let files = walls.most == Level::Full && reached.note("landlock", keep_from_files(walls, document));
    let calls = walls.most >= Level::Seccomp && reached.note("seccomp", keep_from_calls(walls.ffmpeg.is_some()));
    reached.level = Level::of(limits, calls, files);
    reached
}

/// From now on the process may use so many more seconds of processor time: against decoders that loop.
pub fn allow_seconds(seconds: f64) {
    #[cfg(unix)]
    limits::allow_seconds(seconds);
    #[cfg(not(unix))]
    let _ = seconds;
}

#[cfg(unix)]
fn limit(memory: u64) -> Result<(), String> {
    limits::raise(memory)
}

#[cfg(not(unix))]
fn limit(_memory: u64) -> Result<(), String> {
    Err("this system has none".to_owned())
}

#[cfg(target_os = "linux")]
fn keep_from_files(walls: &Walls, document: Option<&File>) -> Result<(), String> {
    files::raise(walls.ffmpeg.as_deref(), document)
}

#[cfg(target_os = "linux")]
fn keep_from_calls(starts_ffmpeg: bool) -> Result<(), String> {
    calls::raise(starts_ffmpeg)
}

#[cfg(not(target_os = "linux"))]
fn keep_from_files(_walls: &Walls, _document: Option<&File>) -> Result<(), String> {
    Err("only Linux has it".to_owned())
}

#[cfg(not(target_os = "linux"))]
fn keep_from_calls(_starts_ffmpeg: bool) -> Result<(), String> {
    Err("only Linux has it".to_owned())
}
