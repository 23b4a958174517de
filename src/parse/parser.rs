//! The stage itself: one generation in, one extraction out, or a fault.

use std::sync::Arc;

use serde_json::Value;

use crate::base::{
    Emit, Extraction, Fault, FaultKind, Finish, Generation, Item, Output, PageBox, Part, RecordOf, Shape, Stage,
    StageName, Verdict, ladder::Rungs, shape::Settled,
};

use super::{
    Check, answer, boxes, call, evidence,
    leaves::{Leaf, in_record, leaves},
    split,
};

/// Problems that a message names before it stops.
const NAMED: usize = 4;

/// Turns answers into records of one shape. Cheap to clone, one per lane.
#[derive(Debug, Clone)]
pub struct Parser {
    shape: Arc<Shape>,
    output: Output,
    gathers: bool,
    checks: Arc<[Check]>,
    record: RecordOf,
    rungs: Rungs,
}

impl Parser {
    /// A parser of JSON answers in this shape.
    pub fn new(shape: Arc<Shape>) -> Self {
        Self::of(Output::Json, shape)
    }

    /// The same, which also gathers what speaks for each value.
    pub fn with_evidence(self, gathers: bool) -> Self {
        Self { gathers, ..self }
    }

    /// The same, which also makes these checks.
    pub fn with_checks(self, checks: Arc<[Check]>) -> Self {
        Self { checks, ..self }
    }

    /// The same, of answers that are or list such records. Checks of a document's record are not made of its units'.
    pub fn with_record(self, record: RecordOf) -> Self {
        Self { record, ..self }
    }

    /// The same, for pictures that these rungs may have changed.
    pub fn with_rungs(self, rungs: Rungs) -> Self {
        Self { rungs, ..self }
    }

    /// A parser of answers in this shape that are written in this way.
    pub fn of(output: Output, shape: Arc<Shape>) -> Self {
        Self { shape, output, gathers: false, checks: Arc::default(), record: RecordOf::Unit, rungs: Rungs::default() }
    }

    /// What the checks make of each record of an answer, one record after the other.
    fn check(&self, answer: &Value) -> Vec<Verdict> {
        let records = match self.record {
            RecordOf::Unit => std::slice::from_ref(answer),
            RecordOf::List => split::records(answer),
            RecordOf::Document => &[],
        };
        records.iter().flat_map(|record| self.checks.iter().map(|check| check.judge(record))).collect()
    }

    /// The record, and where the answer states its values, by their places in the record.
    fn settle(&self, generation: &Generation) -> Result<(Settled, Vec<Leaf>), String> {
        let (answer, replaced, stated) = match self.output {
            Output::Json => {
                let (answer, replaced) = answer::read(&generation.text)?;
                (answer, replaced, if self.gathers { leaves(&generation.text) } else { Vec::new() })
            }
            Output::ToolCall => {
                let (answer, stated) = call::read(&generation.text, &generation.controls)?;
                (answer, 0, stated)
            }
        };
        let mut settled = self.shape.settle(answer).map_err(|problems| told(&problems))?;
        if replaced > 0 {
            settled.remarks.insert(0, format!("{replaced} values were replaced by a later one of the same name"));
        }
        let stated = in_record(stated, &settled.kept);
        Ok((settled, stated))
    }
}

impl Stage for Parser {
    type In = Generation;
    type Out = Extraction;

    fn process(&mut self, item: Item<Generation>, emit: &mut dyn Emit<Extraction>) -> Result<(), Fault> {
        let (generation, envelope) = item.open();
        let (settled, stated) = self.settle(&generation).map_err(|problem| invalid(&problem, &generation))?;
        let part = envelope.origin.part;
        let rung = self.rungs.at(envelope.attempt);
        let boxes = boxes::of(self.shape.fields(), &settled.record, &rung, part);
        let shift = rung.shift.filter(|_| matches!(part, Part::Time { .. })).unwrap_or(0.0);
        let evidence = self.gathers.then(|| evidence::gather(&self.shape, &settled.record, &generation, stated, part));
        let checks = self.check(&settled.record);
        emit.item(envelope.with(Extraction { evidence, checks, shift, ..extraction(settled, boxes, generation) }));
        Ok(())
    }
}

fn told(problems: &[String]) -> String {
    let named = problems.iter().take(NAMED).map(|problem| answer::beginning(problem)).collect::<Vec<_>>().join("; ");
    match problems.len().saturating_sub(NAMED) {
        0 => named,
        more => format!("{named}; and {more} more"),
    }
}

fn invalid(problem: &str, generation: &Generation) -> Fault {
    let message = format!("{problem}; the answer begins: {}", answer::beginning(&generation.text));
    Fault::new(StageName::Parse, FaultKind::Invalid, message, advice(generation.finish))
}

fn advice(finish: Finish) -> &'static str {
    match finish {
        Finish::Stop => "say in the field's description what a valid value looks like, or allow `null`",
        Finish::Closed | Finish::Loop | Finish::Length => {
            "the answer was cut: raise `max_tokens` under `[generate]`, or bound the schema's strings and arrays"
        }
    }
}

fn extraction(settled: Settled, boxes: Vec<PageBox>, generation: Generation) -> Extraction {
    let mut problems = settled.remarks;
    let ended = match generation.finish {
        Finish::Closed => Some("closed early: the allowance of new tokens ran short"),
        Finish::Loop => Some("closed early: it said the same again and again"),
        Finish::Stop | Finish::Length => None,
    };
    if let Some(why) = ended {
        problems.insert(0, why.to_owned());
    }
    if let Some(thought) = generation.thought.as_ref().filter(|thought| thought.cut) {
        problems.push(format!("thoughts cut after {} tokens: their allowance ran out", thought.tokens));
    }
    Extraction {
        record: settled.record,
        boxes,
        thought: generation.thought,
        problems,
        tokens: u32::try_from(generation.tokens.len()).unwrap_or(u32::MAX),
        mean_logprob: mean(&generation.logprobs),
        finish: generation.finish,
        facts: generation.facts,
        effort: generation.effort,
        timing: generation.timing,
        raw: generation.text,
        ..Extraction::default()
    }
}

/// 0 for an answer without tokens.
fn mean(logprobs: &[f32]) -> f32 {
    let sum: f64 = logprobs.iter().map(|one| f64::from(*one)).sum();
    (sum / logprobs.len().max(1) as f64) as f32
}
