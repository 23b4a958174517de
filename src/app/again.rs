//! The unit of a row made again, from its file, with the settings that the dataset remembers.

use std::{path::PathBuf, sync::Arc};

use super::{make, one::One, plan::Plan, recorded::Recorded};
use crate::{
    base::{ByteBudget, Document, Fatal, Fault, Item, Lease, Origin, Prompt, RecordOf, Source, Stop},
    collect::{Collect, Found, Inputs},
    decode::Sandbox,
    encode::Encoder,
};

/// What helps where a file is not found by its name.
const CALL_THERE: &str = "call this where the run was called";

/// Who a row is about, and the plan that it was made by.
pub struct Again {
    /// The plan of then.
    pub plan: Plan,
    /// The file, which has the content that it had, and the part of it.
    pub origin: Origin,
    attempt: u8,
}

impl Again {
    /// Finds what a row was made of; `model` where the bundle has moved.
    ///
    /// # Errors
    /// When the file or the model is not there, the file has another content, or the row is about several units.
    pub fn of(recorded: &Recorded, model: Option<PathBuf>, sandbox: Sandbox) -> Result<Self, Fatal> {
        let plan = Plan { sandbox, ..Plan::recorded(recorded, model)? };
        if plan.pipeline.parse.record == RecordOf::Document {
            return Err(Fatal::new(
                "the row is merged of the answers about several units, each of which was asked about by itself",
                "look at `_parts`, or run the pipeline with `record = \"unit\"` on this document and take its rows",
            ));
        }
        let origin = Origin { source: source(&plan, recorded)?, part: recorded.part() };
        let attempt = recorded.number("_attempt").and_then(|attempt| u8::try_from(attempt).ok()).unwrap_or(0);
        Ok(Self { plan, origin, attempt })
    }

    /// The prompt of the unit, on the rung that the row stands on.
    pub fn encoded(&self, encoder: &mut Encoder) -> Result<Item<Prompt>, Fault> {
        let mut decoder = make::decoder(&self.plan, &ByteBudget::new(u64::MAX), &Stop::default());
        let (origin, attempt) = (self.origin.clone(), self.attempt);
        let document = Item { origin, attempt, lease: Lease::none(), body: Document };
        One::through(&mut decoder, document).and_then(|unit| One::through(encoder, unit))
    }
}

/// The prompt of a row as text, with the number of soft tokens where they stand.
///
/// # Errors
/// When it cannot be made any more: see [`Again::of`].
pub fn prompt(recorded: &Recorded, model: Option<PathBuf>, sandbox: Sandbox) -> Result<String, Fatal> {
    let again = Again::of(recorded, model, sandbox)?;
    let mut encoder = make::encoder(&again.plan)?;
    let spelled = again.encoded(&mut encoder).and_then(|item| encoder.spelled(&item.body.tokens));
    spelled.map_err(|fault| Fatal::new(fault.message, fault.hint))
}

/// The row's file, if it still has the content that it had.
fn source(plan: &Plan, recorded: &Recorded) -> Result<Arc<Source>, Fatal> {
    let name = recorded.text("_source");
    let inputs = Inputs { paths: vec![name.to_owned()], ..Inputs::default() };
    let collect = Collect::new(plan.pipeline.collect.clone(), inputs)
        .map_err(|problems| Fatal::new(problems.join("; "), format!("{CALL_THERE}: names are relative")))?;
    let (mut source, mut refusal) = (None, None);
    collect.run(&Stop::default(), &mut |found| match found {
        Found::Document(item) => source = Some(item.origin.source),
        Found::Failure(failure) => refusal = Some(failure.fault),
        Found::Duplicate(_) => {}
    });
    let source = source.ok_or_else(|| unreadable(name, refusal))?;
    match source.hash.to_string() == recorded.text("_hash") {
        true => Ok(source),
        false => Err(Fatal::new(format!("`{name}` has another content than then"), "bring the file back as it was")),
    }
}

/// Why the file of a row is no document any more, in the words of who looked at it.
fn unreadable(name: &str, refusal: Option<Fault>) -> Fatal {
    let why = refusal.map(|fault| format!(": {}", fault.message)).unwrap_or_default();
    let hint = format!("bring the file back to its place, or {CALL_THERE}: names are relative");
    Fatal::new(format!("`{name}` cannot be read any more{why}"), hint)
}
