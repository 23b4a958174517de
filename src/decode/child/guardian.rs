//! A child ends with its parent, however that ended: a decoder that loops would outlive it.

use std::io;

/// The kernel sends the signal. A parent that was gone before is noticed here.
#[cfg(target_os = "linux")]
pub fn follow_parent() -> io::Result<()> {
    use rustix::process::{Signal, getppid, set_parent_process_death_signal};
    let parent = getppid();
    set_parent_process_death_signal(Some(Signal::KILL))?;
    if parent.is_none() || getppid() != parent {
        return Err(io::Error::other("the parent process is gone"));
    }
    Ok(())
}

/// A thread sees that the parent has changed.
#[cfg(all(unix, not(target_os = "linux")))]
pub fn follow_parent() -> io::Result<()> {
    let parent = std::os::unix::process::parent_id();
    let look = move || {
        while std::os::unix::process::parent_id() == parent {
            std::thread::sleep(std::time::Duration::from_secs(1));
        }
        std::process::exit(3);
    };
    std::thread::Builder::new().spawn(look).map(drop)
}

/// Here the pipe alone tells.
#[cfg(not(unix))]
pub fn follow_parent() -> io::Result<()> {
    Ok(())
}
