//! From a JSON Schema to the tree of a shape, collecting every problem on the way.

use serde_json::{Map, Value};

use super::{
    Bounds, below,
    keyword::{self, Coverage},
    node::{Choice, Field, Form, List, Node, Text},
    numeric, place, string,
};

/// Objects and arrays inside one another.
const DEEPEST: usize = 32;
/// Places in the whole tree, references written out.
const MOST_NODES: usize = 20_000;

type Schema = Map<String, Value>;

/// The fields of the root object.
pub fn fields(schema: &Value, bounds: Bounds) -> Result<Vec<Field>, Vec<String>> {
    let mut compiler = Compiler { root: schema, bounds, problems: Vec::new(), nodes: 0, trail: Vec::new() };
    let root = compiler.node(schema, "");
    let fields = compiler.root_fields(root);
    if compiler.problems.is_empty() { Ok(fields) } else { Err(compiler.problems) }
}

struct Compiler<'a> {
    root: &'a Value,
    bounds: Bounds,
    problems: Vec<String>,
    nodes: usize,
    /// The references that are being followed.
    trail: Vec<&'a str>,
}

impl<'a> Compiler<'a> {
    fn problem(&mut self, at: &str, message: impl AsRef<str>) {
        self.problems.push(format!("{}: {}", place(at), message.as_ref()));
    }

    fn root_fields(&mut self, root: Option<Node>) -> Vec<Field> {
        match root {
            Some(Node { form: Form::Object(fields), nullable: false, .. }) => {
                self.refuse_reserved_names(&fields);
                fields
            }
            Some(_) => {
                self.problem("", "a record is an object: write `\"type\": \"object\"` and its `properties`");
                Vec::new()
            }
            None => Vec::new(),
        }
    }

    fn refuse_reserved_names(&mut self, fields: &[Field]) {
        for field in fields.iter().filter(|field| field.name.starts_with('_')) {
            let advice = "names that begin with `_` are kept for the columns that every dataset has; rename it";
            self.problem(&below("/properties", &field.name), advice);
        }
    }

    fn node(&mut self, schema: &'a Value, at: &str) -> Option<Node> {
        let Some(schema) = schema.as_object() else {
            self.problem(at, "say what the value is with an object that has a `type`");
            return None;
        };
        self.nodes += 1;
        if self.nodes == MOST_NODES {
            self.problem(at, format!("the schema has more than {MOST_NODES} places; make it smaller"));
        }
        if self.nodes >= MOST_NODES || !self.keywords_are_supported(schema, at) {
            return None;
        }
        let mut node = self.understood(schema, at)?;
        node.description = described(schema).or(node.description);
        Some(node)
    }

    fn keywords_are_supported(&mut self, schema: &Schema, at: &str) -> bool {
        let before = self.problems.len();
        for (keyword, value) in schema {
            match keyword::lookup(keyword, value) {
                Some(Coverage::Refused(advice)) => {
                    self.problem(&below(at, keyword), format!("keyword `{keyword}` is not supported; {advice}"));
                }
                None => self.problem(
                    &below(at, keyword),
                    format!("`{keyword}` is no keyword of JSON Schema; remove it or mend the spelling"),
                ),
                Some(_) => {}
            }
        }
        self.problems.len() == before
    }

    fn understood(&mut self, schema: &'a Schema, at: &str) -> Option<Node> {
        for indirect in ["$ref", "anyOf", "oneOf", "allOf"] {
            if let Some(value) = schema.get(indirect) {
                self.allow_only(schema, at, &[indirect], &format!("`{indirect}`"));
                let at = below(at, indirect);
                return match value {
                    Value::String(reference) => self.reference(reference, &at),
                    Value::Array(branches) if indirect == "allOf" => self.only_branch(branches, &at),
                    Value::Array(branches) => self.value_or_null(branches, &at),
                    _ => None,
                };
            }
        }
        if schema.contains_key("enum") || schema.contains_key("const") {
            return self.choice(schema, at);
        }
        self.typed(schema, at)
    }

    fn reference(&mut self, reference: &'a str, at: &str) -> Option<Node> {
        if self.trail.contains(&reference) {
            self.problem(at, format!("`{reference}` contains itself; columns cannot, so write the levels out"));
            return None;
        }
        let target = reference.strip_prefix('#').filter(|pointer| !pointer.is_empty());
        let Some(target) = target.and_then(|pointer| self.root.pointer(pointer)) else {
            self.problem(at, format!("`{reference}` leads nowhere; refer to `#/$defs/NAME` of the same file"));
            return None;
        };
        if self.trail.len() == DEEPEST {
            self.problem(at, format!("more than {DEEPEST} references lead from one to the next; refer directly"));
            return None;
        }
        self.trail.push(reference);
        let node = self.node(target, &reference[1..]);
        self.trail.pop();
        node
    }

