//! Python environments below target/: independent readers of our Parquet files, and ready tools.

use std::{
    fs,
    path::{Path, PathBuf},
};

use crate::step::{Result, command, root, run, say};

/// What is installed by pip, pinned.
#[derive(Debug, Clone, Copy)]
pub struct Environment {
    what: &'static str,
    folder: &'static str,
    requirements: &'static str,
}

/// Independent readers of the dataset.
pub const READERS: Environment = Environment {
    what: "Python environment of the tests (target/python): independent readers of the dataset",
    folder: "target/python",
    requirements: "tests/requirements.txt",
};

/// Programs that look at the repository.
pub const TOOLS: Environment = Environment {
    what: "Tools that are packages of Python (target/tools)",
    folder: "target/tools",
    requirements: "xtask/requirements.txt",
};

impl Environment {
    /// Makes it once per content of its requirements and gives its interpreter.
    pub fn interpreter(self) -> Result<PathBuf> {
        let Self { what, folder, requirements } = self;
        let folder = root().join(folder);
        let python = program(&folder, "python");
        let wanted =
            fs::read_to_string(root().join(requirements)).map_err(|error| format!("{requirements}: {error}"))?;
        let stamp = folder.join("requirements.txt");
        if fs::read_to_string(&stamp).is_ok_and(|installed| installed == wanted) {
            return Ok(python);
        }
        say(what);
        let _ = fs::remove_dir_all(&folder);
        let interpreter = if cfg!(windows) { "python" } else { "python3" };
        run(command(interpreter, &["-m", "venv"]).arg(&folder))?;
        let install = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-r", requirements];
        run(&mut command(&python, &install))?;
        fs::write(&stamp, wanted).map_err(|error| format!("{}: {error}", stamp.display()))?;
        Ok(python)
    }

    /// A program that one of its packages brings.
    pub fn program(self, name: &str) -> Result<PathBuf> {
        self.interpreter().map(|_| program(&root().join(self.folder), name))
    }
}

fn program(folder: &Path, name: &str) -> PathBuf {
    match cfg!(windows) {
        true => folder.join("Scripts").join(format!("{name}.exe")),
        false => folder.join("bin").join(name),
    }
}
