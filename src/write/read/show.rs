//! Rows as JSON and as cells of a printed table.

use arrow::{
    array::{Array, AsArray, RecordBatch, StructArray},
    datatypes::{
        DataType, Date32Type, Decimal128Type, Field, Float32Type, Float64Type, Int32Type, Int64Type, TimeUnit,
        TimestampMicrosecondType,
    },
};
use chrono::{DateTime, NaiveDate, SecondsFormat, TimeDelta};
use serde_json::{Map, Value};

use crate::write::columns::is_json_text;

/// The names of a batch's columns, one per cell of [`cells`].
pub fn headings(batch: &RecordBatch) -> Vec<String> {
    batch.schema().fields().iter().map(|field| field.name().clone()).collect()
}

/// The rows of a batch as JSON objects, in column order: what went in as JSON comes out equal.
pub fn json(batch: &RecordBatch) -> impl Iterator<Item = Value> {
    let rows = StructArray::from(batch.clone());
    (0..rows.len()).map(move |row| object(&rows, row))
}

/// The rows of a batch as short texts, one per column; longer ones are cut at `widest` characters.
pub fn cells(batch: &RecordBatch, widest: usize) -> impl Iterator<Item = Vec<String>> {
    json(batch).map(move |row| match row {
        Value::Object(columns) => columns.values().map(|cell| cut(&text(cell), widest)).collect(),
        other => vec![cut(&text(&other), widest)],
    })
}

fn text(cell: &Value) -> String {
    match cell {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

fn cut(text: &str, widest: usize) -> String {
    let line: String = text.chars().take(widest + 1).map(|one| if one.is_control() { ' ' } else { one }).collect();
    if line.chars().count() <= widest {
        return line;
    }
    let kept: String = line.chars().take(widest.saturating_sub(1)).collect();
    format!("{kept}…")
}

fn object(rows: &StructArray, row: usize) -> Value {
    let columns = rows.fields().iter().zip(rows.columns());
    let fields: Map<String, Value> =
        columns.map(|(field, column)| (field.name().clone(), value(field, column, row))).collect();
    Value::Object(fields)
}

/// What a column holds; a text that is JSON becomes the value that it says.
fn value(field: &Field, column: &dyn Array, row: usize) -> Value {
    match plain(column, row) {
        Value::String(text) if is_json_text(field) => serde_json::from_str(&text).unwrap_or(Value::String(text)),
        other => other,
    }
}

fn plain(column: &dyn Array, row: usize) -> Value {
    if column.is_null(row) {
        return Value::Null;
    }
    match column.data_type() {
        DataType::Struct(_) => object(column.as_struct(), row),
        DataType::List(item) => {
            let items = column.as_list::<i32>().value(row);
            Value::Array((0..items.len()).map(|place| value(item, &items, place)).collect())
        }
        DataType::Map(_, _) => map(column, row),
        DataType::Dictionary(_, _) => entry(column, row),
        DataType::Utf8 => Value::from(column.as_string::<i32>().value(row)),
        DataType::Boolean => Value::from(column.as_boolean().value(row)),
        DataType::Int32 => Value::from(column.as_primitive::<Int32Type>().value(row)),
        DataType::Int64 => Value::from(column.as_primitive::<Int64Type>().value(row)),
        DataType::Float32 => decimal(&column.as_primitive::<Float32Type>().value(row).to_string()),
        DataType::Float64 => Value::from(column.as_primitive::<Float64Type>().value(row)),
        DataType::Decimal128(_, _) => decimal(&column.as_primitive::<Decimal128Type>().value_as_string(row)),
        DataType::Date32 => date(column.as_primitive::<Date32Type>().value(row)),
        DataType::Timestamp(TimeUnit::Microsecond, _) => {
            instant(column.as_primitive::<TimestampMicrosecondType>().value(row))
        }
        other => Value::from(format!("({other} is not shown)")),
    }
}

fn map(column: &dyn Array, row: usize) -> Value {
    let entries = column.as_map().value(row);
    let held = &entries.fields()[1];
    let pairs = (0..entries.len()).map(|entry| {
        let key = entries.column(0).as_string::<i32>().value(entry).to_owned();
        (key, value(held, entries.column(1), entry))
    });
    Value::Object(pairs.collect())
}

/// As a JSON number, as it is spelt: 0.8 in single precision is 0.8, not the double nearest to it. It has no more digits than a
/// double keeps.
fn decimal(text: &str) -> Value {
    text.parse::<f64>().map_or(Value::Null, Value::from)
}

fn entry(column: &dyn Array, row: usize) -> Value {
    let Some(dictionary) = column.as_dictionary_opt::<Int32Type>() else { return Value::Null };
    dictionary.key(row).map_or(Value::Null, |key| plain(dictionary.values(), key))
}

fn date(days: i32) -> Value {
    let day = NaiveDate::default().checked_add_signed(TimeDelta::days(i64::from(days)));
    day.map_or(Value::Null, |day| Value::from(day.format("%Y-%m-%d").to_string()))
}

/// In UTC, with no more decimals of a second than it has.
pub(super) fn instant(micros: i64) -> Value {
    let instant = DateTime::from_timestamp_micros(micros);
    instant.map_or(Value::Null, |instant| Value::from(instant.to_rfc3339_opts(SecondsFormat::AutoSi, true)))
}

#[cfg(test)]
mod tests {
    use arrow::array::Float32Array;
    use serde_json::json;

    use super::*;

    #[test]
    fn numbers_of_single_precision_are_spelt_as_they_are() {
        let column = Float32Array::from(vec![0.8, f32::NAN, -1.5e-7]);
        assert_eq!([0, 1, 2].map(|row| plain(&column, row)), [json!(0.8), Value::Null, json!(-1.5e-7)]);
    }
}
