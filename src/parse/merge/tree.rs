//! Values of several units made into one, place by place, and where each came to stand. Whatever was said is in the
//! record or is a conflict; only nulls, empty texts and empty lists say nothing.

use std::collections::HashMap;

use serde_json::{Map, Value};

use super::{
    rule::{Rule, Rules, has_fixed_length},
    stitch,
};
use crate::{
    base::shape::{Field, Form, Node, below},
    parse::silence::is_silent,
};

/// What a unit says at a place.
#[derive(Debug, Clone)]
pub struct Said<'a> {
    /// Which unit.
    pub unit: usize,
    /// JSON Pointer in the unit's own record.
    pub at: String,
    /// What it says.
    pub value: &'a Value,
}

impl<'a> Said<'a> {
    fn below(&self, name: &str) -> Option<Said<'a>> {
        Some(Said { unit: self.unit, at: below(&self.at, name), value: self.value.get(name)? })
    }

    fn items(&self) -> Vec<Said<'a>> {
        let items = self.value.as_array().map_or(&[][..], Vec::as_slice).iter().enumerate();
        items.map(|(place, value)| Said { unit: self.unit, at: format!("{}/{place}", self.at), value }).collect()
    }
}

/// A value that did not enter the record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Contradiction {
    /// Which unit says it.
    pub unit: usize,
    /// JSON Pointer in the merged record.
    pub path: String,
    /// The value as JSON text.
    pub value: String,
}

/// Merges values.
#[derive(Debug)]
pub struct Merger<'a> {
    rules: &'a Rules,
    /// Seconds of each unit that the one before had as well.
    overlaps: Vec<f64>,
    /// Where a unit's places came to stand; lists behind one another are told once, by how far their items moved.
    moves: HashMap<(usize, String), (String, usize)>,
    /// What contradicts the record.
    pub contradictions: Vec<Contradiction>,
}

impl<'a> Merger<'a> {
    /// Merges by these rules units that share so many seconds, each with the one before.
    pub fn new(rules: &'a Rules, overlaps: Vec<f64>) -> Self {
        Self { rules, overlaps, moves: HashMap::new(), contradictions: Vec::new() }
    }

    /// The record of all units, which are given in the order of the document.
    pub fn record(&mut self, fields: &[Field], records: &[&Value]) -> Value {
        let said = records.iter().enumerate().map(|(unit, value)| Said { unit, at: String::new(), value });
        self.fields(fields, &said.collect::<Vec<_>>(), "")
    }

    /// Where a place of a unit's record stands in the merged one; `None` where it did not enter.
    pub fn place(&self, unit: usize, path: &str) -> Option<String> {
        let mut end = path.len();
        loop {
            if let Some((to, shift)) = self.moves.get(&(unit, path[..end].to_owned())) {
                return Some(format!("{to}{}", shifted(&path[end..], *shift)));
            }
            end = path[..end].rfind('/')?;
        }
    }

    fn fields(&mut self, fields: &[Field], said: &[Said], to: &str) -> Value {
        let merged = fields.iter().map(|field| {
            let inner: Vec<Said> = said.iter().filter_map(|one| one.below(&field.name)).collect();
            (field.name.clone(), self.node(&field.node, inner, &below(to, &field.name)))
        });
        Value::Object(merged.collect())
    }

    fn node(&mut self, node: &Node, mut said: Vec<Said>, to: &str) -> Value {
        let silent = said.iter().find(|one| !one.value.is_null()).cloned();
        said.retain(|one| !says_nothing(node, one.value));
        if said.is_empty() {
            return silent.map_or(Value::Null, |one| self.moved(&one, to, 0));
        }
        let rule = self.rules.get(to).cloned().unwrap_or_else(|| Rule::usual(node));
        match (rule, &node.form) {
            (Rule::Inside, Form::Object(fields)) => self.fields(fields, &said, to),
            (Rule::Inside, Form::Map(map)) => self.names(&map.value, &said, to),
            (Rule::Concat, Form::List(_)) => self.behind(&said, to),
            (Rule::Concat, _) => self.lines(&said, to),
            (Rule::Stitch, _) => self.stitched(&said, to),
            (Rule::Union(key), Form::List(list)) => self.union(&list.item, key.as_deref(), &said, to),
            (Rule::Last, _) => self.one(&said, said.len() - 1, to),
            (Rule::Longest, _) => self.one(&said, longest(&said), to),
            _ => self.one(&said, 0, to),
        }
    }

    /// One is taken; those that say otherwise contradict it.
    fn one(&mut self, said: &[Said], chosen: usize, to: &str) -> Value {
        let wanted = canonical(said[chosen].value);
        for other in said.iter().filter(|other| canonical(other.value) != wanted) {
            let Said { unit, value, .. } = other;
            self.contradictions.push(Contradiction { unit: *unit, path: to.to_owned(), value: value.to_string() });
        }
        let alike = said.iter().filter(|other| canonical(other.value) == wanted);
        alike.for_each(|other| drop(self.moved(other, to, 0)));
        said[chosen].value.clone()
    }

