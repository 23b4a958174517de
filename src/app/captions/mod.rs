//! `lapidary captions`: what a dataset holds of recordings as SubRip, WebVTT or plain text, a file for each recording.

mod cues;
mod field;
mod format;
mod lines;
mod numbered;
mod place;

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use serde_json::Value;

use super::recorded::{merged_part, part};
use crate::{
    base::{
        Fatal, Part,
        place::{Draft, Place},
    },
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
    /// Recordings whose file could not be written, in the same order.
    pub failed: Vec<Unwritten>,
    /// Rows that are not about a span of sound.
    pub others: u64,
}

/// A recording whose file could not be written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unwritten {
    /// The recording, by its name in the dataset.
    pub source: String,
    /// The file that it was to have, and why it could not be written.
    pub why: Fatal,
}

/// Writes a file for each recording of which the dataset has spans of sound. One that cannot be written costs itself
/// alone.
///
/// # Errors
/// When the dataset cannot be read or has no such field, or one that is no text, none of its rows is about sound, or no
/// file can be written.
pub fn write(request: &Request) -> Result<Written, Fatal> {
    let (recordings, others) = recordings(Field { dataset: &request.dataset, name: &request.field })?;
    if recordings.is_empty() {
        return Err(Fatal::new(
            format!("no row of `{}` is about a span of sound", request.dataset.display()),
            "captions are made of recordings and of the sound tracks of films",
        ));
    }
    let written = write_all(recordings, request.format, &request.out)?;
    Ok(Written { others, ..written })
}

/// Writes the files of these recordings into the folder `out`.
fn write_all(recordings: BTreeMap<String, Vec<Segment>>, format: Format, out: &Path) -> Result<Written, Fatal> {
    let names: Vec<&str> = recordings.keys().map(String::as_str).collect();
    let places = place::places(&names, format.ending());
    let mut written = Written::default();
    for ((source, segments), place) in recordings.into_iter().zip(places) {
        let path = out.join(place);
        let text = format.write(&tidied(segments));
        match Place::made_at(&path).and_then(|place| Draft::write(&place, text.as_bytes())) {
            Ok(()) => written.files.push(path),
            Err(why) => written.failed.push(Unwritten { source, why }),
        }
    }
    let lost = written.failed.first().filter(|_| written.files.is_empty()).map(|first| first.why.clone());
    lost.map_or(Ok(written), Err)
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
    use std::fs;

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

    /// Recordings of these names, of which each says one word.
    fn words(names: &[&str]) -> BTreeMap<String, Vec<Segment>> {
        let word = || vec![Segment { start: 0.0, end: 1.0, text: "Word.".to_owned(), record: None }];
        names.iter().map(|name| ((*name).to_owned(), word())).collect()
    }

    #[test]
    fn a_file_that_cannot_be_written_costs_itself_alone() {
        let out = tempfile::tempdir().unwrap();
        fs::create_dir(out.path().join("b.txt")).unwrap();
        fs::write(out.path().join("c"), "a file where a folder is wanted").unwrap();
        let written = write_all(words(&["a.mp3", "b.mp3", "c/d.mp3", "e/f.mp3"]), Format::Txt, out.path()).unwrap();
        assert_eq!(written.files, ["a.txt", "e/f.txt"].map(|name| out.path().join(name)));
        assert!(written.files.iter().all(|path| fs::read_to_string(path).unwrap() == "Word.\n"));
        let [first, second] = &written.failed[..] else { panic!("{:?}", written.failed) };
        assert_eq!((first.source.as_str(), second.source.as_str()), ("b.mp3", "c/d.mp3"));
        assert!(first.why.message.contains("b.txt` is a folder"), "{}", first.why);
        let names = |folder: &str| fs::read_dir(out.path().join(folder)).unwrap().count();
        assert_eq!((names(""), names("e")), (4, 1), "nothing is left aside");
    }

    #[test]
    fn where_no_file_can_be_written_there_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        let out = folder.path().join("out");
        fs::write(&out, "no folder").unwrap();
        let error = write_all(words(&["a.mp3", "b.mp3"]), Format::Srt, &out).unwrap_err();
        assert!(error.message.contains("a.srt` cannot be written: ") && !error.hint.is_empty(), "{error}");
    }

    #[test]
    fn long_names_of_recordings_that_are_no_text_have_files() {
        let out = tempfile::tempdir().unwrap();
        let names = ["ff", "fe"].map(|byte| format!("{}.wav", format!("\u{fffd}{byte}").repeat(60)));
        let written = write_all(words(&names.each_ref().map(String::as_str)), Format::Vtt, out.path()).unwrap();
        assert_eq!((written.files.len(), written.failed.len()), (2, 0), "{:?}", written.failed);
    }

    #[test]
    fn an_answer_that_cannot_be_read_is_named() {
        let message = said("<|tool_call>call:record{text:").unwrap_err().message;
        assert!(message.contains("about `a.mp3`, 2.00 s to 30.00 s, in `set` cannot be read"), "{message}");
    }
}
