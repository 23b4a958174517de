//! `lapidary score`: a dataset against what is known of some of its documents: how many values are right, field by field,
//! and how much the model's confidence says about that.

mod composed;
mod leaves;
mod tally;
mod truth;

use std::path::Path;

pub use tally::{Bucket, Difference, FieldScore, Score};

use crate::{
    base::Fatal,
    write::read::{self, Request, Table},
};
use leaves::leaves;
use truth::Truths;

/// Compares the rows of `dataset` with the records in the file `truth`.
///
/// # Errors
/// When either cannot be read, or the dataset has none of the documents that the file speaks of.
pub fn score(dataset: &Path, truth: &Path) -> Result<Score, Fatal> {
    let mut truths = Truths::read(truth)?;
    let mut score = Score::default();
    let request = Request { table: Table::Extractions, columns: None, limit: usize::MAX };
    read::read(dataset, &request, &mut |batch| {
        for row in read::json(batch).map(composed::value) {
            match truths.take(&row) {
                Some(known) => {
                    let spelled = read::spelled(batch, &known.record, composed::text);
                    score.add(&known.file, &leaves(&spelled), Some(&row));
                }
                None => score.unasked += 1,
            }
        }
        Ok(())
    })?;
    let compared = score.records;
    for known in truths.left() {
        score.add(&known.file, &leaves(&known.record), None);
        score.missing += 1;
    }
    match compared {
        0 => Err(Fatal::new(
            format!("none of the documents in `{}` has a row in `{}`", truth.display(), dataset.display()),
            "each line names a file by the end of its path, as `_source` has it: {\"file\": \"scans/7.pdf\", \"record\": {...}}",
        )),
        _ => Ok(score),
    }
}
