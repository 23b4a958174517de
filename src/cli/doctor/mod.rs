//! `lapidary doctor`: what this machine has, proved by trying it.

mod gpu;

use std::{fmt::Display, process::Command};

use super::{Ended, args::DoctorArguments, print, run::device};
use crate::{
    app::{
        make,
        proof::{self, Trial},
        threads::Shares,
    },
    base::{
        Fatal,
        native::{self, Library, locate},
    },
    decode::{Sandbox, Settings},
    generate,
};

pub fn run(arguments: &DoctorArguments) -> Result<Ended, Fatal> {
    let sandbox = arguments.sandbox.wanted();
    let mut checks = vec![
        check("folder of native libraries", Ok(native::folder().display().to_string())),
        check("cores", Ok(Shares::cores().to_string())),
        check("vectors", Ok(generate::describe_vectors())),
        check("ONNX Runtime", generate::Runtime::load().map(|runtime| runtime.describe())),
        check("PDFium", pdfium()),
        check("ffmpeg", ffmpeg(sandbox)),
        check("sandbox", make::probe_decoder(&Settings::default(), sandbox)),
    ];
    checks.extend(Library::ALL.map(pin));
    checks.extend(walls(sandbox));
    checks.extend(gpu::checks(device(arguments.device)));
    Ok(if checks.into_iter().all(|well| well) { Ended::Well } else { Ended::WithFailures })
}

fn check(what: &str, found: Result<impl Display, Fatal>) -> bool {
    match &found {
        Ok(found) => print::note(&format!("ok      {what}: {found}")),
        Err(error) => print::fault(&format!("failed  {what}: {} (hint: {})", error.message, error.hint)),
    }
    found.is_ok()
}

/// Whether a library is what was installed.
fn pin(library: Library) -> bool {
    let found = native::examine(library).map(|(path, provenance)| format!("{provenance} ({})", path.display()));
    check(&format!("pin of {}", library.file_name()), found)
}

/// One line for each wall: what a child tried, and what stopped it.
fn walls(sandbox: Sandbox) -> Vec<bool> {
    match proof::trials(sandbox) {
        Ok(trials) => trials.iter().map(|trial| check(&format!("wall: {}", trial.deed), told(trial))).collect(),
        Err(error) => vec![check("walls", Err::<String, _>(error))],
    }
}

fn told(trial: &Trial) -> Result<String, Fatal> {
    match &trial.outcome.stopped {
        Some(stopped) => Ok(format!("stopped ({stopped})")),
        None if trial.is_as_said() => Ok(format!("open; `{}` would stop it", trial.deed.stopped_at())),
        None => Err(Fatal::new("a decoder process could do it", "report this; meanwhile decode no files of strangers")),
    }
}

fn pdfium() -> Result<String, Fatal> {
    make::probe_decoder(&Settings::default(), Sandbox::AUTO)?;
    Ok(format!("loads in a decoder process ({})", locate(Library::Pdfium)?.display()))
}

/// The first line of `ffmpeg -version`, and where the program is; it must also start within the walls.
fn ffmpeg(sandbox: Sandbox) -> Result<String, Fatal> {
    let path = native::pinned(Library::Ffmpeg)?;
    let hint = "run `lapidary runtime install`, or put a working ffmpeg on PATH";
    let output = Command::new(&path)
        .arg("-version")
        .output()
        .map_err(|error| Fatal::new(format!("cannot start `{}`: {error}", path.display()), hint))?;
    proof::starts_ffmpeg(sandbox, &path)?;
    let words = String::from_utf8_lossy(&output.stdout);
    let version = words.lines().next().unwrap_or("no version given").split(" Copyright").next().unwrap_or_default();
    Ok(format!("{version} ({})", path.display()))
}
