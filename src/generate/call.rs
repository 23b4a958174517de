//! The grammar of calls: the closed schema of `Shape::guide()` in, a Lark grammar for llguidance out.
//!
//! `<|tool_call>call:record{items:[{n:2,what:<|"|>tea<|"|>}],note:null}<tool_call|>`: keys are bare and come in
//! alphabetical order, as Gemma 4's chat template writes calls; strings stand between special tokens with nothing
//! escaped, so that no text can end one; all else is written as in JSON.

use std::fmt::Write;

use llguidance::JsonCompileOptions;
use serde_json::{Map, Value};

use super::{
    pattern,
    syntax::{CALL, QUOTE},
    witness,
};
use crate::base::shape::FUNCTION;

/// What a string may hold: all but control characters, of which tabs and line breaks are taken.
const CHARACTER: &str = r"[^\x00-\x08\x0B\x0C\x0E-\x1F\x7F]";

/// The Lark grammar of calls whose arguments follow `schema`; `options` say how JSON is written in there.
///
/// # Errors
/// What the syntax of calls cannot carry, one line each, beginning with its JSON pointer.
pub(super) fn grammar(schema: &Value, options: &JsonCompileOptions) -> Result<String, Vec<String>> {
    let mut rules = Rules { lark: String::new(), count: 0, problems: Vec::new(), options };
    let arguments = rules.node(schema, "");
    let (begin, end) = CALL;
    let start = format!("start: {begin} \"call:{FUNCTION}\" {arguments} {end}\n{}", rules.lark);
    if rules.problems.is_empty() { Ok(start) } else { Err(rules.problems) }
}

/// The keys of an object in the order in which a call has them: Jinja's `dictsort`, which does not heed case.
pub(super) fn sorted(properties: &Map<String, Value>) -> Vec<(&String, &Value)> {
    let mut properties: Vec<_> = properties.iter().collect();
    properties.sort_by_key(|(name, _)| name.to_lowercase());
    properties
}

struct Rules<'a> {
    lark: String,
    count: usize,
    problems: Vec<String>,
    options: &'a JsonCompileOptions,
}

impl Rules<'_> {
    /// The name of a rule for the values of a node.
    fn node(&mut self, node: &Value, at: &str) -> String {
        let body = match Kind::of(node) {
            Kind::Bare => self.bare(node),
            Kind::Any(choices) => {
                let choices: Vec<String> = choices.iter().map(|choice| self.node(choice, at)).collect();
                choices.join(" | ")
            }
            Kind::Options(options) => options.iter().map(literal).collect::<Vec<_>>().join(" | "),
            Kind::Object(properties) => self.object(properties, at),
            Kind::Array(items) => self.array(node, items, at),
            Kind::Text => self.text(node, at),
            Kind::Unknown => return self.refuse(at, "is nothing that a call can carry"),
        };
        self.count += 1;
        let name = format!("v{}", self.count);
        self.line(&name, &body);
        name
    }

    fn line(&mut self, name: &str, body: &str) {
        // Writing to a string cannot fail.
        let _ = writeln!(self.lark, "{name}: {body}");
    }

    /// Numbers, booleans and null, as JSON has them.
    fn bare(&self, node: &Value) -> String {
        let mut node = node.clone();
        self.options.apply_to(&mut node);
        format!("%json {node}")
    }

    fn object(&mut self, properties: &Map<String, Value>, at: &str) -> String {
        let mut body = String::from("\"{\"");
        for (place, (name, value)) in sorted(properties).into_iter().enumerate() {
            let key = format!("{}{name}:", if place == 0 { "" } else { "," });
            let value = self.node(value, &format!("{at}/{name}"));
            body += &format!(" {} {value}", Value::from(key));
        }
        body + " \"}\""
    }

    fn array(&mut self, node: &Value, items: &Value, at: &str) -> String {
        let item = self.node(items, at);
        let (least, most) = (count(node, "minItems", 0), count(node, "maxItems", 1 << 20));
        match (least, most) {
            (_, 0) => "\"[]\"".to_owned(),
            (0, _) => format!("\"[\" ({item} (\",\" {item}){{0,{}}})? \"]\"", most - 1),
            _ => format!("\"[\" {item} (\",\" {item}){{{},{}}} \"]\"", least - 1, most - 1),
        }
    }

    /// The empty string has a way of its own: a terminal must not be empty.
    fn text(&mut self, node: &Value, at: &str) -> String {
        let terminal = match terminal(node) {
            Ok(terminal) => terminal,
            Err(problem) => return self.refuse(at, &problem),
        };
        let (shortest, longest) = (count(node, "minLength", 0), count(node, "maxLength", 1 << 20));
        let empty = shortest == 0 && may_be_empty(node);
        match longest {
            0 if empty => return format!("{QUOTE} {QUOTE}"),
            0 => return self.refuse(at, "must be empty by its `maxLength`, and cannot be by its other bounds"),
            _ => {}
        }
        let length = format!("/{CHARACTER}{{{},{longest}}}/", shortest.max(1));
        self.count += 1;
        let name = format!("T{}", self.count);
        self.line(&name, &terminal.into_iter().chain([length]).collect::<Vec<_>>().join(" & "));
        let maybe = if empty { "?" } else { "" };
        format!("{QUOTE} {name}{maybe} {QUOTE}")
    }

    fn refuse(&mut self, at: &str, what: &str) -> String {
        let place = if at.is_empty() { "(root)" } else { at };
        self.problems.push(format!("{place}: {what}; simplify it or write `output = \"json\"`"));
        "\"\"".to_owned()
    }
}

