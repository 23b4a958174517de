//! The columns of a record: Arrow types from a shape, and Arrow arrays from JSON values of that shape.

use std::{collections::HashMap, sync::Arc};

use arrow::{
    array::{
        ArrayRef, BooleanArray, Date32Array, Decimal128Array, DictionaryArray, Float64Array, Int32Array, Int64Array,
        ListArray, MapArray, StringArray, StructArray, TimestampMicrosecondArray,
    },
    buffer::{NullBuffer, OffsetBuffer},
    datatypes::{DataType, Field, FieldRef, Fields, TimeUnit},
    error::ArrowError,
};
use serde_json::Value;

use crate::base::shape::{self, Choice, Form, List, Map, Node, Number};

/// The key of a column's metadata that holds its description.
const DESCRIPTION: &str = "description";
/// The key that holds why a column is JSON text.
const NOTE: &str = "note";
/// What that begins with.
const JSON_TEXT: &str = "JSON text: ";

/// The fields of a record.
pub fn fields(fields: &[shape::Field]) -> Fields {
    fields.iter().map(|field| named(&field.name, &field.node, field.may_be_null())).collect()
}

fn named(name: &str, node: &Node, nullable: bool) -> FieldRef {
    let described = node.description.iter().map(|text| (DESCRIPTION.to_owned(), text.clone()));
    let noted = note(&node.form).map(|text| (NOTE.to_owned(), text));
    let metadata: HashMap<String, String> = described.chain(noted).collect();
    Arc::new(Field::new(name, data_type(&node.form), nullable).with_metadata(metadata))
}

/// The fields without the words about them and about what is in them: names, types, whether they may be null, and whether a text is
/// JSON.
pub fn undescribed(fields: &Fields) -> Fields {
    fields.iter().map(|field| bare(field)).collect()
}

fn bare(field: &Field) -> Field {
    let data_type = match field.data_type() {
        DataType::Struct(inner) => DataType::Struct(undescribed(inner)),
        DataType::List(item) => DataType::List(Arc::new(bare(item))),
        DataType::Map(entry, sorted) => DataType::Map(Arc::new(bare(entry)), *sorted),
        plain => plain.clone(),
    };
    let json = is_json_text(field).then(|| (NOTE.to_owned(), JSON_TEXT.to_owned()));
    Field::new(field.name(), data_type, field.is_nullable()).with_metadata(json.into_iter().collect::<HashMap<_, _>>())
}

fn note(form: &Form) -> Option<String> {
    match form {
        Form::Json(json) => Some(format!("{JSON_TEXT}{}", json.why)),
        _ => None,
    }
}

/// True for a column of texts that are JSON.
pub fn is_json_text(field: &Field) -> bool {
    field.metadata().get(NOTE).is_some_and(|note| note.starts_with(JSON_TEXT))
}

/// The type of a column that holds values of this form.
pub fn data_type(form: &Form) -> DataType {
    match form {
        Form::Object(inner) => DataType::Struct(fields(inner)),
        Form::Union(union) => DataType::Struct(fields(&union.columns)),
        Form::Map(map) => DataType::Map(entry(map), false),
        Form::List(list) => DataType::List(item(list)),
        Form::Text(_) | Form::Json(_) | Form::Nothing => DataType::Utf8,
        Form::Choice(_) => DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8)),
        Form::Date => DataType::Date32,
        Form::DateTime => instant(),
        Form::Integer(_) => DataType::Int64,
        Form::Number(_) => DataType::Float64,
        Form::Decimal(number) => decimal(number),
        Form::Boolean(_) => DataType::Boolean,
    }
}

/// A point in time: microseconds, UTC.
pub fn instant() -> DataType {
    DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()))
}

fn item(list: &List) -> FieldRef {
    named("item", &list.item, list.item.nullable)
}

/// With the digits of its longest value, so that a reader knows what it may have to hold.
fn decimal(number: &Number) -> DataType {
    DataType::Decimal128(precision(number), number.decimals as i8)
}

fn precision(number: &Number) -> u8 {
    number.digits().min(u32::from(u8::MAX)) as u8
}

fn entry(map: &Map) -> FieldRef {
    Arc::new(Field::new("entries", DataType::Struct(pair(map)), false))
}

fn pair(map: &Map) -> Fields {
    let key = Arc::new(Field::new("keys", DataType::Utf8, false));
    [key, named("values", &map.value, map.value.nullable)].into_iter().collect()
}

/// The columns of some records, one array per field.
pub fn arrays(fields: &[shape::Field], records: &[Option<&Value>]) -> Result<Vec<ArrayRef>, ArrowError> {
    let column = |field: &shape::Field| {
        let values: Vec<Option<&Value>> =
            records.iter().map(|record| record.and_then(|record| record.get(&field.name))).collect();
        array(&field.node.form, &values)
    };
    fields.iter().map(column).collect()
}

