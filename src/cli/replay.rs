//! `lapidary replay` and `lapidary explain`: a row asked for again, and how it came about.

use serde_json::Value;

use super::{
    Ended,
    args::{ExplainArguments, ReplayArguments},
    print,
    run::device,
};
use crate::{
    app::{
        again,
        recorded::Recorded,
        replay::{Replayed, Request, replay},
    },
    base::Fatal,
};

/// Asks for a row again and shows what differs; exit code 1 when something does.
pub fn run(arguments: &ReplayArguments) -> Result<Ended, Fatal> {
    let replayed = replay(&Request {
        dataset: arguments.dataset.clone(),
        row: arguments.row,
        model: arguments.model.clone(),
        device: device(arguments.device),
        sandbox: arguments.sandbox.wanted(),
    })?;
    replayed.changes.iter().for_each(|change| print::note(&format!("note: {change}")));
    print::result(&told(&replayed))?;
    Ok(if replayed.is_same() { Ended::Well } else { Ended::WithFailures })
}

fn told(replayed: &Replayed) -> String {
    let Replayed { origin, before, after, .. } = replayed;
    match after {
        Err(fault) => format!("{origin}: failed now: {fault}\n- {before}\n"),
        Ok(after) if after == before => format!("{origin}: identical, {} bytes\n{after}\n", after.len()),
        Ok(after) => format!("{origin}: the answer differs\n{}", difference(before, after)),
    }
}

/// Field by field where both are JSON objects, else as a whole.
fn difference(before: &str, after: &str) -> String {
    let fields = |text: &str| serde_json::from_str::<Value>(text).ok().filter(Value::is_object);
    let (Some(old), Some(new)) = (fields(before), fields(after)) else { return format!("- {before}\n+ {after}\n") };
    let names = old.as_object().into_iter().chain(new.as_object()).flat_map(|fields| fields.keys());
    let mut lines: Vec<String> = Vec::new();
    for name in names {
        let line = match old[name] == new[name] {
            true => format!("  {name}: {}\n", old[name]),
            false => format!("- {name}: {}\n+ {name}: {}\n", old[name], new[name]),
        };
        if !lines.contains(&line) {
            lines.push(line);
        }
    }
    lines.concat()
}

/// Shows how a row came about.
pub fn explain(arguments: &ExplainArguments) -> Result<Ended, Fatal> {
    let recorded = Recorded::read(&arguments.dataset, arguments.row)?;
    let prompt = again::prompt(&recorded, arguments.model.clone(), arguments.sandbox.wanted());
    let prompt = prompt.unwrap_or_else(|fatal| format!("not to be had any more: {} ({})", fatal.message, fatal.hint));
    print::result(&explained(&recorded, &prompt))?;
    Ok(Ended::Well)
}

fn explained(recorded: &Recorded, prompt: &str) -> String {
    let part = recorded.part();
    let mut lines = vec![format!("{} ({part}), content {}", recorded.text("_source"), recorded.text("_hash"))];
    lines.push(format!("model {}, configuration {}", recorded.text("_model"), recorded.text("_config")));
    lines.extend(section("pipeline", &recorded.made.settings));
    lines.extend(section("prompt", prompt));
    lines.extend(section("record", &serde_json::to_string_pretty(&recorded.record()).unwrap_or_default()));
    lines.extend(section("answer", recorded.text("_raw")));
    lines.push("\nnumbers".to_owned());
    let shown = ["_finish", "_attempt", "_budget", "_prompt_tokens", "_image_tokens", "_audio_tokens", "_new_tokens"];
    let effort = ["_steps", "_forced_tokens", "_drafted_tokens", "_accepted_tokens", "_mean_logprob", "_agreement"];
    let columns = shown.into_iter().chain(effort).filter(|column| !recorded.row[column].is_null());
    lines.extend(columns.map(|column| format!("  {column:<18}{}", recorded.row[column])));
    for (column, title) in [
        ("_tries", "other tries, none of them better"),
        ("_evidence", "evidence"),
        ("_checks", "checks"),
        ("_problems", "remarks"),
        ("_boxes", "boxes"),
    ] {
        lines.extend(listed(&recorded.row[column], title));
    }
    lines.push(String::new());
    lines.join("\n")
}

fn section(title: &str, text: &str) -> Vec<String> {
    let lines = text.trim().lines().map(|line| format!("  {line}"));
    [format!("\n{title}")].into_iter().chain(lines).collect()
}

/// One line for each entry; nothing for an empty list.
fn listed(entries: &Value, title: &str) -> Vec<String> {
    let entries = entries.as_array().map_or(&[][..], Vec::as_slice);
    if entries.is_empty() {
        return Vec::new();
    }
    [format!("\n{title}")].into_iter().chain(entries.iter().map(|entry| format!("  {}", plain(entry)))).collect()
}

/// `path: /total, value: 5` of an object, leaving out what is null.
fn plain(entry: &Value) -> String {
    let Some(fields) = entry.as_object() else { return entry.as_str().map_or(entry.to_string(), str::to_owned) };
    let known = fields.iter().filter(|(_, value)| !value.is_null());
    let field = |(name, value): (&String, &Value)| match value.as_str() {
        Some(text) => format!("{name}: {text}"),
        None => format!("{name}: {value}"),
    };
    known.map(field).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_differs_is_told_field_by_field() {
        let shown = difference(r#"{"a":1,"b":"x","c":null}"#, r#"{"a":1,"b":"y","d":[2]}"#);
        assert_eq!(shown, "  a: 1\n- b: \"x\"\n+ b: \"y\"\n  c: null\n- d: null\n+ d: [2]\n");
        assert_eq!(difference("call", "{}"), "- call\n+ {}\n");
    }
}
