//! The columns of rows that are no unit's own: of which parts a document's record was merged and what contradicts it, or
//! which of its unit's records a row is.

use std::sync::Arc;

use arrow::{
    array::{ArrayRef, Float64Array, Int32Array, ListArray, StringArray, StructArray},
    buffer::OffsetBuffer,
    datatypes::{DataType, Field, Fields},
    error::ArrowError,
};

use super::{
    extractions::Row,
    identity::{page, part_name, span},
};
use crate::base::{Conflict, Merged, MergedPart, Part, RecordOf};

/// The fields: none for rows that are units.
pub fn fields(record: RecordOf) -> Vec<Field> {
    match record {
        RecordOf::Unit => Vec::new(),
        RecordOf::List => vec![Field::new("_record", DataType::Int32, false)],
        RecordOf::Document => vec![
            Field::new("_parts", list_of(part_fields()), false),
            Field::new("_failed_parts", list_of(place_fields()), false),
            Field::new("_conflicts", list_of(conflict_fields()), false),
        ],
    }
}

/// One array per field.
pub fn arrays(record: RecordOf, rows: &[Row]) -> Result<Vec<ArrayRef>, ArrowError> {
    match record {
        RecordOf::Unit => Ok(Vec::new()),
        RecordOf::List => {
            let index = |row: &Row| row.extraction.index.and_then(|index| i32::try_from(index).ok()).unwrap_or(0);
            Ok(vec![Arc::new(Int32Array::from_iter_values(rows.iter().map(index)))])
        }
        RecordOf::Document => Ok(vec![
            lists(rows, part_fields(), |merged| &merged.parts, parts)?,
            lists(rows, place_fields(), |merged| &merged.failed, |failed| places(failed.iter().copied()))?,
            lists(rows, conflict_fields(), |merged| &merged.conflicts, conflicts)?,
        ]),
    }
}

fn list_of(fields: Fields) -> DataType {
    DataType::List(Arc::new(Field::new_list_field(DataType::Struct(fields), false)))
}

/// One list for each row, empty where it was merged of nothing.
fn lists<T>(
    rows: &[Row],
    fields: Fields,
    read: fn(&Merged) -> &Vec<T>,
    columns: impl Fn(&[&T]) -> Vec<ArrayRef>,
) -> Result<ArrayRef, ArrowError> {
    let of = |row: &'_ Row| row.extraction.merged.as_ref().map_or(0, |merged| read(merged).len());
    let offsets = OffsetBuffer::from_lengths(rows.iter().map(of));
    let all: Vec<&T> = rows.iter().filter_map(|row| row.extraction.merged.as_ref()).flat_map(read).collect();
    let structs = StructArray::try_new(fields.clone(), columns(&all), None)?;
    let item = Arc::new(Field::new_list_field(DataType::Struct(fields), false));
    Ok(Arc::new(ListArray::try_new(item, offsets, Arc::new(structs), None)?))
}

/// Which part: `part`, and `page`, or `start` and `end`.
fn place_fields() -> Fields {
    let fields = [
        ("part", DataType::Utf8, false),
        ("page", DataType::Int32, true),
        ("start", DataType::Float64, true),
        ("end", DataType::Float64, true),
    ];
    fields.map(|(name, data_type, nullable)| Field::new(name, data_type, nullable)).into_iter().collect()
}

fn places<'a>(parts: impl Iterator<Item = &'a Part> + Clone) -> Vec<ArrayRef> {
    vec![
        Arc::new(StringArray::from_iter_values(parts.clone().map(part_name))),
        Arc::new(parts.clone().map(|part| page(part).map(|(number, _)| number)).collect::<Int32Array>()),
        Arc::new(parts.clone().map(|part| span(part).map(|(start, _)| start)).collect::<Float64Array>()),
        Arc::new(parts.map(|part| span(part).map(|(_, end)| end)).collect::<Float64Array>()),
    ]
}

fn part_fields() -> Fields {
    let more = [
        ("attempt", DataType::Int32, false),
        ("finish", DataType::Utf8, false),
        ("new_tokens", DataType::Int32, false),
        ("raw", DataType::Utf8, false),
        ("thought", DataType::Utf8, true),
    ];
    let more = more.map(|(name, data_type, nullable)| Arc::new(Field::new(name, data_type, nullable)));
    place_fields().iter().cloned().chain(more).collect()
}

fn parts(parts: &[&MergedPart]) -> Vec<ArrayRef> {
    let tokens = |one: &&MergedPart| i32::try_from(one.tokens).unwrap_or(i32::MAX);
    let mut columns = places(parts.iter().map(|one| &one.part));
    columns.push(Arc::new(Int32Array::from_iter_values(parts.iter().map(|one| i32::from(one.attempt)))));
    columns.push(Arc::new(StringArray::from_iter_values(parts.iter().map(|one| one.finish.as_str()))));
    columns.push(Arc::new(Int32Array::from_iter_values(parts.iter().map(tokens))));
    columns.push(Arc::new(StringArray::from_iter_values(parts.iter().map(|one| &one.raw))));
    columns.push(Arc::new(parts.iter().map(|one| one.thought.as_deref()).collect::<StringArray>()));
    columns
}

fn conflict_fields() -> Fields {
    let own = ["path", "value"].map(|name| Arc::new(Field::new(name, DataType::Utf8, false)));
    own.into_iter().chain(place_fields().iter().cloned()).collect()
}

fn conflicts(conflicts: &[&Conflict]) -> Vec<ArrayRef> {
    let mut columns: Vec<ArrayRef> = vec![
        Arc::new(StringArray::from_iter_values(conflicts.iter().map(|one| &one.path))),
        Arc::new(StringArray::from_iter_values(conflicts.iter().map(|one| &one.value))),
    ];
    columns.extend(places(conflicts.iter().map(|one| &one.part)));
    columns
}
