//! Schemas of many shapes: each place of `catalogue.json` in several surroundings, and some larger ones.

use jsonschema::Validator;
use serde_json::{Map, Value, json};

/// A schema and what it is called.
pub type Named = (String, Value);

/// One schema for each place and surrounding, and those that are more than one place.
pub fn schemas() -> Vec<Named> {
    let places = places();
    let alone = places.iter().map(|(name, place)| (name.clone(), record(place, true)));
    let surrounded = places.iter().zip([optional, listed, nested, nullable].iter().cycle());
    let surrounded = surrounded.map(|((name, place), within)| within(name, place));
    alone.chain(surrounded).chain(larger()).collect()
}

/// The schema as its author wrote it, formats included.
pub fn validator(schema: &Value) -> Validator {
    jsonschema::draft202012::options().should_validate_formats(true).build(schema).expect("the schema is valid")
}

/// True when a record fits a schema as it is, or without the nulls that stand for what is absent.
pub fn fits(validator: &Validator, record: &Value) -> bool {
    validator.is_valid(record) || validator.is_valid(&without_nulls(record))
}

fn without_nulls(value: &Value) -> Value {
    match value {
        Value::Object(all) => {
            let there = all.iter().filter(|(_, value)| !value.is_null());
            there.map(|(name, value)| (name.clone(), without_nulls(value))).collect()
        }
        Value::Array(items) => items.iter().map(without_nulls).collect(),
        other => other.clone(),
    }
}

fn places() -> Vec<Named> {
    let all: Map<String, Value> = serde_json::from_str(include_str!("catalogue.json")).expect("the catalogue is JSON");
    all.into_iter().collect()
}

fn record(place: &Value, required: bool) -> Value {
    let names: &[&str] = if required { &["v"] } else { &[] };
    json!({"type": "object", "properties": {"v": place}, "required": names})
}

fn optional(name: &str, place: &Value) -> Named {
    (format!("{name}, optional"), record(place, false))
}

fn listed(name: &str, place: &Value) -> Named {
    (format!("{name}, in a list"), record(&json!({"type": "array", "items": place, "maxItems": 3}), true))
}

fn nested(name: &str, place: &Value) -> Named {
    let inner =
        json!({"type": "object", "properties": {"after": place, "count": {"type": "integer"}}, "required": ["count"]});
    (format!("{name}, in an object"), record(&inner, true))
}

fn nullable(name: &str, place: &Value) -> Named {
    (format!("{name}, or null"), record(&json!({"anyOf": [place, {"type": "null"}]}), true))
}

fn larger() -> Vec<Named> {
    let many: Map<String, Value> =
        (0..300).map(|index| (format!("field {index}"), json!({"type": ["integer", "null"]}))).collect();
    let options: Vec<String> = (0..10_000).map(|index| format!("item {index}")).collect();
    let tree = json!({"type": "object", "required": ["name"], "properties": {
        "name": {"type": "string", "maxLength": 4},
        "children": {"type": "array", "items": {"$ref": "#/$defs/tree"}, "maxItems": 2}
    }});
    let chain = json!({"type": "object", "required": ["value", "next"], "properties": {
        "value": {"type": "integer"}, "next": {"anyOf": [{"$ref": "#/$defs/chain"}, {"type": "null"}]}
    }});
    let expression = json!({"anyOf": [{"type": "integer"}, {"type": "object", "required": ["left", "right"],
        "properties": {"left": {"$ref": "#/$defs/sum"}, "right": {"$ref": "#/$defs/sum"}}}]});
    let defined = |name: &str, schema: Value| {
        json!({
            "type": "object", "required": ["v"], "$defs": {name: schema}, "properties": {"v": {"$ref": format!("#/$defs/{name}")}}
        })
    };
    let itself = json!({"type": "object", "required": ["n"], "properties": {
        "n": {"type": "integer"}, "more": {"$ref": "#"}
    }});
    let money = json!({"type": "object", "required": ["amount", "currency"], "properties": {
        "amount": {"type": "number", "multipleOf": 0.01}, "currency": {"enum": ["EUR", "USD"]}
    }});
    let named = |name: &str, schema: Value| (name.to_owned(), schema);
    vec![
        named("300 fields", json!({"type": "object", "properties": many})),
        named("10000 options", record(&json!({"enum": options}), true)),
        named("tree", defined("tree", tree)),
        named("chain", defined("chain", chain)),
        named("sum", defined("sum", expression)),
        named("itself", itself),
        named("money", defined("money", money)),
    ]
}
