//! The last task: takes every outcome, keeps the books, writes both tables.

use std::{path::Path, sync::Arc};

use arrow::error::ArrowError;
use chrono::Utc;
use parquet::file::metadata::KeyValue;
use serde::Serialize;

use super::{
    books::Books,
    copies::Copies,
    evidence::Extras,
    extractions::{Extractions, Row},
    failures::{self, Failed},
    folder::Folder,
    identity::Identity,
    settings::Settings,
    table::Table,
    totals::Totals,
};
use crate::base::{Extraction, Failure, Fatal, Item, Outcome, Shape, Source};

/// Rows are turned into columns this many at a time, or when their text reaches [`BATCH_BYTES`].
const BATCH_ROWS: usize = 256;
const BATCH_BYTES: usize = 8 << 20;

/// What made the rows: the same in every row of a run.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct RunIdentity {
    /// Hash of the model bundle.
    pub model: String,
    /// Hash of the settings that decide an answer.
    pub config: String,
}

/// Writes one dataset. Dropped before its end, it leaves only whole parts where readers look.
pub struct Writer {
    columns: Extractions,
    extractions: Table,
    failures: Table,
    rows: Vec<Row>,
    row_bytes: usize,
    failed: Vec<Failed>,
    books: Books,
    copies: Copies,
    totals: Totals,
}

impl Writer {
    /// Makes the output folder and opens its first parts, so that what cannot be written shows before work starts.
    ///
    /// # Errors
    /// When `out` holds a dataset already, or cannot be made or written to.
    pub fn create(
        out: &Path,
        shape: Arc<Shape>,
        extras: Extras,
        settings: Settings,
        run: RunIdentity,
    ) -> Result<Self, Fatal> {
        let folder = Folder::create(out)?;
        let footer = footer(&shape, &run);
        let columns = Extractions::new(shape, extras, run);
        let (aside, schema) = (folder.aside.clone(), columns.schema());
        let mut extractions =
            Table::new("extractions", folder.extractions, aside, schema, settings.clone()).with_footer(footer);
        let mut failures = Table::new("failures", folder.failures, folder.aside, failures::schema(), settings);
        extractions.open()?;
        failures.open()?;
        let (books, copies, totals) = Default::default();
        let (rows, failed) = (Vec::new(), Vec::new());
        Ok(Self { columns, extractions, failures, rows, row_bytes: 0, failed, books, copies, totals })
    }

    /// Takes one outcome.
    ///
    /// # Errors
    /// When the output cannot be written any more.
    pub fn accept(&mut self, outcome: Outcome) -> Result<(), Fatal> {
        match outcome {
            Outcome::Found(source) => self.books.found(&source.name),
            Outcome::Duplicate(source) => self.duplicate(&source),
            Outcome::Promise(source, units) => self.books.promise(&source.name, units),
            Outcome::Decoded(_) => {}
            Outcome::Answered(item) => self.answered(&item),
            Outcome::Record(item) => self.row(*item),
            Outcome::Row(item) => {
                self.answered(&item);
                self.row(*item);
            }
            Outcome::Failure(failure) => self.failure(*failure),
        }
        self.tick()
    }

    /// Writes what is due. Call it now and then while nothing comes, so that old rows reach the disk.
    ///
    /// # Errors
    /// When the output cannot be written any more.
    pub fn tick(&mut self) -> Result<(), Fatal> {
        if self.rows.len() >= BATCH_ROWS || self.row_bytes >= BATCH_BYTES || self.extractions.is_due(self.rows.len()) {
            self.write_rows()?;
        }
        if self.failed.len() >= BATCH_ROWS || self.failures.is_due(self.failed.len()) {
            self.write_failures()?;
        }
        Ok(())
    }

    /// Writes what is left, copies the rows of duplicates, and adds everything up.
    ///
    /// # Errors
    /// When the output cannot be written any more.
    pub fn finish(mut self) -> Result<Totals, Fatal> {
        self.write_rows()?;
        self.write_failures()?;
        self.totals.rows_copied = self.copies.write(&mut self.extractions)?;
        self.totals.failures_copied = self.copies.write(&mut self.failures)?;
        self.close()
    }

    /// Writes the rows that came so far, whole, and adds up. Duplicates are left out: their originals may not be complete.
    ///
    /// # Errors
    /// When the output cannot be written any more.
    pub fn interrupt(mut self) -> Result<Totals, Fatal> {
        self.write_rows()?;
        self.write_failures()?;
        self.close()
    }

    fn close(mut self) -> Result<Totals, Fatal> {
        self.extractions.finish()?;
        self.failures.finish()?;
        let balance = self.books.balance();
        Ok(Totals {
            documents: balance.documents + self.totals.duplicates,
            untouched: balance.untouched,
            units: balance.units,
            balanced: balance.unbalanced.is_empty(),
            unbalanced: balance.unbalanced,
            extraction_parts: self.extractions.published().len() as u64,
            failure_parts: self.failures.published().len() as u64,
            bytes: self.extractions.bytes + self.failures.bytes,
            ..self.totals
        })
    }

    fn duplicate(&mut self, source: &Source) {
        self.totals.duplicates += 1;
        self.copies.add(&source.hash, source.name.clone());
    }

    fn answered(&mut self, item: &Item<Extraction>) {
        self.books.row(&item.origin.source.name);
        self.totals.answer(&item.body);
    }

    /// The item's byte lease ends here: a row waiting for its batch is small.
    fn row(&mut self, item: Item<Extraction>) {
        let Item { origin, body, .. } = item;
        self.totals.row(&body);
        self.extractions.row_waits();
        let row = Row { identity: Identity::of(&origin), extraction: body, written_at: now() };
        self.row_bytes += row.bytes();
        self.rows.push(row);
    }

    fn failure(&mut self, failure: Failure) {
        self.books.failure(&failure.source, &failure.part);
        self.totals.failure(&failure.fault, &failure.tries);
        self.failures.row_waits();
        self.failed.push(Failed::new(failure, now()));
    }

    fn write_rows(&mut self) -> Result<(), Fatal> {
        self.row_bytes = 0;
        let rows = std::mem::take(&mut self.rows);
        if rows.is_empty() {
            return Ok(());
        }
        self.extractions.write(&self.columns.batch(&rows).map_err(|error| cannot_convert(&error))?)
    }

    fn write_failures(&mut self) -> Result<(), Fatal> {
        let failed = std::mem::take(&mut self.failed);
        if failed.is_empty() {
            return Ok(());
        }
        self.failures.write(&failures::batch(&failed).map_err(|error| cannot_convert(&error))?)
    }
}

fn now() -> i64 {
    Utc::now().timestamp_micros()
}

fn footer(shape: &Shape, run: &RunIdentity) -> Vec<KeyValue> {
    let entry = |name: &str, value: String| KeyValue::new(name.to_owned(), value);
    vec![
        entry("lapidary.version", env!("CARGO_PKG_VERSION").to_owned()),
        entry("lapidary.schema", shape.schema().to_string()),
        entry("lapidary.model", run.model.clone()),
        entry("lapidary.config", run.config.clone()),
    ]
}

fn cannot_convert(error: &ArrowError) -> Fatal {
    Fatal::new(
        format!("write: rows cannot be turned into columns: {error}"),
        "this is a mistake of ours; please report it with the schema",
    )
}
