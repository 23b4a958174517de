//! Process groups: a child and the programs that it started are killed together.

use std::process::Command;

/// Lets the child lead a group of its own, out of reach of the terminal's Ctrl-C.
#[cfg(unix)]
pub fn lead(command: &mut Command) {
    use std::os::unix::process::CommandExt;
    command.process_group(0);
}

/// Kills the group that the process `id` leads, which must not have been waited for: else the id may be another's by now.
#[cfg(unix)]
pub fn kill(id: u32) {
    use rustix::process::{Pid, Signal, kill_process_group};
    if let Some(id) = i32::try_from(id).ok().filter(|id| *id > 1).and_then(Pid::from_raw) {
        // It fails when the group is gone, which is as well.
        let _ = kill_process_group(id, Signal::KILL);
    }
}

/// Elsewhere there are no process groups.
#[cfg(not(unix))]
pub fn lead(_command: &mut Command) {}

/// Elsewhere there are no process groups.
#[cfg(not(unix))]
pub fn kill(_id: u32) {}
