//! `lapidary timeline`: what datasets hold of recordings and films, sound and frames, in the order of time.

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
};

use serde_json::Value;

use super::{
    captions::{Field, Numbered, Segment, require, shifted, tidied},
    recorded::{merged_part, part, record},
};
use crate::{
    base::{Fatal, Part, place::Place},
    write::{
        Moment, read,
        read::{Request, Table},
        save_timeline,
    },
};

/// What was written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Written {
    /// Rows of the timeline.
    pub moments: usize,
    /// Rows of the datasets that are about no span of time.
    pub others: usize,
}

/// What is heard of each file.
type Heard = HashMap<String, Vec<Segment>>;

/// What a dataset tells.
#[derive(Default)]
struct Told {
    moments: Vec<Moment>,
    heard: Heard,
    /// Rows that are about no span of time.
    others: usize,
}

impl Told {
    /// Adds what a row tells.
    fn add(&mut self, row: &Value, moments: Vec<Moment>) {
        self.others += usize::from(moments.is_empty());
        for moment in &moments {
            if let Some(text) = moment.text.clone() {
                let segment = Segment { start: moment.start, end: moment.end, text, record: Numbered::of(row) };
                self.heard.entry(moment.source.clone()).or_default().push(segment);
            }
        }
        self.moments.extend(moments);
    }
}

/// Writes the moments of all datasets to one Parquet file, by file and time; `field` holds what is said.
///
/// # Errors
/// When a dataset cannot be read, none of the rows is about a span of time, no dataset with sound has the field, or one has it
/// that is no text, or the file cannot be written.
pub fn write(datasets: &[PathBuf], field: &str, place: &Path) -> Result<Written, Fatal> {
    let place = Place::at(place)?;
    let fields: Vec<Field> = datasets.iter().map(|dataset| Field { dataset, name: field }).collect();
    let mut told = fields.iter().map(|field| all_told(*field)).collect::<Result<Vec<Told>, Fatal>>()?;
    if told.iter().all(|told| told.moments.is_empty()) {
        return Err(Fatal::new(
            "no row is about a span of sound or film",
            "name datasets made of recordings or films with `lapidary run`",
        ));
    }
    let with_sound = fields.iter().zip(&told).filter(|(_, told)| told.moments.iter().any(is_heard));
    require(&with_sound.map(|(field, _)| *field).collect::<Vec<_>>())?;
    join(&mut told);
    let others = told.iter().map(|told| told.others).sum();
    let moments = in_order(told);
    save_timeline(&moments, &place)?;
    Ok(Written { moments: moments.len(), others })
}

/// What the rows and failures of a dataset tell.
fn all_told(field: Field) -> Result<Told, Fatal> {
    let mut all = Told::default();
    each(field.dataset, Table::Extractions, &mut |row| told(row, field).map(|moments| all.add(row, moments)))?;
    each(field.dataset, Table::Failures, &mut |row| {
        all.add(row, lost(row));
        Ok(())
    })?;
    Ok(all)
}

/// True for sound that was answered.
fn is_heard(moment: &Moment) -> bool {
    moment.kind == "sound" && moment.record.is_some()
}

fn in_order(told: Vec<Told>) -> Vec<Moment> {
    let mut moments: Vec<Moment> = told.into_iter().flat_map(|told| told.moments).collect();
    moments.sort_by(|one, other| {
        let by_time = one.source.cmp(&other.source).then(one.start.total_cmp(&other.start));
        by_time.then(one.kind.cmp(other.kind))
    });
    moments
}

/// Calls `take` for each row of a table; a dataset may have no failures.
fn each(dataset: &Path, table: Table, take: &mut dyn FnMut(&Value) -> Result<(), Fatal>) -> Result<(), Fatal> {
    if table == Table::Failures && read::parts(dataset, table).is_err() {
        return Ok(());
    }
    let request = Request { table, columns: None, limit: usize::MAX };
    read::read(dataset, &request, &mut |batch| read::json(batch).try_for_each(|row| take(&row)))
}

