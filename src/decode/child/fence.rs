//! The child's two pipes, taken from the standard streams, so that nothing that a library prints or reads gets between.

use std::{fs::File, io};

/// Takes standard output for the protocol and lets everything that libraries print go to standard error instead.
#[cfg(unix)]
pub fn take_standard_output() -> io::Result<File> {
    let output = rustix::io::fcntl_dupfd_cloexec(io::stdout(), 3)?;
    rustix::stdio::dup2_stdout(io::stderr())?;
    Ok(output.into())
}

/// Takes standard output for the protocol.
#[cfg(windows)]
pub fn take_standard_output() -> io::Result<File> {
    use std::os::windows::io::AsHandle;
    Ok(File::from(io::stdout().as_handle().try_clone_to_owned()?))
}

/// Takes standard input, unbuffered: descriptors arrive between its bytes.
#[cfg(unix)]
pub fn take_standard_input() -> io::Result<File> {
    Ok(rustix::io::fcntl_dupfd_cloexec(io::stdin(), 3)?.into())
}

/// Takes standard input.
#[cfg(windows)]
pub fn take_standard_input() -> io::Result<File> {
    use std::os::windows::io::AsHandle;
    Ok(File::from(io::stdin().as_handle().try_clone_to_owned()?))
}
