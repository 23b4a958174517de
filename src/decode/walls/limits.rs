//! Limits that the system keeps for a process.

use rustix::{
    io,
    process::{Resource, Rlimit, getrlimit, setrlimit},
    time::{ClockId, clock_gettime},
};

/// Descriptors: the pipes, one document, what ffmpeg and fonts take.
const MOST_OPEN: u64 = 64;

/// Caps the address space, the open files and the size of files (none may grow), and forbids core files.
pub fn raise(memory: u64) -> Result<(), String> {
    let caps = [
        (Resource::As, memory, "memory"),
        (Resource::Core, 0, "core files"),
        (Resource::Fsize, 0, "the size of files"),
        (Resource::Nofile, MOST_OPEN, "open files"),
    ];
    let refused = caps.iter().filter_map(|&(resource, most, what)| {
        cap(resource, most).err().map(|error| format!("{what} cannot be limited ({error})"))
    });
    let refused: Vec<String> = refused.collect();
    if refused.is_empty() { Ok(()) } else { Err(refused.join(", ")) }
}

/// Lowers both the limit and what it may be raised to.
fn cap(resource: Resource, most: u64) -> io::Result<()> {
    let most = Some(getrlimit(resource).maximum.map_or(most, |present| present.min(most)));
    setrlimit(resource, Rlimit { current: most, maximum: most })
}

/// Counts from what the process has used so far. The limit itself stays one that may be raised, for the next document.
pub fn allow_seconds(seconds: f64) {
    let used = clock_gettime(ClockId::ProcessCPUTime).tv_sec.max(0) as u64;
    let maximum = getrlimit(Resource::Cpu).maximum;
    let until = used.saturating_add(seconds.ceil() as u64).saturating_add(1);
    let current = Some(maximum.map_or(until, |most| most.min(until)));
    // Where that is refused, the parent's deadlines still hold.
    let _ = setrlimit(Resource::Cpu, Rlimit { current, maximum });
}
