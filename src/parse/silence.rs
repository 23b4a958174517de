//! Values that say nothing: what merging passes over, and what is not present for a check.

use serde_json::Value;

/// True for what says nothing: null, blanks, empty lists, and objects that hold nothing else.
pub fn is_silent(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::String(text) => text.trim().is_empty(),
        Value::Array(items) => items.is_empty(),
        Value::Object(fields) => fields.values().all(is_silent),
        Value::Bool(_) | Value::Number(_) => false,
    }
}
