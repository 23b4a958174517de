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

/// The schema with references that hold where it stands now; dialect and file are named at the root alone.
fn moved(schema: &Value) -> Value {
    let mut schema = schema.clone();
    if let Some(schema) = schema.as_object_mut() {
        schema.retain(|keyword, _| !["$schema", "$id"].contains(&keyword.as_str()));
    }
    follow(&mut schema);
    schema
}

/// References stand in schemas, and in no value that a schema lists.
fn follow(schema: &mut Value) {
    for (keyword, value) in schema.as_object_mut().into_iter().flatten() {
        match (keyword.as_str(), value) {
            ("$ref", Value::String(to)) if to.starts_with('#') => *to = format!("{ITEM}{}", &to[1..]),
            ("properties" | "$defs" | "definitions", Value::Object(named)) => named.values_mut().for_each(follow),
            ("anyOf" | "oneOf" | "allOf" | "prefixItems", Value::Array(branches)) => {
                branches.iter_mut().for_each(follow);
            }
            ("items" | "additionalProperties", schema) => follow(schema),
            _ => {}
        }
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
    let mut boxes = shared(records.len(), &answer.boxes, |one| &one.path, |one, path| PageBox { path, ..one.clone() });
    let mut grounds = answer.evidence.as_ref().map(|evidence| {
        shared(records.len(), &evidence.values, |one| &one.path, |one, path| Grounds { path, ..one.clone() })
    });
    records.iter().enumerate().map(move |(index, record)| Extraction {
        record: record.clone(),
        boxes: std::mem::take(&mut boxes[index]),
        evidence: grounds.as_mut().map(|grounds| evidence_of(shape, answer, std::mem::take(&mut grounds[index]))),
        checks: answer.checks[index * checks..][..checks].to_vec(),
        index: u32::try_from(index).ok(),
        ..rest.clone()
    })
}

/// What belongs to each of `count` records, with its path inside the record.
fn shared<T>(count: usize, all: &[T], path: fn(&T) -> &String, with_path: fn(&T, String) -> T) -> Vec<Vec<T>> {
    let mut shares: Vec<Vec<T>> = (0..count).map(|_| Vec::new()).collect();
    for one in all {
        let Some((index, inside)) = place(path(one)) else { continue };
        if let Some(share) = shares.get_mut(index) {
            share.push(with_path(one, inside.to_owned()));
        }
    }
    shares
}

/// The record that a pointer leads into, and what is left of the pointer there.
fn place(path: &str) -> Option<(usize, &str)> {
    let rest = path.strip_prefix('/')?.strip_prefix(RECORDS)?.strip_prefix('/')?;
    let (index, _) = rest.split_once('/')?;
    Some((index.parse().ok()?, &rest[index.len()..]))
}

fn evidence_of(shape: &Shape, answer: &Extraction, values: Vec<Grounds>) -> Evidence {
    let agreement = evidence::agreement(shape, &values);
    let addresses_model = answer.evidence.as_ref().and_then(|evidence| evidence.addresses_model);
    Evidence { values, agreement, addresses_model }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_move_with_the_schema_and_values_stay() {
        let values = json!([{"$ref": "#/x"}]);
        let schema = json!({"$schema": "s", "$id": "i", "properties": {
            "default": {"$ref": "#/$defs/a"}, "b": {"enum": values, "default": {"$ref": "#/x"}},
            "c": {"items": {"anyOf": [{"$ref": "#"}]}}}});
        let expected = json!({"properties": {
            "default": {"$ref": format!("{ITEM}/$defs/a")}, "b": {"enum": values, "default": {"$ref": "#/x"}},
            "c": {"items": {"anyOf": [{"$ref": ITEM}]}}}});
        assert_eq!(moved(&schema), expected);
    }

    #[test]
    fn a_schema_with_a_name_of_its_own_can_be_listed() {
        let schema = json!({"$id": "https://example.com/record.json", "type": "object",
            "properties": {"a": {"$ref": "#/$defs/m"}}, "$defs": {"m": {"type": "string", "maxLength": 5}}});
        let record = Shape::compile(&schema).unwrap();
        assert!(listing(&record, 3, Bounds::default()).is_ok());
    }
}
