//! `lapidary run`: arguments become a request, signals become a stop, and the report becomes a summary.

use std::{convert::Infallible, process};

use super::{
    Ended,
    args::{DeviceName, InputArguments, RunArguments, SandboxArguments, SandboxName},
    print,
    progress::{self, Watcher},
    summary,
};
use crate::{
    app::{
        gauge::Gauge,
        make::{Answers, FIRST},
        pipeline::Overrides,
        plan,
        report::{Ending, Report},
        run::{self, Request},
    },
    base::{Fatal, Stop},
    collect::{Inputs, Shard},
    decode::{Level, Sandbox},
    generate::Device,
    write::Tally,
};

pub fn run(arguments: &RunArguments, watcher: Watcher) -> Result<Ended, Fatal> {
    let continues = |before: &Tally| summary::before(before, arguments.retry_failures, watcher);
    let request = request(arguments, &continues)?;
    let (gauge, stop) = (Gauge::default(), Stop::default());
    heed_signals(&stop)?;
    let report = progress::during(watcher, &gauge, &stop, || run::run(request, &gauge, &stop))?;
    summary::show(&report, &arguments.output, watcher);
    Ok(ended(&report))
}

fn request<'a>(arguments: &'a RunArguments, continues: &'a (dyn Fn(&Tally) + Sync)) -> Result<Request<'a>, Fatal> {
    Ok(Request {
        plan: plan::Request {
            pipeline: arguments.pipeline.clone(),
            model: arguments.model.clone(),
            overrides: Overrides { budget: arguments.budget, pages: arguments.pages.clone() },
            sandbox: arguments.sandbox.wanted(),
        },
        inputs: Inputs { shard: arguments.shard.as_deref().map(shard).transpose()?, ..arguments.inputs.plain() },
        output: arguments.output.clone(),
        retry_failures: arguments.retry_failures,
        continues,
        limit: arguments.limit,
        answers: answers(arguments)?,
        program: None,
        give_up,
    })
}

/// Where the answers come from. Cards are CUDA's where nothing else is said of them.
fn answers(arguments: &RunArguments) -> Result<Answers<'_>, Fatal> {
    let (devices, wanted) = (&arguments.devices[..], device(arguments.device));
    let twice = |(at, card): (usize, &u32)| devices[..at].contains(card).then_some(*card);
    if let Some(card) = devices.iter().enumerate().find_map(twice) {
        return Err(Fatal::new(format!("`--devices` names card {card} twice"), "name each card once"));
    }
    match (&arguments.replay, wanted) {
        (Some(file), _) => Ok(Answers::Replay(file)),
        (None, _) if devices.is_empty() => Ok(Answers::Model(wanted, FIRST)),
        (None, Device::Cpu) => Err(Fatal::new(
            "`--devices` names cards, but `--device cpu` runs on none",
            "leave out one of them, or choose `--device cuda`",
        )),
        (None, Device::Auto) if devices == FIRST => Ok(Answers::Model(Device::Cuda, devices)),
        (None, _) => Ok(Answers::Model(wanted, devices)),
    }
}

fn shard(text: &str) -> Result<Shard, Fatal> {
    text.parse().map_err(|problem| Fatal::new(format!("--shard: {problem}"), "write I/N, such as 1/4"))
}

pub(super) fn device(name: DeviceName) -> Device {
    match name {
        DeviceName::Cpu => Device::Cpu,
        DeviceName::Cuda => Device::Cuda,
        DeviceName::Tensorrt => Device::TensorRt,
        DeviceName::Auto => Device::Auto,
    }
}

impl SandboxArguments {
    /// What is wanted of the walls.
    pub fn wanted(&self) -> Sandbox {
        match self.sandbox {
            SandboxName::Auto => Sandbox::AUTO,
            SandboxName::Off => Sandbox::OFF,
            SandboxName::Limits => Sandbox::at_least(Level::Limits),
            SandboxName::Seccomp => Sandbox::at_least(Level::Seccomp),
            SandboxName::Require | SandboxName::Full => Sandbox::at_least(Level::Full),
        }
    }
}

impl InputArguments {
    /// The inputs without a shard.
    pub fn plain(&self) -> Inputs {
        Inputs { paths: self.inputs.clone(), list: self.from.clone(), shard: None }
    }
}

/// The first signal drains, the second aborts.
fn heed_signals(stop: &Stop) -> Result<(), Fatal> {
    let stop = stop.clone();
    ctrlc::set_handler(move || stop.ask())
        .map_err(|error| Fatal::new(format!("cannot listen for signals: {error}"), "start the run from another shell"))
}

/// Ends the process although a thread of it still runs.
fn give_up(why: &Fatal) -> Infallible {
    print::fatal(why);
    process::exit(Ended::Badly.code().into())
}

fn ended(report: &Report) -> Ended {
    match report.ending {
        Ending::Drained | Ending::Aborted => Ended::Interrupted,
        Ending::Failed(_) => Ended::Badly,
        Ending::Complete if !report.accounts_for_all() => Ended::Badly,
        Ending::Complete if report.failed_share() > report.allowed_failures => Ended::WithFailures,
        Ending::Complete => Ended::Well,
    }
}