/// The moments of a row: one, or one for each of the parts that it was merged of.
fn told(row: &Value, field: Field) -> Result<Vec<Moment>, Fatal> {
    match row["_parts"].as_array() {
        Some(parts) => parts.iter().filter_map(|part| of_part(row, part, field).transpose()).collect(),
        None => Ok(of_row(row, field)?.into_iter().collect()),
    }
}

fn of_row(row: &Value, field: Field) -> Result<Option<Moment>, Fatal> {
    let Some(moment) = moment(row, part(row), &row["_shift"]) else { return Ok(None) };
    let (finish, mean_logprob) = (word(&row["_finish"]), number(&row["_mean_logprob"]));
    telling(Moment { finish, mean_logprob, ..moment }, &record(row), field).map(Some)
}

fn of_part(row: &Value, part: &Value, field: Field) -> Result<Option<Moment>, Fatal> {
    let Some(moment) = moment(row, merged_part(part), &part["shift"]) else { return Ok(None) };
    let (finish, mean_logprob) = (word(&part["finish"]), number(&part["mean_logprob"]));
    telling(Moment { finish, mean_logprob, ..moment }, &field.record(row, part)?, field).map(Some)
}

/// The moment of a unit that did not come through.
fn lost(row: &Value) -> Vec<Moment> {
    let moment = moment(row, part(row), &Value::Null);
    moment.map(|one| Moment { failure: word(&row["kind"]), ..one }).into_iter().collect()
}

/// When it is, of a row or a part of one that is about a span of time.
fn moment(row: &Value, part: Part, shift: &Value) -> Option<Moment> {
    let (kind, start, end) = match part {
        Part::Time { start, end } => ("sound", shifted(start, shift), end),
        Part::Frames { start, end } => ("frames", start, end),
        _ => return None,
    };
    let source = row["_source"].as_str().unwrap_or_default().to_owned();
    Some(Moment { source, kind, start, end, ..Moment::default() })
}

/// The moment with its record, and of sound what is said.
fn telling(moment: Moment, record: &Value, field: Field) -> Result<Moment, Fatal> {
    let text = if moment.kind == "sound" { field.text(record)? } else { None };
    Ok(Moment { text, record: Some(record.to_string()), ..moment })
}

/// Gives the frames of all datasets what is said while they are shown, whichever of them has heard it.
fn join(told: &mut [Told]) {
    let heard = heard(told);
    for moment in told.iter_mut().flat_map(|told| &mut told.moments).filter(|moment| moment.kind == "frames") {
        let Some(pieces) = heard.get(&moment.source) else { continue };
        let first = pieces.partition_point(|piece| middle(piece) < moment.start);
        let shown = pieces[first..].iter().take_while(|piece| middle(piece) < moment.end);
        let texts: Vec<&str> = shown.map(|piece| piece.text.as_str()).collect();
        moment.said = Some(texts.join(" "));
    }
}

/// What is heard of each file, in the order of time. Each dataset is tidied by itself, since two may tell of the same sound: a
/// transcript and its translation.
fn heard(told: &mut [Told]) -> Heard {
    let mut heard = Heard::new();
    for (source, segments) in told.iter_mut().flat_map(|told| told.heard.drain()) {
        heard.entry(source).or_default().extend(tidied(segments));
    }
    heard.values_mut().for_each(|pieces| pieces.sort_by(|one, other| middle(one).total_cmp(&middle(other))));
    heard
}

fn middle(piece: &Segment) -> f64 {
    f64::midpoint(piece.start, piece.end)
}

fn word(value: &Value) -> Option<String> {
    value.as_str().map(str::to_owned)
}

