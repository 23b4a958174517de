//! One Parquet file on its way: written aside, synced, then renamed to where readers look.

use std::{
    fs::{self, File},
    io,
    path::{Path, PathBuf},
};

use arrow::{array::RecordBatch, datatypes::SchemaRef};
use parquet::{arrow::ArrowWriter, errors::ParquetError, file::properties::WriterProperties};

use super::{
    failpoint::{Point, pass},
    folder::{self, Over},
};
use crate::base::Fatal;

/// A part being written.
pub struct Part {
    writer: ArrowWriter<File>,
    aside: PathBuf,
    /// Rows so far.
    pub rows: u64,
}

impl Part {
    /// Opens a new part at `aside`, over what an earlier error may have left there.
    pub fn create(aside: PathBuf, schema: SchemaRef, properties: WriterProperties) -> Result<Self, Fatal> {
        let file = File::create(&aside).map_err(|error| folder::cannot_write(&aside, &error))?;
        let writer = ArrowWriter::try_new(file, schema, Some(properties)).map_err(|error| fatal(&aside, error))?;
        Ok(Self { writer, aside, rows: 0 })
    }

    /// Adds rows.
    pub fn write(&mut self, batch: &RecordBatch) -> Result<(), Fatal> {
        self.writer.write(batch).map_err(|error| fatal(&self.aside, error))?;
        self.rows += batch.num_rows() as u64;
        Ok(())
    }

    /// Bytes written and about to be written.
    pub fn bytes(&self) -> u64 {
        (self.writer.bytes_written() + self.writer.in_progress_size()) as u64
    }

    /// Finishes the file and puts it at `place`, so that it is either whole or not there. Returns its length in bytes.
    pub fn publish(self, place: &Path) -> Result<u64, Fatal> {
        let (aside, length) = self.close()?;
        let put = folder::put(&aside, place, Over::Earlier, || pass(Point::PartRenamed));
        put.and_then(|()| pass(Point::PartPublished)).map_err(|error| folder::cannot_write(place, &error))?;
        Ok(length)
    }

    /// The same where there is an earlier part, which it replaces.
    pub fn replace(self, place: &Path) -> Result<u64, Fatal> {
        let (aside, length) = self.close()?;
        let written = pass(Point::RevisionWritten);
        let put = written.and_then(|()| folder::put(&aside, place, Over::Earlier, || Ok(())));
        put.and_then(|()| pass(Point::RevisionRenamed)).map_err(|error| folder::cannot_write(place, &error))?;
        Ok(length)
    }

    /// Takes it away again.
    pub fn discard(self) -> Result<(), Fatal> {
        let Self { writer, aside, .. } = self;
        drop(writer);
        fs::remove_file(&aside).map_err(|error| folder::cannot_write(&aside, &error))
    }

    /// Finishes the file and makes it last. Where it lies, and its length.
    fn close(self) -> Result<(PathBuf, u64), Fatal> {
        let Self { mut writer, aside, .. } = self;
        writer.finish().map_err(|error| fatal(&aside, error))?;
        let file = writer.inner();
        let synced = pass(Point::PartWritten).and_then(|()| file.sync_all()).and_then(|()| pass(Point::PartSynced));
        let length = synced.and_then(|()| file.metadata()).map_err(|error| folder::cannot_write(&aside, &error))?;
        Ok((aside, length.len()))
    }
}

/// Parquet wraps what the disk says; unwrapped, a full disk can be named as such.
fn fatal(path: &Path, error: ParquetError) -> Fatal {
    let text = error.to_string();
    let ParquetError::External(cause) = error else { return cannot_encode(path, &text) };
    match cause.downcast::<io::Error>() {
        Ok(cause) => folder::cannot_write(path, &cause),
        Err(_) => cannot_encode(path, &text),
    }
}

fn cannot_encode(path: &Path, text: &str) -> Fatal {
    Fatal::new(
        format!("write: `{}` cannot be encoded: {text}", path.display()),
        "this is a mistake of ours; please report it with the schema",
    )
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::{
        array::StringArray,
        datatypes::{DataType, Field, Schema},
    };

    use super::*;

    #[test]
    #[cfg(target_os = "linux")]
    fn a_full_disk_is_named_as_such() {
        let schema = Arc::new(Schema::new(vec![Field::new("a", DataType::Utf8, false)]));
        let file = File::options().write(true).open("/dev/full").expect("Linux has /dev/full");
        let writer = ArrowWriter::try_new(file, schema.clone(), None).expect("nothing is written yet");
        let mut part = Part { writer, aside: "/dev/full".into(), rows: 0 };
        let batch = RecordBatch::try_new(schema, vec![Arc::new(StringArray::from(vec!["a"]))]).expect("one column");
        let wrong = part.write(&batch).and_then(|()| part.publish(Path::new("/nowhere"))).unwrap_err();
        assert!(wrong.message.contains("the disk is full"), "{wrong}");
    }
}
