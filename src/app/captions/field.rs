//! The field of a dataset's records that holds what is said, in rows of one part and in rows that were merged of many.

use std::{collections::BTreeSet, path::Path};

use serde_json::Value;

use crate::{
    app::recorded::merged_part,
    base::Fatal,
    parse::reread,
    write::read::{self, Table},
};

/// A field by its name, in a dataset.
#[derive(Debug, Clone, Copy)]
pub struct Field<'a> {
    /// The dataset.
    pub dataset: &'a Path,
    /// The name.
    pub name: &'a str,
}

impl Field<'_> {
    /// What a record says; `None` where it says nothing.
    ///
    /// # Errors
    /// When the field holds something that is no text.
    pub fn text(&self, record: &Value) -> Result<Option<String>, Fatal> {
        match &record[self.name] {
            Value::Null => Ok(None),
            Value::String(text) => Ok(Some(text.clone())),
            _ => Err(self.no_text()),
        }
    }

    /// The record of one of the `_parts` of a merged row, which holds its answer as it was written.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn record(&self, row: &Value, part: &Value) -> Result<Value, Fatal> {
        reread(part["raw"].as_str().unwrap_or_default()).map_err(|why| {
            let (source, place) = (row["_source"].as_str().unwrap_or_default(), merged_part(part));
            Fatal::new(
                format!("the answer about `{source}`, {place}, in `{}` cannot be read: {why}", self.dataset.display()),
                "see `raw` in the `_parts` of its row with `lapidary show --json`, or run the pipeline anew",
            )
        })
    }

    fn no_text(&self) -> Fatal {
        let message = format!("the field `{}` of `{}` is no text", self.name, self.dataset.display());
        names(self.dataset).map_or_else(|error| error, |names| Fatal::new(message, advice(&names)))
    }
}

/// Refuses a field that none of these datasets has.
///
/// # Errors
/// When it is so, or a dataset cannot be read.
pub fn require(fields: &[Field]) -> Result<(), Fatal> {
    let mut known = BTreeSet::new();
    for field in fields {
        known.extend(names(field.dataset)?);
    }
    let Some(missing) = fields.first().filter(|field| !known.contains(field.name)) else { return Ok(()) };
    let datasets = quoted(fields.iter().map(|field| field.dataset.display().to_string()));
    Err(Fatal::new(format!("the rows of {datasets} have no field `{}`", missing.name), advice(&known)))
}

/// The fields of a dataset's records: all columns but those of provenance.
fn names(dataset: &Path) -> Result<BTreeSet<String>, Fatal> {
    let columns = read::columns(dataset, Table::Extractions)?;
    Ok(columns.into_iter().filter(|column| !column.starts_with('_')).collect())
}

fn advice(names: &BTreeSet<String>) -> String {
    format!("name with --field the one that holds what is said; there are {}", quoted(names.iter().cloned()))
}

fn quoted(names: impl Iterator<Item = String>) -> String {
    names.map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}
