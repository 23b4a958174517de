//! Counting what is right: by field, by record, and by how sure the model was.

use std::collections::HashMap;

use serde_json::Value;

use super::leaves::{Leaf, Wanted};

/// Lower bounds of the buckets of confidence.
const BUCKETS: [f32; 7] = [0.0, 0.5, 0.8, 0.9, 0.95, 0.99, 0.999];

/// How much of a dataset is right.
#[derive(Debug, Clone, Default)]
pub struct Score {
    /// Known records.
    pub records: u64,
    /// Those of which every value is right.
    pub whole: u64,
    /// Those without a row.
    pub missing: u64,
    /// Rows of which nothing is known.
    pub unasked: u64,
    /// By field, in the order in which they first appear.
    pub fields: Vec<FieldScore>,
    /// By the least likely token of a value, where the dataset has `_evidence`.
    pub buckets: Vec<Bucket>,
    /// Every value that is not right.
    pub differences: Vec<Difference>,
}

/// A value that is not what it ought to be.
#[derive(Debug, Clone, PartialEq)]
pub struct Difference {
    /// Which file, as the known record names it.
    pub file: String,
    /// JSON Pointer of the value.
    pub path: String,
    /// What ought to be there; of a list, its length.
    pub wanted: Value,
    /// What is there; of a list, its length. `None` where there is no row.
    pub held: Option<Value>,
}

/// Values of one field.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct FieldScore {
    /// JSON Pointer with `*` for every place in a list; of a list itself, its length is compared.
    pub field: String,
    /// Known values.
    pub values: u64,
    /// Those that a row holds.
    pub right: u64,
    /// Wrong characters of its texts, and all of them.
    pub edits: (u64, u64),
}

/// Values whose confidence lies in one range.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Bucket {
    /// Lower bound.
    pub from: f32,
    /// Values.
    pub values: u64,
    /// Those that are right.
    pub right: u64,
}

impl Score {
    /// Counts a known record with the row that ought to hold it, or without.
    pub(super) fn add(&mut self, file: &str, leaves: &[Leaf], row: Option<&Value>) {
        let mut whole = row.is_some();
        let confidences = row.map(confidences).unwrap_or_default();
        for leaf in leaves {
            let held = row.and_then(|row| row.pointer(&leaf.path));
            let right = row.is_some() && leaf.wanted.is(held);
            whole &= right;
            if !right {
                self.differences.push(difference(file, leaf, row.map(|_| held)));
            }
            self.field(&leaf.field).add(&leaf.wanted, held, right);
            if let (Wanted::Value(_), Some(Some(confidence))) = (&leaf.wanted, confidences.get(leaf.path.as_str())) {
                self.bucket(*confidence as f32, right);
            }
        }
        self.records += 1;
        self.whole += u64::from(whole);
    }

    /// Values of all fields: known ones, and right ones.
    pub fn values(&self) -> (u64, u64) {
        self.fields.iter().fold((0, 0), |(values, right), field| (values + field.values, right + field.right))
    }

    fn field(&mut self, name: &str) -> &mut FieldScore {
        let place = self.fields.iter().position(|field| field.field == name).unwrap_or_else(|| {
            self.fields.push(FieldScore { field: name.to_owned(), ..FieldScore::default() });
            self.fields.len() - 1
        });
        &mut self.fields[place]
    }

    fn bucket(&mut self, confidence: f32, right: bool) {
        if self.buckets.is_empty() {
            self.buckets = BUCKETS.map(|from| Bucket { from, ..Bucket::default() }).to_vec();
        }
        if let Some(bucket) = self.buckets.iter_mut().rev().find(|bucket| confidence >= bucket.from) {
            bucket.values += 1;
            bucket.right += u64::from(right);
        }
    }
}

impl FieldScore {
    fn add(&mut self, wanted: &Wanted, held: Option<&Value>, right: bool) {
        self.values += 1;
        self.right += u64::from(right);
        if let Some((wrong, all)) = wanted.edits(held) {
            self.edits = (self.edits.0 + wrong, self.edits.1 + all);
        }
    }

    /// The share of values that are right.
    pub fn share(&self) -> f64 {
        self.right as f64 / self.values.max(1) as f64
    }

    /// Wrong characters over all characters; `None` where there are no texts.
    pub fn character_error_rate(&self) -> Option<f64> {
        (self.edits.1 > 0).then(|| self.edits.0 as f64 / self.edits.1 as f64)
    }
}

fn difference(file: &str, leaf: &Leaf, held: Option<Option<&Value>>) -> Difference {
    let length = |value: &Value| value.as_array().map_or(value.clone(), |items| items.len().into());
    let wanted = match &leaf.wanted {
        Wanted::Items(count) => (*count).into(),
        Wanted::Value(value) => value.clone(),
    };
    let held = held.map(|held| held.map_or(Value::Null, length));
    Difference { file: file.to_owned(), path: leaf.path.clone(), wanted, held }
}

/// How likely the least likely token of each value was, by its place; the first of a place counts.
fn confidences(row: &Value) -> HashMap<&str, Option<f64>> {
    let all = row.get("_evidence").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    all.iter()
        .rev()
        .filter_map(|grounds| Some((grounds["path"].as_str()?, grounds["confidence_min"].as_f64())))
        .collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::app::score::leaves::leaves;

    fn scored(record: &Value, row: Option<&Value>) -> Score {
        let mut score = Score::default();
        score.add("a.pdf", &leaves(record.as_object().unwrap()), row);
        score
    }

    #[test]
    fn values_are_counted_by_field() {
        let record = json!({ "shop": "Agate", "items": [{ "price": 1 }, { "price": 2 }] });
        let row = json!({ "shop": "Agata", "items": [{ "price": 1 }] });
        let score = scored(&record, Some(&row));
        let told: Vec<(&str, u64, u64)> =
            score.fields.iter().map(|field| (field.field.as_str(), field.values, field.right)).collect();
        assert_eq!(told, [("/shop", 1, 0), ("/items", 1, 0), ("/items/*/price", 2, 1)]);
        assert_eq!(score.fields[0].character_error_rate(), Some(0.2));
        assert_eq!((score.records, score.whole), (1, 0));
        let told: Vec<(&str, Value, Option<Value>)> =
            score.differences.iter().map(|one| (one.path.as_str(), one.wanted.clone(), one.held.clone())).collect();
        let expected = [
            ("/shop", json!("Agate"), Some(json!("Agata"))),
            ("/items", json!(2), Some(json!(1))),
            ("/items/1/price", json!(2), Some(Value::Null)),
        ];
        assert_eq!(told, expected);
        assert_eq!(scored(&record, Some(&record)).whole, 1);
    }

    #[test]
    fn what_has_no_row_is_wrong_even_where_nothing_was_wanted() {
        let score = scored(&json!({ "due": null, "shop": "abc" }), None);
        assert_eq!((score.whole, score.values()), (0, (2, 0)));
        assert_eq!(score.fields[1].edits, (3, 3));
        assert!(score.differences.iter().all(|one| one.held.is_none() && one.file == "a.pdf"));
    }

    #[test]
    fn confidence_is_counted_where_it_is_known() {
        let row = json!({
            "shop": "Agate", "total": 3,
            "_evidence": [{ "path": "/shop", "confidence_min": 0.97 }, { "path": "/total", "confidence_min": null }],
        });
        let score = scored(&json!({ "shop": "Agate", "total": 4 }), Some(&row));
        let filled: Vec<Bucket> = score.buckets.into_iter().filter(|bucket| bucket.values > 0).collect();
        assert_eq!(filled, [Bucket { from: 0.95, values: 1, right: 1 }]);
    }
}
