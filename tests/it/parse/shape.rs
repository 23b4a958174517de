//! Which schemas are understood, and how the others are refused.

use lapidary::base::{
    Shape,
    shape::{Coverage, Form, coverage},
};
use serde_json::{Value, json};

fn record(properties: Value) -> Value {
    json!({"type": "object", "properties": properties})
}

fn problems(schema: &Value) -> Vec<String> {
    Shape::compile(schema).expect_err("the schema should have been refused")
}

#[test]
fn all_problems_are_told_at_once_each_with_its_place() {
    let schema = json!({"type": "object", "required": ["nowhere"], "properties": {
        "total": {"type": "number", "not": {"const": 3}},
        "_page": {"type": "integer"},
        "kind": {"type": ["string", "integer"]},
        "notes": {"type": "string", "maxLenght": 3},
        "count": {"type": "integer", "minLength": 3},
        "when": {"type": "string", "format": "rfc-850"},
        "lines": {"type": "array", "items": {"type": "object", "properties": {"a/b": {}}}}
    }});
    let told = problems(&schema);
    for place in [
        "/properties/total/not: keyword `not` is not supported; remove it",
        "/properties/_page: names that begin with `_`",
        "/properties/kind/type: a column has one type",
        "/properties/notes/maxLenght: `maxLenght` is no keyword",
        "/properties/count/minLength: `minLength` has no effect",
        "/properties/when/format: this format is not supported",
        "/properties/lines/items/properties/a~1b: say what the value is",
        "/properties: `required` names `nowhere`",
    ] {
        assert!(told.iter().any(|line| line.starts_with(place)), "{place} is not in {told:#?}");
    }
    assert_eq!(told.len(), 8, "{told:#?}");
}

#[test]
fn a_document_that_is_no_json_schema_is_refused_by_the_meta_schema() {
    let told = problems(&json!({"type": "object", "properties": {"a": {"type": "strnig"}}, "required": "a"}));
    assert!(told.iter().any(|line| line.starts_with("/required: ")), "{told:?}");
    assert!(told.iter().any(|line| line.starts_with("/properties/a/type: ")), "{told:?}");
    assert!(problems(&json!({"$schema": "http://json-schema.org/draft-04/schema#"}))[0].starts_with("/$schema: "));
    assert!(!problems(&json!(7)).is_empty());
}

#[test]
fn the_root_must_be_an_object_with_properties() {
    for schema in [
        json!({"type": "array", "items": {"type": "string"}}),
        json!({"type": ["object", "null"], "properties": {"a": {"type": "string"}}}),
    ] {
        assert!(problems(&schema)[0].starts_with("(root): a record is an object"));
    }
    assert!(problems(&json!({"type": "object"}))[0].starts_with("/properties: an object needs at least one property"));
    assert!(problems(&json!(true))[0].starts_with("(root): "));
}

#[test]
fn references_are_written_out_and_cycles_refused() {
    let money = json!({"type": "object", "title": "An amount", "properties": {"amount": {"type": "number"}}});
    let schema = json!({"type": "object", "$defs": {"money": money}, "properties": {
        "net": {"$ref": "#/$defs/money", "description": "Without tax"},
        "gross": {"anyOf": [{"$ref": "#/$defs/money"}, {"type": "null"}]}
    }});
    let shape = Shape::compile(&schema).unwrap();
    let [net, gross] = shape.fields() else { panic!("two fields") };
    assert_eq!((net.node.description.as_deref(), net.node.nullable), (Some("Without tax"), false));
    assert_eq!((gross.node.description.as_deref(), gross.node.nullable), (Some("An amount"), true));

    let tree = json!({"type": "object", "$defs": {"tree": {"type": "object", "properties": {"child": {"$ref": "#/$defs/tree"}}}},
        "properties": {"tree": {"$ref": "#/$defs/tree"}, "lost": {"$ref": "#/$defs/none"}}});
    let told = problems(&tree);
    assert!(told.iter().any(|line| line.contains("`#/$defs/tree` contains itself")), "{told:?}");
    assert!(told.iter().any(|line| line.contains("`#/$defs/none` leads nowhere")), "{told:?}");
}

#[test]
fn references_that_multiply_are_cut_short() {
    let mut definitions = serde_json::Map::new();
    definitions.insert("d0".into(), json!({"type": "string"}));
    for level in 1..30 {
        let below = json!({"$ref": format!("#/$defs/d{}", level - 1)});
        definitions.insert(format!("d{level}"), record(json!({"a": below, "b": below})));
    }
    let schema = json!({"type": "object", "$defs": definitions, "properties": {"top": {"$ref": "#/$defs/d29"}}});
    assert!(problems(&schema).iter().any(|line| line.contains("more than 20000 places")));
}

