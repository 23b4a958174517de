//! `lapidary captions`: what a dataset holds of recordings as SubRip, WebVTT or plain text, a file for each recording.

mod cues;
mod format;
mod place;

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use serde_json::Value;

use super::recorded::{merged_part, part};
use crate::{
    base::{Fatal, Part},
    write::read::{self, Table},
};
pub use cues::{Segment, tidied};
pub use format::Format;

/// What to write.
#[derive(Debug, Clone)]
pub struct Request {
    /// The dataset.
    pub dataset: PathBuf,
    /// The folder for the files.
    pub out: PathBuf,
    /// In which form.
    pub format: Format,
    /// The field of the records that holds what is said.
    pub field: String,
}

/// What was written.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Written {
    /// Files, in the order of the recordings' names.
    pub files: Vec<PathBuf>,
    /// Rows that are not about a span of sound.
    pub others: u64,
}

/// Writes a file for each recording of which the dataset has spans of sound.
///
/// # Errors
/// When the dataset cannot be read or has no such field, none of its rows is about sound, or a file cannot be written.
pub fn write(request: &Request) -> Result<Written, Fatal> {
    let (recordings, others) = recordings(&request.dataset, &request.field)?;
    if recordings.is_empty() {
        return Err(Fatal::new(
            format!("no row of `{}` is about a span of sound", request.dataset.display()),
            "captions are made of recordings and of the sound tracks of films",
        ));
    }
    let names: Vec<&str> = recordings.keys().map(String::as_str).collect();
    let places = place::places(&names, request.format.ending());
    let mut written = Written { files: Vec::new(), others };
    for (segments, place) in recordings.into_values().zip(places) {
        let path = request.out.join(place);
        let text = request.format.write(&tidied(segments));
        let folder = path.parent().unwrap_or(&request.out);
        fs::create_dir_all(folder).and_then(|()| fs::write(&path, text)).map_err(|error| {
            Fatal::new(
                format!("`{}` cannot be written: {error}", path.display()),
                "name a folder that can be written to",
            )
        })?;
        written.files.push(path);
    }
    Ok(written)
}

/// The spans of each recording, and how many rows are about something else.
fn recordings(dataset: &Path, field: &str) -> Result<(BTreeMap<String, Vec<Segment>>, u64), Fatal> {
    if !read::columns(dataset, Table::Extractions)?.iter().any(|column| column == field) {
        return Err(Fatal::new(
            format!("the rows of `{}` have no field `{field}`", dataset.display()),
            "name with --field the one that holds what is said",
        ));
    }
    let (mut recordings, mut others) = (BTreeMap::<String, Vec<Segment>>::new(), 0);
    let request = read::Request { table: Table::Extractions, columns: None, limit: usize::MAX };
    read::read(dataset, &request, &mut |batch| {
        for row in read::json(batch) {
            let segments = segments(&row, field);
            others += u64::from(segments.is_empty());
            if !segments.is_empty() {
                let source = row["_source"].as_str().unwrap_or_default().to_owned();
                recordings.entry(source).or_default().extend(segments);
            }
        }
        Ok(())
    })?;
    Ok((recordings, others))
}

/// What a row says of spans of sound: itself, or what it was merged of.
fn segments(row: &Value, field: &str) -> Vec<Segment> {
    match row["_parts"].as_array() {
        Some(parts) => parts.iter().filter_map(|part| of_part(part, field)).collect(),
        None => of_row(row, field).into_iter().collect(),
    }
}

fn of_row(row: &Value, field: &str) -> Option<Segment> {
    let Part::Time { start, end } = part(row) else { return None };
    let start = shifted(start, &row["_shift"]);
    Some(Segment { start, end, text: row[field].as_str().unwrap_or_default().to_owned() })
}

/// Where the sound of a try began that was shifted.
pub fn shifted(start: f64, shift: &Value) -> f64 {
    (start - shift.as_f64().unwrap_or(0.0)).max(0.0)
}

/// A part of a merged row holds its answer as it was said.
fn of_part(part: &Value, field: &str) -> Option<Segment> {
    let Part::Time { start, end } = merged_part(part) else { return None };
    let start = shifted(start, &part["shift"]);
    let answer: Value = serde_json::from_str(part["raw"].as_str()?).ok()?;
    Some(Segment { start, end, text: answer[field].as_str().unwrap_or_default().to_owned() })
}
