//! What the grammar that is made of a shape lets through, asked of llguidance itself.

use lapidary::base::Shape;
use llguidance::{Matcher, ParserFactory, api::TopLevelGrammar, toktrie::ApproximateTokEnv};
use serde_json::{Value, json};

/// How far an answer gets: `Ok` when the grammar accepts it whole, else the number of bytes that it followed.
pub fn follow(guide: &Value, answer: &str) -> Result<(), usize> {
    let environment = ApproximateTokEnv::single_byte_env();
    let factory = ParserFactory::new_simple(&environment).unwrap();
    let grammar = TopLevelGrammar::from_json_schema(guide.clone());
    let mut matcher = Matcher::new(factory.create_parser(grammar));
    assert!(!matcher.is_error(), "{:?}", matcher.get_error());
    for (index, byte) in answer.bytes().enumerate() {
        let allowed = matcher.compute_mask().unwrap();
        if !allowed.is_allowed(u32::from(byte)) {
            return Err(index);
        }
        matcher.consume_token(u32::from(byte)).unwrap();
    }
    if matcher.is_accepting().unwrap() { Ok(()) } else { Err(answer.len()) }
}

fn guide(properties: Value, required: Value) -> Value {
    Shape::compile(&json!({"type": "object", "properties": properties, "required": required})).unwrap().guide()
}

fn one(schema: Value) -> Value {
    guide(json!({"v": schema}), json!(["v"]))
}

#[track_caller]
fn takes(guide: &Value, value: &str) {
    assert_eq!(follow(guide, &format!("{{\"v\":{value}}}")), Ok(()), "{value}");
}

#[track_caller]
fn refuses(guide: &Value, value: &str) {
    assert!(follow(guide, &format!("{{\"v\":{value}}}")).is_err(), "{value}");
}

