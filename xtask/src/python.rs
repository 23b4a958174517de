//! The Python environment of the tests: independent readers of our Parquet files.

use std::{fs, path::PathBuf};

use crate::step::{Result, command, root, run, say};

/// Pinned packages, with the reason beside each.
const REQUIREMENTS: &str = "tests/requirements.txt";

/// Makes `target/python` once per content of the requirements and gives its interpreter.
pub fn environment() -> Result<PathBuf> {
    let folder = root().join("target/python");
    let python = if cfg!(windows) { folder.join("Scripts/python.exe") } else { folder.join("bin/python") };
    let wanted = fs::read_to_string(root().join(REQUIREMENTS)).map_err(|error| format!("{REQUIREMENTS}: {error}"))?;
    let stamp = folder.join("requirements.txt");
    if fs::read_to_string(&stamp).is_ok_and(|installed| installed == wanted) {
        return Ok(python);
    }
    say("Python environment of the tests (target/python): independent readers of the dataset");
    let _ = fs::remove_dir_all(&folder);
    let interpreter = if cfg!(windows) { "python" } else { "python3" };
    run(command(interpreter, &["-m", "venv"]).arg(&folder))?;
    run(&mut command(
        &python,
        &["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-r", REQUIREMENTS],
    ))?;
    fs::write(&stamp, wanted).map_err(|error| format!("{}: {error}", stamp.display()))?;
    Ok(python)
}
