//! The answer that lists many records: how it is asked for, and taken apart into one extraction for each.

use serde_json::{Value, json};

use super::evidence;
use crate::base::{Evidence, Extraction, Grounds, PageBox, RECORDS, Shape, shape::Bounds};

/// Where the schema of one record stands in that of all.
const ITEM: &str = "#/properties/records/items";

/// Compiles the shape of an answer that lists at most `most` records of this shape: an object with one list.
///
/// # Errors
/// One line per problem.
pub fn listing(record: &Shape, most: u32, bounds: Bounds) -> Result<Shape, Vec<String>> {
    let told = "All records, in the order in which they stand; empty where there is none";
    let list = json!({"description": told, "type": "array", "maxItems": most, "items": moved(record.schema())});
    let schema = json!({"type": "object", "additionalProperties": false, "required": [RECORDS], "properties": { RECORDS: list }});
    Shape::compile_within(&schema, bounds)
}

/// The schema with references that hold where it stands now; the dialect is named at the root alone.
fn moved(schema: &Value) -> Value {
    let mut schema = schema.clone();
    schema.as_object_mut().and_then(|schema| schema.shift_remove("$schema"));
    follow(&mut schema);
    schema
}

fn follow(schema: &mut Value) {
    match schema {
        Value::Object(fields) => fields.iter_mut().for_each(|(name, value)| match value {
            Value::String(to) if name == "$ref" && to.starts_with('#') => *to = format!("{ITEM}{}", &to[1..]),
            value => follow(value),
        }),
        Value::Array(items) => items.iter_mut().for_each(follow),
        _ => {}
    }
}

/// The records of an answer.
pub fn records(answer: &Value) -> &[Value] {
    answer[RECORDS].as_array().map_or(&[], Vec::as_slice)
}

/// One extraction for each record; what is said of the answer as a whole stands in each.
pub fn split<'a>(shape: &'a Shape, answer: &'a Extraction) -> impl Iterator<Item = Extraction> + 'a {
    let records = records(&answer.record);
    let checks = answer.checks.len() / records.len().max(1);
    let rest =
        Extraction { record: Value::Null, boxes: Vec::new(), evidence: None, checks: Vec::new(), ..answer.clone() };
    records.iter().enumerate().map(move |(index, record)| {
        let inside = format!("/{RECORDS}/{index}");
        Extraction {
            record: record.clone(),
            boxes: answer.boxes.iter().filter_map(|one| box_inside(one, &inside)).collect(),
            evidence: answer.evidence.as_ref().map(|evidence| evidence_inside(shape, evidence, &inside)),
            checks: answer.checks[index * checks..][..checks].to_vec(),
            index: u32::try_from(index).ok(),
            ..rest.clone()
        }
    })
}

fn box_inside(one: &PageBox, inside: &str) -> Option<PageBox> {
    Some(PageBox { path: below(&one.path, inside)?, ..one.clone() })
}

fn evidence_inside(shape: &Shape, evidence: &Evidence, inside: &str) -> Evidence {
    let own = |one: &Grounds| Some(Grounds { path: below(&one.path, inside)?, ..one.clone() });
    let values: Vec<Grounds> = evidence.values.iter().filter_map(own).collect();
    let agreement = evidence::agreement(shape, &values);
    Evidence { values, agreement, addresses_model: evidence.addresses_model }
}

/// What is left of a pointer below another.
fn below(path: &str, inside: &str) -> Option<String> {
    path.strip_prefix(inside).filter(|rest| rest.starts_with('/')).map(str::to_owned)
}
