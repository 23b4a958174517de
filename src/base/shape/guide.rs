//! The JSON Schema that guides decoding: closed, bounded, and only with keywords that the grammar enforces.

use serde_json::{Map, Number as JsonNumber, Value, json};

use super::{
    node::{Field, Form, Integer, List, Node, Number, Text},
    numeric, string,
};

/// Longest string that a grammar is asked to count, in characters.
const COUNTABLE: u64 = 1_000_000;

/// The guide of an object: all properties required, nothing else allowed.
pub fn object(fields: &[Field]) -> Value {
    let properties: Map<String, Value> = fields.iter().map(|field| (field.name.clone(), field_guide(field))).collect();
    let required: Vec<&str> = fields.iter().map(|field| field.name.as_str()).collect();
    json!({"type": "object", "properties": properties, "required": required, "additionalProperties": false})
}

fn field_guide(field: &Field) -> Value {
    or_null(form(&field.node.form), field.may_be_null())
}

fn item_guide(node: &Node) -> Value {
    or_null(form(&node.form), node.nullable)
}

fn or_null(guide: Value, nullable: bool) -> Value {
    if nullable { json!({"anyOf": [guide, {"type": "null"}]}) } else { guide }
}

fn form(form: &Form) -> Value {
    match form {
        Form::Object(fields) => object(fields),
        Form::List(list) => array(list),
        Form::Text(text) => string(text),
        Form::Choice(choice) => json!({"enum": choice.options}),
        Form::Date => json!({"type": "string", "format": "date"}),
        Form::DateTime => json!({"type": "string", "format": "date-time", "maxLength": 35}),
        Form::Integer(range) => integer(range),
        Form::Number(range) => number(range),
        Form::Boolean => json!({"type": "boolean"}),
    }
}

fn array(list: &List) -> Value {
    json!({"type": "array", "items": item_guide(&list.item), "minItems": list.least, "maxItems": list.most})
}

fn string(text: &Text) -> Value {
    let longest = text.longest.min(COUNTABLE);
    let mut guide = json!({"type": "string", "minLength": text.shortest.min(longest), "maxLength": longest});
    if let Some(pattern) = text.pattern.as_deref().filter(|pattern| string::is_guidable(pattern)) {
        guide["pattern"] = json!(pattern);
    }
    if let Some(format) = &text.format {
        guide["format"] = json!(format);
    }
    guide
}

fn integer(range: &Integer) -> Value {
    let mut guide = json!({"type": "integer", "minimum": range.least, "maximum": range.most});
    if let Some(step) = range.step {
        guide["multipleOf"] = json!(step);
    }
    guide
}

/// The range bounds the digits before the point, `multipleOf` those after it, and neither allows an exponent.
fn number(range: &Number) -> Value {
    let least = if range.above { "exclusiveMinimum" } else { "minimum" };
    let most = if range.below { "exclusiveMaximum" } else { "maximum" };
    let step = range.step.unwrap_or(10_f64.powi(-(numeric::MOST_DECIMALS as i32)));
    json!({"type": "number", least: finite(range.least), most: finite(range.most), "multipleOf": finite(step)})
}

fn finite(value: f64) -> Option<JsonNumber> {
    JsonNumber::from_f64(value)
}
