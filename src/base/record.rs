//! What becomes a row: the answer about a unit, what the units of a document say together, or one of many records of a
//! unit.

use serde::Deserialize;

use super::{answer::Finish, item::Part};

/// What `[parse] record` may say.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RecordOf {
    /// A unit is asked for one record, which is a row.
    #[default]
    Unit,
    /// A unit is asked for one record; those of a document are merged into one row.
    Document,
    /// A unit is asked for any number of records, each of which is a row.
    List,
}

/// The property that holds the records of a [`RecordOf::List`].
pub const RECORDS: &str = "records";

/// What a record was merged of.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Merged {
    /// The units that came through, in the order of the document.
    pub parts: Vec<MergedPart>,
    /// The units that did not.
    pub failed: Vec<Part>,
    /// What was said and did not enter the record.
    pub conflicts: Vec<Conflict>,
}

/// A unit that a record was merged of.
#[derive(Debug, Clone, PartialEq)]
pub struct MergedPart {
    /// Which.
    pub part: Part,
    /// Which of its tries was taken, from 0.
    pub attempt: u8,
    /// Seconds by which the sound of that try begins before the unit does.
    pub shift: f64,
    /// Why its generation ended.
    pub finish: Finish,
    /// New tokens of it.
    pub tokens: u32,
    /// Mean natural-log probability of them.
    pub mean_logprob: f32,
    /// Its answer as generated.
    pub raw: String,
    /// What was thought before, where that is kept.
    pub thought: Option<String>,
}

/// A value that contradicts the one that entered the record.
#[derive(Debug, Clone, PartialEq)]
pub struct Conflict {
    /// JSON Pointer of the place in the merged record.
    pub path: String,
    /// The value that did not enter, as JSON text.
    pub value: String,
    /// Who said it.
    pub part: Part,
}
