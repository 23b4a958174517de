//! `cargo xtask bench-gpu`: everything that is measured on a card, by programs built for release.

use std::path::PathBuf;

use crate::{
    peers::newest,
    step::{Result, cargo, command, root, run, say},
};

/// What is measured, and in which order.
const MEASURE: &str = "benches/gpu/measure.py";

/// Builds, installs the libraries that the device takes, and measures. `--out FILE` gets the results; all other options
/// are handed on to `measure.py`.
pub fn run_gpu(arguments: &[String]) -> Result<()> {
    let asked = Asked::read(arguments)?;
    say("Building lapidary and its bench for release");
    run(&mut cargo(&["build", "--release", "--package", "lapidary", "--bin", "lapidary", "--bench", "gpu"]))?;
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), PathBuf::from);
    let release = target.join("release");
    let lapidary = release.join(format!("lapidary{}", std::env::consts::EXE_SUFFIX));
    say("Native libraries: pinned packages, checked by hash");
    run(command(&lapidary, &["runtime", "install"]).args(asked.libraries()))?;
    let bench = newest(&release.join("deps"), "gpu")?;
    say("Measuring; results are added to the file as they come");
    let mut measure = command(asked.python(), &[MEASURE]);
    measure.arg("--lapidary").arg(lapidary).arg("--bench").arg(bench).arg("--out").arg(&asked.out);
    run(measure.args(asked.rest))
}

/// What the command line asks for.
struct Asked<'a> {
    out: PathBuf,
    device: &'a str,
    python: Option<&'a str>,
    /// For `measure.py`.
    rest: Vec<&'a String>,
}

impl<'a> Asked<'a> {
    fn read(arguments: &'a [String]) -> Result<Self> {
        let own = ["--out=", "--device=", "--python="];
        if let Some(joined) = arguments.iter().find(|argument| own.iter().any(|name| argument.starts_with(name))) {
            return Err(format!("{joined}: write a space in place of the `=`"));
        }
        let value = |name: &str| match arguments.iter().position(|argument| argument == name) {
            Some(place) => arguments.get(place + 1).map(Some).ok_or_else(|| format!("{name} wants a value")),
            None => Ok(None),
        };
        let out = value("--out")?.map_or_else(|| root().join("target/gpu/results.jsonl"), PathBuf::from);
        let place = arguments.iter().position(|argument| argument == "--out").unwrap_or(usize::MAX - 1);
        let rest = arguments.iter().enumerate().filter(|(index, _)| *index != place && *index != place + 1);
        Ok(Self {
            // Commands run in the root of the repository, whoever called.
            out: std::path::absolute(&out).map_err(|error| format!("{}: {error}", out.display()))?,
            device: value("--device")?.map_or("cuda", String::as_str),
            python: value("--python")?.map(String::as_str),
            rest: rest.map(|(_, argument)| argument).collect(),
        })
    }

    fn libraries(&self) -> &'static [&'static str] {
        if self.device == "cpu" { &[] } else { &["--cuda"] }
    }

    /// The interpreter that holds what is compared with runs `measure.py` too, which needs nothing of it.
    fn python(&self) -> &'a str {
        self.python.unwrap_or("python3")
    }
}
