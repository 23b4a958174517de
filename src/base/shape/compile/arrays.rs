//! Arrays: lists of one kind, and those whose first items are each of their own kind.

use serde_json::Value;

use super::{
    super::{
        below,
        node::{Form, Json, List, Node, Tuple, Untyped},
    },
    Compiler, Schema, whole,
};

impl<'a> Compiler<'a> {
    pub(super) fn array(&mut self, schema: &'a Schema, at: &str) -> Option<Form> {
        if schema.contains_key("prefixItems") {
            return self.tuple(schema, at);
        }
        let least = whole(schema, "minItems").unwrap_or(0);
        let most = whole(schema, "maxItems").unwrap_or_else(|| {
            self.added(at, "maxItems", self.bounds.most_items.max(least), "items", "most_items");
            self.bounds.most_items.max(least)
        });
        self.ordered(least, most, at, "minItems", "maxItems");
        let at = below(at, "items");
        let item = self.inside(1, &at, |inside| match schema.get("items") {
            Some(items) => inside.node(items, &at),
            None => inside.anything_at(&Schema::new(), &at),
        })?;
        let unique = schema.get("uniqueItems") == Some(&Value::Bool(true));
        if item.form == Form::Nothing && !item.nullable {
            return Some(if least > 0 { Form::Nothing } else { list(item, 0, 0, unique) });
        }
        Some(list(item, least, most, unique))
    }

    fn tuple(&mut self, schema: &'a Schema, at: &str) -> Option<Form> {
        if schema.get("uniqueItems") == Some(&Value::Bool(true)) {
            self.problem(&below(at, "uniqueItems"), "`uniqueItems` is not supported beside `prefixItems`; remove it");
        }
        let (at_first, at_rest) = (below(at, "prefixItems"), below(at, "items"));
        let kinds = schema.get("prefixItems").and_then(Value::as_array)?;
        let first = self.inside(1, &at_first, |inside| inside.kinds(kinds, &at_first))?;
        let rest = match schema.get("items") {
            Some(items @ Value::Object(_)) => Some(self.inside(1, &at_rest, |inside| inside.node(items, &at_rest))?),
            _ => None,
        };
        let least = whole(schema, "minItems").unwrap_or(0);
        let most = self.most_of_tuple(schema, &first, rest.as_ref());
        self.ordered(least, most, at, "minItems", "maxItems");
        Some(self.within_levels(Tuple { first, rest: rest.map(Box::new), least, most }, at))
    }

    fn kinds(&mut self, kinds: &'a [Value], at: &str) -> Option<Vec<Node>> {
        let kinds: Vec<Option<Node>> =
            kinds.iter().enumerate().map(|(index, kind)| self.node(kind, &format!("{at}/{index}"))).collect();
        kinds.into_iter().collect()
    }

    fn most_of_tuple(&self, schema: &Schema, first: &[Node], rest: Option<&Node>) -> u64 {
        let known = first.len() as u64;
        let open = if rest.is_some() { self.bounds.most_items.max(known) } else { known };
        let stated = whole(schema, "maxItems").unwrap_or(open);
        if rest.is_some() { stated } else { stated.min(known) }
    }

    /// Where levels end, so does the array.
    fn within_levels(&mut self, mut tuple: Tuple, at: &str) -> Form {
        let impossible = |node: &Node| node.form == Form::Nothing && !node.nullable;
        if let Some(end) = tuple.first.iter().position(impossible) {
            tuple.first.truncate(end);
            tuple.rest = None;
        }
        tuple.rest = tuple.rest.filter(|rest| !impossible(rest));
        if tuple.rest.is_none() {
            tuple.most = tuple.most.min(tuple.first.len() as u64);
        }
        if tuple.least > tuple.most {
            return Form::Nothing;
        }
        let why = "items of several kinds".to_owned();
        self.remark(at, format!("kept as JSON text: {why}"));
        Form::Json(Json { why, untyped: Untyped::Tuple(tuple) })
    }

    /// A list of such items, within the default bounds.
    pub(super) fn list_of(&self, item: Node) -> Form {
        list(item, 0, self.bounds.most_items, false)
    }

    pub(super) fn ordered(&mut self, least: u64, most: u64, at: &str, least_name: &str, most_name: &str) {
        if least > most {
            self.problem(at, format!("`{least_name}` {least} is above `{most_name}` {most}: no value fits"));
        }
    }

    /// Remarks that a bound was added.
    pub(super) fn added(&mut self, at: &str, keyword: &str, bound: u64, what: &str, setting: &str) {
        self.remark(at, format!("no `{keyword}`: at most {bound} {what} (`{setting}` under `[parse]`)"));
    }
}

fn list(item: Node, least: u64, most: u64, unique: bool) -> Form {
    Form::List(List { item: Box::new(item), least, most, unique })
}
