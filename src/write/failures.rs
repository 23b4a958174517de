//! The table of failures: who, which stage gave up, why, and what to do.

use std::sync::Arc;

use arrow::{
    array::{ArrayRef, RecordBatch, StringArray},
    datatypes::{DataType, Field, Schema, SchemaRef},
    error::ArrowError,
};

use super::{asked::RunIdentity, columns, identity, identity::Identity};
use crate::base::{Failure, Fault, Limit};

/// One row.
#[derive(Debug)]
pub struct Failed {
    /// Who.
    pub identity: Identity,
    /// What happened.
    pub fault: Fault,
    /// Microseconds since 1970, UTC.
    pub at: i64,
}

impl Failed {
    /// The row of a failure.
    pub fn new(failure: Failure, at: i64) -> Self {
        let Failure { source, hash, kind, part, fault, .. } = failure;
        Self { identity: Identity { source, hash, kind, part }, fault, at }
    }
}

/// The columns.
pub fn schema() -> SchemaRef {
    let texts = ["stage", "kind", "message", "hint"].map(|name| Field::new(name, DataType::Utf8, false));
    let limit = Field::new("limit", DataType::Utf8, true);
    let made = ["_model", "_config"].map(|name| Field::new(name, DataType::Utf8, false));
    let at = Field::new("at", columns::instant(), false);
    let fields: Vec<Field> =
        identity::fields().into_iter().chain(texts).chain([limit]).chain(made).chain([at]).collect();
    Arc::new(Schema::new(fields))
}

/// Rows as columns.
pub fn batch(rows: &[Failed], run: &RunIdentity) -> Result<RecordBatch, ArrowError> {
    let identities: Vec<&Identity> = rows.iter().map(|row| &row.identity).collect();
    let text = |read: fn(&Fault) -> &str| -> ArrayRef {
        Arc::new(StringArray::from_iter_values(rows.iter().map(|row| read(&row.fault))))
    };
    let mut arrays = identity::arrays(&identities);
    arrays.push(text(|fault| fault.stage.as_str()));
    arrays.push(text(|fault| fault.kind.as_str()));
    arrays.push(text(|fault| &fault.message));
    arrays.push(text(|fault| &fault.hint));
    arrays.push(Arc::new(StringArray::from_iter(rows.iter().map(|row| row.fault.limit.map(Limit::as_str)))));
    let configs = rows.iter().map(|row| &run.config(row.identity.kind).failures);
    arrays.push(Arc::new(StringArray::from_iter_values(rows.iter().map(|_| &run.model))));
    arrays.push(Arc::new(StringArray::from_iter_values(configs)));
    arrays.push(Arc::new(columns::instants(rows.iter().map(|row| Some(row.at)))));
    RecordBatch::try_new(schema(), arrays)
}
