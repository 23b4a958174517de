//! One Parquet file of what is heard and seen in recordings and films, moment by moment.

use std::{fs::File, io, sync::Arc};

use arrow::{
    array::{ArrayRef, Float32Array, Float64Array, RecordBatch, StringArray},
    datatypes::{DataType, Field, Schema},
};
use parquet::{arrow::ArrowWriter, basic, errors::ParquetError, file::properties::WriterProperties};

use crate::base::{
    Fatal,
    place::{Draft, Place},
};

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
pub fn save(moments: &[Moment], place: &Place) -> Result<(), Fatal> {
    let draft = Draft::of(place)?;
    write(moments, draft.file()).map_err(|error| fatal(place, error))?;
    draft.publish()
}

fn write(moments: &[Moment], file: &File) -> Result<(), ParquetError> {
    let zstd = basic::Compression::ZSTD(basic::ZstdLevel::default());
    let properties = WriterProperties::builder().set_compression(zstd).build();
    let mut writer = ArrowWriter::try_new(file, schema(), Some(properties))?;
    for moments in moments.chunks(BATCH) {
        writer.write(&batch(moments)?)?;
    }
    writer.close().map(drop)
}

/// Parquet wraps what the disk says.
fn fatal(place: &Place, error: ParquetError) -> Fatal {
    let message = format!("`{}` cannot be encoded: {error}", place.path().display());
    let cause = match error {
        ParquetError::External(cause) => cause.downcast::<io::Error>().ok(),
        _ => None,
    };
    cause.map_or_else(|| Fatal::new(message, "please report this"), |cause| place.cannot_write(&cause))
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

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn a_timeline_takes_the_place_of_an_earlier_one_and_of_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let (path, other) = (folder.path().join("shots.parquet"), folder.path().join("shots.part"));
        fs::write(&path, "an earlier one").unwrap();
        fs::write(&other, "a file of its own").unwrap();
        let moment = Moment { source: "a.mp4".to_owned(), kind: "frames", end: 2.0, ..Moment::default() };
        save(&[moment], &Place::at(&path).unwrap()).unwrap();
        assert!(fs::read(&path).unwrap().starts_with(b"PAR1"));
        assert_eq!(fs::read_to_string(&other).unwrap(), "a file of its own");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2);
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn a_full_disk_is_named_as_such() {
        let folder = tempfile::tempdir().unwrap();
        let place = Place::at(&folder.path().join("shots.parquet")).unwrap();
        let full = File::options().write(true).open("/dev/full").expect("Linux has /dev/full");
        let told = fatal(&place, write(&[Moment::default()], &full).unwrap_err());
        assert!(told.message.contains("shots.parquet` cannot be written"), "{told}");
        assert!(told.hint.starts_with("free some space"), "{}", told.hint);
    }
}
