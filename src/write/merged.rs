//! The columns of rows that are not the record of a unit: which of a unit's records a row is, or what it was merged of.

use std::sync::Arc;

use arrow::{
    array::{ArrayRef, Float32Array, Float64Array, Int32Array, ListArray, StringArray, StructArray},
    buffer::OffsetBuffer,
    datatypes::{DataType, Field, Fields},
    error::ArrowError,
};

use super::{
    extractions::Row,
    identity::{page, part_name, span},
};
use crate::base::{Conflict, Merged, MergedPart, Part, RecordOf};

/// The columns of such rows.
pub fn fields(record: RecordOf) -> Vec<Field> {
    match record {
        RecordOf::Unit => Vec::new(),
        RecordOf::List => vec![Field::new("_record", DataType::Int32, false)],
        RecordOf::Document => {
            [("_parts", part_fields()), ("_failed_parts", places()), ("_conflicts", conflict_fields())]
                .map(|(name, fields)| Field::new(name, DataType::List(item(fields)), false))
                .into()
        }
    }
}

/// One array per field.
pub fn arrays(record: RecordOf, rows: &[Row]) -> Result<Vec<ArrayRef>, ArrowError> {
    match record {
        RecordOf::Unit => Ok(Vec::new()),
        RecordOf::List => {
            let index = |row: &Row| i32::try_from(row.extraction.index.unwrap_or(0)).unwrap_or(i32::MAX);
            Ok(vec![Arc::new(Int32Array::from_iter_values(rows.iter().map(index)))])
        }
        RecordOf::Document => {
            let parts: Vec<&[MergedPart]> = each(rows, |merged| &merged.parts);
            let failed: Vec<&[Part]> = each(rows, |merged| &merged.failed);
            let conflicts: Vec<&[Conflict]> = each(rows, |merged| &merged.conflicts);
            Ok(vec![
                lists(part_fields(), &parts, part_columns)?,
                lists(places(), &failed, |parts| place_columns(parts.iter().copied()))?,
                lists(conflict_fields(), &conflicts, conflict_columns)?,
            ])
        }
    }
}

fn each<T>(rows: &[Row], of: fn(&Merged) -> &Vec<T>) -> Vec<&[T]> {
    rows.iter().map(|row| row.extraction.merged.as_ref().map_or(&[][..], |merged| of(merged))).collect()
}

fn item(fields: Fields) -> Arc<Field> {
    Arc::new(Field::new_list_field(DataType::Struct(fields), false))
}

/// One list of structs for each row.
fn lists<T>(fields: Fields, rows: &[&[T]], columns: impl Fn(&[&T]) -> Vec<ArrayRef>) -> Result<ArrayRef, ArrowError> {
    let offsets = OffsetBuffer::from_lengths(rows.iter().map(|row| row.len()));
    let all: Vec<&T> = rows.iter().flat_map(|row| row.iter()).collect();
    let structs = StructArray::try_new(fields.clone(), columns(&all), None)?;
    Ok(Arc::new(ListArray::try_new(item(fields), offsets, Arc::new(structs), None)?))
}

/// Where a part lies in its document.
fn places() -> Fields {
    let fields = [
        ("part", DataType::Utf8),
        ("page", DataType::Int32),
        ("last_page", DataType::Int32),
        ("start", DataType::Float64),
        ("end", DataType::Float64),
    ];
    fields.map(|(name, data_type)| Field::new(name, data_type, name != "part")).into_iter().collect()
}

fn place_columns<'a>(parts: impl Iterator<Item = &'a Part> + Clone) -> Vec<ArrayRef> {
    let spans = || parts.clone().map(span);
    vec![
        Arc::new(StringArray::from_iter_values(parts.clone().map(part_name))),
        Arc::new(parts.clone().map(|part| page(part).map(|(first, _)| first)).collect::<Int32Array>()),
        Arc::new(parts.clone().map(|part| page(part).map(|(_, last)| last)).collect::<Int32Array>()),
        Arc::new(spans().map(|span| span.map(|(start, _)| start)).collect::<Float64Array>()),
        Arc::new(spans().map(|span| span.map(|(_, end)| end)).collect::<Float64Array>()),
    ]
}

fn with_places(own: &[(&str, DataType, bool)]) -> Fields {
    let own = own.iter().map(|(name, data_type, nullable)| Field::new(*name, data_type.clone(), *nullable));
    let places: Vec<Field> = places().iter().map(|field| field.as_ref().clone()).collect();
    places.into_iter().chain(own).collect()
}

fn part_fields() -> Fields {
    with_places(&[
        ("attempt", DataType::Int32, false),
        ("shift", DataType::Float64, false),
        ("finish", DataType::Utf8, false),
        ("new_tokens", DataType::Int32, false),
        ("mean_logprob", DataType::Float32, false),
        ("raw", DataType::Utf8, false),
        ("thought", DataType::Utf8, true),
    ])
}

fn part_columns(parts: &[&MergedPart]) -> Vec<ArrayRef> {
    let own: [ArrayRef; 7] = [
        Arc::new(Int32Array::from_iter_values(parts.iter().map(|part| i32::from(part.attempt)))),
        Arc::new(Float64Array::from_iter_values(parts.iter().map(|part| part.shift))),
        Arc::new(StringArray::from_iter_values(parts.iter().map(|part| part.finish.as_str()))),
        Arc::new(Int32Array::from_iter_values(parts.iter().map(|part| i32::try_from(part.tokens).unwrap_or(i32::MAX)))),
        Arc::new(Float32Array::from_iter_values(parts.iter().map(|part| part.mean_logprob))),
        Arc::new(StringArray::from_iter_values(parts.iter().map(|part| &part.raw))),
        Arc::new(parts.iter().map(|part| part.thought.as_deref()).collect::<StringArray>()),
    ];
    place_columns(parts.iter().map(|part| &part.part)).into_iter().chain(own).collect()
}

fn conflict_fields() -> Fields {
    with_places(&[("path", DataType::Utf8, false), ("value", DataType::Utf8, false)])
}

fn conflict_columns(conflicts: &[&Conflict]) -> Vec<ArrayRef> {
    let own: [ArrayRef; 2] = [
        Arc::new(StringArray::from_iter_values(conflicts.iter().map(|one| &one.path))),
        Arc::new(StringArray::from_iter_values(conflicts.iter().map(|one| &one.value))),
    ];
    place_columns(conflicts.iter().map(|one| &one.part)).into_iter().chain(own).collect()
}
