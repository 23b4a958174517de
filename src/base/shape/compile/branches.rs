//! `anyOf`, `oneOf` and `allOf`: a value or null, a list of constants, objects told apart by a tag, or JSON text.

use std::collections::HashSet;

use serde_json::Value;

use super::{
    super::{
        merge,
        node::{Choice, Field, Form, Node, Union, Untyped, Variant},
    },
    Compiler,
};

impl<'a> Compiler<'a> {
    pub(super) fn only_branch(&mut self, branches: &'a [Value], at: &str) -> Option<Node> {
        if let [branch] = branches {
            return self.node(branch, &format!("{at}/0"));
        }
        self.problem(at, "several schemas at once are not supported; merge them into one");
        None
    }

    /// What any of the branches allows; with `one`, no value may fit two of them.
    pub(super) fn branches(&mut self, branches: &'a [Value], one: bool, at: &str) -> Option<Node> {
        let is_null = |branch: &Value| branch.get("type").is_some_and(|stated| stated == "null");
        let mut nulls = branches.iter().filter(|branch| is_null(branch)).count();
        let mut nodes = Vec::new();
        for (index, branch) in branches.iter().enumerate().filter(|(_, branch)| !is_null(branch)) {
            nodes.push(self.node(branch, &format!("{at}/{index}"))?);
        }
        nulls += nodes.iter().filter(|node| node.nullable).count();
        if one && nulls > 1 {
            self.problem(at, "null fits several of the branches; allow it in one");
        }
        let nullable = nulls > 0;
        // Where the levels of a schema that contains itself end, so do its branches.
        nodes.retain(|node| node.form != Form::Nothing);
        match nodes.len() {
            0 if branches.iter().all(is_null) => {
                self.problem(at, "a column of nothing but null tells nothing; add another type");
                None
            }
            0 => Some(Node::new(Form::Nothing, nullable)),
            1 => nodes.pop().map(|node| Node { nullable, ..node }),
            _ => self.several(nodes, nullable, one, at),
        }
    }

    fn several(&mut self, nodes: Vec<Node>, nullable: bool, one: bool, at: &str) -> Option<Node> {
        if let Some(choice) = constants(&nodes) {
            self.no_option_twice(&choice, one, at);
            return Some(Node::new(Form::Choice(choice), nullable));
        }
        if let Some((tag, objects)) = tagged(&nodes) {
            // Each field stands in its variant and among the columns, again and again where such objects nest.
            self.count(nodes.iter().map(Node::places).sum(), at)?;
            let union = union(tag, &objects);
            self.names_can_be_columns(union.columns.iter().map(|column| &column.name), at);
            return Some(Node::new(Form::Union(union), nullable));
        }
        if one && !nodes.iter().enumerate().all(|(index, node)| nodes[..index].iter().all(|other| apart(node, other))) {
            let advice = "give each branch an object with a property of the same name and a `const` of its own, or \
                          write `anyOf`";
            self.problem(at, format!("a value may fit several of the branches; {advice}"));
        }
        Some(self.as_text("values of several types".to_owned(), Untyped::Either(nodes), nullable, at))
    }

    fn no_option_twice(&mut self, choice: &Choice, one: bool, at: &str) {
        let mut seen = HashSet::new();
        if let Some(option) = choice.options.iter().find(|option| !seen.insert(*option)).filter(|_| one) {
            self.problem(at, format!("`{option}` fits several of the branches; name it in one"));
        }
    }
}

/// Branches that are all strings out of lists.
fn constants(nodes: &[Node]) -> Option<Choice> {
    let options = nodes.iter().map(|node| match &node.form {
        Form::Choice(choice) => Some(choice.options.clone()),
        _ => None,
    });
    let options: Vec<Vec<String>> = options.collect::<Option<_>>()?;
    Some(Choice { options: options.concat() })
}

/// Objects that one property tells apart, and its name: there in each of them, with strings that are in no other.
fn tagged(nodes: &[Node]) -> Option<(&str, Vec<&[Field]>)> {
    let objects: Vec<&[Field]> = nodes.iter().map(fields).collect::<Option<_>>()?;
    let candidates = objects.first().copied()?.iter().filter(|field| tag_names(field).is_some());
    let tag = candidates.map(|field| field.name.as_str()).find(|name| tells_apart(name, &objects))?;
    Some((tag, objects))
}

fn union(tag: &str, objects: &[&[Field]]) -> Union {
    let variant = |fields: &&[Field]| {
        let names = fields.iter().find(|field| field.name == tag).and_then(tag_names).unwrap_or_default();
        Variant { names: names.to_vec(), fields: fields.to_vec() }
    };
    let variants: Vec<Variant> = objects.iter().map(variant).collect();
    Union { tag: tag.to_owned(), columns: merge::columns(tag, &variants), variants }
}

fn fields(node: &Node) -> Option<&[Field]> {
    match &node.form {
        Form::Object(fields) => Some(fields),
        _ => None,
    }
}

fn tag_names(field: &Field) -> Option<&[String]> {
    match &field.node.form {
        Form::Choice(choice) if !field.may_be_null() => Some(&choice.options),
        _ => None,
    }
}

fn tells_apart(name: &str, objects: &[&[Field]]) -> bool {
    let mut seen: HashSet<&String> = HashSet::new();
    objects.iter().all(|fields| {
        let names = fields.iter().find(|field| field.name == name).and_then(tag_names);
        let new = names.is_some_and(|names| names.iter().all(|name| !seen.contains(&name)));
        seen.extend(names.unwrap_or_default());
        new
    })
}

/// True when no value can fit both.
fn apart(one: &Node, other: &Node) -> bool {
    match (kinds(&one.form), kinds(&other.form)) {
        (Some(one), Some(other)) => one != other,
        _ => false,
    }
}

/// The kind of JSON that a form is made of; `None` where it may be several.
fn kinds(form: &Form) -> Option<&'static str> {
    match form {
        Form::Object(_) | Form::Map(_) | Form::Union(_) => Some("object"),
        Form::List(_) => Some("array"),
        Form::Text(_) | Form::Choice(_) | Form::Date | Form::DateTime => Some("string"),
        Form::Integer(_) | Form::Number(_) | Form::Decimal(_) => Some("number"),
        Form::Boolean(_) => Some("boolean"),
        Form::Json(_) | Form::Nothing => None,
    }
}
