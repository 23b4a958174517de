//! A JSON Pointer in which `*` stands for every item of an array: `/items/*/amount`.

use std::fmt;

use serde_json::Value;

use crate::{
    base::{
        Shape,
        shape::{Form, Node},
    },
    parse::pointer,
};

/// A path that leads somewhere in every record of a shape.
#[derive(Debug, Clone)]
pub struct Path {
    text: String,
    steps: Vec<String>,
}

impl Path {
    /// A path into `shape`, and what stands at its end.
    ///
    /// # Errors
    /// Where it leads nowhere.
    pub fn new<'a>(text: &str, shape: &'a Shape) -> Result<(Self, &'a Node), String> {
        let steps: Vec<String> = pointer::steps(text).collect();
        let path = Self { text: text.to_owned(), steps };
        let node = pointer::node(shape, text).filter(|_| text.starts_with('/') && path.steps_fit(shape));
        let advice = "write a JSON Pointer to a field of the schema, with `*` for all items of an array";
        node.map(|node| (path, node)).ok_or_else(|| format!("`{text}` leads nowhere; {advice}"))
    }

    /// `*` and nothing else stands for the items of an array.
    fn steps_fit(&self, shape: &Shape) -> bool {
        let mut at = String::new();
        self.steps.iter().all(|step| {
            let in_list = pointer::node(shape, &at).is_some_and(|node| matches!(node.form, Form::List(_)));
            at = pointer::below(&at, step);
            in_list == (step == "*")
        })
    }

    /// True when it may lead to several values.
    pub fn is_several(&self) -> bool {
        self.steps.iter().any(|step| step == "*")
    }

    /// The values that it leads to in a record; `None` where one is missing on the way.
    pub fn values<'a>(&self, record: &'a Value) -> Vec<Option<&'a Value>> {
        let mut values = vec![Some(record)];
        for step in &self.steps {
            values = values.into_iter().flat_map(|value| below(value, step)).collect();
        }
        values.into_iter().map(|value| value.filter(|value| !value.is_null())).collect()
    }
}

fn below<'a>(value: Option<&'a Value>, step: &str) -> Vec<Option<&'a Value>> {
    match value {
        Some(Value::Array(items)) if step == "*" => items.iter().map(Some).collect(),
        Some(value) => vec![value.get(step)],
        None => vec![None],
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}`", self.text)
    }
}
