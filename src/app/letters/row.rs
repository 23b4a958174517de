//! A row of the failures table.

use serde_json::Value;

use crate::{
    app::recorded,
    base::{FaultKind, Kind, Part, StageName},
};

/// What failed, and why.
#[derive(Debug, Clone)]
pub struct Failed {
    /// All columns.
    pub columns: Value,
}

impl Failed {
    /// A row as it was read.
    pub fn new(columns: Value) -> Self {
        Self { columns }
    }

    /// A column that holds text; empty where it does not.
    pub fn text(&self, column: &str) -> &str {
        self.columns[column].as_str().unwrap_or_default()
    }

    /// The same without control characters, so that it is one line.
    pub fn line(&self, column: &str) -> String {
        self.text(column).chars().map(|one| if one.is_control() { ' ' } else { one }).collect()
    }

    /// Which part of its document failed.
    pub fn part(&self) -> Part {
        recorded::part(&self.columns)
    }

    /// What the document was taken for.
    pub fn document_kind(&self) -> Option<Kind> {
        serde_json::from_value(self.columns["_kind"].clone()).ok()
    }

    /// True when the decoder had no part in it: it gave the unit, and a later stage failed.
    pub fn was_decoded(&self) -> bool {
        StageName::from_name(self.text("stage")).is_some_and(|stage| stage > StageName::Decode)
    }

    /// What sort of failure it is.
    pub fn fault_kind(&self) -> Option<FaultKind> {
        FaultKind::from_name(self.text("kind"))
    }

    /// The document and the part, for people.
    pub fn origin(&self) -> String {
        match self.part() {
            Part::Whole => self.line("_source"),
            part => format!("{} ({part})", self.line("_source")),
        }
    }
}
