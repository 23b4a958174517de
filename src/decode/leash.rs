//! What ffmpeg is told between `fork` and `exec`: to die with the child that starts it, or when its processor time is
//! used up, and to start nothing itself.
//!
//! # Safety
//! The only unsafe call is `pre_exec`, whose closure runs in a process of one thread between `fork` and `exec`, where
//! memory must not be allocated and locks must not be taken. Ours makes two `prctl` calls and one `seccomp` call with a
//! filter that was compiled before, which it only reads; its errors are numbers.
#![allow(unsafe_code)]

use std::{io, os::unix::process::CommandExt, process::Command};

use rustix::process::{Signal, set_parent_process_death_signal};
use seccompiler::{BpfProgram, apply_filter};

use super::walls::{self, Level, without_processes};

/// Puts the program that `command` will start on the leash. Where the machine has no filters, it goes without that one,
/// as we do; within a wall around our own system calls it does not start without it.
pub fn put_on(command: &mut Command) {
    let filter = without_processes().unwrap_or_default();
    put(command, filter, walls::around() >= Level::Seccomp);
}

fn put(command: &mut Command, filter: BpfProgram, is_due: bool) {
    // SAFETY: see the head of this file.
    unsafe { command.pre_exec(move || tie(&filter, is_due)) };
}

fn tie(filter: &BpfProgram, is_due: bool) -> io::Result<()> {
    set_parent_process_death_signal(Some(Signal::KILL))?;
    let holds = !filter.is_empty() && apply_filter(filter).is_ok();
    if holds || !is_due { Ok(()) } else { Err(io::Error::from_raw_os_error(libc::EPERM)) }
}

#[cfg(test)]
mod tests {
    use seccompiler::sock_filter;

    use super::*;

    /// Starts a program under a filter that the kernel refuses, as one without filters refuses all.
    fn start(is_due: bool) -> io::Result<bool> {
        let mut command = Command::new("true");
        put(&mut command, vec![sock_filter { code: u16::MAX, jt: 0, jf: 0, k: 0 }], is_due);
        command.status().map(|status| status.success())
    }

    #[test]
    fn a_program_goes_without_a_filter_that_the_machine_does_not_have() {
        assert!(start(false).unwrap());
    }

    #[test]
    fn a_program_does_not_start_without_a_filter_that_is_due() {
        assert_eq!(start(true).unwrap_err().raw_os_error(), Some(libc::EPERM));
    }

    #[test]
    fn no_filter_at_all_is_as_one_that_is_refused() {
        let start = |is_due| {
            let mut command = Command::new("true");
            put(&mut command, BpfProgram::default(), is_due);
            command.status().is_ok()
        };
        assert_eq!((start(false), start(true)), (true, false));
    }
}
