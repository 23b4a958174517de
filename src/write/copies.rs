//! Duplicates: the rows and failures of one copy, once more under the names of the others.
//!
//! Our own parts are read back batch by batch, so memory does not grow with the dataset.

use std::{collections::HashMap, path::PathBuf, sync::Arc};

use arrow::{
    array::{ArrayRef, RecordBatch, StringArray, UInt32Array},
    compute::take_record_batch,
    error::ArrowError,
};

use super::{keys::DocumentKey, marks, read, table::Table};
use crate::base::Fatal;

/// Rows copied in one go.
const ROWS_AT_ONCE: usize = 4096;

/// Which further names each content has.
#[derive(Debug, Default)]
pub struct Copies(HashMap<DocumentKey, Further>);

#[derive(Debug, Default)]
struct Further {
    /// Whose rows are copied; anyone's where there are no others.
    donor: Option<String>,
    names: Vec<String>,
}

impl Copies {
    /// Another file with a content whose rows stand under the name of `donor`, or under one name.
    pub fn add(&mut self, document: DocumentKey, donor: Option<String>, source: String) {
        let further = self.0.entry(document).or_default();
        further.donor = donor;
        further.names.push(source);
    }

    /// Writes the rows of `table` again for each further name. Returns how many.
    pub fn write(&self, table: &mut Table) -> Result<u64, Fatal> {
        if self.0.is_empty() {
            return Ok(0);
        }
        table.publish_rows()?;
        let originals: Vec<PathBuf> = table.parts()?;
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
        let (mut further, mut row) = (Vec::new(), 0);
        marks::of_batch(batch, &mut |mark| {
            let own = mark.document.and_then(|document| self.0.get(&document));
            let own = own.filter(|own| own.donor.as_ref().is_none_or(|donor| donor == mark.source));
            further.extend(own.into_iter().flat_map(|own| &own.names).map(|name| (row, name.as_str())));
            row += 1;
        });
        further
    }
}

/// These rows of a batch, under these names.
pub fn renamed<N: AsRef<str>>(batch: &RecordBatch, rows: Vec<u32>, names: Vec<N>) -> Result<RecordBatch, ArrowError> {
    let taken = take_record_batch(batch, &UInt32Array::from(rows))?;
    let mut columns: Vec<ArrayRef> = taken.columns().to_vec();
    columns[taken.schema().index_of("_source")?] = Arc::new(StringArray::from_iter_values(names));
    RecordBatch::try_new(taken.schema(), columns)
}

fn cannot_copy(error: &ArrowError) -> Fatal {
    Fatal::new(
        format!("write: the rows of duplicates cannot be copied: {error}"),
        "this is a mistake of ours; please report it",
    )
}
