//! The fields of several objects side by side: what the column of a tagged union holds.

use super::{
    either,
    node::{Choice, Field, Form, Integer, Number, Text, Variant},
};

/// The tag, then each field of each variant once, all but the tag nullable.
pub fn columns(tag: &str, variants: &[Variant]) -> Vec<Field> {
    let mut columns: Vec<Field> = Vec::new();
    let all = || variants.iter().flat_map(|variant| &variant.fields);
    for field in all().filter(|field| field.name == tag).chain(all().filter(|field| field.name != tag)) {
        match columns.iter_mut().find(|column| column.name == field.name) {
            Some(column) => join(column, field),
            None => columns.push(Field { required: field.name == tag, ..field.clone() }),
        }
    }
    columns
}

fn join(column: &mut Field, field: &Field) {
    column.node.nullable |= field.node.nullable;
    column.node.form = merged(&column.node.form, &field.node.form)
        .unwrap_or_else(|| either(vec![column.node.clone(), field.node.clone()]));
}

/// A form that holds the values of both; `None` where only text does.
fn merged(one: &Form, other: &Form) -> Option<Form> {
    match (one, other) {
        (one, other) if one == other => Some(one.clone()),
        (Form::Choice(one), Form::Choice(other)) => Some(Form::Choice(all_options(one, other))),
        (Form::Text(text), Form::Choice(_)) | (Form::Choice(_), Form::Text(text)) => Some(Form::Text(open(text))),
        (Form::Text(one), Form::Text(other)) => {
            Some(Form::Text(Text { longest: one.longest.max(other.longest), ..open(one) }))
        }
        (Form::Integer(one), Form::Integer(other)) => {
            let (least, most) = (one.least.min(other.least), one.most.max(other.most));
            Some(Form::Integer(Integer { least, most, step: None, among: None }))
        }
        (Form::Boolean(_), Form::Boolean(_)) => Some(Form::Boolean(None)),
        (Form::Number(one), Form::Number(other)) if one.decimals == other.decimals => {
            Some(Form::Number(wider(one, other)))
        }
        (Form::Decimal(one), Form::Decimal(other)) if one.decimals == other.decimals => {
            Some(Form::Decimal(wider(one, other)))
        }
        _ => None,
    }
}

fn all_options(one: &Choice, other: &Choice) -> Choice {
    let new = other.options.iter().filter(|option| !one.options.contains(option));
    Choice { options: one.options.iter().chain(new).cloned().collect() }
}

fn open(text: &Text) -> Text {
    Text { shortest: 0, longest: text.longest, pattern: None, format: None }
}

fn wider(one: &Number, other: &Number) -> Number {
    let (least, most) = (one.least.min(other.least), one.most.max(other.most));
    Number { least, most, step: 1, decimals: one.decimals, among: None }
}
