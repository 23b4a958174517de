//! Objects: those with named properties, which become columns, and those of any names, which become maps.

use std::collections::HashMap;

use serde_json::Value;

use super::{
    super::{
        below,
        node::{Field, Form, Map, Node, Text},
    },
    Compiler, Schema, whole,
};

/// Characters of a name in a map.
const LONGEST_KEY: u64 = 64;

impl<'a> Compiler<'a> {
    pub(super) fn object(&mut self, schema: &'a Schema, at: &str) -> Option<Form> {
        let named = schema.get("properties").and_then(Value::as_object).filter(|named| !named.is_empty());
        let Some(named) = named else { return self.unnamed(schema, at) };
        for count in ["minProperties", "maxProperties"].into_iter().filter(|name| schema.contains_key(*name)) {
            self.problem(&below(at, count), format!("`{count}` has no effect beside `properties`; use `required`"));
        }
        if schema.get("additionalProperties").is_some_and(|value| !value.is_boolean()) {
            let advice = "named and other properties cannot stand side by side: give the others an object of their own";
            self.problem(&below(at, "additionalProperties"), advice);
        }
        let at = below(at, "properties");
        let fields = self.inside(1, &at, |inside| Some(inside.fields(schema, named, &at)))?;
        Some(within_levels(fields))
    }

    fn fields(&mut self, schema: &'a Schema, named: &'a Schema, at: &str) -> Vec<Field> {
        self.names_can_be_columns(named.keys(), at);
        let required = self.required(schema, named, at);
        let mut fields = Vec::new();
        for (name, schema) in named {
            let Some(node) = self.node(schema, &below(at, name)) else { continue };
            fields.push(Field { name: name.clone(), required: required.contains(&name.as_str()), node });
        }
        fields
    }

    /// An object without `properties`: a map, or no object that we could make columns of.
    fn unnamed(&mut self, schema: &'a Schema, at: &str) -> Option<Form> {
        if at.is_empty() || schema.get("additionalProperties") == Some(&Value::Bool(false)) {
            self.problem(&below(at, "properties"), "an object needs at least one property");
            return None;
        }
        if let Some(names) = schema.get("required").and_then(Value::as_array).filter(|names| !names.is_empty()) {
            let first = &names[0];
            self.problem(
                &below(at, "required"),
                format!("`required` names {first}; say what it is under `properties`"),
            );
        }
        let at_value = below(at, "additionalProperties");
        // A map is a list of entries, and each of those a name and a value: two columns inside one another.
        let value = self.inside(2, &at_value, |inside| match schema.get("additionalProperties") {
            Some(value @ Value::Object(_)) => inside.node(value, &at_value),
            _ => inside.anything_at(&Schema::new(), &at_value),
        })?;
        self.map(schema, value, at)
    }

    fn map(&mut self, schema: &Schema, value: Node, at: &str) -> Option<Form> {
        let least = whole(schema, "minProperties").unwrap_or(0);
        if least > 1 {
            let why = "names may be given twice, and then count once; 0 and 1 can be promised";
            self.problem(&below(at, "minProperties"), format!("{least} is not supported: {why}"));
        }
        let most = whole(schema, "maxProperties").unwrap_or_else(|| {
            self.added(at, "maxProperties", self.bounds.most_items, "entries", "most_items");
            self.bounds.most_items
        });
        self.ordered(least, most, at, "minProperties", "maxProperties");
        if value.form == Form::Nothing && !value.nullable {
            return Some(if least > 0 { Form::Nothing } else { map(value, 0, 0) });
        }
        Some(map(value, least, most))
    }

    pub(super) fn names_can_be_columns<'b>(&mut self, names: impl Iterator<Item = &'b String>, at: &str) {
        let mut seen: HashMap<String, &String> = HashMap::new();
        for name in names {
            if name.is_empty() || name.chars().any(char::is_control) {
                self.problem(&below(at, name), "a column needs a name without control characters; rename it");
            }
            if let Some(other) = seen.insert(name.to_lowercase(), name) {
                let why = "differ only by case, and many readers of Parquet take them for one column";
                self.problem(&below(at, name), format!("`{name}` and `{other}` {why}; rename one"));
            }
        }
    }

    fn required(&mut self, schema: &'a Schema, properties: &Schema, at: &str) -> Vec<&'a str> {
        let names = schema.get("required").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str);
        let names: Vec<&str> = names.collect();
        for absent in names.iter().filter(|name| !properties.contains_key(**name)) {
            self.problem(at, format!("`required` names `{absent}`, which is not among the properties"));
        }
        names
    }

    /// Any JSON value but null, of at most so many arrays and objects inside one another.
    pub(super) fn anything(&self, levels: usize) -> Vec<Node> {
        let text = Text { shortest: 0, longest: self.bounds.longest_string, pattern: None, format: None };
        let mut forms = vec![Form::Boolean(None), self.any_number(), Form::Text(text)];
        if levels > 0 {
            let value = || Node::new(super::super::either(self.anything(levels - 1)), true);
            forms.push(self.list_of(value()));
            forms.push(map(value(), 0, self.bounds.most_items));
        }
        forms.into_iter().map(|form| Node::new(form, false)).collect()
    }
}

fn map(value: Node, least: u64, most: u64) -> Form {
    Form::Map(Map { value: Box::new(value), least, most, longest_key: LONGEST_KEY })
}

/// Where levels end, an object that demands another level cannot be.
fn within_levels(fields: Vec<Field>) -> Form {
    let impossible = |field: &Field| field.node.form == Form::Nothing && !field.may_be_null();
    if fields.iter().any(impossible) { Form::Nothing } else { Form::Object(fields) }
}
