//! Tries to do what the walls are there to stop. What comes back is why it could not be done.
//!
//! # Safety
//! The only unsafe call is `ptrace(PTRACE_SEIZE)`, which takes numbers, touches no memory of ours, and does not stop the
//! process that it would be attached to.
#![allow(unsafe_code)]

use std::{
    fs::File,
    io::{self, Write},
    net::UdpSocket,
    path::Path,
    process::Command,
};

use super::super::proof::Deed;

/// How a program ends whose libraries are not to be found.
const NOT_LOADED: i32 = 127;

/// Does it, or says what stopped it; some deeds end the process.
pub fn try_to(deed: &Deed) -> io::Result<()> {
    match deed {
        Deed::Read { path } => File::open(path).map(drop),
        Deed::Write { path, bytes } => fill(path, *bytes),
        Deed::Connect => UdpSocket::bind("127.0.0.1:0").map(drop),
        Deed::Start { program } => start(program),
        Deed::Trace => trace(),
        Deed::Signal => signal(),
        Deed::Allocate { bytes } => allocate(*bytes),
        Deed::Open { files } => open(*files),
        Deed::Loop { seconds } => spin(*seconds),
    }
}

fn fill(path: &Path, bytes: u64) -> io::Result<()> {
    let mut file = File::create(path)?;
    let block = [0; 4096];
    (0..bytes.div_ceil(4096)).try_for_each(|_| file.write_all(&block))
}

fn start(program: &Path) -> io::Result<()> {
    // Not even the null device can be opened within the walls.
    match Command::new(program).spawn()?.wait()?.code() {
        Some(NOT_LOADED) => Err(io::Error::other("its libraries cannot be loaded")),
        _ => Ok(()),
    }
}

fn allocate(bytes: u64) -> io::Result<()> {
    let bytes = usize::try_from(bytes).map_err(io::Error::other)?;
    Vec::<u8>::new().try_reserve_exact(bytes).map_err(io::Error::other)
}

fn open(files: usize) -> io::Result<()> {
    let input = super::fence::take_standard_input()?;
    (0..files).map(|_| input.try_clone()).collect::<io::Result<Vec<_>>>().map(drop)
}

fn spin(seconds: f64) -> ! {
    super::super::walls::allow_seconds(seconds);
    loop {
        std::hint::spin_loop();
    }
}

#[cfg(target_os = "linux")]
fn trace() -> io::Result<()> {
    let parent = std::os::unix::process::parent_id();
    // SAFETY: see the head of this file.
    let done = unsafe { libc::ptrace(libc::PTRACE_SEIZE, parent, 0, 0) };
    if done < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

#[cfg(not(target_os = "linux"))]
fn trace() -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

#[cfg(unix)]
fn signal() -> io::Result<()> {
    let parent = rustix::process::getppid().ok_or(io::ErrorKind::NotFound)?;
    Ok(rustix::process::test_kill_process(parent)?)
}

#[cfg(not(unix))]
fn signal() -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}
