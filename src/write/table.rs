//! A table as a row of parts: when to open one, when to close it.

use std::{path::PathBuf, time::Instant};

use arrow::{array::RecordBatch, datatypes::SchemaRef};
use parquet::file::{
    metadata::KeyValue,
    properties::{WriterProperties, WriterPropertiesBuilder},
};

use super::{folder, part::Part, read, settings::Settings};
use crate::base::Fatal;

/// A row group never grows beyond this many bytes in memory, so readers and writers stay small.
const ROW_GROUP_BYTES: usize = 64 << 20;
const ROW_GROUP_ROWS: usize = 10_000;

/// How every part is written, new or anew.
pub(super) fn properties(settings: &Settings) -> WriterPropertiesBuilder {
    WriterProperties::builder()
        .set_compression(settings.compression.codec())
        .set_max_row_group_row_count(Some(ROW_GROUP_ROWS))
        .set_max_row_group_bytes(Some(ROW_GROUP_BYTES))
        .set_created_by(concat!("lapidary ", env!("CARGO_PKG_VERSION")).to_owned())
}

/// One of the two tables.
pub struct Table {
    name: &'static str,
    folder: PathBuf,
    aside: PathBuf,
    schema: SchemaRef,
    properties: WriterProperties,
    settings: Settings,
    open: Option<Part>,
    /// When the oldest row came that is not published yet.
    waiting_since: Option<Instant>,
    /// The number of the next part.
    next: u64,
    /// Bytes of all published parts.
    pub bytes: u64,
}

impl Table {
    /// A table named `name` whose parts grow in `aside` and end in `folder`.
    pub fn new(name: &'static str, folder: PathBuf, aside: PathBuf, schema: SchemaRef, settings: Settings) -> Self {
        let properties = properties(&settings).build();
        let (open, waiting_since, next) = (None, None, 0);
        Self { name, folder, aside, schema, properties, settings, open, waiting_since, next, bytes: 0 }
    }

    /// The same where parts are there already: its own get higher numbers.
    pub fn after(mut self, parts: &[PathBuf]) -> Self {
        let numbers = parts.iter().filter_map(|part| part.file_stem()?.to_str()?.strip_prefix("part-")?.parse().ok());
        self.next = numbers.max().map_or(0, |highest: u64| highest + 1);
        self
    }

    /// Puts `entries` into the footer of every part.
    pub fn with_footer(mut self, entries: Vec<KeyValue>) -> Self {
        self.properties = self.properties.into_builder().set_key_value_metadata(Some(entries)).build();
        self
    }

    /// The columns.
    pub fn schema(&self) -> SchemaRef {
        self.schema.clone()
    }

    /// Opens the next part if none is open: what cannot be written shows now.
    pub fn open(&mut self) -> Result<&mut Part, Fatal> {
        let part = match self.open.take() {
            Some(part) => part,
            None => self.create()?,
        };
        Ok(self.open.insert(part))
    }

    fn create(&self) -> Result<Part, Fatal> {
        let aside = self.aside.join(format!("{}-{}", self.name, self.part_name()));
        Part::create(aside, self.schema.clone(), self.properties.clone())
    }

    /// Notes that a row waits to be written.
    pub fn row_waits(&mut self) {
        self.waiting_since.get_or_insert_with(Instant::now);
    }

    /// Adds rows to the open part.
    pub fn write(&mut self, batch: &RecordBatch) -> Result<(), Fatal> {
        self.row_waits();
        self.open()?.write(batch)?;
        Ok(())
    }

    /// True when the open part with `waiting` rows more is full or old.
    pub fn is_due(&self, waiting: usize) -> bool {
        let Some(since) = self.waiting_since else { return false };
        let (rows, bytes) = self.open.as_ref().map_or((0, 0), |part| (part.rows, part.bytes()));
        rows + waiting as u64 >= self.settings.rows_per_part
            || bytes >= self.settings.mebibytes_per_part << 20
            || since.elapsed().as_secs() >= self.settings.seconds_per_part
    }

    /// Closes the open part, if it has rows.
    pub fn publish_rows(&mut self) -> Result<(), Fatal> {
        if self.open.as_ref().is_some_and(|part| part.rows > 0) { self.publish() } else { Ok(()) }
    }

    fn publish(&mut self) -> Result<(), Fatal> {
        self.waiting_since = None;
        let Some(part) = self.open.take() else { return Ok(()) };
        let place = self.folder.join(self.part_name());
        self.bytes += part.publish(&place)?;
        self.next += 1;
        Ok(())
    }

    /// Closes the last part. Every table has at least one, so that its columns can be read even without rows; else an
    /// empty one goes.
    pub fn finish(&mut self) -> Result<(), Fatal> {
        self.publish_rows()?;
        if self.parts()?.is_empty() {
            self.open()?;
            return self.publish();
        }
        self.open.take().map_or(Ok(()), Part::discard)
    }

    /// All parts that readers can see, those of before included, in order.
    pub fn parts(&self) -> Result<Vec<PathBuf>, Fatal> {
        read::listed(&self.folder).map_err(|error| folder::cannot_write(&self.folder, &error))
    }

    fn part_name(&self) -> String {
        format!("part-{:05}.parquet", self.next)
    }
}
