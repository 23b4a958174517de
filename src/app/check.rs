//! `lapidary check` without its command line: everything that a run would find out before its first document.

use super::{
    make::{self, Answers, FIRST},
    plan::{Plan, Request},
};
use crate::{
    base::{Fatal, Output, RecordOf, model::Layout, shape::FUNCTION},
    generate::Device,
};

/// What a sound pipeline amounts to, one line each, for people.
pub fn check(request: &Request) -> Result<Vec<String>, Fatal> {
    let plan = Plan::new(request)?;
    let fields: Vec<&str> = plan.shape.fields().iter().map(|field| field.name.as_str()).collect();
    let mut findings = vec![
        format!("pipeline `{}`: {}", plan.pipeline.name, plan.pipeline.description),
        format!("columns: {}", fields.join(", ")),
        format!("config hash: {}", plan.config_hash),
    ];
    findings.extend(rows(&plan));
    findings.extend(manner(&plan));
    findings.extend(check_model(&plan)?);
    Ok(findings)
}

/// What a row is, where it is not the record of a unit.
fn rows(plan: &Plan) -> Option<String> {
    let parse = &plan.pipeline.parse;
    match parse.record {
        RecordOf::Unit => None,
        RecordOf::Document => Some("rows: one for each document, merged of what its units say".to_owned()),
        RecordOf::List => Some(format!("rows: one for each record, at most {} of a unit", parse.most_records())),
    }
}

/// What is out of the ordinary in how the model is to answer.
fn manner(plan: &Plan) -> Vec<String> {
    let (generate, mut findings) = (&plan.pipeline.generate, Vec::new());
    if generate.thinking {
        let kept = if generate.keeps_thoughts() { "kept in `_thought`" } else { "dropped" };
        findings.push(format!("thoughts: at most {} tokens before each answer, {kept}", generate.most_thinking()));
    }
    if plan.pipeline.parse.output == Output::ToolCall {
        findings.push(format!("answers: calls of the function `{FUNCTION}`"));
    }
    findings
}

fn check_model(plan: &Plan) -> Result<Vec<String>, Fatal> {
    let Some(model) = &plan.model else {
        return Ok(vec!["model: none named, so prompt and grammar were not tried; give `--model BUNDLE`".to_owned()]);
    };
    let encoder = make::encoder(plan)?;
    let vocabulary = make::vocabulary(model, &encoder)?;
    let guide = make::guide(plan, &vocabulary)?;
    guide.fits(plan.pipeline.generate.max_tokens)?;
    let capacity = make::capacity(plan, &encoder, Answers::Model(Device::Auto, FIRST))?;
    let manifest = &model.manifest;
    let files = match model.layout {
        Layout::Bundle => "every file's hash is right",
        Layout::Community | Layout::Mobius => "every file is there; none says what hash it should have",
    };
    let mut findings =
        vec![format!("model: {} ({}, {}), {files}", manifest.name, manifest.precision.dtype, model.hash)];
    findings.extend(model.notes.iter().map(|note| format!("model: {note}")));
    findings.push(format!("memory: {capacity}"));
    findings.extend(capacity.warning().map(|warning| format!("memory: {warning}")));
    findings.push(format!(
        "grammar: compiled; up to {} of {} tokens are kept back to close an answer",
        guide.reserve(),
        plan.pipeline.generate.max_tokens
    ));
    Ok(findings)
}
