use std::{collections::BTreeMap, sync::Arc};

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::{
    base::{ContentHash, Kind, Lease, Origin, Source},
    parse::silence::is_silent,
};

fn shape(properties: &Value) -> Arc<Shape> {
    Arc::new(Shape::compile(&json!({ "type": "object", "properties": properties })).unwrap())
}

fn invoice() -> Arc<Shape> {
    let text = json!({ "type": ["string", "null"] });
    let line = json!({ "type": "object", "properties": { "sku": text, "amount": { "type": ["integer", "null"] } } });
    shape(&json!({
        "vendor": text,
        "note": text,
        "total": { "type": ["integer", "null"] },
        "address": { "type": "object", "properties": { "city": text, "street": text } },
        "lines": { "type": "array", "items": line },
        "tags": { "type": "array", "items": { "type": "string" } },
        "counts": { "type": "object", "additionalProperties": { "type": "integer" } }
    }))
}

fn unit(number: u32, record: Value) -> Item<Extraction> {
    let (hash, path) = (ContentHash([0; 32]), "a.pdf".into());
    let source = Source { name: "a.pdf".to_owned(), path, hash, kind: Kind::Pdf, bytes: 1, ordinal: 0, modified: None };
    let origin = Origin { source: Arc::new(source), part: page(number) };
    let raw = record.to_string();
    Item { origin, attempt: 0, lease: Lease::none(), body: Extraction { record, raw, ..Extraction::default() } }
}

fn page(number: u32) -> Part {
    Part::Page { number, of: 9 }
}

fn merged(rules: &Value, records: &[Value]) -> Extraction {
    let rules: BTreeMap<String, Value> = serde_json::from_value(rules.clone()).unwrap();
    let units: Vec<Item<Extraction>> = (1..).zip(records).map(|(number, one)| unit(number, one.clone())).collect();
    Merging::new(&rules, invoice()).unwrap().merge(&units, Vec::new())
}

fn conflicts(extraction: &Extraction) -> Vec<(&str, &str, Part)> {
    let all = &extraction.merged.as_ref().unwrap().conflicts;
    all.iter().map(|one| (one.path.as_str(), one.value.as_str(), one.part)).collect()
}

#[test]
fn the_first_that_says_anything_counts_and_what_contradicts_it_is_kept_aside() {
    let made = merged(
        &json!({}),
        &[
            json!({ "vendor": null, "total": null, "address": { "city": " " } }),
            json!({ "vendor": "Miller", "total": 5, "address": { "city": "Ulm", "street": null } }),
            json!({ "vendor": "Mueller", "total": 5.0, "address": { "city": "Ulm", "street": "Main St" } }),
        ],
    );
    assert_eq!(made.record["vendor"], "Miller");
    assert_eq!(made.record["total"], 5);
    assert_eq!(made.record["address"], json!({ "city": "Ulm", "street": "Main St" }));
    assert_eq!(conflicts(&made), [("/vendor", "\"Mueller\"", page(3))]);
}

#[test]
fn transcripts_of_clips_that_overlap_are_stitched() {
    let clip = |start: f64, end: f64, said: &str| {
        let mut clip = unit(1, json!({ "note": said }));
        clip.origin.part = Part::Time { start, end };
        clip
    };
    let clips = [clip(0.0, 30.0, "one two three"), clip(29.0, 50.0, "two three four"), clip(50.0, 60.0, "four five")];
    let rules: BTreeMap<String, Value> = serde_json::from_value(json!({ "note": "stitch" })).unwrap();
    let record = Merging::new(&rules, invoice()).unwrap().merge(&clips, Vec::new()).record;
    assert_eq!(record["note"], "one two three four four five", "the third shares nothing with the second");
    let mut shifted = clip(50.0, 60.0, "three four five");
    shifted.body.shift = 2.0;
    let clips = [clip(29.0, 50.0, "two three four"), shifted];
    let record = Merging::new(&rules, invoice()).unwrap().merge(&clips, Vec::new()).record;
    assert_eq!(record["note"], "two three four five", "a try that began earlier says again what the one before says");
    assert!(Merging::new(&serde_json::from_value(json!({ "tags": "stitch" })).unwrap(), invoice()).is_err());
}

