//! What the child may use: its own pipe to the parent, and so much memory.
//!
//! # Safety
//! The unsafe calls are `dup`, `dup2` and `setrlimit`. The descriptors are the standard ones; the duplicate is owned
//! by the returned file and by nothing else; `setrlimit` only reads the struct on our stack.
#![allow(unsafe_code)]

use std::{fs::File, io};

/// Takes standard output for the protocol and lets everything that libraries print go to standard error instead.
#[cfg(unix)]
pub fn take_standard_output() -> io::Result<File> {
    use std::os::fd::FromRawFd;
    // SAFETY: see the head of this file.
    unsafe {
        let output = libc::fcntl(libc::STDOUT_FILENO, libc::F_DUPFD_CLOEXEC, 3);
        if output < 0 || libc::dup2(libc::STDERR_FILENO, libc::STDOUT_FILENO) < 0 {
            return Err(io::Error::last_os_error());
        }
        Ok(File::from_raw_fd(output))
    }
}

/// Takes standard output for the protocol.
#[cfg(windows)]
pub fn take_standard_output() -> io::Result<File> {
    use std::os::windows::io::AsHandle;
    Ok(File::from(io::stdout().as_handle().try_clone_to_owned()?))
}

/// Caps the address space and forbids core files. A cap that the system refuses is left as it is.
#[cfg(unix)]
pub fn confine(memory: u64) {
    let cap = |bytes: u64| libc::rlimit { rlim_cur: bytes as libc::rlim_t, rlim_max: bytes as libc::rlim_t };
    // SAFETY: see the head of this file.
    unsafe {
        libc::setrlimit(libc::RLIMIT_AS, &cap(memory));
        libc::setrlimit(libc::RLIMIT_CORE, &cap(0));
    }
}

/// Elsewhere there are no such limits.
#[cfg(not(unix))]
pub fn confine(_memory: u64) {}