    fn only_branch(&mut self, branches: &'a [Value], at: &str) -> Option<Node> {
        if let [branch] = branches {
            return self.node(branch, &format!("{at}/0"));
        }
        self.problem(at, "several schemas at once are not supported; merge them into one");
        None
    }

    fn value_or_null(&mut self, branches: &'a [Value], at: &str) -> Option<Node> {
        let is_null = |branch: &Value| branch.get("type").is_some_and(|stated| stated == "null");
        let values: Vec<_> = branches.iter().enumerate().filter(|(_, branch)| !is_null(branch)).collect();
        let [(index, value)] = values[..] else {
            self.problem(
                at,
                "a column has one type: only `null` may stand beside it; use an object with nullable fields",
            );
            return None;
        };
        let node = self.node(value, &format!("{at}/{index}"))?;
        Some(Node { nullable: node.nullable || branches.len() > 1, ..node })
    }

    fn choice(&mut self, schema: &'a Schema, at: &str) -> Option<Node> {
        self.allow_only(schema, at, &["type", "enum", "const"], "a choice");
        let (nullable_type, _) = self.types(schema, "string", at)?;
        let keyword = if schema.contains_key("enum") { "enum" } else { "const" };
        let values = match &schema[keyword] {
            Value::Array(values) => values.as_slice(),
            value => std::slice::from_ref(value),
        };
        let options: Vec<String> = values.iter().filter_map(Value::as_str).map(str::to_owned).collect();
        let nulls = values.iter().filter(|value| value.is_null()).count();
        if options.is_empty() || options.len() + nulls < values.len() {
            self.problem(
                &below(at, keyword),
                "only strings (and `null`) can be chosen from; write other values as strings",
            );
            return None;
        }
        let nullable = nulls > 0 && (nullable_type || !schema.contains_key("type"));
        Some(Node { form: Form::Choice(Choice { options }), nullable, description: None })
    }

    /// Whether `type` allows null, and the one other type; `implied` where the schema has no `type`.
    fn types(&mut self, schema: &'a Schema, implied: &'a str, at: &str) -> Option<(bool, &'a str)> {
        let stated: Vec<&str> = match schema.get("type") {
            Some(Value::Array(types)) => types.iter().filter_map(Value::as_str).collect(),
            Some(Value::String(one)) => vec![one],
            _ => vec![implied],
        };
        let values: Vec<&str> = stated.iter().copied().filter(|name| *name != "null").collect();
        if let [one] = values[..] {
            return Some((stated.len() > 1, one));
        }
        self.problem(&below(at, "type"), "a column has one type: name one, and `null` beside it if it may be absent");
        None
    }

    fn typed(&mut self, schema: &'a Schema, at: &str) -> Option<Node> {
        let implied = if schema.contains_key("properties") { "object" } else { "" };
        let (nullable, name) = self.types(schema, implied, at)?;
        let form = match name {
            "object" => self.object(schema, at),
            "array" => self.list(schema, at),
            "string" => self.text(schema, at),
            "integer" | "number" => self.numeric(schema, name, at),
            "boolean" => {
                self.allow_only(schema, at, &["type"], "a boolean");
                Some(Form::Boolean)
            }
            _ => {
                self.problem(at, "say what the value is: add a `type`");
                None
            }
        }?;
        Some(Node { form, nullable, description: None })
    }

    fn object(&mut self, schema: &'a Schema, at: &str) -> Option<Form> {
        self.allow_only(schema, at, &["type", "properties", "required", "additionalProperties"], "an object");
        if schema.get("additionalProperties").is_some_and(|value| !value.is_boolean()) {
            let advice = "columns are fixed: use an array of objects with a name and a value";
            self.problem(&below(at, "additionalProperties"), advice);
        }
        let at = below(at, "properties");
        let Some(properties) = schema.get("properties").and_then(Value::as_object).filter(|all| !all.is_empty()) else {
            self.problem(&at, "an object needs at least one property");
            return None;
        };
        if self.too_deep(&at) {
            return None;
        }
        let required = self.required(schema, properties, &at);
        let fields = properties.iter().filter_map(|(name, schema)| {
            let node = self.node(schema, &below(&at, name))?;
            Some(Field { name: name.clone(), required: required.contains(&name.as_str()), node })
        });
        Some(Form::Object(fields.collect()))
    }

