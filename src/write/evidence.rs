//! The columns of what speaks for a record, and of the pipeline's checks. Their types are the same whatever was found.

use std::sync::Arc;

use arrow::{
    array::{
        ArrayRef, BooleanArray, DictionaryArray, Float32Array, Float64Array, Int32Array, ListArray, StringArray,
        StructArray,
    },
    buffer::{NullBuffer, OffsetBuffer},
    datatypes::{DataType, Field, Fields, Int32Type},
    error::ArrowError,
};

use super::{
    extractions::Row,
    identity::{page, span},
    merged,
};
use crate::base::{Agreement, Evidence, Grounds, RecordOf, Verdict};

/// Which columns there are beside those that every dataset has.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Extras {
    /// `_evidence`, `_agreement` and `_addresses_model`.
    pub evidence: bool,
    /// `_checks`.
    pub checks: bool,
    /// `_record` of lists; `_parts`, `_failed_parts` and `_conflicts` of documents.
    pub record: RecordOf,
    /// `_shift`: seconds by which the sound of a row begins before its `_start`.
    pub shift: bool,
}

impl Extras {
    /// Their fields.
    pub fn fields(self) -> Vec<Field> {
        let evidence = [
            Field::new("_evidence", list_of(grounds_fields()), true),
            Field::new("_agreement", DataType::Float32, true),
            Field::new("_addresses_model", DataType::Boolean, true),
        ];
        let checks = Field::new("_checks", list_of(verdict_fields()), false);
        let evidence = evidence.into_iter().filter(|_| self.evidence);
        let shift = self.shift.then(|| Field::new("_shift", DataType::Float64, false));
        evidence.chain(self.checks.then_some(checks)).chain(merged::fields(self.record)).chain(shift).collect()
    }

    /// One array per field.
    pub fn arrays(self, rows: &[Row]) -> Result<Vec<ArrayRef>, ArrowError> {
        let mut arrays = Vec::new();
        if self.evidence {
            let known = || rows.iter().map(|row| row.extraction.evidence.as_ref());
            let agreement = known().map(|evidence| evidence?.agreement);
            let addresses = known().map(|evidence| evidence?.addresses_model);
            arrays.push(evidence(rows)?);
            arrays.push(Arc::new(agreement.collect::<Float32Array>()) as ArrayRef);
            arrays.push(Arc::new(addresses.collect::<BooleanArray>()));
        }
        if self.checks {
            arrays.push(checks(rows)?);
        }
        arrays.extend(merged::arrays(self.record, rows)?);
        if self.shift {
            arrays.push(Arc::new(Float64Array::from_iter_values(rows.iter().map(|row| row.extraction.shift))));
        }
        Ok(arrays)
    }
}

fn list_of(fields: Fields) -> DataType {
    DataType::List(Arc::new(Field::new_list_field(DataType::Struct(fields), false)))
}

fn label() -> DataType {
    DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8))
}

fn edges() -> Fields {
    ["x0", "y0", "x1", "y1"].map(|edge| Field::new(edge, DataType::Float32, false)).into_iter().collect()
}

fn grounds_fields() -> Fields {
    let fields = [
        ("path", DataType::Utf8, false),
        ("value", DataType::Utf8, true),
        ("page", DataType::Int32, true),
        ("start", DataType::Float64, true),
        ("end", DataType::Float64, true),
        ("agreement", label(), true),
        ("score", DataType::Float32, true),
        ("quote", DataType::Utf8, true),
        ("box", DataType::Struct(edges()), true),
        ("occurrences", DataType::Int32, false),
        ("confidence_mean", DataType::Float32, true),
        ("confidence_min", DataType::Float32, true),
    ];
    fields.map(|(name, data_type, nullable)| Field::new(name, data_type, nullable)).into_iter().collect()
}

fn evidence(rows: &[Row]) -> Result<ArrayRef, ArrowError> {
    let values = |row: &'_ Row| row.extraction.evidence.as_ref().map_or(0, |evidence: &Evidence| evidence.values.len());
    let offsets = OffsetBuffer::from_lengths(rows.iter().map(values));
    let present: NullBuffer = rows.iter().map(|row| row.extraction.evidence.is_some()).collect();
    let all: Vec<&Grounds> = rows.iter().flat_map(grounds_of).collect();
    let structs = StructArray::try_new(grounds_fields(), columns(&all)?, None)?;
    let item = Arc::new(Field::new_list_field(DataType::Struct(grounds_fields()), false));
    Ok(Arc::new(ListArray::try_new(item, offsets, Arc::new(structs), Some(present))?))
}

