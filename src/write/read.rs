//! Reading a dataset back, part by part and batch by batch: what `lapidary show` prints.

use std::{
    fs::{self, File},
    io,
    path::{Path, PathBuf},
};

use arrow::{array::RecordBatch, datatypes::SchemaRef, error::ArrowError};
use parquet::{
    arrow::{
        ProjectionMask,
        arrow_reader::{ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder},
    },
    file::metadata::KeyValue,
};

use super::folder::Folder;
use crate::base::Fatal;

mod recorded;
mod show;
mod spelled;

pub use recorded::{row, schema};
pub use show::{cells, headings, json};
pub use spelled::spelled;

/// Rows in a batch: bounds memory whatever the part's size.
const BATCH_ROWS: usize = 1024;

/// The two tables of a dataset.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Table {
    /// One row per unit that came through.
    Extractions,
    /// One row per unit or document that did not.
    Failures,
}

/// What to read.
#[derive(Debug, Clone)]
pub struct Request {
    /// Which table.
    pub table: Table,
    /// Columns by name, in this order; `None` for all.
    pub columns: Option<Vec<String>>,
    /// At most this many rows.
    pub limit: usize,
}

/// Hands the rows of the dataset at `out` to `each`, batch by batch, in the order of the parts.
///
/// # Errors
/// When there is no dataset, a part cannot be read, or a column does not exist.
pub fn read(
    out: &Path,
    request: &Request,
    each: &mut dyn FnMut(&RecordBatch) -> Result<(), Fatal>,
) -> Result<(), Fatal> {
    let mut left = request.limit;
    for part in parts(out, request.table)? {
        for batch in open_columns(&part, request.columns.as_deref())? {
            let batch = checked(&part, batch)?;
            let batch = batch.slice(0, batch.num_rows().min(left));
            left -= batch.num_rows();
            each(&batch)?;
            if left == 0 {
                return Ok(());
            }
        }
    }
    Ok(())
}

/// The names of a table's columns, in order.
///
/// # Errors
/// When there is no dataset or its first part cannot be read.
pub fn columns(out: &Path, table: Table) -> Result<Vec<String>, Fatal> {
    let parts = parts(out, table)?;
    let Some(first) = parts.first() else { return Ok(Vec::new()) };
    Ok(builder(first)?.schema().fields().iter().map(|field| field.name().clone()).collect())
}

/// The parts of a table, in order.
///
/// # Errors
/// When there is no dataset at `out`.
pub fn parts(out: &Path, table: Table) -> Result<Vec<PathBuf>, Fatal> {
    let folder = Folder::at(out);
    let folder = if table == Table::Extractions { folder.extractions } else { folder.failures };
    let parts = listed(&folder).map_err(|error| no_dataset(out, &error.to_string()))?;
    if parts.is_empty() { Err(no_dataset(out, "it has no finished part yet")) } else { Ok(parts) }
}

/// The parts in a folder, in order.
pub(super) fn listed(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let paths = fs::read_dir(folder)?.map(|entry| entry.map(|entry| entry.path())).collect::<io::Result<Vec<_>>>()?;
    let mut parts: Vec<PathBuf> = paths.into_iter().filter(|path| is_part(path)).collect();
    parts.sort();
    Ok(parts)
}

/// Bytes and rows of a part.
pub(super) fn extent(part: &Path) -> Result<(u64, u64), Fatal> {
    let bytes = part.metadata().map_err(|error| cannot_read(part, error))?.len();
    let rows = builder(part)?.metadata().file_metadata().num_rows();
    Ok((bytes, u64::try_from(rows).unwrap_or(0)))
}

/// The columns of a part, and what its footer says beside them.
pub(super) fn schema_and_footer(part: &Path) -> Result<(SchemaRef, Option<Vec<KeyValue>>), Fatal> {
    let builder = builder(part)?;
    let entries = builder.metadata().file_metadata().key_value_metadata();
    // The writer adds the columns' own entry itself.
    let ours =
        entries.map(|entries| entries.iter().filter(|entry| entry.key.starts_with("lapidary.")).cloned().collect());
    Ok((builder.schema().clone(), ours))
}

/// What begins with a dot is none: macOS puts `._part-00000.parquet` beside a part on disks that are not its own.
fn is_part(path: &Path) -> bool {
    let is_hidden = path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"."));
    !is_hidden && path.extension().is_some_and(|extension| extension == "parquet")
}

fn no_dataset(out: &Path, why: &str) -> Fatal {
    let message = format!("`{}` holds no dataset: {why}", out.display());
    Fatal::new(message, "name the folder that was given as `--output` of `lapidary run`")
}

/// All columns of a part, batch by batch.
pub(super) fn open(part: &Path) -> Result<ParquetRecordBatchReader, Fatal> {
    builder(part)?.build().map_err(|error| cannot_read(part, error))
}

fn builder(part: &Path) -> Result<ParquetRecordBatchReaderBuilder<File>, Fatal> {
    let file = File::open(part).map_err(|error| cannot_read(part, error))?;
    let builder = ParquetRecordBatchReaderBuilder::try_new(file).map_err(|error| cannot_read(part, error))?;
    Ok(builder.with_batch_size(BATCH_ROWS))
}

pub(super) type Batches = Box<dyn Iterator<Item = Result<RecordBatch, ArrowError>>>;

/// Some columns of a part, in this order, batch by batch; all where none are named.
pub(super) fn open_columns(part: &Path, columns: Option<&[String]>) -> Result<Batches, Fatal> {
    let Some(columns) = columns else { return Ok(Box::new(open(part)?)) };
    let builder = builder(part)?;
    let schema = builder.schema().clone();
    let roots = columns.iter().map(|name| schema.index_of(name).map_err(|_| no_column(name, schema.fields())));
    let roots = roots.collect::<Result<Vec<usize>, Fatal>>()?;
    let mask = ProjectionMask::roots(builder.parquet_schema(), roots);
    let reader = builder.with_projection(mask).build().map_err(|error| cannot_read(part, error))?;
    let wanted = columns.to_vec();
    Ok(Box::new(reader.map(move |batch| in_order(&batch?, &wanted))))
}

/// A projection keeps the file's order; the request's order is what was asked for.
fn in_order(batch: &RecordBatch, wanted: &[String]) -> Result<RecordBatch, ArrowError> {
    let places = wanted.iter().map(|name| batch.schema().index_of(name)).collect::<Result<Vec<usize>, _>>()?;
    batch.project(&places)
}

fn no_column(name: &str, fields: &arrow::datatypes::Fields) -> Fatal {
    let known = fields.iter().map(|field| format!("`{}`", field.name())).collect::<Vec<_>>().join(", ");
    Fatal::new(format!("there is no column `{name}`"), format!("the columns are {known}"))
}

/// A batch, or the part that could not give it.
pub(super) fn checked(part: &Path, batch: Result<RecordBatch, ArrowError>) -> Result<RecordBatch, Fatal> {
    batch.map_err(|error| cannot_read(part, error))
}

fn cannot_read(part: &Path, error: impl std::fmt::Display) -> Fatal {
    let message = format!("`{}` cannot be read: {error}", part.display());
    Fatal::new(
        message,
        "see that the file is a whole Parquet file and may be read; the other parts do not depend on it",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_begins_with_a_dot_is_no_part() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["part-00001.parquet", "._part-00000.parquet", ".parquet", "part-00000.parquet", "note.txt"] {
            fs::write(folder.path().join(name), "").unwrap();
        }
        let parts = ["part-00000.parquet", "part-00001.parquet"].map(|name| folder.path().join(name));
        assert_eq!(listed(folder.path()).unwrap(), parts);
    }
}
