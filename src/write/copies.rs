//! Duplicates: the rows and failures of the first copy, once more under the other name.
//!
//! Our own parts are read back batch by batch, so memory does not grow with the dataset.

use std::{collections::HashMap, path::PathBuf, sync::Arc};

use arrow::{
    array::{ArrayRef, AsArray, RecordBatch, StringArray, UInt32Array},
    compute::take_record_batch,
    error::ArrowError,
};

use super::{read, table::Table};
use crate::base::{ContentHash, Fatal};

/// Rows copied in one go.
const ROWS_AT_ONCE: usize = 4096;

/// Which further names each content has.
#[derive(Debug, Default)]
pub struct Copies(HashMap<String, Vec<String>>);

impl Copies {
    /// Another file with a content that was met before.
    pub fn add(&mut self, hash: &ContentHash, source: String) {
        self.0.entry(hash.to_string()).or_default().push(source);
    }

    /// Writes the rows of `table` again for each further name. Returns how many.
    pub fn write(&self, table: &mut Table) -> Result<u64, Fatal> {
        if self.0.is_empty() {
            return Ok(0);
        }
        table.publish()?;
        let originals: Vec<PathBuf> = table.published().to_vec();
        let mut copied = 0;
        for part in &originals {
            for batch in read::open(part)? {
                copied += self.write_copies(&read::checked(part, batch)?, table)?;
            }
        }
        Ok(copied)
    }

    /// The rows of `batch` that have further names, once for each name, a bounded number at a time.
    fn write_copies(&self, batch: &RecordBatch, table: &mut Table) -> Result<u64, Fatal> {
        let further = self.further_names(batch);
        for some in further.chunks(ROWS_AT_ONCE) {
            let (rows, names): (Vec<u32>, Vec<&str>) = some.iter().copied().unzip();
            table.write(&renamed(batch, rows, names).map_err(|error| cannot_copy(&error))?)?;
        }
        Ok(further.len() as u64)
    }

    fn further_names(&self, batch: &RecordBatch) -> Vec<(u32, &str)> {
        let hashes = batch.column_by_name("_hash").and_then(|column| column.as_string_opt::<i32>());
        let rows = (0_u32..).zip(hashes.into_iter().flatten());
        let names = |hash: Option<&str>| hash.and_then(|hash| self.0.get(hash)).into_iter().flatten();
        rows.flat_map(|(row, hash)| names(hash).map(move |name| (row, name.as_str()))).collect()
    }
}

fn renamed(batch: &RecordBatch, rows: Vec<u32>, names: Vec<&str>) -> Result<RecordBatch, ArrowError> {
    let taken = take_record_batch(batch, &UInt32Array::from(rows))?;
    let mut columns: Vec<ArrayRef> = taken.columns().to_vec();
    columns[taken.schema().index_of("_source")?] = Arc::new(StringArray::from(names));
    RecordBatch::try_new(taken.schema(), columns)
}

fn cannot_copy(error: &ArrowError) -> Fatal {
    Fatal::new(
        format!("write: the rows of duplicates cannot be copied: {error}"),
        "this is a mistake of ours; please report it",
    )
}