fn array(form: &Form, values: &[Option<&Value>]) -> Result<ArrayRef, ArrowError> {
    Ok(match form {
        Form::Object(inner) => Arc::new(structs(inner, values)?),
        Form::Union(union) => Arc::new(structs(&union.columns, values)?),
        Form::Map(map) => Arc::new(maps(map, values)?),
        Form::List(list) => Arc::new(lists(list, values)?),
        Form::Text(_) => Arc::new(strings(values).collect::<StringArray>()),
        Form::Choice(choice) => Arc::new(choices(choice, values)?),
        Form::Date => Arc::new(strings(values).map(|text| text.and_then(shape::date)).collect::<Date32Array>()),
        Form::DateTime => Arc::new(instants(strings(values).map(|text| text.and_then(shape::date_time)))),
        Form::Integer(_) => Arc::new(each(values, Value::as_i64).collect::<Int64Array>()),
        Form::Number(_) => Arc::new(each(values, Value::as_f64).collect::<Float64Array>()),
        Form::Decimal(number) => Arc::new(decimals(number, values)?),
        Form::Json(_) | Form::Nothing => Arc::new(each(values, as_text).collect::<StringArray>()),
        Form::Boolean(_) => Arc::new(each(values, Value::as_bool).collect::<BooleanArray>()),
    })
}

/// An array of points in time, from microseconds.
pub fn instants(micros: impl Iterator<Item = Option<i64>>) -> TimestampMicrosecondArray {
    micros.collect::<TimestampMicrosecondArray>().with_timezone("UTC")
}

fn each<'a, T>(values: &'a [Option<&'a Value>], read: fn(&Value) -> Option<T>) -> impl Iterator<Item = Option<T>> + 'a
where
    T: 'a,
{
    values.iter().map(move |value| value.and_then(read))
}

fn strings<'a>(values: &'a [Option<&'a Value>]) -> impl Iterator<Item = Option<&'a str>> + 'a {
    values.iter().map(|value| value.and_then(Value::as_str))
}

fn choices(
    choice: &Choice,
    values: &[Option<&Value>],
) -> Result<DictionaryArray<arrow::datatypes::Int32Type>, ArrowError> {
    let places: HashMap<&str, i32> = choice.options.iter().map(String::as_str).zip(0..).collect();
    let key = |text: &str| places.get(text).copied();
    let keys: Int32Array = strings(values).map(|text| text.and_then(key)).collect();
    DictionaryArray::try_new(keys, Arc::new(StringArray::from_iter_values(&choice.options)))
}

fn decimals(number: &Number, values: &[Option<&Value>]) -> Result<Decimal128Array, ArrowError> {
    let units = values.iter().map(|value| value.and_then(|value| shape::units(value, number.decimals)));
    units.collect::<Decimal128Array>().with_precision_and_scale(precision(number), number.decimals as i8)
}

/// Compact JSON; null is no value.
fn as_text(value: &Value) -> Option<String> {
    (!value.is_null()).then(|| value.to_string())
}

fn structs(inner: &[shape::Field], values: &[Option<&Value>]) -> Result<StructArray, ArrowError> {
    let present: NullBuffer = values.iter().map(|value| value.is_some_and(Value::is_object)).collect();
    StructArray::try_new(fields(inner), arrays(inner, values)?, Some(present))
}

fn lists(list: &List, values: &[Option<&Value>]) -> Result<ListArray, ArrowError> {
    let present: NullBuffer = values.iter().map(|value| value.is_some_and(Value::is_array)).collect();
    let items: Vec<&[Value]> = values.iter().map(|value| items_of(*value)).collect();
    let offsets = OffsetBuffer::from_lengths(items.iter().map(|items| items.len()));
    let flat: Vec<Option<&Value>> = items.into_iter().flatten().map(Some).collect();
    ListArray::try_new(item(list), offsets, array(&list.item.form, &flat)?, Some(present))
}

fn maps(map: &Map, values: &[Option<&Value>]) -> Result<MapArray, ArrowError> {
    let present: NullBuffer = values.iter().map(|value| value.is_some_and(Value::is_object)).collect();
    let objects: Vec<_> = values.iter().map(|value| value.and_then(Value::as_object)).collect();
    let offsets = OffsetBuffer::from_lengths(objects.iter().map(|object| object.map_or(0, serde_json::Map::len)));
    let pairs = || objects.iter().flatten().copied().flatten();
    let keys: ArrayRef = Arc::new(StringArray::from_iter_values(pairs().map(|(key, _)| key)));
    let flat: Vec<Option<&Value>> = pairs().map(|(_, value)| Some(value)).collect();
    let entries = StructArray::try_new(pair(map), vec![keys, array(&map.value.form, &flat)?], None)?;
    MapArray::try_new(entry(map), offsets, entries, Some(present), false)
}

fn items_of(value: Option<&Value>) -> &[Value] {
    value.and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::base::Shape;

    fn column(schema: &Value) -> Fields {
        let shape = Shape::compile(&json!({ "type": "object", "properties": { "a": schema } })).unwrap();
        undescribed(&fields(shape.fields()))
    }

    #[test]
    fn other_words_make_no_other_column_and_json_in_place_of_text_does() {
        let list = |words: &str| {
            let inner = json!({ "b": { "type": "string", "description": words } });
            let items = json!({ "type": "object", "properties": inner, "description": words });
            column(&json!({ "type": "array", "items": items, "description": words }))
        };
        assert_eq!(list("as it was said then"), list("as it is said now"));
        let (text, whatever) = (column(&json!({ "type": "string" })), column(&json!({})));
        assert_eq!(text[0].data_type(), whatever[0].data_type());
        assert_ne!(text, whatever);
    }
}