    fn moved(&mut self, said: &Said, to: &str, shift: usize) -> Value {
        self.moves.insert((said.unit, said.at.clone()), (to.to_owned(), shift));
        said.value.clone()
    }

    fn names(&mut self, node: &Node, said: &[Said], to: &str) -> Value {
        let mut names: Vec<&String> = Vec::new();
        let mut known = std::collections::HashSet::new();
        let all = said.iter().filter_map(|one| one.value.as_object()).flat_map(Map::keys);
        names.extend(all.filter(|name| known.insert(*name)));
        let merged = names.into_iter().map(|name| {
            let inner: Vec<Said> = said.iter().filter_map(|one| one.below(name)).collect();
            (name.clone(), self.node(node, inner, &below(to, name)))
        });
        Value::Object(merged.collect())
    }

    fn behind(&mut self, said: &[Said], to: &str) -> Value {
        let mut all: Vec<Value> = Vec::new();
        for one in said {
            let items = self.moved(one, to, all.len());
            all.extend(items.as_array().into_iter().flatten().cloned());
        }
        Value::Array(all)
    }

    fn lines(&mut self, said: &[Said], to: &str) -> Value {
        let lines: Vec<String> =
            said.iter().map(|one| self.moved(one, to, 0).as_str().unwrap_or_default().to_owned()).collect();
        Value::from(lines.join("\n"))
    }

    /// Texts one after the other; what a unit shares with the one right before it is said once.
    fn stitched(&mut self, said: &[Said], to: &str) -> Value {
        let (mut text, mut before) = (String::new(), None);
        for one in said {
            let follows = before.is_some_and(|before: usize| before + 1 == one.unit);
            let seconds = if follows { self.overlaps.get(one.unit).copied().unwrap_or(0.0) } else { 0.0 };
            let own = self.moved(one, to, 0);
            stitch::join(&mut text, own.as_str().unwrap_or_default().trim(), seconds);
            before = Some(one.unit);
        }
        Value::from(text)
    }

    fn union(&mut self, node: &Node, key: Option<&str>, said: &[Said], to: &str) -> Value {
        let (mut groups, mut known) = (Vec::<Vec<Said>>::new(), HashMap::new());
        for item in said.iter().flat_map(Said::items) {
            let name = match key {
                None => Some(canonical(item.value)),
                Some(key) => item.value.get(key).filter(|value| !is_silent(value)).map(canonical),
            };
            let place = name.map_or(groups.len(), |name| *known.entry(name).or_insert(groups.len()));
            match groups.get_mut(place) {
                Some(group) => group.push(item),
                None => groups.push(vec![item]),
            }
        }
        let merged = groups.into_iter().enumerate().map(|(place, group)| {
            let to = format!("{to}/{place}");
            if key.is_some() && group.len() > 1 { self.node(node, group, &to) } else { self.one(&group, 0, &to) }
        });
        Value::Array(merged.collect())
    }
}

/// The first step of the rest of a pointer, an item's place, moved on.
fn shifted(rest: &str, shift: usize) -> String {
    let (step, behind) = match rest.get(1..).and_then(|rest| rest.find('/')) {
        Some(end) => rest.split_at(end + 1),
        None => (rest, ""),
    };
    match step.get(1..).and_then(|step| step.parse::<usize>().ok()) {
        Some(place) if shift > 0 => format!("/{}{behind}", place + shift),
        _ => rest.to_owned(),
    }
}

/// The first of the longest: characters of a text, items of a list.
fn longest(said: &[Said]) -> usize {
    let length = |one: &Said| match one.value {
        Value::String(text) => text.chars().count(),
        Value::Array(items) => items.len(),
        _ => 0,
    };
    (0..said.len()).rev().max_by_key(|place| length(&said[*place])).unwrap_or(0)
}

/// A list of a fixed length cannot be empty where there is nothing to say: it is full of nulls then.
fn says_nothing(node: &Node, value: &Value) -> bool {
    let is_hollow = |value: &Value| value.as_array().is_some_and(|items| items.iter().all(Value::is_null));
    is_silent(value) || matches!(&node.form, Form::List(list) if has_fixed_length(list)) && is_hollow(value)
}

/// The same text for values that JSON Schema holds for equal: `1` and `1.0`, objects in any order.
pub fn canonical(value: &Value) -> String {
    match value {
        Value::Number(number) => match number.as_f64().filter(|_| number.is_f64()) {
            Some(double) if double.fract() == 0.0 && double.abs() < 9e15 => (double as i64).to_string(),
            _ => number.to_string(),
        },
        Value::Array(items) => format!("[{}]", items.iter().map(canonical).collect::<Vec<_>>().join(",")),
        Value::Object(fields) => {
            let mut fields: Vec<String> = fields
                .iter()
                .map(|(name, value)| format!("{}:{}", Value::from(name.as_str()), canonical(value)))
                .collect();
            fields.sort();
            format!("{{{}}}", fields.join(","))
        }
        other => other.to_string(),
    }
}
