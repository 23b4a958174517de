//! What an answer looks like: the tree behind a JSON Schema, from which come the grammar, the checks and the columns.
//!
//! A [`Shape`] is compiled once per run from a JSON Schema (draft 2020-12). Whatever the schema asks for is either
//! enforced while decoding, checked afterwards, or refused with a message: [`coverage`] says which.

mod check;
mod compile;
mod complete;
mod day;
mod decimal;
mod declaration;
mod document;
mod guide;
mod keyword;
mod merge;
mod node;
mod numeric;
mod settle;
mod string;
mod told;

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

pub use day::{date, date_time};
pub use decimal::units;
pub use declaration::FUNCTION;
pub use keyword::{Coverage, KeywordUse};
pub use node::{Choice, Field, Form, Integer, Json, List, Map, Node, Number, Text, Tuple, Union, Untyped, Variant};
pub use settle::Settled;
pub use string::expression_of;
pub use told::bounds;

use check::Checker;

/// Bounds for whatever a schema leaves unbounded, so that no answer can run away.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Bounds {
    /// Characters of a string without `maxLength`.
    pub longest_string: u64,
    /// Items of an array without `maxItems`, and entries of a map without `maxProperties`.
    pub most_items: u64,
    /// Digits before the point of a number that is not bounded on both sides.
    pub most_digits: u32,
}

impl Default for Bounds {
    fn default() -> Self {
        Self { longest_string: 4096, most_items: 256, most_digits: 18 }
    }
}

/// What the reader of a schema should know about a place in it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Remark {
    /// JSON pointer of the place.
    pub pointer: String,
    /// A bound that was added, or why the column is JSON text.
    pub message: String,
}

/// A JSON Schema that has been understood completely. The root is an object; its fields become columns.
#[derive(Debug)]
pub struct Shape {
    schema: Value,
    fields: Vec<Field>,
    remarks: Vec<Remark>,
    bounds: Bounds,
    checker: Checker,
}

impl Shape {
    /// Compiles a schema with the default [`Bounds`].
    ///
    /// # Errors
    /// All problems at once, each one line that begins with the JSON pointer of the culprit.
    pub fn compile(schema: &Value) -> Result<Self, Vec<String>> {
        Self::compile_within(schema, Bounds::default())
    }

    /// Compiles a schema; `bounds` apply where the schema sets none itself.
    ///
    /// # Errors
    /// All problems at once, each one line that begins with the JSON pointer of the culprit.
    pub fn compile_within(schema: &Value, bounds: Bounds) -> Result<Self, Vec<String>> {
        document::validate(schema)?;
        let compile::Compiled { fields, remarks } = compile::compile(schema, bounds)?;
        let checker = Checker::new(schema).map_err(|problem| vec![problem])?;
        Ok(Self { schema: schema.clone(), fields, remarks, bounds, checker })
    }

    /// The schema as the user wrote it.
    pub fn schema(&self) -> &Value {
        &self.schema
    }

    /// The fields of the record, in schema order.
    pub fn fields(&self) -> &[Field] {
        &self.fields
    }

    /// Bounds that were added to the schema's own, and columns that fall back to JSON text.
    pub fn remarks(&self) -> &[Remark] {
        &self.remarks
    }

    /// What applies where the schema sets no bound.
    pub fn bounds(&self) -> Bounds {
        self.bounds
    }

    /// The closed and bounded JSON Schema that guides decoding: every property present and in schema order, optional
    /// ones with `null` allowed, nothing additional, and no string, array or number without an end.
    pub fn guide(&self) -> Value {
        guide::object(&self.fields)
    }

    /// The function whose call is an answer, as chat templates take it among their tools.
    ///
    /// # Errors
    /// One line per name that a call cannot spell.
    pub fn function(&self) -> Result<Value, Vec<String>> {
        declaration::function(&self.schema, &self.fields)
    }

    /// Puts a parsed answer into this shape and checks it: unknown properties are dropped, properties come in schema
    /// order, absent optional ones become `null`.
    ///
    /// # Errors
    /// One line per place where the answer is not what the schema demands.
    pub fn settle(&self, answer: Value) -> Result<Settled, Vec<String>> {
        settle::settle(&self.fields, &self.checker, answer)
    }
}

/// What happens to each keyword that a schema uses: by JSON pointer, in order of appearance.
pub fn coverage(schema: &Value) -> Vec<KeywordUse> {
    keyword::coverage(schema)
}

/// Every keyword that we know, with what happens to it in general.
pub fn keywords() -> BTreeMap<&'static str, Coverage> {
    keyword::table()
}

/// A place that may be any of several kinds.
fn either(nodes: Vec<Node>) -> Form {
    Form::Json(Json { why: "values of several types".to_owned(), untyped: Untyped::Either(nodes) })
}

/// The JSON pointer one step further down.
pub fn below(at: &str, name: &str) -> String {
    format!("{at}/{}", name.replace('~', "~0").replace('/', "~1"))
}

/// A JSON pointer as shown: the root has none of its own.
fn place(pointer: impl ToString) -> String {
    let pointer = pointer.to_string();
    if pointer.is_empty() { "(root)".to_owned() } else { pointer }
}
