//! How many tokens must be kept back so that an answer can be closed wherever it stands: a bound from the schema alone.
//!
//! For each node there are two numbers: the tokens of its smallest value, and the tokens to close it from anywhere
//! inside. Both assume what `closing` prefers: `null` where it may, no item beyond `minItems`, the shortest string.

use serde_json::Value;

use super::{call, span, syntax::Syntax, vocabulary::Vocabulary};
use crate::base::shape::FUNCTION;

/// Escapes and cut characters: what a string may need before its quote.
const LOOSE_END: usize = 5;

/// A number's sign, point and exponent sign.
const NUMBER_MARKS: usize = 4;

/// Tokens to close any answer to `schema`.
///
/// # Errors
/// The keywords that we cannot bound, one line each.
pub(super) fn tokens_to_close(vocabulary: &Vocabulary, syntax: Syntax, schema: &Value) -> Result<usize, Vec<String>> {
    let mut bounds = Bounds { vocabulary, syntax, problems: Vec::new() };
    let close = bounds.cost(schema, "").close + bounds.around();
    if bounds.problems.is_empty() { Ok(close) } else { Err(bounds.problems) }
}

/// Tokens of one node.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Cost {
    /// Its smallest value.
    least: usize,
    /// Its end, from anywhere inside; at least `least`.
    close: usize,
}

impl Cost {
    fn new(least: usize, close: usize) -> Self {
        Self { least, close: close.max(least) }
    }

    fn or(self, other: Self) -> Self {
        Self { least: self.least.max(other.least), close: self.close.max(other.close) }
    }

    /// With `null` among the choices the smallest value is `null`.
    fn or_null(self, null: usize) -> Self {
        Self::new(null, self.close)
    }
}

struct Bounds<'a> {
    vocabulary: &'a Vocabulary,
    syntax: Syntax,
    problems: Vec<String>,
}

