//! The values of a known record: leaves with their places, and lists with their lengths.

use serde_json::{Map, Value};

use crate::base::shape::below;

/// One value that a row ought to hold.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Leaf {
    /// JSON Pointer in the row.
    pub path: String,
    /// The same with `*` for every place in a list: values of one field share it.
    pub field: String,
    /// What ought to be there.
    pub wanted: Wanted,
}

/// What ought to be at a place.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Wanted {
    /// A text, number, boolean or null.
    Value(Value),
    /// A list of that length.
    Items(usize),
}

/// All values of a record, in its order; a list stands before its items.
pub(super) fn leaves(record: &Map<String, Value>) -> Vec<Leaf> {
    let mut found = Vec::new();
    of_object(record, "", "", &mut found);
    found
}

fn of_object(object: &Map<String, Value>, path: &str, field: &str, found: &mut Vec<Leaf>) {
    for (name, value) in object {
        of_value(value, &below(path, name), &below(field, name), found);
    }
}

fn of_value(value: &Value, path: &str, field: &str, found: &mut Vec<Leaf>) {
    let wanted = match value {
        Value::Object(object) => return of_object(object, path, field, found),
        Value::Array(items) => Wanted::Items(items.len()),
        other => Wanted::Value(other.clone()),
    };
    found.push(Leaf { path: path.to_owned(), field: field.to_owned(), wanted });
    for (place, item) in value.as_array().into_iter().flatten().enumerate() {
        of_value(item, &format!("{path}/{place}"), &format!("{field}/*"), found);
    }
}

impl Wanted {
    /// Whether this is what a row holds. A number equals a number of the same size however it is written, nothing and null are
    /// equal, texts are equal letter by letter; accents and points in time were spelled alike before.
    pub fn is(&self, held: Option<&Value>) -> bool {
        match (self, held.unwrap_or(&Value::Null)) {
            (Self::Items(count), Value::Array(items)) => items.len() == *count,
            (Self::Items(count), Value::Null) => *count == 0,
            (Self::Items(_), _) => false,
            (Self::Value(Value::Number(wanted)), Value::Number(held)) => wanted.as_f64() == held.as_f64(),
            (Self::Value(wanted), held) => wanted == held,
        }
    }

    /// Wrong characters and all characters of a text: edits (Levenshtein) that turn what is held into what is wanted.
    pub fn edits(&self, held: Option<&Value>) -> Option<(u64, u64)> {
        let Self::Value(Value::String(wanted)) = self else { return None };
        let held = held.and_then(Value::as_str).unwrap_or_default();
        Some((strsim::levenshtein(held, wanted) as u64, wanted.chars().count() as u64))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_record_is_its_leaves_and_the_lengths_of_its_lists() {
        let record = json!({ "shop": "A", "items": [{ "price": 1.5 }, { "price": 2 }], "by": { "a/b": null } });
        let leaves = leaves(record.as_object().unwrap());
        let told: Vec<(&str, &str)> = leaves.iter().map(|leaf| (leaf.path.as_str(), leaf.field.as_str())).collect();
        let expected = [
            ("/shop", "/shop"),
            ("/items", "/items"),
            ("/items/0/price", "/items/*/price"),
            ("/items/1/price", "/items/*/price"),
            ("/by/a~1b", "/by/a~1b"),
        ];
        assert_eq!(told, expected);
        assert!(leaves.iter().all(|leaf| leaf.wanted.is(record.pointer(&leaf.path))));
    }

    #[test]
    fn values_are_compared_as_what_they_are() {
        let value = |wanted: Value| Wanted::Value(wanted);
        assert!(value(json!(12.5)).is(Some(&json!(12.50))) && value(json!(3)).is(Some(&json!(3.0))));
        assert!(!value(json!("3")).is(Some(&json!(3))));
        assert!(value(Value::Null).is(None) && !value(json!("")).is(None));
        assert!(Wanted::Items(0).is(None) && Wanted::Items(1).is(Some(&json!([7]))) && !Wanted::Items(1).is(None));
    }

    #[test]
    fn edits_count_characters_not_bytes() {
        assert_eq!(Wanted::Value(json!("Straße")).edits(Some(&json!("Strase"))), Some((1, 6)));
        assert_eq!(Wanted::Value(json!("abc")).edits(None), Some((3, 3)));
        assert_eq!(Wanted::Value(json!(3)).edits(None), None);
    }
}
