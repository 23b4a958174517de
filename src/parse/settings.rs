//! The `[parse]` table of a pipeline: which schema, and the bounds for what it leaves open.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

use serde::Deserialize;
use serde_json::Value;

use super::{Check, CheckSettings, Merging, split};
use crate::base::{Output, RecordOf, Shape, shape::Bounds};

/// A schema file is read whole; more than this is no schema.
const LARGEST_SCHEMA: u64 = 16 << 20;

/// Records of a unit for which the pipeline sets no bound.
const MOST_RECORDS: u32 = 64;

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
    /// What a row is: the record of a `unit`, of a `document`, or each of a `list` that a unit is asked for.
    pub record: RecordOf,
    /// With `record = "list"`: the most records of a unit; 64 when absent.
    pub most_records: Option<u32>,
    /// With `record = "document"`: by field, or JSON Pointer, what becomes of what several units say.
    pub merge: BTreeMap<String, Value>,
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
            record: RecordOf::Unit,
            most_records: None,
            merge: BTreeMap::new(),
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
        let records = self.most_records.and_then(|most| in_range("most_records", u64::from(most), 10_000));
        let all = strings.into_iter().chain(items).chain(digits).chain(records);
        all.chain(self.idle()).collect()
    }

    /// An option without effect is an error.
    fn idle(&self) -> Vec<String> {
        let needs = [
            (self.most_records.is_some() && self.record != RecordOf::List, "most_records", "list"),
            (!self.merge.is_empty() && self.record != RecordOf::Document, "merge", "document"),
        ];
        let told = |(_, key, record): &(bool, &str, &str)| {
            format!("parse.{key}: it has no effect without `record = \"{record}\"`; leave it out")
        };
        needs.iter().filter(|(idle, ..)| *idle).map(told).collect()
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

    /// The most records that a unit is asked for.
    pub fn most_records(&self) -> u32 {
        self.most_records.unwrap_or(MOST_RECORDS)
    }

    /// What an answer looks like, which holds a record of this shape, or lists them.
    ///
    /// # Errors
    /// All problems, one line each.
    pub fn answer(&self, record: &Arc<Shape>) -> Result<Arc<Shape>, Vec<String>> {
        match self.record {
            RecordOf::Unit | RecordOf::Document => Ok(record.clone()),
            RecordOf::List => split::listing(record, self.most_records(), self.bounds()).map(Arc::new),
        }
    }

    /// How records of this shape are merged.
    ///
    /// # Errors
    /// Every rule that does not fit the schema, one line each.
    pub fn merging(&self, record: &Arc<Shape>) -> Result<Merging, Vec<String>> {
        Merging::new(&self.merge, record.clone())
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
