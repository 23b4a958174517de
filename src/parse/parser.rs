//! The stage itself: one generation in, one extraction out, or a fault.

use std::sync::Arc;

use serde_json::Value;

use crate::base::{
    Confined, Emit, Extraction, Fault, FaultKind, Finish, Generation, Item, Kind, Output, PageBox, Part, RecordOf,
    Shape, Stage, StageName, Verdict, ladder::Rungs, shape::Settled,
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
        let (part, kind) = (envelope.origin.part, envelope.origin.source.kind);
        let rung = self.rungs.at(envelope.attempt);
        let boxes = boxes::of(self.shape.fields(), &settled.record, &rung, part);
        let shift = rung.shift.filter(|_| matches!(part, Part::Time { .. })).unwrap_or(0.0);
        let evidence = self.gathers.then(|| evidence::gather(&self.shape, &settled.record, &generation, stated, part));
        let checks = self.check(&settled.record);
        let extraction = extraction(settled, boxes, generation, kind);
        emit.item(envelope.with(Extraction { evidence, checks, shift, ..extraction }));
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
    Fault::new(StageName::Parse, FaultKind::Invalid, message, advice(generation))
}

fn advice(generation: &Generation) -> &'static str {
    if confined(generation).is_some() {
        return "the answer was cut: raise `context` under `[generate]`, or shorten the prompt";
    }
    match generation.finish {
        Finish::Stop => "say in the field's description what a valid value looks like, or allow `null`",
        Finish::Closed | Finish::Loop | Finish::Length => {
            "the answer was cut: raise `max_tokens` under `[generate]`, or bound the schema's strings and arrays"
        }
    }
}

/// What the answer had room for, where it was closed early and more tokens would not have helped without a larger context.
fn confined(generation: &Generation) -> Option<Confined> {
    generation.confined.filter(|_| generation.finish == Finish::Closed)
}

/// Why the answer of a document of this kind was not ended by the model.
fn ended(generation: &Generation, kind: Kind) -> Option<String> {
    match (generation.finish, generation.confined) {
        (Finish::Closed, Some(Confined { tokens, context })) => Some(format!(
            "closed early: only {tokens} tokens fit behind a prompt of {} in a context of {context}; \
             raise generate.context{}",
            generation.facts.prompt_tokens,
            shorter_prompt(kind)
        )),
        (Finish::Closed, None) => Some("closed early: the allowance of new tokens ran short".to_owned()),
        (Finish::Loop, _) => Some("closed early: it said the same again and again".to_owned()),
        (Finish::Stop | Finish::Length, _) => None,
    }
}

/// What else makes room for the answer.
fn shorter_prompt(kind: Kind) -> &'static str {
    match kind {
        Kind::Text => " or lower decode.text.longest",
        Kind::Pdf | Kind::Image => " or lower encode.budget",
        Kind::Video => " or lower encode.frame_budget",
        Kind::Audio => "",
    }
}

fn extraction(settled: Settled, boxes: Vec<PageBox>, generation: Generation, kind: Kind) -> Extraction {
    let mut problems = settled.remarks;
    if let Some(why) = ended(&generation, kind) {
        problems.insert(0, why);
    }
    if let Some(thought) = generation.thought.as_ref().filter(|thought| thought.cut) {
        problems.push(format!("thoughts cut after {} tokens: their allowance ran out", thought.tokens));
    }
    Extraction {
        confined: confined(&generation).is_some(),
        mean_logprob: mean(chosen(&generation)),
        record: settled.record,
        boxes,
        thought: generation.thought,
        problems,
        tokens: u32::try_from(generation.tokens.len()).unwrap_or(u32::MAX),
        finish: generation.finish,
        facts: generation.facts,
        effort: generation.effort,
        timing: generation.timing,
        raw: generation.text,
        ..Extraction::default()
    }
}

/// The log-probabilities of what was said before the answer was closed: what closed it was not the model's choice.
fn chosen(generation: &Generation) -> &[f32] {
    let logprobs = &generation.logprobs;
    &logprobs[..generation.places.open.min(logprobs.len())]
}

/// 0 for an answer without tokens.
fn mean(logprobs: &[f32]) -> f32 {
    let sum: f64 = logprobs.iter().map(|one| f64::from(*one)).sum();
    (sum / logprobs.len().max(1) as f64) as f32
}
