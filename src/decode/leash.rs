//! What ffmpeg is told between `fork` and `exec`: to die with the child that starts it, and to start nothing itself.
//!
//! # Safety
//! The only unsafe call is `pre_exec`, whose closure runs in a process of one thread between `fork` and `exec`, where
//! memory must not be allocated and locks must not be taken. Ours makes two `prctl` calls and one `seccomp` call with a
//! filter that was compiled before, which it only reads; its errors are numbers.
#![allow(unsafe_code)]

use std::{io, os::unix::process::CommandExt, process::Command};

use rustix::process::{Signal, set_parent_process_death_signal};
use seccompiler::{BpfProgram, apply_filter};

use super::walls::without_processes;

/// Puts the program that `command` will start on the leash. Where the machine has no filters, it goes without that one.
pub fn put_on(command: &mut Command) {
    let filter = without_processes().unwrap_or_default();
    // SAFETY: see the head of this file.
    unsafe { command.pre_exec(move || tie(&filter)) };
}

fn tie(filter: &BpfProgram) -> io::Result<()> {
    set_parent_process_death_signal(Some(Signal::KILL))?;
    if !filter.is_empty() {
        apply_filter(filter).map_err(|_| io::Error::from_raw_os_error(libc::EPERM))?;
    }
    Ok(())
}
