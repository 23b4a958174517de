//! One step of a task: says what it does, runs a command, and names it when it fails.

use std::{
    path::{Path, PathBuf},
    process::{Command, ExitStatus},
};

/// An error that a person can act on.
pub type Result<T> = std::result::Result<T, String>;

/// The root of the repository.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().map(Path::to_path_buf).unwrap_or_default()
}

/// Says what comes next.
pub fn say(what: &str) {
    eprintln!("\n==> {what}");
}

/// A command that runs in the root of the repository.
pub fn command(program: impl AsRef<Path>, arguments: &[&str]) -> Command {
    let mut command = Command::new(program.as_ref());
    command.args(arguments).current_dir(root());
    command
}

/// The cargo that runs us.
pub fn cargo(arguments: &[&str]) -> Command {
    command(std::env::var_os("CARGO").map_or_else(|| PathBuf::from("cargo"), PathBuf::from), arguments)
}

/// Runs to the end and gives the exit status.
pub fn status(command: &mut Command) -> Result<ExitStatus> {
    command.status().map_err(|error| format!("cannot start {command:?}: {error}"))
}

/// Runs to the end; anything but success is an error.
pub fn run(command: &mut Command) -> Result<()> {
    match status(command)? {
        status if status.success() => Ok(()),
        status => Err(format!("{command:?} ended with {status}")),
    }
}

/// Builds the program and gives its path.
pub fn build() -> Result<PathBuf> {
    say("Building lapidary (the first build compiles all dependencies: about ten minutes on two cores)");
    run(&mut cargo(&["build", "--package", "lapidary", "--bin", "lapidary"]))?;
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), PathBuf::from);
    Ok(target.join("debug").join(format!("lapidary{}", std::env::consts::EXE_SUFFIX)))
}

/// Installs the native libraries with the program's own command; does nothing when they are there.
pub fn install_native(lapidary: &Path) -> Result<()> {
    say("Native libraries (ONNX Runtime, PDFium, ffmpeg): pinned packages, checked by hash");
    run(&mut command(lapidary, &["runtime", "install"]))
}
