//! The `[parse]` table of a pipeline: which schema, and the bounds for what it leaves open.

use std::{
    fs,
    path::{Path, PathBuf},
};

use serde::Deserialize;
use serde_json::Value;

use super::{Check, CheckSettings};
use crate::base::{Output, Shape, shape::Bounds};

/// A schema file is read whole; more than this is no schema.
const LARGEST_SCHEMA: u64 = 16 << 20;

/// What `[parse]` may say.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// The JSON Schema (draft 2020-12) of one record; a relative path starts at the pipeline file's folder.
    pub schema: PathBuf,
    /// How the answer is written: `json`, or `tool_call` for the model's own syntax of function calls.
    pub output: Output,
    /// Characters of a string for which the schema sets no `maxLength`.
    pub longest_string: u64,
    /// Items of an array for which the schema sets no `maxItems`, entries of a map without `maxProperties`.
    pub most_items: u64,
    /// Digits before the point of a number that the schema does not bound on both sides.
    pub most_digits: u32,
    /// True adds the columns that say what speaks for each value.
    pub evidence: bool,
    /// Checks across fields; their results are a column.
    pub checks: Vec<CheckSettings>,
}

impl Default for Settings {
    fn default() -> Self {
        let Bounds { longest_string, most_items, most_digits } = Bounds::default();
        Self {
            schema: PathBuf::new(),
            output: Output::Json,
            longest_string,
            most_items,
            most_digits,
            evidence: false,
            checks: Vec::new(),
        }
    }
}

impl Settings {
    /// What is wrong with the numbers; the schema itself is judged by [`Settings::shape`].
    pub fn validate(&self) -> Vec<String> {
        let in_range = |name: &str, value: u64, most: u64| {
            let wrong = value == 0 || value > most;
            wrong.then(|| format!("parse.{name}: {value} is out of range; write a number from 1 to {most}"))
        };
        let strings = in_range("longest_string", self.longest_string, 1_000_000);
        let items = in_range("most_items", self.most_items, 100_000);
        let digits = in_range("most_digits", u64::from(self.most_digits), 18);
        let of_a_call = (self.evidence && self.output == Output::ToolCall).then(|| {
            "parse.evidence: it is gathered from answers in JSON alone; write `output = \"json\"` or leave it out"
                .to_owned()
        });
        strings.into_iter().chain(items).chain(digits).chain(of_a_call).collect()
    }

    /// The bounds for what the schema leaves open.
    pub fn bounds(&self) -> Bounds {
        Bounds { longest_string: self.longest_string, most_items: self.most_items, most_digits: self.most_digits }
    }

    /// The checks, fitted to the schema.
    ///
    /// # Errors
    /// All problems, one line each.
    pub fn fitted_checks(&self, shape: &Shape) -> Result<Vec<Check>, Vec<String>> {
        Check::all(&self.checks, shape)
    }

    /// Reads and compiles the schema; `folder` is where the pipeline file lies.
    ///
    /// # Errors
    /// All problems, one line each, beginning with the schema's path.
    pub fn shape(&self, folder: &Path) -> Result<Shape, Vec<String>> {
        if self.schema.as_os_str().is_empty() {
            return Err(vec![
                "parse.schema: no schema is named; write `schema = \"FILE.json\"` under `[parse]`".to_owned(),
            ]);
        }
        let path = folder.join(&self.schema);
        let schema =
            read_schema(&path).map_err(|problem| vec![format!("parse.schema: {}: {problem}", path.display())])?;
        let named = |problem: String| format!("{}: {problem}", path.display());
        let shape = Shape::compile_within(&schema, self.bounds()).and_then(|shape| match self.output {
            Output::Json => Ok(shape),
            Output::ToolCall => shape.function().map(|_| shape),
        });
        shape.map_err(|problems| problems.into_iter().map(named).collect())
    }
}

/// Reads a schema file as JSON.
///
/// # Errors
/// Why it is none, as the end of a sentence that begins with the path.
pub fn read_schema(path: &Path) -> Result<Value, String> {
    let length = fs::metadata(path).map_err(|error| format!("cannot be read: {error}"))?.len();
    if length > LARGEST_SCHEMA {
        return Err(format!("has {length} bytes, more than {LARGEST_SCHEMA}; this is no schema"));
    }
    let text = fs::read_to_string(path).map_err(|error| format!("cannot be read: {error}"))?;
    serde_json::from_str(&text).map_err(|error| format!("is not JSON: {error}"))
}
