//! `[reduce]`: what is said of the parts of a document is read by the model once more, and becomes one record. What does not fit
//! one prompt is read in groups, and then what is said of those.

use std::ops::Range;

use serde::Deserialize;

use crate::base::{Extraction, Part};

/// What a pipeline may say about it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// The task, behind the answers about the parts.
    pub prompt: String,
    /// Most characters of answers that are read together.
    #[serde(default = "usual_length")]
    pub longest: usize,
}

/// Some 4,000 tokens of English.
fn usual_length() -> usize {
    16_000
}

impl Settings {
    /// What is wrong with it.
    pub fn validate(&self) -> Vec<String> {
        let mut problems = Vec::new();
        if self.prompt.trim().is_empty() {
            problems.push("reduce.prompt: it is empty; say what is to be made of the answers".to_owned());
        }
        if !(200..=10_000_000).contains(&self.longest) {
            problems.push("reduce.longest: must be from 200 to 10000000 characters".to_owned());
        }
        problems
    }
}

/// What was said of a part, or of several in a row.
#[derive(Debug, Clone, PartialEq)]
pub struct Note {
    /// Of which.
    pub part: Part,
    text: String,
}

impl Note {
    /// Of the answer about a part.
    pub fn of(part: Part, answer: &Extraction) -> Self {
        Self { part, text: format!("{part}: {}", answer.record) }
    }

    fn length(&self) -> usize {
        self.text.chars().count()
    }
}

/// Notes that are read together.
#[derive(Debug, PartialEq)]
pub struct Group {
    /// All that they are about.
    pub part: Part,
    /// How many they are.
    pub count: usize,
    /// What the model reads.
    pub text: String,
}

/// Notes in the order of the document, parted in those that are read together and those that wait for the next round because
/// nothing beside them fits. Of two or more notes at least two are read together, however long they are, so that each round has
/// fewer.
pub fn grouped(notes: Vec<Note>, longest: usize) -> (Vec<Group>, Vec<Note>) {
    let (mut groups, mut alone) = (Vec::new(), Vec::new());
    for range in ranges(&notes.iter().map(Note::length).collect::<Vec<_>>(), longest) {
        match &notes[range] {
            [one] => alone.push(one.clone()),
            several => groups.push(group(several)),
        }
    }
    (groups, alone)
}

fn group(notes: &[Note]) -> Group {
    let part = notes[1..].iter().fold(notes[0].part, |part, note| part.and(&note.part));
    let texts: Vec<&str> = notes.iter().map(|note| note.text.as_str()).collect();
    Group { part, count: notes.len(), text: texts.join("\n\n") }
}

fn ranges(lengths: &[usize], longest: usize) -> Vec<Range<usize>> {
    let (mut ranges, mut start, mut sum) = (Vec::new(), 0, 0);
    for (place, length) in lengths.iter().enumerate() {
        let forced = ranges.is_empty() && place == 1;
        if place > start && sum + length > longest && !forced {
            ranges.push(start..place);
            (start, sum) = (place, 0);
        }
        sum += length;
    }
    ranges.push(start..lengths.len());
    ranges
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_fits_is_read_together_and_each_round_has_fewer() {
        assert_eq!(ranges(&[10, 10, 10, 10, 10], 30), [0..3, 3..5]);
        assert_eq!(ranges(&[10, 10], 100), vec![0..2; 1]);
        assert_eq!(ranges(&[90, 90, 90], 100), [0..2, 2..3], "two are read together though they are too long");
        assert_eq!(ranges(&[10, 10, 90, 10], 100), [0..2, 2..4]);
    }

    #[test]
    fn a_group_covers_what_its_notes_are_about() {
        let said = |text: &str| Extraction { record: serde_json::json!({ "a": text }), ..Extraction::default() };
        let note = |start: f64, text: &str| Note::of(Part::Time { start, end: start + 10.0 }, &said(text));
        let (groups, alone) = grouped(vec![note(0.0, "one"), note(12.0, "two"), note(30.0, &"x".repeat(300))], 200);
        let text = "0.00 s to 10.00 s: {\"a\":\"one\"}\n\n12.00 s to 22.00 s: {\"a\":\"two\"}".to_owned();
        assert_eq!(groups, [Group { part: Part::Time { start: 0.0, end: 22.0 }, count: 2, text }]);
        assert_eq!(alone.len(), 1);
    }
}
