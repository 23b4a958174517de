//! The table of extractions: who, the record, then how it came about.

use std::sync::Arc;

use arrow::{
    array::{ArrayRef, Float32Array, Float64Array, Int32Array, ListBuilder, RecordBatch, StringArray, StringBuilder},
    datatypes::{DataType, Field, Schema, SchemaRef},
    error::ArrowError,
};

use super::{asked::RunIdentity, boxes, columns, evidence::Extras, identity, identity::Identity, tries};
use crate::base::{Extraction, Shape};

/// One row.
#[derive(Debug)]
pub struct Row {
    /// Who.
    pub identity: Identity,
    /// The record and its history.
    pub extraction: Extraction,
    /// Microseconds since 1970, UTC.
    pub written_at: i64,
}

impl Row {
    /// Bytes that the row holds in memory, roughly: the record costs about what its text does.
    pub fn bytes(&self) -> usize {
        let evidence = self.extraction.evidence.iter().flat_map(|evidence| &evidence.values);
        let quotes: usize = evidence.map(|grounds| 256 + grounds.passage.as_ref().map_or(0, |it| it.quote.len())).sum();
        let merged = self.extraction.merged.iter().flat_map(|merged| &merged.parts);
        let merged: usize = merged.map(|part| 2 * part.raw.len() + 64).sum();
        2 * self.extraction.raw.len() + merged + thought(self).map_or(0, str::len) + quotes + 512
    }
}

/// How rows become batches.
#[derive(Debug)]
pub struct Extractions {
    shape: Arc<Shape>,
    extras: Extras,
    run: RunIdentity,
    schema: SchemaRef,
}

impl Extractions {
    /// The table of records of one shape, made by one run.
    pub fn new(shape: Arc<Shape>, extras: Extras, run: RunIdentity) -> Self {
        let record = columns::fields(shape.fields());
        let before = identity::fields().into_iter().map(Arc::new);
        let extra = extras.fields().into_iter().map(Arc::new);
        let after = history().into_iter().chain([boxes::field()]).map(Arc::new);
        let fields: Vec<_> = before.chain(record.iter().cloned()).chain(extra).chain(after).collect();
        Self { shape, extras, run, schema: Arc::new(Schema::new(fields)) }
    }

    /// The columns.
    pub fn schema(&self) -> SchemaRef {
        self.schema.clone()
    }

    /// Rows as columns.
    pub fn batch(&self, rows: &[Row]) -> Result<RecordBatch, ArrowError> {
        let identities: Vec<&Identity> = rows.iter().map(|row| &row.identity).collect();
        let records: Vec<_> = rows.iter().map(|row| Some(&row.extraction.record)).collect();
        let mut arrays = identity::arrays(&identities);
        arrays.extend(columns::arrays(self.shape.fields(), &records)?);
        arrays.extend(self.extras.arrays(rows)?);
        arrays.extend(self.history(rows));
        RecordBatch::try_new(self.schema.clone(), arrays)
    }

    fn history(&self, rows: &[Row]) -> Vec<ArrayRef> {
        let config = |row: &Row| self.run.config(row.identity.kind).of_row(row.extraction.confined).to_owned();
        let mut arrays: Vec<ArrayRef> = vec![
            Arc::new(StringArray::from_iter_values(rows.iter().map(|row| &row.extraction.raw))),
            Arc::new(rows.iter().map(thought).collect::<StringArray>()),
            problems(rows),
            Arc::new(StringArray::from_iter_values(rows.iter().map(|row| row.extraction.finish.as_str()))),
            Arc::new(Float32Array::from_iter_values(rows.iter().map(|row| row.extraction.mean_logprob))),
        ];
        arrays.extend(counts(rows));
        arrays.extend(timings(rows));
        arrays.push(Arc::new(Int32Array::from_iter_values(rows.iter().map(|row| row.extraction.attempt.into()))));
        arrays.push(tries::array(rows.iter().map(|row| row.extraction.tries.as_slice())));
        arrays.push(Arc::new(StringArray::from_iter_values(rows.iter().map(|_| &self.run.model))));
        arrays.push(Arc::new(StringArray::from_iter_values(rows.iter().map(config))));
        arrays.push(Arc::new(columns::instants(rows.iter().map(|row| Some(row.written_at)))));
        arrays.push(boxes::array(rows.iter().map(|row| row.extraction.boxes.as_slice())));
        arrays
    }
}

/// The only column that may hold nothing: rows without thoughts, and rows whose thoughts are dropped.
const THOUGHT: &str = "_thought";

fn thought(row: &Row) -> Option<&str> {
    row.extraction.thought.as_ref()?.text.as_deref()
}

fn history() -> Vec<Field> {
    let problem = Field::new_list_field(DataType::Utf8, false);
    let before = [
        ("_raw", DataType::Utf8),
        (THOUGHT, DataType::Utf8),
        ("_problems", DataType::List(Arc::new(problem))),
        ("_finish", DataType::Utf8),
        ("_mean_logprob", DataType::Float32),
    ];
    let counts = ["_budget", "_prompt_tokens", "_image_tokens", "_audio_tokens", "_new_tokens", "_thought_tokens"];
    let efforts = ["_steps", "_forced_tokens", "_drafted_tokens", "_accepted_tokens"];
    let timings = ["_encode_ms", "_prefill_ms", "_decode_ms"];
    let ladder = [("_attempt", DataType::Int32), ("_tries", tries::column())];
    let after = [("_model", DataType::Utf8), ("_config", DataType::Utf8), ("_written_at", columns::instant())];
    let counts = counts.into_iter().chain(efforts).map(|name| (name, DataType::Int32));
    let timings = timings.map(|name| (name, DataType::Float64));
    let all = before.into_iter().chain(counts).chain(timings).chain(ladder).chain(after);
    all.map(|(name, data_type)| Field::new(name, data_type, name == THOUGHT)).collect()
}

fn counts(rows: &[Row]) -> [ArrayRef; 10] {
    let count = |read: fn(&Extraction) -> u32| -> ArrayRef {
        let counts = rows.iter().map(|row| i32::try_from(read(&row.extraction)).unwrap_or(i32::MAX));
        Arc::new(Int32Array::from_iter_values(counts))
    };
    [
        count(|row| row.facts.budget),
        count(|row| row.facts.prompt_tokens),
        count(|row| row.facts.image_tokens),
        count(|row| row.facts.audio_tokens),
        count(|row| row.tokens),
        count(|row| row.thought.as_ref().map_or(0, |thought| thought.tokens)),
        count(|row| row.effort.steps),
        count(|row| row.effort.forced),
        count(|row| row.effort.drafted),
        count(|row| row.effort.accepted),
    ]
}

fn timings(rows: &[Row]) -> [ArrayRef; 3] {
    let milliseconds = |read: fn(&Extraction) -> u64| -> ArrayRef {
        Arc::new(Float64Array::from_iter_values(rows.iter().map(|row| read(&row.extraction) as f64 / 1000.0)))
    };
    [
        milliseconds(|row| row.timing.encode_micros),
        milliseconds(|row| row.timing.prefill_micros),
        milliseconds(|row| row.timing.decode_micros),
    ]
}

fn problems(rows: &[Row]) -> ArrayRef {
    let field = Field::new_list_field(DataType::Utf8, false);
    let mut lists = ListBuilder::new(StringBuilder::new()).with_field(field);
    for row in rows {
        row.extraction.problems.iter().for_each(|problem| lists.values().append_value(problem));
        lists.append(true);
    }
    Arc::new(lists.finish())
}
