//! The schemas that come with the project: each one is understood, guides, and explains every field.

use std::{fs, path::Path};

use lapidary::{
    base::{
        Shape,
        shape::{Coverage, Form, Node, coverage},
    },
    parse::Settings,
};
use serde_json::Value;

use super::guide::follow;

fn schemas() -> Vec<(String, Shape)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("schemas");
    let names = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let compiled = names.map(|name| {
        let settings = Settings { schema: name.clone().into(), ..Settings::default() };
        (name, settings.shape(&folder).unwrap())
    });
    compiled.collect()
}

/// The shortest answer that a shape allows.
fn shortest(node: &Node, nullable: bool) -> Value {
    match &node.form {
        _ if nullable => Value::Null,
        Form::Object(fields) => {
            fields.iter().map(|field| (field.name.clone(), shortest(&field.node, field.may_be_null()))).collect()
        }
        Form::List(_) => Value::Array(Vec::new()),
        Form::Choice(choice) => choice.options[0].clone().into(),
        Form::Integer(_) | Form::Number(_) | Form::Decimal(_) => 0.into(),
        Form::Boolean(_) => true.into(),
        Form::Text(_) => "".into(),
        Form::Date | Form::DateTime => panic!("a date that must be there is no good idea"),
        other => panic!("no schema of ours has {other:?}"),
    }
}

fn undescribed<'a>(fields: &'a [lapidary::base::shape::Field], found: &mut Vec<&'a str>) {
    for field in fields {
        if field.node.description.is_none() {
            found.push(&field.name);
        }
        let form = match &field.node.form {
            Form::List(list) => &list.item.form,
            form => form,
        };
        if let Form::Object(inner) = form {
            undescribed(inner, found);
        }
    }
}

#[test]
fn every_schema_guides_and_settles_its_own_answers() {
    let schemas = schemas();
    assert!(schemas.len() >= 6);
    for (name, shape) in schemas {
        let answer: Value = shape
            .fields()
            .iter()
            .map(|field| (field.name.clone(), shortest(&field.node, field.may_be_null())))
            .collect();
        assert_eq!(follow(&shape.guide(), &answer.to_string()), Ok(()), "{name}: {answer}");
        assert_eq!(shape.settle(answer.clone()).unwrap().record, answer, "{name}");
    }
}

#[test]
fn every_field_is_described_and_every_rule_is_enforced_while_decoding() {
    for (name, shape) in schemas() {
        let mut found = Vec::new();
        undescribed(shape.fields(), &mut found);
        assert!(found.is_empty(), "{name}: {found:?} have no description");
        let loose = coverage(shape.schema())
            .into_iter()
            .find(|one| !matches!(one.coverage, Coverage::Enforced | Coverage::Noted));
        assert_eq!(loose, None, "{name}");
    }
}
