//! Which record of a list a row is, where a clip lists records.

use serde_json::Value;

/// A record's place in the list that one answer gave.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Numbered {
    /// The unit, and what answered it how.
    answer: [String; 3],
    /// The record, from 0.
    number: i64,
}

impl Numbered {
    /// The place of a row; `None` where its dataset has no lists.
    pub fn of(row: &Value) -> Option<Self> {
        let answer = ["_unit", "_model", "_config"].map(|name| row[name].as_str().unwrap_or_default().to_owned());
        row["_record"].as_i64().map(|number| Self { answer, number })
    }

    /// True for a later record of the same list. The list may stand there twice, after a kill.
    pub fn follows(&self, other: &Self) -> bool {
        self.answer == other.answer && self.number > other.number
    }
}
