//! One Parquet file of what is heard and seen in recordings and films, moment by moment.

use std::{path::Path, sync::Arc};

use arrow::{
    array::{ArrayRef, Float32Array, Float64Array, RecordBatch, StringArray},
    datatypes::{DataType, Field, Schema},
};
use parquet::{basic, file::properties::WriterProperties};

use super::part::Part;
use crate::base::Fatal;

/// Rows in a batch.
const BATCH: usize = 4096;

/// What is known of a span of a recording or film.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Moment {
    /// The file.
    pub source: String,
    /// `sound` or `frames`.
    pub kind: &'static str,
    /// Seconds from the start of the file.
    pub start: f64,
    /// End of the span.
    pub end: f64,
    /// What is said, of sound.
    pub text: Option<String>,
    /// The whole record as JSON.
    pub record: Option<String>,
    /// Of frames: what is said while they are shown.
    pub said: Option<String>,
    /// Why the answer ended.
    pub finish: Option<String>,
    /// Mean natural-log probability of the answer's tokens.
    pub mean_logprob: Option<f32>,
    /// The kind of failure, where there is no answer.
    pub failure: Option<String>,
}

/// Writes the moments, in the order given, to a file that is whole or not there.
///
/// # Errors
/// When it cannot be written.
pub fn save(moments: &[Moment], place: &Path) -> Result<(), Fatal> {
    let aside = place.with_extension("part");
    let zstd = basic::Compression::ZSTD(basic::ZstdLevel::default());
    let mut part = Part::create(aside, schema(), WriterProperties::builder().set_compression(zstd).build())?;
    for moments in moments.chunks(BATCH) {
        part.write(&batch(moments).map_err(|error| Fatal::new(error.to_string(), "please report this"))?)?;
    }
    part.publish(place).map(drop)
}

fn schema() -> Arc<Schema> {
    let field = Field::new;
    Arc::new(Schema::new(vec![
        field("source", DataType::Utf8, false),
        field("kind", DataType::Utf8, false),
        field("start", DataType::Float64, false),
        field("end", DataType::Float64, false),
        field("text", DataType::Utf8, true),
        field("record", DataType::Utf8, true),
        field("said", DataType::Utf8, true),
        field("finish", DataType::Utf8, true),
        field("mean_logprob", DataType::Float32, true),
        field("failure", DataType::Utf8, true),
    ]))
}

fn batch(moments: &[Moment]) -> Result<RecordBatch, arrow::error::ArrowError> {
    let texts =
        |of: fn(&Moment) -> Option<&str>| -> ArrayRef { Arc::new(moments.iter().map(of).collect::<StringArray>()) };
    let seconds =
        |of: fn(&Moment) -> f64| -> ArrayRef { Arc::new(Float64Array::from_iter_values(moments.iter().map(of))) };
    let columns: Vec<ArrayRef> = vec![
        texts(|one| Some(&one.source)),
        texts(|one| Some(one.kind)),
        seconds(|one| one.start),
        seconds(|one| one.end),
        texts(|one| one.text.as_deref()),
        texts(|one| one.record.as_deref()),
        texts(|one| one.said.as_deref()),
        texts(|one| one.finish.as_deref()),
        Arc::new(moments.iter().map(|one| one.mean_logprob).collect::<Float32Array>()),
        texts(|one| one.failure.as_deref()),
    ];
    RecordBatch::try_new(schema(), columns)
}
