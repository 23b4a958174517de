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
    refuses(&date, "\"2024-13-01\"");
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
