//! The columns that a schema becomes, place by place, for people who want to know before they run.

use arrow::datatypes::DataType;

use super::columns;
use crate::base::shape::{self, Form, Node};

/// A column, or a place inside one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Column {
    /// Its name; inside of objects behind a point, and with `[]` behind the name of a list or map for what it holds.
    pub name: String,
    /// Its Arrow type.
    pub data_type: String,
    /// True when it may be null.
    pub nullable: bool,
    /// How far its values may go.
    pub bounds: String,
}

/// The columns of a record and all that is in them.
pub fn outline(fields: &[shape::Field]) -> Vec<Column> {
    let mut all = Vec::new();
    for field in fields {
        add(&field.name, &field.node, field.may_be_null(), &mut all);
    }
    all
}

fn add(name: &str, node: &Node, nullable: bool, all: &mut Vec<Column>) {
    let data_type = type_name(&columns::data_type(&node.form));
    all.push(Column { name: name.to_owned(), data_type, nullable, bounds: shape::bounds(&node.form) });
    for field in inner(&node.form) {
        add(&format!("{name}.{}", field.name), &field.node, field.may_be_null(), all);
    }
    match &node.form {
        Form::List(list) => add(&format!("{name}[]"), &list.item, list.item.nullable, all),
        Form::Map(map) => add(&format!("{name}[]"), &map.value, map.value.nullable, all),
        _ => {}
    }
}

fn inner(form: &Form) -> &[shape::Field] {
    match form {
        Form::Object(fields) => fields,
        Form::Union(union) => &union.columns,
        _ => &[],
    }
}

/// What is inside of a type stands on lines of its own.
fn type_name(data_type: &DataType) -> String {
    match data_type {
        DataType::Struct(_) => "Struct".to_owned(),
        DataType::List(_) => "List".to_owned(),
        DataType::Map(_, _) => "Map of Utf8".to_owned(),
        DataType::Dictionary(_, _) => "Dictionary of Utf8".to_owned(),
        DataType::Timestamp(_, _) => "Timestamp, microseconds, UTC".to_owned(),
        other => other.to_string(),
    }
}
