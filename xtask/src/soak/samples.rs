//! A process watched from outside: what /proc says of it each second, and what it says itself of its progress.

use std::{
    collections::BTreeSet,
    fs,
    io::{BufRead, BufReader},
    process::{Child, ChildStderr, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use crate::step::Result;

const PERIOD: Duration = Duration::from_secs(1);

/// What a run looked like from outside.
#[derive(Debug, Default)]
pub struct Samples {
    /// One each second.
    pub taken: Vec<Sample>,
    /// Seconds since the start, and units settled by then, as the run says it now and then.
    pub progress: Vec<(f64, f64)>,
    /// Processes that were children of it at some time.
    pub children: BTreeSet<u32>,
    /// How long it took.
    pub seconds: f64,
}

/// One look.
#[derive(Debug, Clone, Copy)]
pub struct Sample {
    /// Seconds since the start.
    pub at: f64,
    /// Resident memory in KB.
    pub resident: f64,
    /// Open descriptors.
    pub descriptors: usize,
    /// Children alive.
    pub children: usize,
}

/// Runs `command` to its end; an error when it does not end well.
pub fn watch(mut command: Command) -> Result<Samples> {
    let began = Instant::now();
    let mut child =
        command.stderr(Stdio::piped()).spawn().map_err(|error| format!("cannot start {command:?}: {error}"))?;
    let errors = child.stderr.take().ok_or("the run has no standard error")?;
    let told = thread::spawn(move || listen(errors, began));
    let mut samples = Samples::default();
    let status = loop {
        match child.try_wait() {
            Ok(None) => samples.look(&child, began),
            Ok(Some(status)) => break status,
            Err(error) => return Err(error.to_string()),
        }
        thread::sleep(PERIOD);
    };
    samples.seconds = began.elapsed().as_secs_f64();
    samples.progress = told.join().map_err(|_| "the thread that listens has panicked")?;
    if status.success() { Ok(samples) } else { Err(format!("the run ended with {status}")) }
}

impl Samples {
    fn look(&mut self, child: &Child, began: Instant) {
        let id = child.id();
        let children = children(id);
        if let (Some(resident), Some(descriptors)) = (resident(id), descriptors(id)) {
            let at = began.elapsed().as_secs_f64();
            self.taken.push(Sample { at, resident, descriptors, children: children.len() });
        }
        self.children.extend(children);
    }

    /// Units settled at that time, between what was said before and after it; `None` outside.
    pub fn units(&self, at: f64) -> Option<f64> {
        let after = self.progress.iter().position(|(time, _)| *time >= at)?;
        let (until, more) = self.progress[after];
        let (since, units) = *self.progress.get(after.checked_sub(1)?)?;
        Some(units + (more - units) * (at - since) / (until - since).max(1e-9))
    }
}

/// Shows what the run says, and keeps the lines that begin with a number of units: `12 of 40 units, ...`.
fn listen(errors: ChildStderr, began: Instant) -> Vec<(f64, f64)> {
    let mut progress = vec![(0.0, 0.0)];
    for line in BufReader::new(errors).lines().map_while(|line| line.ok()) {
        eprintln!("{line}");
        let units = line.split_once(" of ").and_then(|(units, _)| units.parse::<f64>().ok());
        progress.extend(units.map(|units| (began.elapsed().as_secs_f64(), units)));
    }
    progress
}

fn resident(id: u32) -> Option<f64> {
    let status = fs::read_to_string(format!("/proc/{id}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.trim().strip_suffix(" kB")?.trim().parse().ok()
}

fn descriptors(id: u32) -> Option<usize> {
    Some(fs::read_dir(format!("/proc/{id}/fd")).ok()?.count())
}

fn children(id: u32) -> Vec<u32> {
    let tasks = fs::read_dir(format!("/proc/{id}/task")).into_iter().flatten().flatten();
    let lists = tasks.filter_map(|task| fs::read_to_string(task.path().join("children")).ok());
    lists.flat_map(|list| list.split_whitespace().filter_map(|id| id.parse().ok()).collect::<Vec<_>>()).collect()
}
