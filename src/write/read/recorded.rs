//! One row of a dataset, with the schema that its part was written for.

use std::path::Path;

use serde_json::Value;

use super::{Request, Table, builder, cannot_read, json, parts, read};
use crate::base::Fatal;

/// Row `number` of the extractions, from 1, in the order of the parts, as a JSON object.
///
/// # Errors
/// When there is no dataset or no such row.
pub fn row(out: &Path, number: usize) -> Result<Value, Fatal> {
    let request = Request { table: Table::Extractions, columns: None, limit: number };
    let (mut found, mut count) = (None, 0);
    read(out, &request, &mut |batch| {
        let before = count;
        count += batch.num_rows();
        if (before..count).contains(&number.wrapping_sub(1)) {
            found = json(&batch.slice(number - 1 - before, 1)).next();
        }
        Ok(())
    })?;
    found.ok_or_else(|| no_row(out, number, count))
}

fn no_row(out: &Path, number: usize, count: usize) -> Fatal {
    let why = if number == 0 { "rows count from 1".to_owned() } else { format!("there are {count}, counted from 1") };
    let message = format!("`{}` has no row {number}: {why}", out.display());
    Fatal::new(message, "`lapidary show` lists them in this order")
}

/// The JSON Schema that the dataset was written for.
///
/// # Errors
/// When there is no dataset, or it does not say.
pub fn schema(out: &Path) -> Result<Value, Fatal> {
    let Some(part) = parts(out, Table::Extractions)?.into_iter().next() else {
        return Err(cannot_read(out, "it has no part"));
    };
    let builder = builder(&part)?;
    let entries = builder.metadata().file_metadata().key_value_metadata();
    let text = entries.into_iter().flatten().find(|entry| entry.key == "lapidary.schema");
    let text = text.and_then(|entry| entry.value.as_deref()).ok_or_else(|| cannot_read(&part, "it holds no schema"))?;
    serde_json::from_str(text).map_err(|error| cannot_read(&part, error))
}
