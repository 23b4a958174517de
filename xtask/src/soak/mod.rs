//! `cargo xtask soak`: many synthetic units through the whole line in the real program, with recorded answers, while its memory,
//! its open files and its children are watched from outside.

mod documents;
mod report;
mod samples;

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use crate::step::{Result, cargo, command, install_native, root, run, say};
use report::Report;
use samples::watch;

/// Units where none are named: in fewer, what the allocator moves hides what a run would keep.
const UNITS: u32 = 1_000_000;

/// Pages of one document: what grows with documents is not what is measured.
const PAGES: u32 = 1000;

/// A decoder child is replaced after so many documents.
const RECYCLE_AFTER: u32 = 4;

const ANSWER: &str =
    r#"[{"kind":"report","title":"A page","keywords":["page"],"date":null,"legible":true,"people":1}]"#;

/// What `soak` was asked.
struct Asked {
    units: u32,
    program: Option<PathBuf>,
}

/// Runs the soak; an error when memory or open files grow, or children are not replaced.
pub fn run_soak(arguments: &[String]) -> Result<()> {
    let asked = Asked::of(arguments)?;
    if !cfg!(target_os = "linux") {
        return Err("the soak reads /proc, which only Linux has".to_owned());
    }
    let program = asked.program.map_or_else(build, Ok)?;
    install_native(&program)?;
    let folder = root().join("target/soak");
    let _ = fs::remove_dir_all(&folder);
    let documents = asked.units.div_ceil(PAGES).max(1);
    say(&format!("{documents} documents of {} pages", PAGES.min(asked.units)));
    prepare(&folder, documents, PAGES.min(asked.units))?;
    say("The run; a sample of /proc each second");
    let samples = watch(line(&program, &folder))?;
    let report = Report::new(&samples, documents / RECYCLE_AFTER);
    println!("{}", report.table());
    report.verdict()
}

impl Asked {
    fn of(arguments: &[String]) -> Result<Self> {
        let mut asked = Self { units: UNITS, program: None };
        for pair in arguments.chunks(2) {
            match pair {
                [flag, units] if flag == "--units" => {
                    asked.units = units.parse().map_err(|_| format!("`{units}` is no number of units"))?;
                }
                [flag, path] if flag == "--program" => asked.program = Some(PathBuf::from(path)),
                _ => return Err("soak takes --units N and --program PATH".to_owned()),
            }
        }
        Ok(asked)
    }
}

fn build() -> Result<PathBuf> {
    say("Building lapidary for release");
    run(&mut cargo(&["build", "--release", "--package", "lapidary", "--bin", "lapidary"]))?;
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), PathBuf::from);
    Ok(target.join("release").join(format!("lapidary{}", std::env::consts::EXE_SUFFIX)))
}

fn prepare(folder: &Path, documents: u32, pages: u32) -> Result<()> {
    let inputs = folder.join("inputs");
    fs::create_dir_all(&inputs).map_err(|error| format!("{}: {error}", inputs.display()))?;
    let root = root().display().to_string();
    let pipeline = format!(
        "name = \"soak\"\nmodel = \"{root}/onnx/tiny\"\n[encode]\nbudget = 70\nprompt = \"Describe.\"\n\
         [decode]\nrecycle_after = {RECYCLE_AFTER}\n[generate]\nmax_tokens = 160\nslots = 8\n\
         [parse]\nschema = \"{root}/schemas/demo.json\"\n[write]\nrows_per_part = 2000\n"
    );
    let write =
        |path: PathBuf, text: &str| fs::write(&path, text).map_err(|error| format!("{}: {error}", path.display()));
    write(folder.join("soak.toml"), &pipeline)?;
    write(folder.join("answers.json"), ANSWER)?;
    (0..documents)
        .try_for_each(|number| write(inputs.join(format!("{number:05}.pdf")), &documents::book(number, pages)))
}

fn line(program: &Path, folder: &Path) -> Command {
    let mut command = command(program, &["run"]);
    command.arg(folder.join("soak.toml")).arg(folder.join("inputs"));
    command.arg("--output").arg(folder.join("set")).arg("--replay").arg(folder.join("answers.json"));
    command.stdin(Stdio::null());
    command
}