    fn required(&mut self, schema: &'a Schema, properties: &Schema, at: &str) -> Vec<&'a str> {
        let names = schema.get("required").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str);
        let names: Vec<&str> = names.collect();
        for absent in names.iter().filter(|name| !properties.contains_key(**name)) {
            self.problem(at, format!("`required` names `{absent}`, which is not among the properties"));
        }
        names
    }

    fn list(&mut self, schema: &'a Schema, at: &str) -> Option<Form> {
        self.allow_only(schema, at, &["type", "items", "minItems", "maxItems", "uniqueItems"], "an array");
        let least = whole(schema, "minItems").unwrap_or(0);
        let most = whole(schema, "maxItems").unwrap_or(self.bounds.most_items.max(least));
        self.ordered(least, most, at, "minItems", "maxItems");
        let at = below(at, "items");
        let Some(items) = schema.get("items") else {
            self.problem(&at, "say what the items are: add `items`");
            return None;
        };
        if self.too_deep(&at) {
            return None;
        }
        let item = Box::new(self.node(items, &at)?);
        Some(Form::List(List { item, least, most }))
    }

    fn text(&mut self, schema: &Schema, at: &str) -> Option<Form> {
        let format = schema.get("format").and_then(Value::as_str);
        if let Some(date @ ("date" | "date-time")) = format {
            self.allow_only(schema, at, &["type", "format"], &format!("a {date}"));
            return Some(if date == "date" { Form::Date } else { Form::DateTime });
        }
        self.allow_only(schema, at, &["type", "format", "minLength", "maxLength", "pattern"], "a string");
        let bound = format.map_or(Some(self.bounds.longest_string), string::longest_of);
        let Some(bound) = bound else {
            let known = string::known_formats();
            self.problem(
                &below(at, "format"),
                format!("this format is not supported; use one of {known}, or `pattern`"),
            );
            return None;
        };
        let shortest = whole(schema, "minLength").unwrap_or(0);
        let longest = whole(schema, "maxLength").unwrap_or(bound.max(shortest));
        self.ordered(shortest, longest, at, "minLength", "maxLength");
        let pattern = schema.get("pattern").and_then(Value::as_str).map(str::to_owned);
        Some(Form::Text(Text { shortest, longest, pattern, format: format.map(str::to_owned) }))
    }

    fn numeric(&mut self, schema: &Schema, name: &str, at: &str) -> Option<Form> {
        let own = ["type", "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"];
        self.allow_only(schema, at, &own, &format!("a value of type {name}"));
        let form = if name == "integer" { numeric::integer(schema) } else { numeric::number(schema) };
        form.map_err(|problem| self.problem(at, problem)).ok()
    }

    fn ordered(&mut self, least: u64, most: u64, at: &str, least_name: &str, most_name: &str) {
        if least > most {
            self.problem(at, format!("`{least_name}` {least} is above `{most_name}` {most}: no value fits"));
        }
    }

    fn too_deep(&mut self, at: &str) -> bool {
        let levels = at.matches("/properties").count() + at.matches("/items").count() + self.trail.len();
        if levels > DEEPEST {
            self.problem(at, format!("objects and arrays lie more than {DEEPEST} deep; flatten them"));
        }
        levels > DEEPEST
    }

    /// A keyword that has no effect where it stands is an error.
    fn allow_only(&mut self, schema: &Schema, at: &str, own: &[&str], what: &str) {
        let idle = |name: &&String| {
            let noted = keyword::lookup(name, &Value::Null) == Some(Coverage::Noted);
            !noted && !own.contains(&name.as_str())
        };
        for name in schema.keys().filter(idle) {
            self.problem(&below(at, name), format!("`{name}` has no effect on {what}; remove it"));
        }
    }
}

fn described(schema: &Schema) -> Option<String> {
    let text = schema.get("description").or_else(|| schema.get("title"))?;
    text.as_str().map(str::to_owned)
}

/// A count; JSON Schema also allows `3.0`.
fn whole(schema: &Schema, keyword: &str) -> Option<u64> {
    let value = schema.get(keyword)?;
    value.as_u64().or_else(|| value.as_f64().map(|count| count as u64))
}
