//! The record as its columns want it: every field of the shape there, in order, null where a row has nothing.

use serde_json::{Map, Value};

use super::node::{Field, Form, Node, Union};

/// The record with every field of the shape.
pub fn complete(fields: &[Field], mut stated: Map<String, Value>) -> Map<String, Value> {
    let whole = |field: &Field| {
        let value = stated.shift_remove(&field.name).unwrap_or(Value::Null);
        (field.name.clone(), complete_value(&field.node, value))
    };
    fields.iter().map(whole).collect()
}

fn complete_value(node: &Node, value: Value) -> Value {
    match (&node.form, value) {
        (Form::Union(union), Value::Object(stated)) => Value::Object(complete_variant(union, stated)),
        (Form::Map(map), Value::Object(stated)) => {
            Value::Object(stated.into_iter().map(|(name, value)| (name, complete_value(&map.value, value))).collect())
        }
        (Form::Object(fields), Value::Object(stated)) => Value::Object(complete(fields, stated)),
        (Form::List(list), Value::Array(items)) => {
            Value::Array(items.into_iter().map(|item| complete_value(&list.item, item)).collect())
        }
        (_, value) => value,
    }
}

/// The variant's fields as it has them, and the other variants' as null.
fn complete_variant(union: &Union, stated: Map<String, Value>) -> Map<String, Value> {
    let variant = stated.get(&union.tag).and_then(Value::as_str).and_then(|name| union.variant(name));
    let mut whole = variant.map_or_else(Map::new, |variant| complete(&variant.fields, stated));
    let all = union.columns.iter().map(|column| {
        let value = whole.shift_remove(&column.name).unwrap_or(Value::Null);
        (column.name.clone(), value)
    });
    all.collect()
}
