//! What tells the rows of both tables apart: who each is about, and what it was asked.

use std::path::Path;

use arrow::array::{Array, AsArray, RecordBatch, StringArray};

use super::{
    keys::{DocumentKey, NameKey, UnitKey},
    read,
};
use crate::base::{Fatal, Kind};

/// The columns.
const COLUMNS: [&str; 6] = ["_source", "_hash", "_unit", "_kind", "_model", "_config"];

/// One row's.
#[derive(Debug, Clone, Copy)]
pub struct Mark<'a> {
    /// The file's name.
    pub source: &'a str,
    /// Its content; unknown where it could not be read.
    pub document: Option<DocumentKey>,
    /// The unit.
    pub unit: Option<UnitKey>,
    /// What the content is.
    pub kind: Option<Kind>,
    /// Hash of the model.
    pub model: &'a str,
    /// Hash of the settings.
    pub config: &'a str,
}

impl Mark<'_> {
    /// The key of the file's name.
    pub fn name(&self) -> NameKey {
        NameKey::of(self.source)
    }
}

/// Hands the marks of all rows of a part to `each`, in order.
///
/// # Errors
/// When the part cannot be read.
pub fn of_part(part: &Path, each: &mut dyn FnMut(Mark)) -> Result<(), Fatal> {
    let columns = COLUMNS.map(str::to_owned);
    for batch in read::open_columns(part, Some(&columns))? {
        of_batch(&read::checked(part, batch)?, each);
    }
    Ok(())
}

/// Hands the marks of all rows of a batch to `each`, in order. Columns that are not there hold nothing.
pub fn of_batch(batch: &RecordBatch, each: &mut dyn FnMut(Mark)) {
    let column = |name| batch.column_by_name(name).and_then(|column| column.as_string_opt::<i32>());
    let [source, hash, unit, kind, model, config] = COLUMNS.map(column);
    for row in 0..batch.num_rows() {
        each(Mark {
            source: text(source, row).unwrap_or_default(),
            document: text(hash, row).and_then(DocumentKey::read),
            unit: text(unit, row).and_then(UnitKey::read),
            kind: text(kind, row).and_then(Kind::from_name),
            model: text(model, row).unwrap_or_default(),
            config: text(config, row).unwrap_or_default(),
        });
    }
}

fn text(column: Option<&StringArray>, row: usize) -> Option<&str> {
    column.filter(|column| column.is_valid(row)).map(|column| column.value(row))
}
