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
        "kind": {"type": ["string", "integer"], "minItems": 3},
        "notes": {"type": "string", "maxLenght": 3},
        "count": {"type": "integer", "minLength": 3},
        "when": {"type": "string", "format": "rfc-850"},
        "lines": {"type": "array", "items": {"type": "object", "properties": {"a/b": {"maxLength": 3}}}}
    }});
    let told = problems(&schema);
    for place in [
        "/properties/total/not: keyword `not` is not supported; remove it",
        "/properties/_page: names that begin with `_`",
        "/properties/kind/minItems: `minItems` has no effect",
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

    let told = problems(&record(json!({"lost": {"$ref": "#/$defs/none"}})));
    assert!(told[0].contains("`#/$defs/none` leads nowhere"), "{told:?}");
}

fn defined(name: &str, schema: &Value) -> Value {
    let reference = json!({"$ref": format!("#/$defs/{name}")});
    json!({"type": "object", "$defs": {name: schema}, "properties": {"v": reference}, "required": ["v"]})
}

#[test]
fn a_schema_that_contains_itself_is_text_of_some_levels_or_refused_where_it_has_no_end() {
    let tree = json!({"type": "object", "properties": {"child": {"$ref": "#/$defs/tree"}}});
    let shape = Shape::compile(&defined("tree", &tree)).unwrap();
    assert!(matches!(&shape.fields()[0].node.form, Form::Json(json) if json.why.contains("at most 4 levels")));
    let told = shape.remarks().iter().map(|remark| format!("{}: {}", remark.pointer, remark.message));
    assert!(told.collect::<String>().contains("/properties/v/$ref: kept as JSON text: `#/$defs/tree` contains itself"));

    let required = json!({"type": "object", "required": ["child"], "properties": {"child": {"$ref": "#/$defs/tree"}}});
    let in_array = json!({"type": "array", "minItems": 1, "items": {"$ref": "#/$defs/tree"}});
    let alone = json!({"$ref": "#/$defs/tree"});
    for endless in [required, in_array, alone] {
        let told = problems(&defined("tree", &endless));
        assert_eq!(told.len(), 1, "{told:?}");
        assert!(told[0].contains("`#/$defs/tree` contains itself without end, so no value fits it"), "{told:?}");
    }
}

#[test]
fn what_no_column_type_holds_is_json_text_and_says_why() {
    let why = |schema: Value| match &Shape::compile(&record(json!({"v": schema}))).unwrap().fields()[0].node.form {
        Form::Json(json) => json.why.clone(),
        other => panic!("{other:?}"),
    };
    assert_eq!(why(json!({})), "the schema does not say what it is: any JSON of at most 3 levels");
    assert_eq!(why(json!({"type": ["string", "integer"]})), "values of several types");
    assert_eq!(why(json!({"anyOf": [{"type": "string"}, {"type": "boolean"}]})), "values of several types");
    assert_eq!(why(json!({"enum": ["a", 1]})), "a list of values of several kinds");
    assert_eq!(why(json!({"type": "array", "prefixItems": [{"type": "string"}]})), "items of several kinds");
}

#[test]
fn a_list_of_values_of_one_kind_is_a_column_of_that_kind() {
    let column = |schema: Value| {
        let shape = Shape::compile(&record(json!({"v": schema}))).unwrap();
        assert!(shape.remarks().is_empty(), "{:?}", shape.remarks());
        shape.fields()[0].node.form.clone()
    };
    assert_eq!(column(json!({"enum": [true, false]})), Form::Boolean(None));
    assert_eq!(column(json!({"type": ["boolean", "null"], "enum": [false, null]})), Form::Boolean(Some(false)));
    assert_eq!(column(json!({"const": true})), Form::Boolean(Some(true)));
    let Form::Number(rates) = column(json!({"enum": [0.07, 0.19, 1]})) else { panic!("no number") };
    assert_eq!(json!(rates.among), json!([0.07, 0.19, 1]));
    assert_eq!((rates.least, rates.most, rates.decimals), (7_000_000, 100_000_000, 8));
    assert!(matches!(column(json!({"enum": [1, 2]})), Form::Integer(integer) if integer.among == Some(vec![1, 2])));
}

