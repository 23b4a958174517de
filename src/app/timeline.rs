//! `lapidary timeline`: what datasets hold of recordings and films, sound and frames, in the order of time.

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
};

use serde_json::Value;

use super::{
    captions::{Segment, shifted, tidied},
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
/// When a dataset cannot be read, none of the rows is about a span of time, or the file cannot be written.
pub fn write(datasets: &[PathBuf], field: &str, place: &Path) -> Result<Written, Fatal> {
    let (mut moments, mut others) = (Vec::new(), 0);
    for dataset in datasets {
        let mut take = |row: &Value, of: fn(&Value, &str) -> Vec<Moment>| {
            let found = of(row, field);
            others += usize::from(found.is_empty());
            moments.extend(found);
        };
        each(dataset, Table::Extractions, &mut |row| take(row, told))?;
        each(dataset, Table::Failures, &mut |row| take(row, lost))?;
    }
    if moments.is_empty() {
        return Err(Fatal::new(
            "no row is about a span of sound or film",
            "name datasets made of recordings or films with `lapidary run`",
        ));
    }
    moments.sort_by(|one, other| {
        let by_time = one.source.cmp(&other.source).then(one.start.total_cmp(&other.start));
        by_time.then(one.kind.cmp(other.kind))
    });
    join(&mut moments);
    let place = std::path::absolute(place).unwrap_or_else(|_| place.to_owned());
    save_timeline(&moments, &place)?;
    Ok(Written { moments: moments.len(), others })
}

/// Calls `take` for each row of a table; a dataset may have no failures.
fn each(dataset: &Path, table: Table, take: &mut dyn FnMut(&Value)) -> Result<(), Fatal> {
    if table == Table::Failures && read::parts(dataset, table).is_err() {
        return Ok(());
    }
    let request = Request { table, columns: None, limit: usize::MAX };
    read::read(dataset, &request, &mut |batch| {
        read::json(batch).for_each(|row| take(&row));
        Ok(())
    })
}

/// The moments of a row: one, or one for each of the parts that it was merged of.
fn told(row: &Value, field: &str) -> Vec<Moment> {
    let source = row["_source"].as_str().unwrap_or_default();
    let Some(parts) = row["_parts"].as_array() else {
        return moment(source, part(row), &row["_shift"], &record(row), field)
            .map(|one| Moment { finish: word(&row["_finish"]), mean_logprob: number(&row["_mean_logprob"]), ..one })
            .into_iter()
            .collect();
    };
    let of_part = |one: &Value| {
        let said = serde_json::from_str(one["raw"].as_str()?).unwrap_or_default();
        let moment = moment(source, merged_part(one), &one["shift"], &said, field)?;
        Some(Moment { finish: word(&one["finish"]), mean_logprob: number(&one["mean_logprob"]), ..moment })
    };
    parts.iter().filter_map(of_part).collect()
}

/// The moment of a unit that did not come through.
fn lost(row: &Value, field: &str) -> Vec<Moment> {
    let source = row["_source"].as_str().unwrap_or_default();
    let moment = moment(source, part(row), &Value::Null, &Value::Null, field);
    moment.map(|one| Moment { record: None, failure: word(&row["kind"]), ..one }).into_iter().collect()
}

fn moment(source: &str, part: Part, shift: &Value, record: &Value, field: &str) -> Option<Moment> {
    let (kind, start, end) = match part {
        Part::Time { start, end } => ("sound", shifted(start, shift), end),
        Part::Frames { start, end } => ("frames", start, end),
        _ => return None,
    };
    let text = record[field].as_str().filter(|_| kind == "sound").map(str::to_owned);
    Some(Moment {
        source: source.to_owned(),
        kind,
        start,
        end,
        text,
        record: Some(record.to_string()),
        ..Moment::default()
    })
}

/// Gives the frames what is said while they are shown.
fn join(moments: &mut [Moment]) {
    let mut heard: HashMap<String, Vec<Segment>> = HashMap::new();
    for moment in moments.iter() {
        if let Some(text) = &moment.text {
            let segment = Segment { start: moment.start, end: moment.end, text: text.clone() };
            heard.entry(moment.source.clone()).or_default().push(segment);
        }
    }
    let heard: HashMap<String, Vec<Segment>> =
        heard.into_iter().map(|(source, segments)| (source, tidied(segments))).collect();
    for moment in moments.iter_mut().filter(|moment| moment.kind == "frames") {
        let Some(pieces) = heard.get(&moment.source) else { continue };
        let first = pieces.partition_point(|piece| f64::midpoint(piece.start, piece.end) < moment.start);
        let shown = pieces[first..].iter().take_while(|piece| f64::midpoint(piece.start, piece.end) < moment.end);
        let texts: Vec<&str> = shown.map(|piece| piece.text.as_str()).collect();
        moment.said = Some(texts.join(" "));
    }
}

fn word(value: &Value) -> Option<String> {
    value.as_str().map(str::to_owned)
}

fn number(value: &Value) -> Option<f32> {
    value.as_f64().map(|number| number as f32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_are_told_what_is_said_while_they_are_shown() {
        let moment = |kind, start: f64, end: f64, text: Option<&str>| Moment {
            source: "a.mp4".to_owned(),
            kind,
            start,
            end,
            text: text.map(str::to_owned),
            ..Moment::default()
        };
        let mut moments = [
            moment("frames", 0.0, 10.0, None),
            moment("frames", 10.0, 20.0, None),
            moment("sound", 1.0, 9.0, Some("one two")),
            moment("sound", 8.0, 19.0, Some("two three")),
        ];
        join(&mut moments);
        assert_eq!(moments[0].said.as_deref(), Some("one two"));
        assert_eq!(moments[1].said.as_deref(), Some("three"));
        assert_eq!(moments[2].said, None);
    }
}
