//! Fetching with the user's own pip, so that their mirror, proxy and certificates are honoured, and unpacking with
//! the Python that comes with it.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use serde_json::json;

use super::{
    super::fault::Fatal,
    Library,
    manifest::sha256,
    packages::{CUDA_FOLDER, Machine, Package, Take},
};

const UNPACK: &str = include_str!("unpack.py");

/// A Python 3 with pip.
#[derive(Debug)]
pub struct Pip {
    python: &'static str,
}

impl Pip {
    /// Looks for a Python that has pip.
    pub fn find() -> Result<Self, Fatal> {
        let works = |python: &&str| {
            let asked = Command::new(python).args(["-m", "pip", "--version"]).output();
            asked.is_ok_and(|answer| answer.status.success())
        };
        ["python3", "python"].into_iter().find(works).map(|python| Self { python }).ok_or_else(|| {
            Fatal::new(
                "neither `python3 -m pip` nor `python -m pip` works, and the native libraries are fetched with pip",
                format!(
                    "install Python 3 with pip, or put the libraries into `{}` yourself",
                    super::folder().display()
                ),
            )
        })
    }

    /// Downloads the pinned wheel into `folder` and checks its hash.
    pub fn download(&self, package: &Package, machine: Machine, folder: &Path) -> Result<PathBuf, Fatal> {
        let hash = package.wheel(machine)?;
        let wanted = folder.join("wanted.txt");
        let line = format!("{}=={} --hash=sha256:{hash}\n", package.name, package.version);
        fs::write(&wanted, line).map_err(|error| cannot("write", &wanted, &error))?;
        let mut pip = Command::new(self.python);
        pip.args(["-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--require-hashes", "--no-deps"]);
        pip.args(["--only-binary=:all:", "--implementation", "cp", "--python-version", "3.11"]);
        pip.args(["--abi", "cp311", "--abi", "abi3", "--abi", "none"]);
        pip.args(machine.platforms().iter().flat_map(|platform| ["--platform", platform]));
        pip.arg("--dest").arg(folder).arg("--requirement").arg(&wanted);
        demand(pip.output(), || format!("`pip download {}=={}` failed", package.name, package.version))?;
        wheel_in(folder, hash)
    }

    /// Takes what is wanted out of a wheel; returns the names written, relative to `folder`.
    pub fn unpack(&self, package: &Package, wheel: &Path, folder: &Path) -> Result<Vec<String>, Fatal> {
        let mut python = Command::new(self.python);
        python.args(["-c", UNPACK]).arg(wheel).arg(folder).arg(plan(package).to_string());
        let answer = demand(python.output(), || format!("`{}` cannot be unpacked", wheel.display()))?;
        let names: Vec<String> = serde_json::from_slice(&answer.stdout)
            .map_err(|error| Fatal::new(format!("`{}` cannot be unpacked: {error}", wheel.display()), ""))?;
        missing_library(package, &names).map_or(Ok(names), Err)
    }
}

fn plan(package: &Package) -> serde_json::Value {
    let licences = format!("licences/{}", package.name);
    match package.take {
        Take::SharedLibraries => json!({ "licences": licences, "take": [], "shared": CUDA_FOLDER }),
        Take::Library(library, members, beside) => {
            let own = members.iter().map(|prefix| (*prefix, library.file_name()));
            let beside = beside.iter().map(|prefix| (*prefix, ""));
            json!({ "licences": licences, "take": own.chain(beside).collect::<Vec<_>>(), "shared": null })
        }
    }
}

fn missing_library(package: &Package, names: &[String]) -> Option<Fatal> {
    let wanted: Option<Library> = match package.take {
        Take::Library(library, ..) => Some(library),
        Take::SharedLibraries => None,
    };
    let missing = wanted.filter(|library| !names.iter().any(|name| name == library.file_name()))?;
    let message = format!("the wheel of {} {} holds no `{}`", package.name, package.version, missing.file_name());
    Some(Fatal::new(message, "report this: the pinned table is wrong"))
}

fn wheel_in(folder: &Path, hash: &str) -> Result<PathBuf, Fatal> {
    let entries = fs::read_dir(folder).map_err(|error| cannot("read", folder, &error))?;
    let mut paths = entries.filter_map(|entry| Some(entry.ok()?.path()));
    let is_wheel = |path: &PathBuf| path.extension().is_some_and(|extension| extension == "whl");
    let wheel = paths.find(is_wheel).ok_or_else(|| Fatal::new("pip reported success but left no wheel", ""))?;
    let found = sha256(&wheel).map_err(|error| cannot("read", &wheel, &error))?;
    if found == hash {
        return Ok(wheel);
    }
    Err(Fatal::new(
        format!("`{}` has SHA-256 {found}, but {hash} is pinned", wheel.display()),
        "the mirror hands out a changed file: do not use it",
    ))
}

fn demand(answer: std::io::Result<Output>, failure: impl Fn() -> String) -> Result<Output, Fatal> {
    let hint = "check the network and `pip config list` (index, proxy, certificates), then run it again";
    let answer = answer.map_err(|error| Fatal::new(format!("{}: {error}", failure()), hint))?;
    if answer.status.success() {
        return Ok(answer);
    }
    let told = String::from_utf8_lossy(&answer.stderr);
    let lines: Vec<&str> = told.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    let last = &lines[lines.len().saturating_sub(4)..];
    Err(Fatal::new(format!("{}: {}", failure(), last.join(" | ")), hint))
}

/// A file error of the installation.
pub fn cannot(verb: &str, path: &Path, error: &std::io::Error) -> Fatal {
    Fatal::new(format!("cannot {verb} `{}`: {error}", path.display()), "choose another folder with `--dir`")
}
