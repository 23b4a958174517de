//! `lapidary captions`: what a dataset holds of recordings as SubRip, WebVTT or plain text, a file for each recording.

mod cues;
mod field;
mod format;
mod lines;
mod numbered;
mod place;

use std::{collections::BTreeMap, fs, path::PathBuf};

use serde_json::Value;

use super::recorded::{merged_part, part};
use crate::{
    base::{Fatal, Part},
    write::read::{self, Table},
};
pub use cues::{Segment, tidied};
pub use field::{Field, require};
pub use format::Format;
pub use numbered::Numbered;

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
/// When the dataset cannot be read or has no such field, or one that is no text, none of its rows is about sound, or a file cannot
/// be written.
pub fn write(request: &Request) -> Result<Written, Fatal> {
    let (recordings, others) = recordings(Field { dataset: &request.dataset, name: &request.field })?;
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
fn recordings(field: Field) -> Result<(BTreeMap<String, Vec<Segment>>, u64), Fatal> {
    require(&[field])?;
    let (mut recordings, mut others) = (BTreeMap::<String, Vec<Segment>>::new(), 0);
    let request = read::Request { table: Table::Extractions, columns: None, limit: usize::MAX };
    read::read(field.dataset, &request, &mut |batch| {
        for row in read::json(batch) {
            let segments = segments(&row, field)?;
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
fn segments(row: &Value, field: Field) -> Result<Vec<Segment>, Fatal> {
    match row["_parts"].as_array() {
        Some(parts) => parts.iter().filter_map(|part| of_part(row, part, field).transpose()).collect(),
        None => Ok(of_row(row, field)?.into_iter().collect()),
    }
}

fn of_row(row: &Value, field: Field) -> Result<Option<Segment>, Fatal> {
    let Part::Time { start, end } = part(row) else { return Ok(None) };
    let (start, text) = (shifted(start, &row["_shift"]), field.text(row)?.unwrap_or_default());
    Ok(Some(Segment { start, end, text, record: Numbered::of(row) }))
}

fn of_part(row: &Value, part: &Value, field: Field) -> Result<Option<Segment>, Fatal> {
    let Part::Time { start, end } = merged_part(part) else { return Ok(None) };
    let answer = field.record(row, part)?;
    let (start, text) = (shifted(start, &part["shift"]), field.text(&answer)?.unwrap_or_default());
    Ok(Some(Segment { start, end, text, record: None }))
}

/// Where the sound of a try began that was shifted.
pub fn shifted(start: f64, shift: &Value) -> f64 {
    (start - shift.as_f64().unwrap_or(0.0)).max(0.0)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use serde_json::json;

    use super::*;

    /// What a row says that was merged of one clip with this answer.
    fn said(answer: &str) -> Result<Vec<Segment>, Fatal> {
        let part = json!({ "part": "time", "start": 2.0, "end": 30.0, "shift": 2.0, "raw": answer });
        let row = json!({ "_source": "a.mp3", "text": "all", "_parts": [part] });
        segments(&row, Field { dataset: Path::new("set"), name: "text" })
    }

    #[test]
    fn the_parts_of_a_row_are_read_in_whichever_way_they_were_answered() {
        let call = "<|tool_call>call:record{text:<|\"|>one<|\"|>,language:null}<tool_call|>";
        for answer in [r#"{ "text": "one" }"#, "```json\n{\"text\":\"one\"}\n```", call] {
            let whole = Segment { start: 0.0, end: 30.0, text: "one".to_owned(), record: None };
            assert_eq!(said(answer).unwrap(), [whole], "{answer}");
        }
    }

    #[test]
    fn an_answer_that_cannot_be_read_is_named() {
        let message = said("<|tool_call>call:record{text:").unwrap_err().message;
        assert!(message.contains("about `a.mp3`, 2.00 s to 30.00 s, in `set` cannot be read"), "{message}");
    }
}
