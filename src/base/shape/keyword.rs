//! What happens to each keyword of JSON Schema: enforced while decoding, checked afterwards, noted, or refused.

use std::collections::BTreeMap;

use serde_json::Value;

/// The fate of a keyword.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Coverage {
    /// The grammar makes any other answer impossible.
    Enforced,
    /// Answers are checked once they are complete; a bad one becomes a failure.
    CheckedAfter,
    /// Says nothing about what is valid; descriptions go into the columns' metadata.
    Noted,
    /// A schema that uses it is not accepted; the text says what to do instead.
    Refused(&'static str),
}

/// One use of a keyword in a schema.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeywordUse {
    /// JSON pointer of the keyword.
    pub pointer: String,
    /// What happens to it there.
    pub coverage: Coverage,
}

const ENFORCED: [&str; 23] = [
    "type",
    "properties",
    "required",
    "items",
    "enum",
    "const",
    "anyOf",
    "oneOf",
    "allOf",
    "$ref",
    "additionalProperties",
    "prefixItems",
    "minProperties",
    "maxProperties",
    "minItems",
    "maxItems",
    "minLength",
    "maxLength",
    "format",
    "minimum",
    "maximum",
    "exclusiveMinimum",
    "exclusiveMaximum",
];

const NOTED: [&str; 13] = [
    "$schema",
    "$id",
    "$defs",
    "definitions",
    "$comment",
    "title",
    "description",
    "default",
    "examples",
    "example",
    "deprecated",
    "readOnly",
    "writeOnly",
];

const REFUSED: [(&str, &str); 19] = [
    ("not", "remove it, or say what the value is instead"),
    ("if", "remove it; make the fields nullable and check them in a query"),
    ("then", "remove it; make the fields nullable and check them in a query"),
    ("else", "remove it; make the fields nullable and check them in a query"),
    ("dependentRequired", "remove it; make the fields nullable and check them in a query"),
    ("dependentSchemas", "remove it; make the fields nullable and check them in a query"),
    ("patternProperties", "name the properties under `properties`: columns are fixed"),
    ("propertyNames", "remove it, or name the properties under `properties`"),
    ("unevaluatedProperties", "use `\"additionalProperties\": false`"),
    ("unevaluatedItems", "use `items` and `maxItems`"),
    ("additionalItems", "use `items` and `maxItems`"),
    ("contains", "remove it, or check it in a query"),
    ("minContains", "remove it, or check it in a query"),
    ("maxContains", "remove it, or check it in a query"),
    ("$anchor", "refer to `#/$defs/NAME`"),
    ("$dynamicRef", "refer to `#/$defs/NAME`"),
    ("$dynamicAnchor", "refer to `#/$defs/NAME`"),
    ("contentMediaType", "remove it: strings are stored as they are"),
    ("contentEncoding", "remove it: strings are stored as they are"),
];

/// What happens to `keyword` with `value`; `None` for a word that JSON Schema does not have.
pub fn lookup(keyword: &str, value: &Value) -> Option<Coverage> {
    match keyword {
        "pattern" if value.as_str().is_some_and(super::string::is_guidable) => Some(Coverage::Enforced),
        "multipleOf" if super::numeric::step(value).is_some() => Some(Coverage::Enforced),
        "multipleOf" if !value.is_null() => {
            Some(Coverage::Refused("write a step of at most 8 digits, such as 1, 0.5 or 0.01"))
        }
        "pattern" | "multipleOf" | "uniqueItems" => Some(Coverage::CheckedAfter),
        _ if ENFORCED.contains(&keyword) => Some(Coverage::Enforced),
        _ if NOTED.contains(&keyword) => Some(Coverage::Noted),
        _ => REFUSED.iter().find(|(name, _)| *name == keyword).map(|(_, advice)| Coverage::Refused(advice)),
    }
}

/// The same for a keyword of the schema at a place: `$id` names the file, and a part of it would have references look
/// into that part.
pub fn lookup_at(at: &str, keyword: &str, value: &Value) -> Option<Coverage> {
    if keyword == "$id" && !at.is_empty() {
        return Some(Coverage::Refused("references are looked up in the file; leave it out"));
    }
    lookup(keyword, value)
}

/// All keywords with what happens to them where nothing in their value stands against it.
pub fn table() -> BTreeMap<&'static str, Coverage> {
    let enforced = ENFORCED.iter().chain(&["pattern", "multipleOf"]).map(|name| (*name, Coverage::Enforced));
    let noted = NOTED.iter().map(|name| (*name, Coverage::Noted));
    let refused = REFUSED.iter().map(|(name, advice)| (*name, Coverage::Refused(advice)));
    enforced.chain(noted).chain(refused).chain([("uniqueItems", Coverage::CheckedAfter)]).collect()
}

/// Walks a schema and tells the fate of each keyword in it.
pub fn coverage(schema: &Value) -> Vec<KeywordUse> {
    let mut uses = Vec::new();
    walk(schema, "", &mut uses);
    uses
}

fn walk(schema: &Value, at: &str, uses: &mut Vec<KeywordUse>) {
    for (keyword, value) in schema.as_object().into_iter().flatten() {
        let pointer = super::below(at, keyword);
        let unknown = Coverage::Refused("it is no keyword of JSON Schema; remove it or mend the spelling");
        let coverage = lookup_at(at, keyword, value).unwrap_or(unknown);
        uses.push(KeywordUse { pointer: pointer.clone(), coverage });
        walk_inside(keyword, value, &pointer, uses);
    }
}

fn walk_inside(keyword: &str, value: &Value, at: &str, uses: &mut Vec<KeywordUse>) {
    match (keyword, value) {
        ("properties" | "$defs" | "definitions", Value::Object(named)) => {
            named.iter().for_each(|(name, schema)| walk(schema, &super::below(at, name), uses));
        }
        ("anyOf" | "oneOf" | "allOf" | "prefixItems", Value::Array(branches)) => {
            branches.iter().enumerate().for_each(|(index, schema)| walk(schema, &format!("{at}/{index}"), uses));
        }
        ("items" | "additionalProperties", schema) => walk(schema, at, uses),
        _ => {}
    }
}
