//! What an open string may be ended with: for each pattern of the schema a text that matches it, from any byte on.
//!
//! Byte after byte a pattern like `^.+\.$` shows no way out: what it lets in anywhere is let in for ever.

use std::{collections::BTreeSet, slice, sync::Arc};

use serde_json::Value;

use super::{syntax::Syntax, vocabulary::Vocabulary, witness};

/// Endings as tokens, each with the quote behind it, those of the fewest bytes first.
#[derive(Clone)]
pub(super) struct Endings(Arc<[Vec<u32>]>);

impl Endings {
    /// Those of all strings of `schema`; the first is the quote alone.
    pub fn of(vocabulary: &Vocabulary, syntax: Syntax, schema: &Value) -> Self {
        let mut texts = BTreeSet::from([Vec::new()]);
        for text in patterns(schema).into_iter().filter_map(witness::of) {
            let text = written(syntax, text);
            texts.extend((0..text.len()).map(|start| text[start..].to_vec()));
        }
        let mut texts: Vec<Vec<u8>> = texts.into_iter().collect();
        texts.sort_by_key(Vec::len);
        let quoted = |text: &Vec<u8>| Some([vocabulary.spell(text)?, vec![syntax.quote(vocabulary)?]].concat());
        Self(texts.iter().filter_map(quoted).collect())
    }

    /// All of them.
    pub fn shortest_first(&self) -> slice::Iter<'_, Vec<u32>> {
        self.0.iter()
    }
}

/// The patterns of all strings and of all names below a node.
fn patterns(node: &Value) -> Vec<&str> {
    match node {
        Value::Object(keywords) => {
            let pattern = keywords.get("pattern").and_then(Value::as_str);
            let names = keywords.get("patternProperties").and_then(Value::as_object);
            let names = names.into_iter().flat_map(|names| names.keys().map(String::as_str));
            pattern.into_iter().chain(names).chain(keywords.values().flat_map(patterns)).collect()
        }
        Value::Array(items) => items.iter().flat_map(patterns).collect(),
        _ => Vec::new(),
    }
}

/// The bytes of a text between its quotes.
fn written(syntax: Syntax, text: String) -> Vec<u8> {
    match syntax {
        Syntax::Json => {
            let quoted = Value::from(text).to_string();
            quoted.as_bytes()[1..quoted.len() - 1].to_vec()
        }
        Syntax::Call { .. } => text.into_bytes(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::generate::vocabulary::tests::small;

    #[test]
    fn the_shortest_ending_comes_first_and_each_but_once() {
        let (vocabulary, text) = (small(), json!({"type": "string", "pattern": "^.+!\"$"}));
        let schema = json!({"properties": {"a": text, "b": {"items": text}}});
        let endings = Endings::of(&vocabulary, Syntax::Json, &schema);
        let said: Vec<String> = endings.shortest_first().map(|tokens| vocabulary.text(tokens)).collect();
        assert_eq!(said, [r#"""#, r#""""#, r#"\"""#, r#"!\"""#, r#"a!\"""#]);
    }
}