#[test]
fn properties_come_in_order_and_all_of_them() {
    let guide = guide(json!({"b": {"type": "string"}, "a": {"type": "boolean"}}), json!(["b"]));
    assert_eq!(follow(&guide, r#"{"b":"x","a":null}"#), Ok(()));
    assert_eq!(follow(&guide, r#"{"b":"x","a":true}"#), Ok(()));
    assert!(follow(&guide, r#"{"a":true,"b":"x"}"#).is_err());
    assert!(follow(&guide, r#"{"b":"x"}"#).is_err());
    assert!(follow(&guide, r#"{"b":null,"a":true}"#).is_err());
    assert!(follow(&guide, r#"{"b":"x","a":true,"c":1}"#).is_err());
}

#[test]
fn no_number_runs_away() {
    let number = one(json!({"type": "number"}));
    for value in ["0", "-0.5", "12.12345678", "999999999999999.12345678", "-3", "0.00000001", "1.50"] {
        takes(&number, value);
    }
    for value in ["1.123456789", "9999999999999999", "1e5", "1.0000000000", "01", "."] {
        refuses(&number, value);
    }
    let share = one(json!({"type": "number", "minimum": 0, "exclusiveMaximum": 1}));
    takes(&share, "0.25");
    takes(&share, "0");
    refuses(&share, "1");
    refuses(&share, "-0.1");
    let cents = one(json!({"type": "number", "multipleOf": 0.01}));
    takes(&cents, "-12.34");
    refuses(&cents, "12.345");
    let above = one(json!({"type": "number", "exclusiveMinimum": 0, "maximum": 0.5}));
    takes(&above, "0.00000001");
    ["0", "0.0", "-0", "0.6"].iter().for_each(|value| refuses(&above, value));
    let price = one(json!({"type": "number", "multipleOf": 0.01, "exclusiveMinimum": 0}));
    takes(&price, "9999999999999.99");
    ["0", "0.00", "0.001", "10000000000000"].iter().for_each(|value| refuses(&price, value));
    let whole = one(json!({"type": "integer"}));
    takes(&whole, "1000000000000000000");
    takes(&whole, "-1000000000000000000");
    refuses(&whole, "1000000000000000001");
    refuses(&whole, "1.0");
    let even = one(json!({"type": ["integer", "null"], "minimum": -4, "maximum": 12, "multipleOf": 2}));
    takes(&even, "-4");
    takes(&even, "null");
    refuses(&even, "3");
    refuses(&even, "14");
}

#[test]
fn no_string_and_no_array_runs_away() {
    let text = one(json!({"type": "string", "maxLength": 5}));
    takes(&text, "\"aé\\n漢x\"");
    refuses(&text, "\"abcdef\"");
    let free = one(json!({"type": "string"}));
    takes(&free, &format!("\"{}\"", "a".repeat(4096)));
    refuses(&free, &format!("\"{}\"", "a".repeat(4097)));
    let list = one(json!({"type": "array", "items": {"type": "integer"}, "maxItems": 3}));
    takes(&list, "[]");
    takes(&list, "[1,2,3]");
    refuses(&list, "[1,2,3,4]");
    let open = one(json!({"type": "array", "items": {"type": "boolean"}}));
    takes(&open, &format!("[{}]", vec!["true"; 256].join(",")));
    refuses(&open, &format!("[{}]", vec!["true"; 257].join(",")));
}

#[test]
fn formats_patterns_and_choices_are_kept() {
    let date = one(json!({"type": ["string", "null"], "format": "date"}));
    takes(&date, "\"2024-02-29\"");
    takes(&date, "null");
    for day in ["2024-13-01", "2023-02-29", "1900-02-29", "2024-02-30", "2024-04-31", "0000-01-01"] {
        refuses(&date, &format!("\"{day}\""));
    }
    for day in ["2000-02-29", "0001-01-01", "9999-12-31", "2026-11-30"] {
        takes(&date, &format!("\"{day}\""));
    }
    let moment = one(json!({"type": "string", "format": "date-time"}));
    takes(&moment, "\"2024-02-29T10:11:12.123456+01:00\"");
    refuses(&moment, &format!("\"2024-02-29T10:11:12.{}Z\"", "1".repeat(30)));
    let code = one(json!({"type": "string", "pattern": "^[A-Z]{2}[0-9]+$"}));
    takes(&code, "\"AB123\"");
    refuses(&code, "\"A123\"");
    for pattern in ["[$^]", "^\\$[0-9]+", "^(?:\\d{1,3}(,\\d{3})*|\\d+)(\\.\\d{2})?$", "^[\\w.-]+\\s?\\/x$"] {
        refuses(&one(json!({"type": "string", "pattern": pattern})), "\"xyz\"");
    }
    let mail = one(json!({"type": "string", "format": "email"}));
    takes(&mail, "\"ada@example.com\"");
    refuses(&mail, "\"ada\"");
    for format in ["time", "duration", "hostname", "ipv4", "ipv6", "uuid", "uri"] {
        refuses(&one(json!({"type": "string", "format": format})), "\" \"");
    }
    let choice = one(json!({"enum": ["EUR", "USD", null]}));
    takes(&choice, "\"EUR\"");
    takes(&choice, "null");
    refuses(&choice, "\"GBP\"");
}

#[test]
fn numbers_and_booleans_of_a_list_are_the_only_ones() {
    let rate = one(json!({"enum": [0.07, 0.19, 7]}));
    ["0.07", "0.19", "7"].iter().for_each(|value| takes(&rate, value));
    ["0.1", "0.070", "0.08", "7.0", "\"7\"", "null"].iter().for_each(|value| refuses(&rate, value));
    let paid = one(json!({"enum": [true, false]}));
    ["true", "false"].iter().for_each(|value| takes(&paid, value));
    refuses(&paid, "null");
    let agreed = one(json!({"const": true}));
    takes(&agreed, "true");
    refuses(&agreed, "false");
}

#[test]
fn what_the_grammar_cannot_follow_is_left_to_the_check() {
    for pattern in ["^(?!x).*$", "^(?i)abc$", "a$b", "(^a|b)", "^(.)\\1$", "\\bword\\b"] {
        takes(&one(json!({"type": "string", "pattern": pattern})), "\"xyz\"");
    }
    let list = one(json!({"type": "array", "items": {"type": "integer"}, "uniqueItems": true}));
    takes(&list, "[1,1]");
}

#[test]
fn a_guide_of_three_hundred_fields_is_a_grammar() {
    let properties: serde_json::Map<String, Value> =
        (0..300).map(|index| (format!("f{index}"), json!({"type": "integer"}))).collect();
    let guide = guide(Value::Object(properties), json!([]));
    let fields: Vec<String> = (0..300).map(|index| format!("\"f{index}\":{index}")).collect();
    assert_eq!(follow(&guide, &format!("{{{}}}", fields.join(","))), Ok(()));
}

#[test]
fn maps_have_bounded_names_and_entries() {
    let map = one(
        json!({"type": "object", "additionalProperties": {"type": "integer"}, "minProperties": 1, "maxProperties": 2}),
    );
    takes(&map, r#"{"a":1}"#);
    takes(&map, &format!(r#"{{"{}":1,"é":2}}"#, "k".repeat(64)));
    for value in ["{}", r#"{"":1}"#, r#"{"a":1,"b":2,"c":3}"#, r#"{"a":"x"}"#] {
        refuses(&map, value);
    }
    refuses(&map, &format!(r#"{{"{}":1}}"#, "k".repeat(65)));
}

#[test]
fn what_is_kept_as_text_is_guided_too() {
    let pair = one(json!({"type": "array", "prefixItems": [{"type": "string", "maxLength": 3}, {"type": "integer"}]}));
    ["[]", r#"["a"]"#, r#"["a",1]"#].iter().for_each(|value| takes(&pair, value));
    ["[1]", r#"["a",1,2]"#].iter().for_each(|value| refuses(&pair, value));
    let tree = json!({"type": "object", "required": ["n"], "properties": {"n": {"type": "integer"}, "more": {"$ref": "#/$defs/tree"}}});
    let schema = json!({"type": "object", "$defs": {"tree": tree}, "properties": {"v": {"$ref": "#/$defs/tree"}}, "required": ["v"]});
    let tree = Shape::compile(&schema).unwrap().guide();
    let deep =
        |levels: usize| (1..levels).fold(r#"{"n":0}"#.to_owned(), |below, _| format!(r#"{{"n":0,"more":{below}}}"#));
    takes(&tree, &deep(4));
    refuses(&tree, &deep(5));
    let any = one(json!({}));
    ["null", "[1,{\"a\":[]}]", "\"x\""].iter().for_each(|value| takes(&any, value));
    refuses(&any, "[[[[1]]]]");
}

#[test]
fn tagged_objects_keep_to_their_variant() {
    let variant = |kind: &str, name: &str| {
        json!({"type": "object", "required": ["kind", name],
        "properties": {"kind": {"const": kind}, name: {"type": "integer"}}})
    };
    let shape = one(json!({"oneOf": [variant("circle", "radius"), variant("square", "width")]}));
    takes(&shape, r#"{"kind":"circle","radius":1}"#);
    takes(&shape, r#"{"kind":"square","width":1}"#);
    refuses(&shape, r#"{"kind":"square","radius":1}"#);
}

#[test]
fn addresses_and_hosts_may_be_as_long_as_they_are_met() {
    let mail = one(json!({"type": "string", "format": "email"}));
    let long = format!("{}@{}.org", "a".repeat(64), "b".repeat(63));
    let full = format!("{}@{}.{}", "a".repeat(64), ["b".repeat(63), "c".repeat(63)].join("."), "d".repeat(61));
    for text in [
        "maximilian.mustermann-schmidt@department-of-long-names.institute.uni-heidelberg.example.de",
        "o'brien/sales=x@example.com",
        "ada@xn--bcher-kva.example",
        &long,
        &full,
    ] {
        takes(&mail, &format!("\"{text}\""));
    }
    for text in [".a@b.c", "a..b@c.d", "a@-b.c", "a@b-.c", "a@ab--c.de", &format!("a{long}"), &format!("{full}d")] {
        refuses(&mail, &format!("\"{text}\""));
    }
    let host = one(json!({"type": "string", "format": "hostname"}));
    let bucket = format!("{}.s3.eu-west-1.amazonaws.com", "b".repeat(63));
    ["a--b.c.d.e.f.g", &bucket].iter().for_each(|text| takes(&host, &format!("\"{text}\"")));
    let long = vec!["b".repeat(49); 5].join(".");
    takes(&host, &format!("\"{long}.abc\""));
    refuses(&host, &format!("\"{long}.abcd\""));
    refuses(&host, &format!("\"b{bucket}\""));
    let beside = one(json!({"type": "string", "format": "email", "pattern": "@example"}));
    takes(&beside, "\"o'ada@example.com\"");
    refuses(&beside, "\"ada@test.com\"");
}
