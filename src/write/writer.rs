//! The last task: takes every outcome, keeps the books, writes both tables.

use std::sync::Arc;

use arrow::error::ArrowError;
use chrono::Utc;
use parquet::file::metadata::KeyValue;

use super::{
    asked::RunIdentity,
    books::Books,
    continuation::Continuation,
    evidence::Extras,
    extractions::{Extractions, Row},
    failures::{self, Failed},
    folder::{Claim, Folder},
    identity::Identity,
    known::{Continuing, Known},
    seal,
    settings::Settings,
    table::Table,
    totals::Totals,
};
use crate::base::{
    Extraction, Failure, Fatal, Item, Kept, Origin, Outcome, Shape, Source,
    dataset::{EXTRACTIONS, FAILURES},
};

/// Rows are turned into columns this many at a time, or when their text reaches [`BATCH_BYTES`].
const BATCH_ROWS: usize = 256;
const BATCH_BYTES: usize = 8 << 20;

/// Writes one dataset, or goes on with it. Dropped before its end, it leaves only whole parts where readers look.
pub struct Writer {
    run: RunIdentity,
    settings: Settings,
    columns: Extractions,
    extractions: Table,
    failures: Table,
    rows: Vec<Row>,
    row_bytes: usize,
    failed: Vec<Failed>,
    books: Books,
    /// Documents that may be through.
    touched: Vec<Arc<Source>>,
    continuation: Continuation,
    totals: Totals,
    folder: Folder,
}

impl Writer {
    /// Reads what the dataset holds and opens its next parts, so that what cannot be written shows before work starts.
    ///
    /// # Errors
    /// When the dataset has other columns, or cannot be read or written to.
    pub fn create(
        claim: &Claim,
        shape: Arc<Shape>,
        extras: Extras,
        settings: Settings,
        run: RunIdentity,
        retry_failures: bool,
    ) -> Result<Self, Fatal> {
        let folder = claim.folder.clone();
        let footer = footer(&shape, &run);
        let columns = Extractions::new(shape, extras, run.clone());
        let (schema, failures_schema) = (columns.schema(), failures::schema());
        let manner = Continuing { retry_failures, record: extras.record };
        let continuation = Continuation::open(&folder, [&schema, &failures_schema], run.clone(), manner)?;
        seal::break_seal(&folder)?;
        let (known, aside) = (continuation.known(), || folder.aside.clone());
        let (rows_there, failures_there) = known.parts();
        let mut extractions =
            Table::new(EXTRACTIONS, folder.extractions.clone(), aside(), schema, settings.clone()).after(rows_there);
        extractions = extractions.with_footer(footer);
        let mut failures = Table::new(FAILURES, folder.failures.clone(), aside(), failures_schema, settings.clone());
        failures = failures.after(failures_there);
        extractions.open()?;
        failures.open()?;
        let (books, totals, rows, failed, touched) = Default::default();
        Ok(Self {
            run,
            settings,
            columns,
            extractions,
            failures,
            rows,
            row_bytes: 0,
            failed,
            books,
            touched,
            continuation,
            totals,
            folder,
        })
    }

    /// What the dataset held when the run began.
    pub fn known(&self) -> Arc<Known> {
        self.continuation.known().clone()
    }

    /// Takes one outcome. Nothing is written before the next [`Writer::tick`].
    pub fn accept(&mut self, outcome: Outcome) {
        match outcome {
            Outcome::Found(source) => self.books.found(&source.name),
            Outcome::Duplicate(source) => self.duplicate(&source),
            Outcome::Promise(source, units) => self.books.promise(&source.name, units),
            Outcome::Silence(source, seconds) => self.silence(&source.name, seconds),
            Outcome::Decoded { source, whole } => self.decoded(source, whole),
            Outcome::Kept(source, kept) => self.kept(&source, kept),
            Outcome::KeptUnit(origin, kept) => self.kept_unit(&origin, kept),
            Outcome::Answered(item) => self.answered(&item),
            Outcome::Record(item) => self.row(*item),
            Outcome::Row(item) => {
                self.answered(&item);
                self.row(*item);
            }
            Outcome::Failure(failure) => self.failure(*failure),
        }
    }

    /// Writes what is due. Call it when all rows of a unit or a merged document have been accepted, so that they come into
    /// one part, and now and then while nothing comes, so that old rows reach the disk.
    ///
    /// # Errors
    /// When the output cannot be written any more.
    pub fn tick(&mut self) -> Result<(), Fatal> {
        self.look_at_touched();
        if self.extractions.is_due(self.rows.len()) || self.failures.is_due(self.failed.len()) {
            return self.checkpoint();
        }
        let full = self.rows.len() >= BATCH_ROWS || self.row_bytes >= BATCH_BYTES;
        let written = if full { self.write_rows() } else { Ok(()) };
        let full = self.failed.len() >= BATCH_ROWS;
        let written = written.and_then(|()| if full { self.write_failures() } else { Ok(()) });
        if written.is_err() {
            self.continuation.lose();
        }
        written
    }

    /// Something may be missing from what came so far: no document is told to be through.
    pub fn lose(&mut self) {
        self.continuation.lose();
    }

