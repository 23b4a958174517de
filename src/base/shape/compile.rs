//! From a JSON Schema to the tree of a shape, collecting every problem on the way.

use std::collections::HashSet;

use serde_json::{Map, Value};

use super::{
    Bounds, Remark, below,
    keyword::{self, Coverage},
    node::{Field, Form, Json, Node, Untyped},
    place,
};

mod arrays;
mod branches;
mod objects;
mod scalars;
mod types;

/// Columns inside one another, and references that lead from one to the next: far beyond it nothing reads the Parquet.
const DEEPEST: usize = 32;
/// Places in the whole tree, references written out.
const MOST_NODES: usize = 20_000;
/// How often a schema may contain itself before its levels end.
const LEVELS: usize = 4;
type Schema = Map<String, Value>;

/// What a schema means, and what the reader of it should know.
pub struct Compiled {
    /// The fields of the root object.
    pub fields: Vec<Field>,
    /// Bounds that were added, and columns that fall back to JSON text.
    pub remarks: Vec<Remark>,
}

/// Compiles the schema, or tells all that is wrong with it.
pub fn compile(schema: &Value, bounds: Bounds) -> Result<Compiled, Vec<String>> {
    let mut compiler = Compiler {
        root: schema,
        bounds,
        problems: Vec::new(),
        remarks: Vec::new(),
        nodes: 0,
        depth: 0,
        trail: Vec::new(),
        endless: Vec::new(),
    };
    let root = compiler.node(schema, "");
    let fields = compiler.root_fields(root);
    let Compiler { mut problems, mut remarks, .. } = compiler;
    // References to one place are written out several times.
    let mut told = HashSet::new();
    problems.retain(|problem| told.insert(problem.clone()));
    remarks.sort();
    remarks.dedup();
    if problems.is_empty() { Ok(Compiled { fields, remarks }) } else { Err(problems) }
}

struct Compiler<'a> {
    root: &'a Value,
    bounds: Bounds,
    problems: Vec<String>,
    remarks: Vec<Remark>,
    nodes: usize,
    /// Columns inside one another around the place that is compiled, whatever references lead there.
    depth: usize,
    /// The references that are being followed, and the depth at which each was met.
    trail: Vec<(&'a str, usize)>,
    /// Those among them that were met again on the way.
    endless: Vec<&'a str>,
}

impl<'a> Compiler<'a> {
    fn problem(&mut self, at: &str, message: impl AsRef<str>) {
        self.problems.push(format!("{}: {}", place(at), message.as_ref()));
    }

    fn remark(&mut self, at: &str, message: String) {
        self.remarks.push(Remark { pointer: place(at), message });
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
            self.problem(at, "say what the value is with an object that has a `type`; `{}` allows any JSON");
            return None;
        };
        self.count(1, at)?;
        if !self.keywords_are_supported(schema, at) {
            return None;
        }
        let mut node = self.understood(schema, at)?;
        node.description = described(schema).or(node.description);
        Some(node)
    }

    /// Takes so many more places into the tree; `None` when there are too many, which is said once.
    fn count(&mut self, places: usize, at: &str) -> Option<()> {
        let fitted = self.nodes < MOST_NODES;
        self.nodes = self.nodes.saturating_add(places);
        let fits = self.nodes < MOST_NODES;
        if fitted && !fits {
            self.problem(at, format!("the schema has more than {MOST_NODES} places; make it smaller"));
        }
        fits.then_some(())
    }

    /// What lies so many columns further in; `None` where that is too deep.
    fn inside<T>(&mut self, levels: usize, at: &str, compile: impl FnOnce(&mut Self) -> Option<T>) -> Option<T> {
        if self.depth + levels > DEEPEST {
            self.problem(at, format!("objects and arrays lie more than {DEEPEST} deep; flatten them"));
            return None;
        }
        self.depth += levels;
        let compiled = compile(self);
        self.depth -= levels;
        compiled
    }

    fn keywords_are_supported(&mut self, schema: &Schema, at: &str) -> bool {
        let before = self.problems.len();
        for (keyword, value) in schema {
            match keyword::lookup_at(at, keyword, value) {
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
                    Value::Array(branches) => self.branches(branches, indirect == "oneOf", &at),
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
        let Some(target) = reference.strip_prefix('#').and_then(|pointer| self.root.pointer(pointer)) else {
            self.problem(at, format!("`{reference}` leads nowhere; refer to `#/$defs/NAME` of the same file"));
            return None;
        };
        let before: Vec<usize> =
            self.trail.iter().filter(|(one, _)| *one == reference).map(|(_, depth)| *depth).collect();
        let levels = before.len();
        if levels > 0 {
            self.endless.push(reference);
        }
        if levels == LEVELS {
            return Some(Node::new(Form::Nothing, false));
        }
        if self.trail.len() == DEEPEST {
            self.problem(at, format!("more than {DEEPEST} references lead from one to the next; refer directly"));
            return None;
        }
        let node = self.follow(reference, target, before.first().copied())?;
        if levels == 0 && self.endless.contains(&reference) { self.in_levels(reference, node, at) } else { Some(node) }
    }

    /// What contains itself becomes text, so its further levels lie no deeper than the first, which was met at `first`.
    fn follow(&mut self, reference: &'a str, target: &'a Value, first: Option<usize>) -> Option<Node> {
        let depth = self.depth;
        self.depth = first.unwrap_or(depth);
        self.trail.push((reference, self.depth));
        let node = self.node(target, &reference[1..]);
        self.trail.pop();
        self.depth = depth;
        node
    }

    /// A schema that contains itself: so many levels of it, as text, because columns cannot nest without end.
    fn in_levels(&mut self, reference: &str, node: Node, at: &str) -> Option<Node> {
        self.endless.retain(|one| *one != reference);
        if node.form == Form::Nothing {
            let advice = "make the place where it does so nullable, leave it out of `required`, or put it in an array";
            self.problem(at, format!("`{reference}` contains itself without end, so no value fits it; {advice}"));
            return None;
        }
        let why = format!("`{reference}` contains itself: at most {LEVELS} levels");
        let description = node.description.clone();
        let nullable = node.nullable;
        Some(Node { description, ..self.as_text(why, Untyped::Whole(Box::new(node)), nullable, at) })
    }

    /// A value that no column type holds.
    fn as_text(&mut self, why: String, untyped: Untyped, nullable: bool, at: &str) -> Node {
        self.remark(at, format!("kept as JSON text: {why}"));
        Node::new(Form::Json(Json { why, untyped }), nullable)
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