/// An engine that reads the time off the sound: every 0.4 s a word is said that tells its place.
#[test]
fn no_word_of_two_hours_is_lost_or_said_twice_whatever_the_overlap() {
    const WORDS: usize = 18_000;
    const SECONDS: f64 = 0.4;
    // What is said between two times; words that the borders cut are garbled.
    let heard = |start: f64, end: f64| -> String {
        let inside = |word: usize| (word as f64 * SECONDS, (word + 1) as f64 * SECONDS);
        let near = (start / SECONDS) as usize..((end / SECONDS) as usize + 1).min(WORDS);
        let words = near.filter(|word| inside(*word).1 > start && inside(*word).0 < end);
        let spoken = words.map(|word| match inside(word) {
            (from, to) if from < start || to > end => format!("x{}", word % 7),
            _ => format!("word{word}"),
        });
        spoken.collect::<Vec<_>>().join(" ")
    };
    let rules: BTreeMap<String, Value> = serde_json::from_value(json!({ "note": "stitch" })).unwrap();
    let whole: Vec<String> = (0..WORDS).map(|word| format!("word{word}")).collect();
    for overlap in (13..=50).map(|tenths| f64::from(tenths) / 10.0) {
        let mut clips = Vec::new();
        let (mut start, end_of_all) = (0.0, WORDS as f64 * SECONDS);
        while start < end_of_all {
            let end = f64::min(start + 29.9, end_of_all);
            let mut clip = unit(1, json!({ "note": heard(start, end) }));
            clip.origin.part = Part::Time { start, end };
            clips.push(clip);
            start = if end < end_of_all { end - overlap } else { end_of_all };
        }
        let record = Merging::new(&rules, invoice()).unwrap().merge(&clips, Vec::new()).record;
        let said: Vec<&str> = record["note"].as_str().unwrap().split(' ').collect();
        assert_eq!(said, whole, "overlap {overlap}");
    }
}

#[test]
fn every_rule_does_what_its_name_says() {
    let records = [
        json!({ "vendor": "A", "note": "one", "total": 1, "tags": ["x", "y"], "lines": [{ "sku": "1", "amount": null }] }),
        json!({ "vendor": "Bcd", "note": "two", "total": 2, "tags": ["y"], "lines": [{ "sku": "1", "amount": 7 }, { "sku": null, "amount": 8 }] }),
        json!({ "vendor": "Ef", "note": "", "total": null, "tags": [], "lines": [] }),
    ];
    let rules =
        json!({ "vendor": "longest", "note": "concat", "total": "last", "tags": "union", "lines": { "union": "sku" } });
    let made = merged(&rules, &records);
    assert_eq!(made.record["vendor"], "Bcd");
    assert_eq!(made.record["note"], "one\ntwo");
    assert_eq!(made.record["total"], 2);
    assert_eq!(made.record["tags"], json!(["x", "y"]));
    assert_eq!(made.record["lines"], json!([{ "sku": "1", "amount": 7 }, { "sku": null, "amount": 8 }]));
    let made = merged(&json!({}), &records);
    assert_eq!(made.record["tags"], json!(["x", "y", "y"]), "lists stand behind one another");
    assert_eq!(made.record["lines"].as_array().unwrap().len(), 3);
}

#[test]
fn a_list_of_fixed_length_is_taken_as_a_whole() {
    let corners = json!({ "type": "array", "items": { "type": "integer" }, "minItems": 4, "maxItems": 4 });
    let degrees = json!({ "type": ["number", "null"] });
    let place = json!({ "type": "array", "items": degrees, "minItems": 2, "maxItems": 2 });
    let text = json!({ "type": "string" });
    let codes = json!({ "type": "array", "items": text, "minItems": 2, "maxItems": 2, "uniqueItems": true });
    let shape = shape(&json!({ "box_2d": corners, "place": place, "codes": codes }));
    let units = [
        unit(1, json!({ "box_2d": [1, 2, 3, 4], "place": [null, null], "codes": ["a", "b"] })),
        unit(2, json!({ "box_2d": [5, 6, 7, 8], "place": [48.4, 9.9], "codes": ["b", "c"] })),
    ];
    let made = Merging::new(&BTreeMap::new(), shape.clone()).unwrap().merge(&units, Vec::new());
    assert_eq!(made.record, json!({ "box_2d": [1, 2, 3, 4], "place": [48.4, 9.9], "codes": ["a", "b"] }));
    assert_eq!(
        conflicts(&made),
        [("/box_2d", "[5,6,7,8]", page(2)), ("/codes", "[\"b\",\"c\"]", page(2))],
        "nulls alone contradict nothing"
    );
    assert!(shape.settle(made.record).is_ok());
    for rule in ["concat", "union"] {
        let rules = BTreeMap::from([("box_2d".to_owned(), Value::from(rule))]);
        let problems = Merging::new(&rules, shape.clone()).unwrap_err().join("\n");
        assert!(problems.contains("its length is fixed"), "{rule}: {problems}");
    }
}

#[test]
fn maps_are_merged_name_by_name() {
    let made = merged(&json!({}), &[json!({ "counts": { "a": 1 } }), json!({ "counts": { "b": 2, "a": 3 } })]);
    assert_eq!(made.record["counts"], json!({ "a": 1, "b": 2 }));
    assert_eq!(conflicts(&made), [("/counts/a", "3", page(2))]);
}

