//! The command line: the only room that prints, reads the environment of the terminal, or knows clap.

pub mod args;
mod captions;
mod check;
mod doctor;
mod encode;
mod failures;
mod hub;
mod logs;
mod model;
mod prepare;
mod print;
mod progress;
mod publish;
mod pull;
mod replay;
mod run;
mod runtime;
mod schema;
mod score;
mod show;
mod summary;
mod timeline;
mod transfer;

use std::{env, path::Path, process::ExitCode};

use clap::Parser;

use crate::{
    base::Fatal,
    decode,
    write::{failpoint, sealed},
};
use args::{Arguments, Command, LogFormat};

/// How a command ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// As asked: 0.
    Well,
    /// More failures than allowed: 1.
    WithFailures,
    /// Could not start or could not finish: 2.
    Badly,
    /// By a signal: 130.
    Interrupted,
}

impl Ended {
    /// The exit code.
    pub fn code(self) -> u8 {
        match self {
            Self::Well => 0,
            Self::WithFailures => 1,
            Self::Badly => 2,
            Self::Interrupted => 130,
        }
    }
}

impl From<Ended> for ExitCode {
    fn from(ended: Ended) -> Self {
        Self::from(ended.code())
    }
}

/// Arguments in, exit code out.
pub fn main() -> ExitCode {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(problem) => return misunderstood(&problem),
    };
    if matches!(arguments.command, Command::DecodeChild) {
        return decode::child::main();
    }
    logs::start(arguments.log_format, arguments.quiet);
    print::start(arguments.log_format, arguments.quiet);
    if cfg!(debug_assertions) {
        arm_failpoint();
    }
    let ended = dispatch(&arguments).unwrap_or_else(|error| {
        print::fatal(&error);
        Ended::Badly
    });
    ended.into()
}

/// Help and versions are printed, and a wrong command line is told in the form that it asks for.
fn misunderstood(problem: &clap::Error) -> ExitCode {
    if problem.use_stderr() && LogFormat::asked(env::args_os()) == LogFormat::Json {
        logs::start(LogFormat::Json, false);
        print::start(LogFormat::Json, false);
        let told = problem.to_string();
        let (wrong, advice) = told.trim_start_matches("error: ").split_once("\n\n").unwrap_or((&told, ""));
        print::fatal(&Fatal::new(wrong.trim(), advice.trim()));
        return Ended::Badly.into();
    }
    problem.exit()
}

/// Tests of debug builds say here where the process is to die, or to find the disk full.
fn arm_failpoint() {
    match env::var("LAPIDARY_FAILPOINT").ok().map(|text| text.parse()) {
        None => {}
        Some(Ok(failpoint)) => failpoint::arm(failpoint),
        Some(Err(problem)) => print::fault(&format!("LAPIDARY_FAILPOINT: {problem}")),
    }
}

/// Says it where the rows of a dataset are not all, or not all of one run.
fn note_unfinished(dataset: &Path) -> Result<(), Fatal> {
    if sealed(dataset)?.is_none() {
        let why = "a run on it is at work, was limited, or was interrupted";
        print::note(&format!("note: the dataset `{}` is not finished: {why}", dataset.display()));
    }
    Ok(())
}

fn dispatch(arguments: &Arguments) -> Result<Ended, Fatal> {
    let watcher = progress::Watcher::of(arguments.quiet, arguments.log_format);
    match &arguments.command {
        Command::Run(run) => run::run(run, watcher),
        Command::Check(check) => check::run(check),
        Command::Schema(schema) => schema::run(schema),
        Command::Show(show) => show::run(show),
        Command::Failures(failures) => failures::run(failures),
        Command::Replay(replay) => replay::run(replay),
        Command::Explain(explain) => replay::explain(explain),
        Command::Score(arguments) => score::run(arguments),
        Command::Captions(arguments) => captions::run(arguments),
        Command::Timeline(arguments) => timeline::run(arguments),
        Command::Publish(arguments) => publish::run(arguments, watcher),
        Command::Encode(encode) => encode::run(encode),
        Command::Model(model) => model::run(model, watcher),
        Command::Runtime(runtime) => runtime::run(runtime),
        Command::Doctor(doctor) => doctor::run(doctor),
        Command::DecodeChild => Ok(Ended::Well),
    }
}