#[test]
fn a_oneof_must_tell_its_branches_apart() {
    let number = |least: i64| json!({"type": "number", "minimum": least});
    let told = problems(&record(json!({"v": {"oneOf": [number(1), number(2)]}})));
    assert!(told[0].contains("/properties/v/oneOf: a value may fit several of the branches"), "{told:?}");
    let told = problems(&record(json!({"v": {"oneOf": [{"const": "a"}, {"enum": ["a", "b"]}]}})));
    assert!(told[0].contains("`a` fits several"), "{told:?}");
    let told = problems(&record(json!({"v": {"oneOf": [{"type": ["string", "null"]}, {"type": "null"}]}})));
    assert!(told[0].contains("null fits several"), "{told:?}");
}

#[test]
fn objects_with_a_tag_are_one_column_with_the_fields_of_all() {
    let variant = |kind: &str, size: Value| {
        json!({"type": "object", "required": ["kind", "size"],
        "properties": {"note": {"type": "string"}, "kind": {"const": kind}, "size": size}})
    };
    let schema = json!({"oneOf": [variant("a", json!({"type": "integer"})), variant("b", json!({"type": "string"}))]});
    let shape = Shape::compile(&record(json!({"v": schema}))).unwrap();
    let Form::Union(union) = &shape.fields()[0].node.form else { panic!("{:?}", shape.fields()) };
    let names: Vec<&str> = union.columns.iter().map(|column| column.name.as_str()).collect();
    assert_eq!((union.tag.as_str(), names), ("kind", vec!["kind", "note", "size"]));
    assert!(matches!(union.columns[2].node.form, Form::Json(_)), "an integer here and a string there");
    let settled = shape.settle(json!({"v": {"kind": "b", "size": "large", "note": null}})).unwrap();
    assert_eq!(settled.record, json!({"v": {"kind": "b", "note": null, "size": "large"}}));
    assert!(shape.settle(json!({"v": {"kind": "c", "size": 1}})).unwrap_err()[0].starts_with("/v: "));
}

#[test]
fn names_that_readers_would_confuse_are_refused() {
    let told = problems(&record(json!({"Total": {"type": "string"}, "total": {"type": "string"}})));
    assert_eq!(told.len(), 1);
    assert!(told[0].starts_with("/properties/total: `total` and `Total` differ only by case"), "{told:?}");
    for name in ["", "a\nb"] {
        assert!(problems(&record(json!({name: {"type": "string"}})))[0].contains("needs a name"));
    }
    assert!(Shape::compile(&record(json!({"a.b": {"type": "string"}, "c d": {"type": "string"}}))).is_ok());
}

#[test]
fn a_list_of_too_many_values_is_refused_and_of_ten_thousand_is_not() {
    let options = |count: usize| -> Vec<String> { (0..count).map(|index| format!("item {index}")).collect() };
    assert!(Shape::compile(&record(json!({"v": {"enum": options(10_000)}}))).is_ok());
    let told = problems(&record(json!({"v": {"enum": options(20_001)}})));
    assert!(told[0].starts_with("/properties/v/enum: 20001 values are more than 20000"), "{told:?}");
}

