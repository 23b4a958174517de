//! How the model is asked to answer: whether it thinks first, and whether it calls a function instead of writing JSON.

use serde_json::Value;

use super::{
    layout::{SYSTEM, USER},
    vocabulary::{Stretch, Vocabulary},
};
use crate::base::Fatal;

/// Asks for thoughts, at the head of the system turn (Gemma 4's chat template).
const THINK: &str = "<|think|>";

/// The words around a declared function.
const DECLARED: (&str, &str) = ("<|tool>declaration:", "<tool|>");

/// How the model is to answer. By default at once, and in JSON.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Manner {
    /// True asks for thoughts before the answer.
    pub thinking: bool,
    /// The function whose call is the answer, as chat templates take it (`Shape::function`).
    pub function: Option<Value>,
}

impl Manner {
    /// Checks that the function can be declared: chat templates put its words in as they are, so none may spell a
    /// special token or one of our own marks.
    pub(super) fn check(&self, vocabulary: &Vocabulary) -> Result<(), Fatal> {
        let mut words = Vec::new();
        self.function.iter().for_each(|function| gather(function, &mut words));
        let special = |word: &&&str| {
            let stretches = vocabulary.split(word);
            word.contains([SYSTEM, USER]) || stretches.iter().any(|stretch| matches!(stretch, Stretch::Special(_)))
        };
        match words.iter().find(special) {
            None => Ok(()),
            Some(word) => Err(Fatal::new(
                format!("a call cannot carry `{word:.60}` of the schema: it spells a special token"),
                "change the word, or write `output = \"json\"` under `[parse]`",
            )),
        }
    }

    /// What a rendered template lacks of what was asked for.
    pub(super) fn missing_in(&self, rendered: &str) -> Option<String> {
        if self.thinking && !rendered.contains(THINK) {
            return Some(format!("does not ask for thoughts: it leaves out `{THINK}`"));
        }
        let function = self.function.as_ref()?.get("function")?;
        let (begin, end) = DECLARED;
        let begin = format!("{begin}{}{{", function.get("name")?.as_str()?);
        let declared = rendered.split_once(&begin).and_then(|(_, rest)| rest.split_once(end));
        let Some((declared, _)) = declared else { return Some(format!("declares no function: `{begin}` is missing")) };
        let mut names = Vec::new();
        properties(function, &mut names);
        let lost = names.into_iter().find(|name| !declared.contains(&format!("{name}:{{")));
        lost.map(|name| format!("leaves the property `{name}` out of the function that it declares"))
    }
}

/// All strings and keys.
fn gather<'a>(value: &'a Value, words: &mut Vec<&'a str>) {
    match value {
        Value::String(text) => words.push(text),
        Value::Array(items) => items.iter().for_each(|item| gather(item, words)),
        Value::Object(fields) => fields.iter().for_each(|(name, value)| {
            words.push(name);
            gather(value, words);
        }),
        _ => {}
    }
}

/// The names of all properties, at any depth.
fn properties<'a>(schema: &'a Value, names: &mut Vec<&'a str>) {
    for (key, value) in schema.as_object().into_iter().flatten() {
        if let ("properties", Value::Object(named)) = (key.as_str(), value) {
            names.extend(named.keys().map(String::as_str));
            named.values().for_each(|property| properties(property, names));
        } else {
            properties(value, names);
        }
    }
}
