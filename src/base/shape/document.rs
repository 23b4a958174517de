//! Whether a schema is a JSON Schema at all: checked against the meta-schema of draft 2020-12.

use serde_json::Value;

const DRAFT: &str = "https://json-schema.org/draft/2020-12/schema";

/// Says everything that is wrong with `schema` as a document.
pub fn validate(schema: &Value) -> Result<(), Vec<String>> {
    if let Some(stated) = schema.get("$schema").filter(|stated| !is_our_draft(stated)) {
        return Err(vec![format!("/$schema: {stated} is another dialect; write \"{DRAFT}\" or leave it out")]);
    }
    let problems = against_meta_schema(schema);
    if problems.is_empty() { Ok(()) } else { Err(problems) }
}

fn is_our_draft(stated: &Value) -> bool {
    stated.as_str().is_some_and(|stated| stated.trim_end_matches('#') == DRAFT)
}

fn against_meta_schema(schema: &Value) -> Vec<String> {
    let validator = jsonschema::draft202012::meta::validator();
    let mut problems: Vec<String> = validator
        .iter_errors(schema)
        .map(|error| format!("{}: {}", super::place(error.instance_path()), error.masked_with("the value")))
        .collect();
    problems.dedup();
    problems
}
