//! `lapidary replay` without its command line: one row of a dataset is asked for again, from its file to its answer, with
//! the settings that the dataset remembers.

use std::path::PathBuf;

use crossbeam::channel::bounded;

use super::{
    again::Again,
    configs,
    engines::Engines,
    make::{self, Answers, FIRST},
    one::One,
    plan::Plan,
    recorded::Recorded,
    threads::Shares,
};
use crate::{
    base::{Extraction, Fatal, Fault, Kind, Stop},
    decode::Sandbox,
    generate::Device,
    parse::Parser,
};

/// What to ask for again.
#[derive(Debug)]
pub struct Request {
    /// The dataset.
    pub dataset: PathBuf,
    /// The row, from 1.
    pub row: usize,
    /// The model, where it does not lie any more where it did.
    pub model: Option<PathBuf>,
    /// Where it runs.
    pub device: Device,
    /// What is wanted of the walls around the decoder child.
    pub sandbox: Sandbox,
}

/// What came of it.
#[derive(Debug)]
pub struct Replayed {
    /// Who the row is about.
    pub origin: String,
    /// What is not as it was, one line each.
    pub changes: Vec<String>,
    /// The answer that the dataset holds.
    pub before: String,
    /// The answer now.
    pub after: Result<String, Fault>,
}

impl Replayed {
    /// True when the answer is the same, to the letter.
    pub fn is_same(&self) -> bool {
        self.after.as_ref().is_ok_and(|after| *after == self.before)
    }
}

/// Asks again.
///
/// # Errors
/// When the row, its file or its model is not there, or the file has another content.
pub fn replay(request: &Request) -> Result<Replayed, Fatal> {
    let recorded = Recorded::read(&request.dataset, request.row)?;
    let again = Again::of(&recorded, request.model.clone(), request.sandbox)?;
    let after = through_the_line(&again, request.device)?;
    let origin = &again.origin;
    let changes = changes(&again.plan, origin.source.kind, &recorded)?;
    let before = recorded.text("_raw").to_owned();
    Ok(Replayed { origin: origin.to_string(), changes, before, after: after.map(|extraction| extraction.raw) })
}

/// What is not as it was when the row was made.
fn changes(plan: &Plan, kind: Kind, recorded: &Recorded) -> Result<Vec<String>, Fatal> {
    let config = configs::config(&plan.pipeline, &plan.shape, "", kind);
    let model_holds = recorded.text("_model") == plan.model()?.hash;
    let now = [("the model", model_holds), ("pipeline or schema", config.holds_row(recorded.text("_config")))];
    let other = now.into_iter().filter(|(_, holds)| !holds);
    Ok(other.map(|(what, _)| format!("{what} is not the same as then")).collect())
}

/// The unit through all stages but the last, one after the other.
fn through_the_line(again: &Again, device: Device) -> Result<Result<Extraction, Fault>, Fatal> {
    let (plan, stop) = (&again.plan, Stop::default());
    let mut encoder = make::encoder(plan)?;
    let shares = Shares::of(Shares::cores(), false, plan.pipeline.decode.lanes);
    let engines = Engines::open(plan, Answers::Model(device, FIRST), &encoder, shares, &stop)?;
    let prompt = match again.encoded(&mut encoder) {
        Ok(prompt) => prompt,
        Err(fault) => return Ok(Err(fault)),
    };
    let (sender, receiver) = bounded(1);
    drop(sender.send(prompt));
    drop(sender);
    let mut answer = One::default();
    engines.tasks(&stop).into_iter().try_for_each(|task| task(receiver.clone(), &mut answer).map(drop))?;
    let settings = &plan.pipeline.parse;
    let mut parser = Parser::of(settings.output, plan.answer.clone()).with_record(settings.record);
    Ok(answer.settled().and_then(|answer| One::through(&mut parser, answer)).map(|item| item.body))
}
