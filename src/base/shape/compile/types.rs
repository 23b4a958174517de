//! `type`: which values a place may hold, and which keywords have an effect on them.

use serde_json::Value;

use super::{
    super::{
        below,
        keyword::{self, Coverage},
        node::{Form, Node, Untyped},
    },
    Compiler, Schema,
};

/// Arrays and objects inside one another in a value of which the schema says nothing.
const LEVELS_OF_ANYTHING: usize = 3;

impl<'a> Compiler<'a> {
    /// `type` without `null`, and whether `null` was there; `implied` where the schema has no `type`.
    pub(super) fn types(&self, schema: &'a Schema, implied: &'a str) -> (bool, Vec<&'a str>) {
        let stated: Vec<&str> = match schema.get("type") {
            Some(Value::Array(types)) => types.iter().filter_map(Value::as_str).collect(),
            Some(Value::String(one)) => vec![one],
            _ if implied.is_empty() => Vec::new(),
            _ => vec![implied],
        };
        let values: Vec<&str> = stated.iter().copied().filter(|name| *name != "null").collect();
        (values.len() < stated.len(), values)
    }

    pub(super) fn typed(&mut self, schema: &'a Schema, at: &str) -> Option<Node> {
        let (nullable, names) = self.types(schema, implied_type(schema));
        let own: Vec<&str> = names.iter().flat_map(|name| own_keywords(name)).copied().collect();
        if !names.is_empty() {
            let what = if let [name] = names[..] { noun(name) } else { "a value of these types" };
            self.allow_only(schema, at, &own, what);
        }
        match names[..] {
            [] if nullable => {
                self.problem(at, "a column of nothing but null tells nothing; remove it or name another type");
                None
            }
            [] => self.anything_at(schema, at),
            [name] => Some(Node::new(self.of_type(name, schema, at)?, nullable)),
            _ => {
                let forms: Vec<Form> = names.iter().filter_map(|name| self.of_type(name, schema, at)).collect();
                let branches = forms.into_iter().map(|form| Node::new(form, false)).collect();
                Some(self.as_text("values of several types".to_owned(), Untyped::Either(branches), nullable, at))
            }
        }
    }

    pub(super) fn of_type(&mut self, name: &str, schema: &'a Schema, at: &str) -> Option<Form> {
        match name {
            "object" => self.object(schema, at),
            "array" => self.array(schema, at),
            "string" => self.text(schema, at),
            "integer" | "number" => self.numeric(schema, name, at),
            _ => Some(Form::Boolean(None)),
        }
    }

    /// Places of which the schema says nothing hold any JSON, within bounds.
    pub(super) fn anything_at(&mut self, schema: &Schema, at: &str) -> Option<Node> {
        if schema.keys().any(|name| keyword::lookup(name, &Value::Null) != Some(Coverage::Noted)) {
            self.problem(at, "say what the value is: add a `type`");
            return None;
        }
        let anything = self.anything(LEVELS_OF_ANYTHING);
        let why = format!("the schema does not say what it is: any JSON of at most {LEVELS_OF_ANYTHING} levels");
        Some(self.as_text(why, Untyped::Either(anything), true, at))
    }

    /// A keyword that has no effect where it stands is an error.
    pub(super) fn allow_only(&mut self, schema: &Schema, at: &str, own: &[&str], what: &str) {
        let idle = |name: &&String| {
            let noted = keyword::lookup(name, &Value::Null) == Some(Coverage::Noted);
            !noted && *name != "type" && !own.contains(&name.as_str())
        };
        let indirect = own.first().is_some_and(|own| ["$ref", "anyOf", "oneOf", "allOf"].contains(own));
        for name in schema.keys().filter(|name| idle(name) || (indirect && *name == "type")) {
            self.problem(&below(at, name), format!("`{name}` has no effect on {what}; remove it"));
        }
    }
}

fn implied_type(schema: &Schema) -> &'static str {
    if schema.contains_key("properties") { "object" } else { "" }
}

/// The keywords that have an effect on values of a type, `type` aside.
fn own_keywords(name: &str) -> &'static [&'static str] {
    match name {
        "object" => &["properties", "required", "additionalProperties", "minProperties", "maxProperties"],
        "array" => &["items", "prefixItems", "minItems", "maxItems", "uniqueItems"],
        "string" => &["format", "minLength", "maxLength", "pattern"],
        "integer" | "number" => &["minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"],
        _ => &[],
    }
}

fn noun(name: &str) -> &'static str {
    match name {
        "object" => "an object",
        "array" => "an array",
        "string" => "a string",
        "integer" => "a value of type integer",
        "number" => "a value of type number",
        _ => "a boolean",
    }
}
