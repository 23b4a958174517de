//! An answer put into its shape: complete, in schema order, nothing but what the schema names, and valid.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::{
    below,
    check::Checker,
    complete::complete,
    day::{date, date_time},
    node::{self, Field, Form, List, Node, Union},
    place,
};

/// Remarks kept per answer; an answer that earns more is not told better by them.
const MOST_REMARKS: usize = 32;

/// A valid record and what is worth knowing about how it became one.
#[derive(Debug, Clone, PartialEq)]
pub struct Settled {
    /// All fields of the shape, in order; `null` where an optional one is absent.
    pub record: Value,
    /// What was dropped or looks cut, one line each.
    pub remarks: Vec<String>,
    /// Of lists that had copies: their JSON pointers in the answer, and the places there of the items that are left.
    pub kept: BTreeMap<String, Vec<usize>>,
}

/// Settles `answer` into `fields`.
pub fn settle(fields: &[Field], checker: &Checker, answer: Value) -> Result<Settled, Vec<String>> {
    let Value::Object(given) = answer else {
        return Err(vec![format!("(root): the answer is {}, not an object", kind_of(&answer))]);
    };
    let mut settler = Settler::default();
    let stated = Value::Object(settler.stated(fields, given, ""));
    let mut problems = checker.problems(&stated);
    problems.append(&mut settler.problems);
    if !problems.is_empty() {
        return Err(problems);
    }
    let Value::Object(stated) = stated else { return Err(problems) };
    Ok(Settled { record: Value::Object(complete(fields, stated)), remarks: settler.remarks, kept: settler.kept })
}

#[derive(Default)]
struct Settler {
    problems: Vec<String>,
    remarks: Vec<String>,
    kept: BTreeMap<String, Vec<usize>>,
}

impl Settler {
    /// What the schema is to be checked against: known properties in order, without the nulls that stand for absence.
    fn stated(&mut self, fields: &[Field], mut given: Map<String, Value>, at: &str) -> Map<String, Value> {
        let mut stated = Map::new();
        for field in fields {
            let Some(value) = given.shift_remove(&field.name) else { continue };
            let absent = value.is_null() && !field.required && !field.node.nullable;
            if !absent {
                let value = self.value(&field.node, value, &below(at, &field.name));
                stated.insert(field.name.clone(), value);
            }
        }
        for name in given.keys() {
            self.remark(format!("{}: dropped, the schema has no such property", below(at, name)));
        }
        stated
    }

    fn value(&mut self, node: &Node, value: Value, at: &str) -> Value {
        match (&node.form, value) {
            (Form::Object(fields), Value::Object(given)) => Value::Object(self.stated(fields, given, at)),
            (Form::Map(map), Value::Object(given)) => Value::Object(self.map(map, given, at)),
            (Form::Union(union), Value::Object(given)) => Value::Object(self.variant(union, given, at)),
            (Form::List(list), Value::Array(items)) => Value::Array(self.list(list, items, at)),
            (Form::Integer(_), value) => self.integer(value, at),
            (form, Value::String(text)) => {
                self.string(form, &text, at);
                Value::String(text)
            }
            (_, value) => value,
        }
    }

    fn map(&mut self, map: &node::Map, given: Map<String, Value>, at: &str) -> Map<String, Value> {
        if map.least < map.most {
            self.remark_full(given.len() as u64, map.most, "entries", at);
        }
        let settled = given.into_iter().map(|(name, value)| {
            let value = self.value(&map.value, value, &below(at, &name));
            (name, value)
        });
        settled.collect()
    }

    /// What has no tag of ours is left as it is, for the checker to name.
    fn variant(&mut self, union: &Union, given: Map<String, Value>, at: &str) -> Map<String, Value> {
        let variant = given.get(&union.tag).and_then(Value::as_str).and_then(|name| union.variant(name));
        match variant {
            Some(variant) => self.stated(&variant.fields, given, at),
            None => given,
        }
    }

    fn list(&mut self, list: &List, items: Vec<Value>, at: &str) -> Vec<Value> {
        if list.least < list.most {
            self.remark_full(items.len() as u64, list.most, "items", at);
        }
        let place = |index: usize| format!("{at}/{index}");
        let items: Vec<Value> =
            items.into_iter().enumerate().map(|(index, item)| self.value(&list.item, item, &place(index))).collect();
        if list.unique { self.without_copies(items, at) } else { items }
    }

    /// A grammar cannot compare items, so what comes again is dropped here. Numbers are compared as the checker does:
    /// `1` and `1.0` are the same.
    fn without_copies(&mut self, items: Vec<Value>, at: &str) -> Vec<Value> {
        let count = items.len();
        let (mut kept, mut places): (Vec<Value>, Vec<usize>) = (Vec::with_capacity(count), Vec::new());
        for (index, item) in items.into_iter().enumerate() {
            if !kept.iter().any(|other| same(other, &item)) {
                kept.push(item);
                places.push(index);
            }
        }
        if kept.len() < count {
            self.remark(format!("{}: dropped {} items that were there already", place(at), count - kept.len()));
            self.kept.insert(at.to_owned(), places);
        }
        kept
    }

    /// `3.0` and `-0` are whole numbers for JSON Schema, and become integers here.
    fn integer(&mut self, value: Value, at: &str) -> Value {
        let Some(number) = value.as_f64().filter(|_| !value.is_i64()) else { return value };
        if number.fract() != 0.0 {
            return value;
        }
        if number.abs() < 9.2e18 && !value.is_u64() {
            return Value::from(number as i64);
        }
        self.problems.push(format!("{}: {value} does not fit a 64-bit integer", place(at)));
        value
    }

    fn string(&mut self, form: &Form, text: &str, at: &str) {
        match form {
            Form::Text(bounds) if bounds.shortest < bounds.longest && bounds.format.is_none() => {
                self.remark_full(text.chars().count() as u64, bounds.longest, "characters", at);
            }
            Form::Date if date(text).is_none() => self.problems.push(format!("{}: `{text}` is no date", place(at))),
            Form::DateTime if date_time(text).is_none() => {
                self.problems.push(format!("{}: `{text}` is no date and time with a zone", place(at)));
            }
            _ => {}
        }
    }

    fn remark_full(&mut self, count: u64, most: u64, what: &str, at: &str) {
        if count == most && most > 16 {
            self.remark(format!("{}: has all of the {most} {what} that are allowed and may be cut", place(at)));
        }
    }

    fn remark(&mut self, remark: String) {
        if self.remarks.len() < MOST_REMARKS {
            self.remarks.push(remark);
        }
    }
}

/// Equal as JSON Schema sees it.
fn same(one: &Value, other: &Value) -> bool {
    match (one, other) {
        (Value::Number(one), Value::Number(other)) => {
            let as_doubles = one.is_f64() || other.is_f64();
            one == other || (as_doubles && one.as_f64() == other.as_f64())
        }
        (Value::Array(one), Value::Array(other)) => {
            one.len() == other.len() && one.iter().zip(other).all(|(one, other)| same(one, other))
        }
        (Value::Object(one), Value::Object(other)) => {
            let there = |(name, value): (&String, &Value)| other.get(name).is_some_and(|other| same(value, other));
            one.len() == other.len() && one.iter().all(there)
        }
        (one, other) => one == other,
    }
}

fn kind_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    }
}
