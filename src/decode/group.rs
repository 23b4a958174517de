//! Process groups: a child and the programs that it started are killed together.
//!
//! # Safety
//! The only unsafe call is `kill(2)` with a negative process id, which touches no memory. The id is that of a child
//! that has not been waited for, so that it cannot have been given to another process.
#![allow(unsafe_code)]

use std::process::Command;

/// Lets the child lead a group of its own, out of reach of the terminal's Ctrl-C.
#[cfg(unix)]
pub fn lead(command: &mut Command) {
    use std::os::unix::process::CommandExt;
    command.process_group(0);
}

/// Kills the group that the process `id` leads.
#[cfg(unix)]
pub fn kill(id: u32) {
    if let Some(id) = libc::pid_t::try_from(id).ok().filter(|id| *id > 1) {
        // SAFETY: see the head of this file.
        unsafe { libc::kill(-id, libc::SIGKILL) };
    }
}

/// Elsewhere there are no process groups.
#[cfg(not(unix))]
pub fn lead(_command: &mut Command) {}

/// Elsewhere there are no process groups.
#[cfg(not(unix))]
pub fn kill(_id: u32) {}