impl Bounds<'_> {
    /// What stands around the whole: a call's name, and its two marks.
    fn around(&mut self) -> usize {
        match self.syntax {
            Syntax::Json => 0,
            Syntax::Call { .. } => 2 + self.text(&format!("call:{FUNCTION}")),
        }
    }

    fn key(&mut self, name: &str) -> usize {
        match self.syntax {
            Syntax::Json => self.text(&format!(",{}:", Value::from(name))),
            Syntax::Call { .. } => self.text(&format!(",{name}:")),
        }
    }

    /// Properties in the order in which they are written.
    fn ordered<'v>(&self, properties: &'v serde_json::Map<String, Value>) -> Vec<(&'v String, &'v Value)> {
        match self.syntax {
            Syntax::Json => properties.iter().collect(),
            Syntax::Call { .. } => call::sorted(properties),
        }
    }

    fn cost(&mut self, node: &Value, at: &str) -> Cost {
        if let Some(options) = node.get("enum").and_then(Value::as_array) {
            return options.iter().map(|option| self.literal(option)).fold(Cost::default(), Cost::or);
        }
        if let Some(constant) = node.get("const") {
            return self.literal(constant);
        }
        if let Some(choices) = node.get("anyOf").or_else(|| node.get("oneOf")).and_then(Value::as_array) {
            let costs: Vec<Cost> = choices.iter().map(|choice| self.cost(choice, at)).collect();
            let any = costs.iter().copied().fold(Cost::default(), Cost::or);
            return if choices.iter().any(is_null) { any.or_null(self.null()) } else { any };
        }
        match node.get("type") {
            Some(Value::String(name)) => self.of_type(name, node, at),
            Some(Value::Array(names)) => self.of_types(names, node, at),
            _ => self.refuse(at, "has no `type`, `enum`, `const` or `anyOf`"),
        }
    }

    fn of_types(&mut self, names: &[Value], node: &Value, at: &str) -> Cost {
        let names: Vec<&str> = names.iter().filter_map(Value::as_str).collect();
        let costs: Vec<Cost> = names.iter().map(|name| self.of_type(name, node, at)).collect();
        let any = costs.into_iter().fold(Cost::default(), Cost::or);
        if names.contains(&"null") { any.or_null(self.null()) } else { any }
    }

    fn of_type(&mut self, name: &str, node: &Value, at: &str) -> Cost {
        match name {
            "object" => self.object(node, at),
            "array" => self.array(node, at),
            "string" => self.string(node),
            "integer" | "number" => number(node),
            "boolean" => self.literal(&Value::Bool(true)).or(self.literal(&Value::Bool(false))),
            "null" => Cost::new(self.null(), self.null()),
            other => self.refuse(at, &format!("has the unknown type `{other}`")),
        }
    }

    fn object(&mut self, node: &Value, at: &str) -> Cost {
        let empty = serde_json::Map::new();
        let properties = node.get("properties").and_then(Value::as_object).unwrap_or(&empty);
        let entries = self.entries(node, at);
        let (mut least_after, mut close) = (1 + entries.least, 1 + entries.close);
        for (name, value) in self.ordered(properties).into_iter().rev() {
            let key = self.key(name);
            let cost = self.cost(value, &format!("{at}/{name}"));
            close = close.max(cost.close + least_after);
            least_after += key + cost.least;
            close = close.max(least_after);
        }
        Cost::new(1 + least_after, 1 + close)
    }

    /// The entries of a map: a name, a colon and a value, with a comma before it.
    fn entries(&mut self, node: &Value, at: &str) -> Cost {
        let Some(patterns) = node.get("patternProperties").and_then(Value::as_object) else { return Cost::default() };
        let fewest = count(node, "minProperties");
        let mut entries = Cost::default();
        for (pattern, value) in patterns {
            let value = self.cost(value, at);
            let name = 4 + LOOSE_END + span::of(pattern);
            entries = entries
                .or(Cost::new(fewest * (name + value.least), fewest * (name + value.least) + name + value.close));
        }
        entries
    }

    fn array(&mut self, node: &Value, at: &str) -> Cost {
        if let Some(first) = node.get("prefixItems").and_then(Value::as_array) {
            return self.tuple(first, node, at);
        }
        let Some(items) = node.get("items") else { return self.refuse(at, "is an array without `items`") };
        let item = self.cost(items, at);
        let fewest = count(node, "minItems");
        let others = fewest.saturating_sub(1) * (1 + item.least);
        let least = if fewest == 0 { 2 } else { 2 + item.least + others };
        Cost::new(least, 2 + item.close + others)
    }

    /// An array whose first items are each of their own kind.
    fn tuple(&mut self, first: &[Value], node: &Value, at: &str) -> Cost {
        let mut items: Vec<Cost> = first.iter().map(|item| self.cost(item, at)).collect();
        let rest = node.get("items").filter(|items| items.is_object()).map(|items| self.cost(items, at));
        let fewest = count(node, "minItems");
        if let Some(rest) = rest {
            items.resize(items.len().max(fewest) + 1, rest);
        }
        let least = 2 + items.iter().take(fewest).map(|item| 1 + item.least).sum::<usize>();
        let longest = items.iter().map(|item| item.close).max().unwrap_or(0);
        Cost::new(least, least + 1 + longest)
    }

    fn string(&mut self, node: &Value) -> Cost {
        let format = node.get("format").and_then(Value::as_str).map_or(0, length_of);
        let shortest = count(node, "minLength");
        let also = node.get("allOf").and_then(Value::as_array).into_iter().flatten();
        let patterns = also.chain([node]).filter_map(|part| part.get("pattern")?.as_str());
        // Beside a format too: a URI may first have to become one, and then to end as the pattern says.
        let length = format + shortest + patterns.map(span::of).sum::<usize>();
        Cost::new(2 + length, 2 + length + LOOSE_END)
    }

    fn literal(&mut self, value: &Value) -> Cost {
        let tokens = match (self.syntax, value) {
            (Syntax::Call { .. }, Value::String(text)) => 2 + self.text(text),
            _ => self.text(&value.to_string()),
        };
        Cost::new(tokens, tokens)
    }

    fn null(&mut self) -> usize {
        self.text("null")
    }

    /// The most tokens that `text` or any of its endings may need.
    fn text(&mut self, text: &str) -> usize {
        let bytes = text.as_bytes();
        let tokens = |start: usize| self.vocabulary.spell(&bytes[start..]).map(|tokens| tokens.len());
        match (0..bytes.len()).map(tokens).collect::<Option<Vec<usize>>>() {
            Some(counts) => counts.into_iter().max().unwrap_or(0),
            None => {
                self.problems.push(format!("the vocabulary cannot spell `{text}`"));
                0
            }
        }
    }

    fn refuse(&mut self, at: &str, what: &str) -> Cost {
        let place = if at.is_empty() { "(root)" } else { at };
        self.problems.push(format!("{place}: {what}, so its answers cannot be bounded"));
        Cost::default()
    }
}

fn count(node: &Value, keyword: &str) -> usize {
    node.get(keyword).and_then(Value::as_u64).unwrap_or(0).min(1 << 20) as usize
}

fn is_null(node: &Value) -> bool {
    node.get("type").and_then(Value::as_str) == Some("null")
}

/// Digits of the bounds: between them a number can always end.
fn number(node: &Value) -> Cost {
    let bounds = ["minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"];
    let digits = bounds.iter().filter_map(|name| node.get(name)).map(written_out).max().unwrap_or(0);
    Cost::new(digits + NUMBER_MARKS, digits + NUMBER_MARKS)
}

/// Characters of a number written without an exponent.
fn written_out(number: &Value) -> usize {
    number.as_f64().map_or(0, |number| format!("{number}").len())
}

/// Characters that close a format, from anywhere inside.
fn length_of(format: &str) -> usize {
    match format {
        "date" => 10,
        "time" => 15,
        "date-time" => 26,
        "uuid" => 36,
        "ipv4" => 15,
        "ipv6" => 45,
        _ => 24,
    }
}
