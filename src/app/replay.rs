//! `lapidary replay` without its command line: one row of a dataset is asked for again, from its file to its answer, with
//! the settings that the dataset remembers.

use std::{path::PathBuf, sync::Arc};

use crossbeam::channel::bounded;

use super::{
    configs,
    make::{self, Answers},
    one::One,
    plan::Plan,
    recorded::Recorded,
    threads::Shares,
};
use crate::{
    base::{
        ByteBudget, Document, Extraction, Fatal, Fault, Item, Kind, Lease, Origin, RecordOf, Source, Stop, UnitQuota,
    },
    collect::{Collect, Found, Inputs},
    decode::Sandbox,
    generate::{Device, Generator},
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
    let plan = Plan { sandbox: request.sandbox, ..Plan::recorded(&recorded, request.model.clone())? };
    if plan.pipeline.parse.record == RecordOf::Document {
        return Err(Fatal::new(
            format!("row {} is merged of the answers about several units, and a single one is replayed", request.row),
            "look at `_parts`, or run the pipeline with `record = \"unit\"` on this document and replay its rows",
        ));
    }
    let origin = Origin { source: source(&plan, &recorded)?, part: recorded.part() };
    let attempt = recorded.number("_attempt").and_then(|attempt| u8::try_from(attempt).ok()).unwrap_or(0);
    let item = Item { origin: origin.clone(), attempt, lease: Lease::none(), body: Document };
    let after = through_the_line(&plan, item, request.device)?;
    let changes = changes(&plan, origin.source.kind, &recorded)?;
    let before = recorded.text("_raw").to_owned();
    Ok(Replayed { origin: origin.to_string(), changes, before, after: after.map(|extraction| extraction.raw) })
}

/// The row's file, if it still has the content that it had.
fn source(plan: &Plan, recorded: &Recorded) -> Result<Arc<Source>, Fatal> {
    let name = recorded.text("_source");
    let inputs = Inputs { paths: vec![name.to_owned()], ..Inputs::default() };
    let collect = Collect::new(plan.pipeline.collect.clone(), inputs).map_err(|problems| {
        Fatal::new(problems.join("; "), "call this where the run was called: names are relative")
    })?;
    let mut source = None;
    collect.run(&Stop::default(), &mut |found| {
        if let Found::Document(item) = found {
            source = Some(item.origin.source);
        }
    });
    let Some(source) = source else {
        return Err(Fatal::new(format!("`{name}` cannot be read any more"), "bring the file back to its place"));
    };
    match source.hash.to_string() == recorded.text("_hash") {
        true => Ok(source),
        false => Err(Fatal::new(format!("`{name}` has another content than then"), "bring the file back as it was")),
    }
}

/// What is not as it was when the row was made.
fn changes(plan: &Plan, kind: Kind, recorded: &Recorded) -> Result<Vec<String>, Fatal> {
    let config = configs::config(&plan.pipeline, &plan.shape, "", kind).answers;
    let now = [("_model", "the model", &plan.model()?.hash), ("_config", "pipeline or schema", &config)];
    let other = now.into_iter().filter(|(column, _, hash)| recorded.text(column) != hash.as_str());
    Ok(other.map(|(_, what, _)| format!("{what} is not the same as then")).collect())
}

/// The item through all stages but the last, one after the other.
fn through_the_line(plan: &Plan, item: Item<Document>, device: Device) -> Result<Result<Extraction, Fault>, Fatal> {
    let stop = Stop::default();
    let mut encoder = make::encoder(plan)?;
    let vocabulary = make::vocabulary(plan.model()?, &encoder)?;
    let guide = make::guide(plan, &vocabulary)?;
    let capacity = make::capacity(plan, &encoder, device)?;
    let shares = Shares::of(Shares::cores(), false, plan.pipeline.decode.lanes);
    let engine = make::engine(plan, Answers::Model(device), &vocabulary, shares, &capacity, &stop)?;
    let generator = Generator::new(engine, vocabulary, Some(guide), plan.pipeline.generate.clone())?;
    let generator = generator.with_rungs(plan.pipeline.ladder.rungs());
    let mut decoder = make::decoder(plan, &ByteBudget::new(u64::MAX), &UnitQuota::new(None), &stop);
    let prompt = One::through(&mut decoder, item).and_then(|unit| One::through(&mut encoder, unit));
    let prompt = match prompt {
        Ok(prompt) => prompt,
        Err(fault) => return Ok(Err(fault)),
    };
    let (sender, receiver) = bounded(1);
    drop(sender.send(prompt));
    drop(sender);
    let mut answer = One::default();
    generator.run(receiver, &mut answer, &stop)?;
    let settings = &plan.pipeline.parse;
    let mut parser = Parser::of(settings.output, plan.answer.clone()).with_record(settings.record);
    Ok(answer.settled().and_then(|answer| One::through(&mut parser, answer)).map(|item| item.body))
}
