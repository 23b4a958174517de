//! Answers against the schema as the user wrote it: the last word on what is valid.

use std::fmt;

use jsonschema::Validator;
use serde_json::Value;

/// Problems named per answer; more would only repeat them.
const MOST_PROBLEMS: usize = 8;

/// The compiled schema.
pub struct Checker(Validator);

impl fmt::Debug for Checker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Checker")
    }
}

impl Checker {
    /// Compiles the schema, formats included.
    pub fn new(schema: &Value) -> Result<Self, String> {
        let options = jsonschema::draft202012::options().should_validate_formats(true);
        options.build(schema).map(Self).map_err(|error| format!("{}: {error}", super::place(error.instance_path())))
    }

    /// Where `answer` breaks the schema.
    pub fn problems(&self, answer: &Value) -> Vec<String> {
        let named = self.0.iter_errors(answer).take(MOST_PROBLEMS);
        named
            .map(|error| format!("{}: {}", super::place(error.instance_path()), error.masked_with("the value")))
            .collect()
    }
}
