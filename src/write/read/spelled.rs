//! A record from elsewhere in the spelling of a dataset's columns, so that the two can be compared.

use arrow::{
    array::RecordBatch,
    datatypes::{DataType, Fields},
};
use serde_json::{Map, Value};

use super::show::instant;
use crate::base::shape::date_time;

/// How names are written in the record; those of columns are written so to be compared.
type Names = fn(String) -> String;

/// The record with its points in time as [`super::json`] gives them. What has no column, or is no point in time where the
/// column holds such, stays as it is.
pub fn spelled(batch: &RecordBatch, record: &Map<String, Value>, names: Names) -> Map<String, Value> {
    object(batch.schema_ref().fields(), record, names)
}

fn object(fields: &Fields, record: &Map<String, Value>, names: Names) -> Map<String, Value> {
    let spelt = |(name, held): (&String, &Value)| {
        let column = fields.iter().find(|field| names(field.name().clone()) == *name);
        let known = column.map(|field| value(field.data_type(), held, names));
        (name.clone(), known.unwrap_or_else(|| held.clone()))
    };
    record.iter().map(spelt).collect()
}

fn value(data_type: &DataType, held: &Value, names: Names) -> Value {
    match (data_type, held) {
        (DataType::Timestamp(_, _), Value::String(text)) => date_time(text).map_or_else(|| held.clone(), instant),
        (DataType::Struct(fields), Value::Object(record)) => Value::Object(object(fields, record, names)),
        (DataType::List(item), Value::Array(items)) => {
            items.iter().map(|one| value(item.data_type(), one, names)).collect()
        }
        (DataType::Map(entry, _), Value::Object(entries)) => map(entry.data_type(), entries, names),
        _ => held.clone(),
    }
}

/// The entries of a map are structs of a key and a value.
fn map(entry: &DataType, entries: &Map<String, Value>, names: Names) -> Value {
    let DataType::Struct(pair) = entry else { return Value::Object(entries.clone()) };
    entries.iter().map(|(key, held)| (key.clone(), value(pair[1].data_type(), held, names))).collect()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::datatypes::Schema;
    use serde_json::json;

    use super::*;
    use crate::{base::Shape, write::columns};

    #[test]
    fn points_in_time_are_spelled_as_columns_give_them_and_nothing_else_changes() {
        let at = json!({ "type": "string", "format": "date-time" });
        let stop = json!({ "type": "object", "properties": { "at": at } });
        let shape = Shape::compile(&json!({ "type": "object", "properties": {
            "at": at, "said": { "type": "string" }, "stops": { "type": "array", "items": stop },
            "by": { "type": "object", "additionalProperties": at },
        }}));
        let batch = RecordBatch::new_empty(Arc::new(Schema::new(columns::fields(shape.unwrap().fields()))));
        let record = |noon: &str, half: &str| {
            json!({
                "at": noon, "said": "2026-03-09T12:00:00+02:00", "stops": [{ "at": half }, null, { "at": "noon" }],
                "by": { "a": noon, "b": null }, "_": 7,
            })
        };
        let known = record("2026-03-09T12:00:00.000+02:00", "2026-03-09T10:00:00.50Z");
        let told = spelled(&batch, known.as_object().unwrap(), |name| name);
        assert_eq!(Value::Object(told), record("2026-03-09T10:00:00Z", "2026-03-09T10:00:00.500Z"));
    }

    #[test]
    fn names_of_columns_are_compared_as_the_record_writes_them() {
        let at = json!({ "type": "string", "format": "date-time" });
        let stop = json!({ "type": "object", "properties": { "ne\u{301}": at } });
        let shape = Shape::compile(&json!({ "type": "object", "properties": { "ne\u{301}": at, "stop": stop } }));
        let batch = RecordBatch::new_empty(Arc::new(Schema::new(columns::fields(shape.unwrap().fields()))));
        let record = |noon: &str| json!({ "n\u{e9}": noon, "stop": { "n\u{e9}": noon } });
        let known = record("2026-03-09T12:00:00+02:00");
        let told = spelled(&batch, known.as_object().unwrap(), |name| name.replace("e\u{301}", "\u{e9}"));
        assert_eq!(Value::Object(told), record("2026-03-09T10:00:00Z"));
    }
}