fn grounds_of(row: &Row) -> impl Iterator<Item = &Grounds> {
    row.extraction.evidence.iter().flat_map(|evidence| &evidence.values)
}

/// One array per field of a value's grounds.
fn columns(all: &[&Grounds]) -> Result<Vec<ArrayRef>, ArrowError> {
    let grounds = || all.iter().copied();
    let passages = || grounds().map(|grounds| grounds.passage.as_ref());
    let pages = grounds().map(|grounds| Some(page(&grounds.part)?.0));
    let spans = || grounds().map(|grounds| span(&grounds.part));
    Ok(vec![
        Arc::new(StringArray::from_iter_values(grounds().map(|grounds| &grounds.path))),
        Arc::new(grounds().map(|grounds| grounds.value.as_deref()).collect::<StringArray>()),
        Arc::new(pages.collect::<Int32Array>()),
        Arc::new(spans().map(|span| span.map(|(start, _)| start)).collect::<Float64Array>()),
        Arc::new(spans().map(|span| span.map(|(_, end)| end)).collect::<Float64Array>()),
        Arc::new(agreements(grounds().map(|grounds| grounds.agreement))?),
        Arc::new(grounds().map(|grounds| grounds.score).collect::<Float32Array>()),
        Arc::new(passages().map(|passage| passage.map(|passage| passage.quote.as_str())).collect::<StringArray>()),
        Arc::new(boxes(&passages().map(|passage| passage?.bounds).collect::<Vec<_>>())?),
        Arc::new(Int32Array::from_iter_values(
            passages()
                .map(|passage| passage.map_or(0, |passage| i32::try_from(passage.occurrences).unwrap_or(i32::MAX))),
        )),
        Arc::new(grounds().map(|grounds| Some(grounds.confidence?.mean)).collect::<Float32Array>()),
        Arc::new(grounds().map(|grounds| Some(grounds.confidence?.least)).collect::<Float32Array>()),
    ])
}

fn agreements(agreements: impl Iterator<Item = Option<Agreement>>) -> Result<DictionaryArray<Int32Type>, ArrowError> {
    let key = |agreement: Agreement| Agreement::ALL.iter().position(|one| *one == agreement);
    let keys: Int32Array = agreements.map(|agreement| i32::try_from(key(agreement?)?).ok()).collect();
    DictionaryArray::try_new(keys, Arc::new(StringArray::from_iter_values(Agreement::ALL.map(Agreement::as_str))))
}

fn boxes(boxes: &[Option<[f32; 4]>]) -> Result<StructArray, ArrowError> {
    let edge = |edge: usize| -> ArrayRef {
        Arc::new(Float32Array::from_iter_values(boxes.iter().map(|bounds| bounds.map_or(0.0, |bounds| bounds[edge]))))
    };
    let present: NullBuffer = boxes.iter().map(Option::is_some).collect();
    StructArray::try_new(edges(), (0..4).map(edge).collect(), Some(present))
}

fn verdict_fields() -> Fields {
    let fields =
        [("name", DataType::Utf8, false), ("passed", DataType::Boolean, true), ("detail", DataType::Utf8, false)];
    fields.map(|(name, data_type, nullable)| Field::new(name, data_type, nullable)).into_iter().collect()
}

fn checks(rows: &[Row]) -> Result<ArrayRef, ArrowError> {
    let offsets = OffsetBuffer::from_lengths(rows.iter().map(|row| row.extraction.checks.len()));
    let all: Vec<&Verdict> = rows.iter().flat_map(|row| &row.extraction.checks).collect();
    let arrays: Vec<ArrayRef> = vec![
        Arc::new(StringArray::from_iter_values(all.iter().map(|verdict| &verdict.name))),
        Arc::new(all.iter().map(|verdict| verdict.passed).collect::<BooleanArray>()),
        Arc::new(StringArray::from_iter_values(all.iter().map(|verdict| &verdict.detail))),
    ];
    let structs = StructArray::try_new(verdict_fields(), arrays, None)?;
    let item = Arc::new(Field::new_list_field(DataType::Struct(verdict_fields()), false));
    Ok(Arc::new(ListArray::try_new(item, offsets, Arc::new(structs), None)?))
}
