//! Memory that a child shares with its parent. The bytes of a unit cross in it, so that they are copied once into it and once out
//! of it, and the child makes the next unit while the parent takes the last. Where a system has none, all goes through the pipe.

#[cfg(not(target_os = "linux"))]
mod absent;
#[cfg(target_os = "linux")]
mod memory;

#[cfg(not(target_os = "linux"))]
pub use absent::{Mapping, SharedMemory};
#[cfg(target_os = "linux")]
pub use memory::{Mapping, SharedMemory};

/// Bytes of it. Longer units, those of several large pages at once, go through the pipe.
pub const BYTES: usize = 16 << 20;
