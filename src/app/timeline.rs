//! `lapidary timeline`: what datasets hold of recordings and films, sound and frames, in the order of time.

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
};

use serde_json::Value;

use super::{
    captions::{Field, Segment, require, shifted, tidied},
    recorded::{merged_part, part, record},
};
use crate::{
    base::{Fatal, Part},
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

/// Writes the moments of all datasets to one Parquet file, by file and time; `field` holds what is said.
///
/// # Errors
/// When a dataset cannot be read, none of the rows is about a span of time, no dataset with sound has the field, or one has it
/// that is no text, or the file cannot be written.
pub fn write(datasets: &[PathBuf], field: &str, place: &Path) -> Result<Written, Fatal> {
    let fields: Vec<Field> = datasets.iter().map(|dataset| Field { dataset, name: field }).collect();
    let told = fields.iter().map(|field| moments(*field)).collect::<Result<Vec<_>, Fatal>>()?;
    let (mut told, others): (Vec<Vec<Moment>>, Vec<usize>) = told.into_iter().unzip();
    if told.iter().all(Vec::is_empty) {
        return Err(Fatal::new(
            "no row is about a span of sound or film",
            "name datasets made of recordings or films with `lapidary run`",
        ));
    }
    let with_sound = fields.iter().zip(&told).filter(|(_, moments)| moments.iter().any(is_heard));
    require(&with_sound.map(|(field, _)| *field).collect::<Vec<_>>())?;
    join(&mut told);
    let moments = in_order(told);
    let place = std::path::absolute(place).unwrap_or_else(|_| place.to_owned());
    save_timeline(&moments, &place)?;
    Ok(Written { moments: moments.len(), others: others.iter().sum() })
}

/// What a dataset tells, and how many of its rows are about no span of time.
fn moments(field: Field) -> Result<(Vec<Moment>, usize), Fatal> {
    let (mut moments, mut others) = (Vec::new(), 0);
    let mut take = |found: Vec<Moment>| -> Result<(), Fatal> {
        others += usize::from(found.is_empty());
        moments.extend(found);
        Ok(())
    };
    each(field.dataset, Table::Extractions, &mut |row| take(told(row, field)?))?;
    each(field.dataset, Table::Failures, &mut |row| take(lost(row)))?;
    Ok((moments, others))
}

/// True for sound that was answered.
fn is_heard(moment: &Moment) -> bool {
    moment.kind == "sound" && moment.record.is_some()
}

fn in_order(told: Vec<Vec<Moment>>) -> Vec<Moment> {
    let mut moments: Vec<Moment> = told.into_iter().flatten().collect();
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
fn join(told: &mut [Vec<Moment>]) {
    let heard = heard(told);
    for moment in told.iter_mut().flatten().filter(|moment| moment.kind == "frames") {
        let Some(pieces) = heard.get(&moment.source) else { continue };
        let first = pieces.partition_point(|piece| middle(piece) < moment.start);
        let shown = pieces[first..].iter().take_while(|piece| middle(piece) < moment.end);
        let texts: Vec<&str> = shown.map(|piece| piece.text.as_str()).collect();
        moment.said = Some(texts.join(" "));
    }
}

/// What is heard of each file, in the order of time. Each dataset is tidied by itself, since two may tell of the same sound: a
/// transcript and its translation.
fn heard(told: &[Vec<Moment>]) -> HashMap<String, Vec<Segment>> {
    let mut heard: HashMap<String, Vec<Segment>> = HashMap::new();
    for (source, segments) in told.iter().flat_map(|moments| by_source(moments)) {
        heard.entry(source).or_default().extend(tidied(segments));
    }
    heard.values_mut().for_each(|pieces| pieces.sort_by(|one, other| middle(one).total_cmp(&middle(other))));
    heard
}

fn by_source(moments: &[Moment]) -> HashMap<String, Vec<Segment>> {
    let mut heard: HashMap<String, Vec<Segment>> = HashMap::new();
    for moment in moments {
        if let Some(text) = &moment.text {
            let segment = Segment { start: moment.start, end: moment.end, text: text.clone() };
            heard.entry(moment.source.clone()).or_default().push(segment);
        }
    }
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

    #[test]
    fn frames_are_told_what_is_said_while_they_are_shown() {
        let seen = vec![moment("frames", 0.0, 10.0, None), moment("frames", 10.0, 20.0, None)];
        let heard = vec![moment("sound", 1.0, 9.0, Some("one two")), moment("sound", 8.0, 19.0, Some("two three"))];
        let mut told = [[seen, heard].concat()];
        join(&mut told);
        let said = told[0].iter().map(|moment| moment.said.as_deref());
        assert_eq!(said.collect::<Vec<_>>(), [Some("one two"), Some("three"), None, None]);
    }

    #[test]
    fn what_several_datasets_say_of_one_sound_is_told_beside_one_another() {
        let times = [(0.0, 10.0), (10.0, 20.0), (20.0, 30.0)];
        let seen = times.map(|(start, end)| moment("frames", start, end, None)).to_vec();
        let heard = |text| vec![moment("sound", 0.0, 30.0, Some(text))];
        let mut told = [heard("One."), seen, heard("Eins."), heard("Un.")];
        join(&mut told);
        let said: Vec<_> = told[1].iter().map(|moment| moment.said.as_deref().unwrap()).collect();
        assert_eq!(said, ["", "One. Eins. Un.", ""]);
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