#[test]
fn boxes_follow_their_values() {
    let boxed = |number, path: &str| {
        let mut unit = unit(number, json!({ "lines": [{ "sku": "1", "amount": 1 }], "vendor": "A" }));
        unit.body.boxes = vec![PageBox { path: path.to_owned(), part: page(number), bounds: [0.0; 4] }];
        unit
    };
    let units = [boxed(1, "/lines/0/sku"), boxed(2, "/lines/0/sku"), boxed(3, "/vendor")];
    let made = Merging::new(&BTreeMap::new(), invoice()).unwrap().merge(&units, vec![page(4)]);
    let places: Vec<_> = made.boxes.iter().map(|one| (one.path.as_str(), one.part)).collect();
    assert_eq!(places, [("/lines/0/sku", page(1)), ("/lines/1/sku", page(2)), ("/vendor", page(3))]);
    let merged = made.merged.unwrap();
    assert_eq!((merged.parts.len(), merged.failed), (3, vec![page(4)]));
}

#[test]
fn rules_that_cannot_be_followed_are_refused() {
    let refused = |rules: Value| {
        let rules: BTreeMap<String, Value> = serde_json::from_value(rules).unwrap();
        Merging::new(&rules, invoice()).unwrap_err().join("\n")
    };
    assert!(refused(json!({ "nobody": "first" })).contains("`nobody`: the schema has no such field"));
    assert!(refused(json!({ "vendor": "most" })).contains("is no rule"));
    assert!(refused(json!({ "total": "longest" })).contains("for texts and lists"));
    assert!(refused(json!({ "vendor": "union" })).contains("for lists"));
    assert!(refused(json!({ "lines": { "union": "nothing" } })).contains("no field `nothing`"));
    assert!(refused(json!({ "tags": { "union": "sku" } })).contains("lists of objects"));
    assert!(refused(json!({ "address": "first", "/address/city": "last" })).contains("no effect"));
}

fn records() -> impl Strategy<Value = Vec<Value>> {
    let text = || prop_oneof![Just(Value::Null), "[a-c]{0,2}".prop_map(Value::from)];
    let number = || prop_oneof![Just(Value::Null), (0..4).prop_map(Value::from)];
    let line = (text(), number()).prop_map(|(sku, amount)| json!({ "sku": sku, "amount": amount }));
    let record = (
        text(),
        text(),
        number(),
        (text(), text()),
        prop::collection::vec(line, 0..4),
        prop::collection::vec("[a-c]{1,2}", 0..4),
        prop::collection::btree_map("[a-c]", 0..4, 0..3),
    );
    let record = record.prop_map(|(vendor, note, total, (city, street), lines, tags, counts)| {
        json!({
            "vendor": vendor, "note": note, "total": total, "address": { "city": city, "street": street },
            "lines": lines, "tags": tags, "counts": counts
        })
    });
    prop::collection::vec(record, 1..6)
}

fn rules() -> impl Strategy<Value = Value> {
    let one = |choices: &'static [&'static str]| prop::sample::select(choices).prop_map(Value::from);
    let lines = prop_oneof![one(&["concat", "union", "first", "longest"]), Just(json!({ "union": "sku" }))];
    let (texts, lists) = (&["first", "last", "longest", "concat"], &["concat", "union", "last"]);
    let tuple = (one(texts), one(texts), one(&["first", "last"]), lines, one(lists));
    tuple.prop_map(|(vendor, note, total, lines, tags)| {
        json!({ "vendor": vendor, "note": note, "total": total, "lines": lines, "tags": tags })
    })
}

/// All values inside that are no object, no list and not silent.
fn leaves(value: &Value, found: &mut Vec<String>) {
    match value {
        Value::Object(fields) => fields.values().for_each(|value| leaves(value, found)),
        Value::Array(items) => items.iter().for_each(|value| leaves(value, found)),
        Value::String(text) => found.extend(text.lines().filter(|line| !line.trim().is_empty()).map(str::to_owned)),
        other if is_silent(other) => {}
        other => found.push(other.to_string()),
    }
}

proptest! {
    #[test]
    fn nothing_that_was_said_is_lost(rules in rules(), records in records()) {
        let made = merged(&rules, &records);
        let (mut said, mut kept) = (Vec::new(), Vec::new());
        records.iter().for_each(|record| leaves(record, &mut said));
        leaves(&made.record, &mut kept);
        for one in &made.merged.unwrap().conflicts {
            leaves(&serde_json::from_str(&one.value).unwrap(), &mut kept);
        }
        for one in said {
            prop_assert!(kept.contains(&one), "{one} of {records:?} is neither in {} nor a conflict", made.record);
        }
        prop_assert!(invoice().settle(made.record).is_ok());
    }
}