/// What a node of the closed schema is to a call.
enum Kind<'a> {
    Bare,
    Any(&'a Vec<Value>),
    Options(&'a Vec<Value>),
    Object(&'a Map<String, Value>),
    Array(&'a Value),
    Text,
    Unknown,
}

impl<'a> Kind<'a> {
    fn of(node: &'a Value) -> Self {
        if let Some(choices) = node.get("anyOf").or_else(|| node.get("oneOf")).and_then(Value::as_array) {
            return Self::Any(choices);
        }
        if let Some(options) = node.get("enum").and_then(Value::as_array) {
            return Self::Options(options);
        }
        match node.get("type").and_then(Value::as_str) {
            Some("integer" | "number" | "boolean" | "null") => Self::Bare,
            Some("string") => Self::Text,
            Some("array") => node.get("items").map_or(Self::Unknown, Self::Array),
            Some("object") => Self::closed(node),
            _ => Self::Unknown,
        }
    }

    /// An object whose keys are all named and all there.
    fn closed(node: &'a Value) -> Self {
        let properties = node.get("properties").and_then(Value::as_object);
        let all = |properties: &&Map<String, Value>| {
            let required = node.get("required").and_then(Value::as_array).map_or(0, Vec::len);
            node.get("additionalProperties") == Some(&Value::Bool(false)) && required == properties.len()
        };
        properties.filter(all).map_or(Self::Unknown, Self::Object)
    }
}

fn literal(option: &Value) -> String {
    match option {
        Value::String(text) if text.is_empty() => format!("{QUOTE} {QUOTE}"),
        Value::String(_) => format!("{QUOTE} {option} {QUOTE}"),
        other => Value::from(other.to_string()).to_string(),
    }
}

fn count(node: &Value, keyword: &str, otherwise: u64) -> u64 {
    node.get(keyword).and_then(Value::as_u64).unwrap_or(otherwise)
}

/// True where pattern and format let a text be empty; no format does.
fn may_be_empty(node: &Value) -> bool {
    let pattern = node.get("pattern").and_then(Value::as_str);
    node.get("format").is_none() && pattern.is_none_or(witness::may_be_empty)
}

/// The regular expressions that a string must match besides its length.
fn terminal(node: &Value) -> Result<Vec<String>, String> {
    let format = node.get("format").and_then(Value::as_str).map(pattern::of_format).transpose()?;
    let pattern = node.get("pattern").and_then(Value::as_str).map(pattern::whole).transpose()?;
    // The expression of a format beside a pattern: no way through both is found in some of them.
    if node.get("allOf").is_some() {
        return Err("its `pattern` and its `format` cannot both be held in a call".to_owned());
    }
    Ok(format.into_iter().chain(pattern).map(|found| format!("/{found}/")).collect())
}