#[test]
fn decimals_have_the_digits_that_their_bounds_need() {
    let decimal = |schema: Value| match &Shape::compile(&record(json!({"v": schema}))).unwrap().fields()[0].node.form {
        Form::Decimal(number) => (number.digits(), number.decimals, number.least, number.most),
        other => panic!("{other:?}"),
    };
    let most = 999_999_999_999_999;
    assert_eq!(decimal(json!({"type": "number", "multipleOf": 0.01})), (15, 2, -most, most));
    let price = json!({"type": "number", "multipleOf": 0.01, "exclusiveMinimum": 0, "maximum": 99.999});
    assert_eq!(decimal(price), (4, 2, 1, 9999));
    assert_eq!(decimal(json!({"type": "number", "multipleOf": 0.05, "minimum": 0.01, "maximum": 1})), (3, 2, 5, 100));
    let told = problems(&record(json!({"v": {"type": "number", "multipleOf": 0.333333333333}})));
    assert!(told[0].starts_with("/properties/v/multipleOf: "), "{told:?}");
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
fn a_schema_of_a_hundred_thousand_fields_is_refused_in_no_time() {
    let properties: serde_json::Map<String, Value> =
        (0..100_000).map(|index| (format!("F{index}"), json!({"type": "string"}))).collect();
    let start = std::time::Instant::now();
    assert!(problems(&record(Value::Object(properties)))[0].contains("more than 20000 places"));
    assert!(start.elapsed().as_secs() < 20, "{:?}", start.elapsed());
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

fn inside(levels: usize, schema: Value, wrap: fn(Value) -> Value) -> Value {
    (0..levels).fold(schema, |below, _| wrap(below))
}

#[test]
fn depth_is_counted_through_references_and_a_map_counts_twice() {
    let object = |below: Value| record(json!({"p": below}));
    let map = |below: Value| json!({"type": "object", "additionalProperties": below});
    let text = || json!({"type": "string"});
    let two = |each: usize| {
        json!({"type": "object", "properties": {"r": {"$ref": "#/$defs/a"}}, "$defs": {
            "a": inside(each, json!({"$ref": "#/$defs/b"}), object), "b": inside(each, text(), object)}})
    };
    assert!(Shape::compile(&two(15)).is_ok());
    assert!(problems(&two(20)).iter().any(|line| line.contains("more than 32 deep")));
    assert!(Shape::compile(&record(json!({"m": inside(15, text(), map)}))).is_ok());
    assert!(problems(&record(json!({"m": inside(16, text(), map)})))[0].contains("more than 32 deep"));
}

#[test]
fn levels_of_what_contains_itself_are_text_and_no_depth() {
    let object = |below: Value| record(json!({"p": below}));
    let body = inside(12, json!({"$ref": "#/$defs/tree"}), object);
    assert!(Shape::compile(&defined("tree", &body)).is_ok());
}

#[test]
fn a_map_of_itself_ends_in_an_empty_one() {
    let shape =
        Shape::compile(&defined("map", &json!({"type": "object", "additionalProperties": {"$ref": "#/$defs/map"}})));
    let guide = shape.unwrap().guide().to_string();
    assert!(!guide.contains("null") && guide.contains(r#""properties":{},"required":[]"#), "{guide}");
}

#[test]
fn tagged_objects_that_nest_are_refused_before_they_multiply() {
    let either = |below: Value| {
        let variant = |properties: Value| json!({"type": "object", "required": ["k"], "properties": properties});
        json!({"oneOf": [variant(json!({"k": {"const": "a"}, "x": below})), variant(json!({"k": {"const": "b"}}))]})
    };
    assert!(Shape::compile(&record(json!({"v": inside(6, json!({"type": "string"}), either)}))).is_ok());
    let start = std::time::Instant::now();
    let told = problems(&record(json!({"v": inside(24, json!({"type": "string"}), either)})));
    assert!(told.iter().any(|line| line.contains("more than 20000 places")), "{told:?}");
    assert!(start.elapsed().as_secs() < 20, "{:?}", start.elapsed());
}

#[test]
fn a_file_has_a_name_and_its_parts_have_none() {
    let part = json!({"$id": "m.json", "type": "string"});
    let schema = |id: &str| json!({"$id": id, "type": "object", "properties": {"a": {"$ref": "#/$defs/m"}}});
    let mut named = schema("https://example.com/record.json");
    named["$defs"] = json!({"m": {"type": "string", "maxLength": 5}});
    assert!(Shape::compile(&named).is_ok());
    let told = problems(&record(json!({"a": part})));
    assert!(told[0].starts_with("/properties/a/$id: ") && told[0].contains("looked up in the file"), "{told:?}");
    let fates = coverage(&json!({"$id": "r.json", "properties": {"a": part, "$id": {"type": "string"}}}));
    let refused = fates.iter().filter(|one| matches!(one.coverage, Coverage::Refused(_)));
    assert_eq!(refused.map(|one| one.pointer.as_str()).collect::<Vec<_>>(), ["/properties/a/$id"]);
}

#[test]
fn a_choice_is_said_once_and_whole_numbers_have_an_end() {
    let told = problems(&record(json!({"v": {"enum": ["a", "b"], "const": "a"}})));
    assert!(told[0].starts_with("/properties/v/const: `const` and `enum` both say"), "{told:?}");
    let told = problems(&record(json!({"v": {"type": "integer", "minimum": 2_000_000_000_000_000_000_u64}})));
    assert!(told[0].contains("whole numbers reach to 10^18 either way"), "{told:?}");
}