#[test]
fn chains_and_towers_are_cut_short_before_the_stack_is() {
    let mut definitions = serde_json::Map::new();
    definitions.insert("d0".into(), json!({"type": "string"}));
    for link in 1..10_000 {
        definitions.insert(format!("d{link}"), json!({"$ref": format!("#/$defs/d{}", link - 1)}));
    }
    let chain = json!({"type": "object", "$defs": definitions, "properties": {"top": {"$ref": "#/$defs/d9999"}}});
    assert!(problems(&chain).iter().any(|line| line.contains("references lead from one to the next")));

    let tower = (0..60).fold(json!({"type": "string"}), |below, _| json!({"type": "array", "items": below}));
    assert!(problems(&record(json!({"tower": tower}))).iter().any(|line| line.contains("more than 32 deep")));
}

#[test]
fn a_pattern_that_is_no_expression_is_refused() {
    let told = problems(&record(json!({"a": {"type": "string", "pattern": "(["}})));
    assert!(told[0].contains("pattern"), "{told:?}");
}

#[test]
fn a_schema_of_three_hundred_fields_keeps_their_order() {
    let names: Vec<String> = (0..300).map(|index| format!("field_{}", (index * 7) % 300)).collect();
    let properties: serde_json::Map<String, Value> =
        names.iter().map(|name| (name.clone(), json!({"type": "string"}))).collect();
    let shape = Shape::compile(&record(Value::Object(properties))).unwrap();
    let kept: Vec<_> = shape.fields().iter().map(|field| field.name.clone()).collect();
    assert_eq!(kept, names);
}

#[test]
fn bounds_of_the_schema_win_over_ours() {
    let schema = record(
        json!({"short": {"type": "string", "maxLength": 9}, "long": {"type": "string", "maxLength": 9000}, "free": {"type": "string"}}),
    );
    let shape = Shape::compile(&schema).unwrap();
    let longest = |index: usize| match &shape.fields()[index].node.form {
        Form::Text(text) => text.longest,
        other => panic!("{other:?}"),
    };
    assert_eq!((longest(0), longest(1), longest(2)), (9, 9000, 4096));
    assert!(
        problems(&record(json!({"a": {"type": "integer", "minimum": 3, "maximum": 2}})))[0].contains("no integer fits")
    );
    assert!(
        problems(&record(json!({"a": {"type": "string", "minLength": 3, "maxLength": 2}})))[0]
            .contains("no value fits")
    );
}

#[test]
fn the_fate_of_every_keyword_can_be_told() {
    let schema = record(json!({"a": {"type": "string", "pattern": "^(?!x)y$", "title": "A"}, "b": {"not": {}}}));
    let fates = coverage(&schema);
    let fate = |pointer: &str| fates.iter().find(|one| one.pointer == pointer).map(|one| one.coverage).unwrap();
    assert_eq!(fate("/properties/a/pattern"), Coverage::CheckedAfter);
    assert_eq!(fate("/properties/a/title"), Coverage::Noted);
    assert_eq!(fate("/properties/a/type"), Coverage::Enforced);
    assert!(matches!(fate("/properties/b/not"), Coverage::Refused(_)));
}

#[test]
fn a_shape_is_a_function_in_the_few_words_of_declarations() {
    let line = json!({"type": "object", "required": ["what"], "properties": {
        "what": {"type": "string", "description": "As printed", "maxLength": 9}, "price": {"type": ["number", "null"]}}});
    let schema = json!({"type": "object", "title": "A bill", "required": ["lines"], "properties": {
        "lines": {"type": "array", "items": line}, "day": {"type": "string", "format": "date"}, "kind": {"enum": ["a", "b", null]},
        "paid": {"type": "boolean"}}});
    let function = Shape::compile(&schema).unwrap().function().unwrap();
    let line = json!({"type": "object", "required": ["what"], "properties": {
        "what": {"type": "string", "description": "As printed"}, "price": {"type": "number", "nullable": true}}});
    let parameters = json!({"type": "object", "required": ["lines"], "properties": {
        "lines": {"type": "array", "items": line}, "day": {"type": "string", "nullable": true},
        "kind": {"type": "string", "enum": ["a", "b"], "nullable": true}, "paid": {"type": "boolean", "nullable": true}}});
    let wanted = json!({"name": "record", "description": "A bill", "parameters": parameters});
    assert_eq!(function, json!({"type": "function", "function": wanted}));
}
