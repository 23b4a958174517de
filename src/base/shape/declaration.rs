//! The shape as a function whose call is an answer: what chat templates take as a tool, in the few words that the
//! model's declarations have (type, description, enum, items, properties, required, nullable).

use serde_json::{Map, Value, json};

use super::{
    below,
    node::{Field, Form, Node},
    place,
};

/// The function's name.
pub const FUNCTION: &str = "record";

/// What it does, where the schema has neither title nor description.
const PURPOSE: &str = "Records what was asked for.";

/// The function, and its call's grammar, know no more of the schema than its tree; `schema` gives the purpose.
///
/// # Errors
/// What the syntax of calls cannot carry, one line each, beginning with its JSON pointer.
pub fn function(schema: &Value, fields: &[Field]) -> Result<Value, Vec<String>> {
    let mut problems = Vec::new();
    names(fields, "", &mut problems);
    let described = ["description", "title"].iter().find_map(|key| schema.get(key)?.as_str());
    let function =
        json!({"name": FUNCTION, "description": described.unwrap_or(PURPOSE), "parameters": parameters(fields)});
    if problems.is_empty() { Ok(json!({"type": "function", "function": function})) } else { Err(problems) }
}

/// Keys stand bare in a call, so they must be plain words.
fn names(fields: &[Field], at: &str, problems: &mut Vec<String>) {
    for field in fields {
        let at = below(at, &field.name);
        let plain = |c: char| c.is_alphanumeric() || c == '_' || c == '-';
        if field.name.is_empty() || !field.name.chars().all(plain) {
            let way = "letters, digits, `_` and `-` alone; rename it or write `output = \"json\"`";
            problems.push(format!("{}: a call's keys may have {way}", place(&at)));
        }
        names_inside(&field.node, &at, problems);
    }
}

fn names_inside(node: &Node, at: &str, problems: &mut Vec<String>) {
    match &node.form {
        Form::Object(fields) => names(fields, at, problems),
        Form::List(list) => names_inside(&list.item, at, problems),
        Form::Map(_) | Form::Union(_) | Form::Json(_) | Form::Nothing => {
            let what = "a call carries no maps, tagged objects or values of several types";
            problems.push(format!("{}: {what}; change it or write `output = \"json\"`", place(at)));
        }
        Form::Text(_) | Form::Choice(_) | Form::Date | Form::DateTime => {}
        Form::Integer(_) | Form::Number(_) | Form::Decimal(_) | Form::Boolean(_) => {}
    }
}

fn parameters(fields: &[Field]) -> Value {
    let properties: Map<String, Value> = fields.iter().map(|field| (field.name.clone(), property(field))).collect();
    let required: Vec<&str> = fields.iter().filter(|field| field.required).map(|field| field.name.as_str()).collect();
    let mut parameters = json!({"type": "object", "properties": properties});
    if !required.is_empty() {
        parameters["required"] = json!(required);
    }
    parameters
}

fn property(field: &Field) -> Value {
    described(&field.node, field.may_be_null())
}

fn described(node: &Node, nullable: bool) -> Value {
    let mut declared = form(&node.form);
    if let Some(description) = &node.description {
        declared["description"] = json!(description);
    }
    if nullable {
        declared["nullable"] = json!(true);
    }
    declared
}

fn form(form: &Form) -> Value {
    match form {
        Form::Object(fields) => parameters(fields),
        Form::List(list) => json!({"type": "array", "items": described(&list.item, list.item.nullable)}),
        Form::Choice(choice) => json!({"type": "string", "enum": choice.options}),
        Form::Text(_) | Form::Date | Form::DateTime => json!({"type": "string"}),
        Form::Integer(_) => json!({"type": "integer"}),
        Form::Number(_) | Form::Decimal(_) => json!({"type": "number"}),
        Form::Boolean(_) => json!({"type": "boolean"}),
        // Refused by their names.
        Form::Map(_) | Form::Union(_) | Form::Json(_) | Form::Nothing => json!({}),
    }
}