    /// Publishes everything that came, and then says in the ledger which documents are through.
    fn checkpoint(&mut self) -> Result<(), Fatal> {
        let published = self.publish();
        if published.is_err() {
            self.continuation.lose();
        }
        published.and_then(|()| self.continuation.published())
    }

    fn publish(&mut self) -> Result<(), Fatal> {
        self.write_rows()?;
        self.write_failures()?;
        self.extractions.publish_rows()?;
        self.failures.publish_rows()
    }

    fn look_at_touched(&mut self) {
        for source in std::mem::take(&mut self.touched) {
            if let Some(through) = self.books.through(&source.name) {
                self.continuation.through(&source, through);
            }
        }
    }

    /// Writes what is left, takes out what is outdated, copies the rows of duplicates, seals the dataset if no document was
    /// left out, and adds everything up.
    ///
    /// # Errors
    /// When the output cannot be written any more.
    pub fn finish(mut self) -> Result<Totals, Fatal> {
        self.look_at_touched();
        self.checkpoint()?;
        let settled = self.continuation.settle(&self.folder, &self.settings)?;
        self.totals.rows_copied = settled.copies().write(&mut self.extractions)?;
        self.totals.failures_copied = settled.copies().write(&mut self.failures)?;
        self.checkpoint()?;
        let replaced = self.continuation.settle_copies(&settled, &self.folder, &self.settings)?;
        self.extractions.finish()?;
        self.failures.finish()?;
        let revised = settled.revised.plus(replaced);
        (self.totals.outdated_removed, self.totals.renamed) = (revised.removed, revised.renamed);
        if self.books.are_through() {
            seal::seal(&self.folder, &self.extractions.parts()?, &self.failures.parts()?)?;
        }
        self.add_up()
    }

    /// Writes the rows that came so far, whole, and adds up. Duplicates are left out, since their originals may not be
    /// complete, and what is outdated stays until a run comes to its end.
    ///
    /// # Errors
    /// When the output cannot be written any more.
    pub fn interrupt(mut self) -> Result<Totals, Fatal> {
        self.look_at_touched();
        self.checkpoint()?;
        self.extractions.finish()?;
        self.failures.finish()?;
        self.add_up()
    }

    fn add_up(self) -> Result<Totals, Fatal> {
        let balance = self.books.balance();
        Ok(Totals {
            documents: balance.documents + self.totals.duplicates + self.totals.documents_kept,
            untouched: balance.untouched,
            units: balance.units + self.totals.units,
            balanced: balance.unbalanced.is_empty(),
            unbalanced: balance.unbalanced,
            extraction_parts: self.extractions.parts()?.len() as u64,
            failure_parts: self.failures.parts()?.len() as u64,
            bytes: self.extractions.bytes + self.failures.bytes,
            ..self.totals
        })
    }

    fn duplicate(&mut self, source: &Source) {
        self.totals.duplicates += 1;
        self.continuation.findings.duplicate(source);
    }

    fn silence(&mut self, source: &str, seconds: f64) {
        self.totals.silent_seconds += seconds;
        self.totals.silent_documents += u64::from(self.books.silence(source));
    }

    fn decoded(&mut self, source: Arc<Source>, whole: bool) {
        if whole {
            self.books.decoded(&source.name);
        }
        self.touched.push(source);
    }

    /// A document of which nothing was done has no account.
    fn kept(&mut self, source: &Source, kept: Kept) {
        self.totals.documents_kept += 1;
        self.totals.units += kept.units;
        self.totals.kept += kept.units;
        self.totals.kept_failures += kept.failures;
        self.continuation.findings.kept(source, kept);
    }

    fn kept_unit(&mut self, origin: &Origin, kept: Kept) {
        self.books.kept(&origin.source.name, kept);
        self.totals.kept += kept.units;
        self.totals.kept_failures += kept.failures;
        self.continuation.findings.kept_unit(origin);
        self.touched.push(origin.source.clone());
    }

    fn answered(&mut self, item: &Item<Extraction>) {
        self.books.answer(&item.origin.source.name);
        self.touched.push(item.origin.source.clone());
        self.totals.answer(&item.body);
    }

    /// The item's byte lease ends here: a row waiting for its batch is small.
    fn row(&mut self, item: Item<Extraction>) {
        let Item { origin, body, .. } = item;
        self.totals.row(&body);
        self.books.row(&origin.source.name);
        self.extractions.row_waits();
        let row = Row { identity: Identity::of(&origin), extraction: body, written_at: now() };
        self.row_bytes += row.bytes();
        self.rows.push(row);
    }

    fn failure(&mut self, failure: Failure) {
        self.books.failure(&failure.source, &failure.part);
        self.continuation.findings.refused(&failure);
        self.touched.extend(failure.document.clone());
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
        self.failures.write(&failures::batch(&failed, &self.run).map_err(|error| cannot_convert(&error))?)
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
    ]
}

fn cannot_convert(error: &ArrowError) -> Fatal {
    Fatal::new(
        format!("write: rows cannot be turned into columns: {error}"),
        "this is a mistake of ours; please report it with the schema",
    )
}