fn number(value: &Value) -> Option<f32> {
    value.as_f64().map(|number| number as f32)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn moment(kind: &'static str, start: f64, end: f64, text: Option<&str>) -> Moment {
        let (source, text) = ("a.mp4".to_owned(), text.map(str::to_owned));
        Moment { source, kind, start, end, text, ..Moment::default() }
    }

    fn all(moments: Vec<Moment>) -> Told {
        let mut told = Told::default();
        told.add(&Value::Null, moments);
        told
    }

    #[test]
    fn frames_are_told_what_is_said_while_they_are_shown() {
        let seen = vec![moment("frames", 0.0, 10.0, None), moment("frames", 10.0, 20.0, None)];
        let heard = vec![moment("sound", 1.0, 9.0, Some("one two")), moment("sound", 8.0, 19.0, Some("two three"))];
        let mut told = [all([seen, heard].concat())];
        join(&mut told);
        let said = told[0].moments.iter().map(|moment| moment.said.as_deref());
        assert_eq!(said.collect::<Vec<_>>(), [Some("one two"), Some("three"), None, None]);
    }

    #[test]
    fn what_several_datasets_say_of_one_sound_is_told_beside_one_another() {
        let times = [(0.0, 10.0), (10.0, 20.0), (20.0, 30.0)];
        let seen = times.map(|(start, end)| moment("frames", start, end, None)).to_vec();
        let heard = |text| all(vec![moment("sound", 0.0, 30.0, Some(text))]);
        let mut told = [heard("One."), all(seen), heard("Eins."), heard("Un.")];
        join(&mut told);
        let said: Vec<_> = told[1].moments.iter().map(|moment| moment.said.as_deref().unwrap()).collect();
        assert_eq!(said, ["", "One. Eins. Un.", ""]);
    }

    #[test]
    fn of_a_dataset_that_is_half_revised_frames_are_told_once_what_is_said() {
        let mut told = all(vec![moment("frames", 10.0, 20.0, None)]);
        let row = |config: &str, record: Option<i64>, text: &str| {
            let row = json!({ "_unit": "u", "_config": config, "_record": record });
            (row, vec![moment("sound", 0.0, 30.0, Some(text))])
        };
        let lists = ["old", "new"].map(|config| [row(config, Some(0), "One two."), row(config, Some(1), "One two.")]);
        lists.into_iter().flatten().for_each(|(row, moments)| told.add(&row, moments));
        let mut plain = all(vec![moment("frames", 10.0, 20.0, None)]);
        ["old", "new"]
            .map(|config| row(config, None, "Yes."))
            .into_iter()
            .for_each(|(row, found)| plain.add(&row, found));
        for (told, said) in [(told, "One two. One two."), (plain, "Yes.")] {
            let mut told = [told];
            join(&mut told);
            assert_eq!(told[0].moments[0].said.as_deref(), Some(said));
        }
    }

    #[test]
    fn parts_that_were_answered_with_calls_are_told_as_others_are() {
        let part = |start: f64, raw: &str| json!({ "part": "time", "start": start, "end": start + 30.0, "raw": raw });
        let call = "<|tool_call>call:record{text:<|\"|>two<|\"|>}<tool_call|>";
        let row = json!({ "_source": "a.mp3", "_parts": [part(0.0, r#"{"text":"one"}"#), part(30.0, call)] });
        let field = Field { dataset: Path::new("set"), name: "text" };
        let found = told(&row, field).unwrap();
        let texts: Vec<_> = found.iter().map(|moment| moment.text.as_deref().unwrap()).collect();
        assert_eq!(texts, ["one", "two"]);
        assert_eq!(found[1].record.as_deref(), Some(r#"{"text":"two"}"#));
        let broken = json!({ "_source": "a.mp3", "_parts": [part(0.0, "so he said")] });
        let message = told(&broken, field).unwrap_err().message;
        assert!(message.contains("about `a.mp3`, 0.00 s to 30.00 s, in `set`"), "{message}");
    }
}
