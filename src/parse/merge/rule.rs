//! The rules of `[parse.merge]`: what becomes of a field that several parts of a document speak of.

use std::collections::{BTreeMap, HashMap};

use serde_json::Value;

use crate::{
    base::{
        Shape,
        shape::{Form, List, Node, below},
    },
    parse::pointer,
};

/// What becomes of the values of one place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Rule {
    /// The first that says anything.
    First,
    /// The last that says anything.
    Last,
    /// The longest text or list.
    Longest,
    /// All of them one after the other: items of lists, lines of a text.
    Concat,
    /// Transcripts one after the other; where two clips overlap, what both say is said once.
    Stitch,
    /// All items, equal ones once; with a key those are one that have the same value there.
    Union(Option<String>),
    /// Each field, or each name of a map, by itself.
    Inside,
}

impl Rule {
    /// Where the pipeline names none.
    pub fn usual(node: &Node) -> Self {
        match &node.form {
            Form::Object(_) | Form::Map(_) => Self::Inside,
            Form::List(list) if has_fixed_length(list) => Self::First,
            Form::List(list) if list.unique => Self::Union(None),
            Form::List(_) => Self::Concat,
            _ => Self::First,
        }
    }

    fn read(written: &Value) -> Option<Self> {
        let table = written.as_object().filter(|table| table.len() == 1);
        let key = table.and_then(|table| table.get("union")?.as_str());
        match (written.as_str(), key) {
            (Some("first"), _) => Some(Self::First),
            (Some("last"), _) => Some(Self::Last),
            (Some("longest"), _) => Some(Self::Longest),
            (Some("concat"), _) => Some(Self::Concat),
            (Some("stitch"), _) => Some(Self::Stitch),
            (Some("union"), _) => Some(Self::Union(None)),
            (_, Some(key)) => Some(Self::Union(Some(key.to_owned()))),
            _ => None,
        }
    }

    /// Why it does not fit what stands at its place.
    fn misfit(&self, node: &Node) -> Option<String> {
        match (self, &node.form) {
            (Self::First | Self::Last | Self::Inside, _) | (Self::Longest, Form::Text(_) | Form::List(_)) => None,
            (Self::Longest, _) => Some("`longest` is for texts and lists".to_owned()),
            (Self::Concat | Self::Stitch, Form::Text(text)) if text.pattern.is_some() || text.format.is_some() => {
                Some("putting texts together would break the text's pattern or format".to_owned())
            }
            (Self::Concat | Self::Union(_), Form::List(list)) if has_fixed_length(list) => {
                Some("its length is fixed, and two lists put together would break it; write `first`".to_owned())
            }
            (Self::Concat, Form::List(list)) if list.unique => {
                Some("its items are unique, so `concat` may break it; write `union`".to_owned())
            }
            (Self::Concat, Form::Text(_) | Form::List(_)) | (Self::Union(None), Form::List(_)) => None,
            (Self::Stitch, Form::Text(_)) => None,
            (Self::Stitch, _) => Some("`stitch` is for texts".to_owned()),
            (Self::Concat, _) => Some("`concat` is for texts and lists".to_owned()),
            (Self::Union(Some(key)), Form::List(list)) => key_misfit(key, list),
            (Self::Union(_), _) => Some("`union` is for lists".to_owned()),
        }
    }
}

/// True for boxes, coordinates and the like: such lists are one value, and two of them are not a longer one.
pub fn has_fixed_length(list: &List) -> bool {
    list.least == list.most
}

fn key_misfit(key: &str, list: &List) -> Option<String> {
    let Form::Object(fields) = &list.item.form else {
        return Some("`union` by a key is for lists of objects; write `union` alone".to_owned());
    };
    match fields.iter().find(|field| field.name == key) {
        None => Some(format!("its items have no field `{key}`")),
        Some(field) => matches!(field.node.form, Form::Object(_) | Form::Map(_) | Form::List(_))
            .then(|| format!("`{key}` is an object or a list; a key is one value")),
    }
}

/// The rules of a pipeline, by JSON Pointer.
pub type Rules = HashMap<String, Rule>;

/// Fits rules to the schema: a name stands for a field of the record, a JSON Pointer for one inside of objects.
///
/// # Errors
/// Every problem, one line each.
pub fn fit(written: &BTreeMap<String, Value>, shape: &Shape) -> Result<Rules, Vec<String>> {
    let (mut rules, mut problems) = (Rules::new(), Vec::new());
    for (name, rule) in written {
        let at = if name.starts_with('/') { name.clone() } else { below("", name) };
        match fitted(&at, rule, shape) {
            Ok(rule) if !rules.contains_key(&at) => drop(rules.insert(at, rule)),
            Ok(_) => problems.push(format!("parse.merge: `{name}` is named twice, as a field and as a pointer")),
            Err(problem) => problems.push(format!("parse.merge: `{name}`: {problem}")),
        }
    }
    for at in rules.keys() {
        let above = rules.iter().find(|(other, rule)| **rule != Rule::Inside && at.starts_with(&format!("{other}/")));
        problems.extend(above.map(|(other, _)| {
            format!("parse.merge: `{at}` has no effect, since `{other}` is taken as a whole; leave out one of them")
        }));
    }
    if problems.is_empty() { Ok(rules) } else { Err(problems) }
}

fn fitted(at: &str, written: &Value, shape: &Shape) -> Result<Rule, String> {
    let known = "write \"first\", \"last\", \"longest\", \"concat\", \"stitch\", \"union\" or { union = \"KEY\" }";
    let rule = Rule::read(written).ok_or_else(|| format!("{written} is no rule; {known}"))?;
    let node = in_objects(at, shape).ok_or_else(|| {
        "the schema has no such field; name a field, or give a JSON Pointer to one inside of objects".to_owned()
    })?;
    rule.misfit(node).map_or(Ok(rule), Err)
}

/// What stands at a pointer that leads through objects alone.
fn in_objects<'a>(at: &str, shape: &'a Shape) -> Option<&'a Node> {
    let steps: Vec<String> = pointer::steps(at).collect();
    let mut above = String::new();
    for step in steps.iter().rev().skip(1).rev() {
        above = below(&above, step);
        let node = pointer::node(shape, &above)?;
        matches!(node.form, Form::Object(_)).then_some(())?;
    }
    pointer::node(shape, at)
}
