//! How far the walls reach, and how far they must.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Which walls stand; each level has those before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Level {
    /// None: a process of its own, and no more.
    None,
    /// Limits on memory, processor time, open files and the size of files.
    Limits,
    /// And only the system calls that decoding takes: no network, no other program, no file opened for writing.
    Seccomp,
    /// And no files but those that decoding takes (landlock).
    Full,
}

impl Level {
    /// The level at which these walls stand.
    pub(super) fn of(limits: bool, calls: bool, files: bool) -> Self {
        match (limits, calls, files) {
            (true, true, true) => Self::Full,
            (true, true, false) => Self::Seccomp,
            (true, false, _) => Self::Limits,
            (false, ..) => Self::None,
        }
    }
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::None => "none",
            Self::Limits => "limits",
            Self::Seccomp => "seccomp",
            Self::Full => "full",
        })
    }
}

/// What stands, as the child says it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reached {
    /// The level.
    pub level: Level,
    /// What is missing and why, one each.
    pub missing: Vec<String>,
}

impl Reached {
    pub(super) fn nothing() -> Self {
        Self { level: Level::None, missing: Vec::new() }
    }

    /// True when the wall stands; else remembers why not.
    pub(super) fn note(&mut self, wall: &str, raised: Result<(), String>) -> bool {
        raised.map_err(|why| self.missing.push(format!("{wall}: {why}"))).is_ok()
    }
}

impl fmt::Display for Reached {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.level)?;
        if self.missing.is_empty() { Ok(()) } else { write!(f, " (without {})", self.missing.join("; without ")) }
    }
}

/// What is wanted of the walls: `--sandbox`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sandbox {
    /// Raised as far as the system can, up to this.
    pub most: Level,
    /// Below this nothing is decoded.
    pub least: Level,
}

impl Sandbox {
    /// As much as the system has, whatever that is.
    pub const AUTO: Self = Self { most: Level::Full, least: Level::None };
    /// No walls.
    pub const OFF: Self = Self { most: Level::None, least: Level::None };

    /// As much as the system has, and no less than `least`.
    pub const fn at_least(least: Level) -> Self {
        Self { most: Level::Full, least }
    }
}

impl Default for Sandbox {
    fn default() -> Self {
        Self::AUTO
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_level_needs_all_walls_below_it() {
        assert_eq!(Level::of(true, true, true), Level::Full);
        assert_eq!(Level::of(true, true, false), Level::Seccomp);
        assert_eq!(Level::of(true, false, true), Level::Limits);
        assert_eq!(Level::of(false, true, true), Level::None);
    }

    #[test]
    fn what_is_missing_is_said() {
        let mut reached = Reached::nothing();
        assert!(!reached.note("landlock", Err("the kernel has none".to_owned())));
        assert_eq!(reached.to_string(), "none (without landlock: the kernel has none)");
    }
}
