//! Answers become records, or faults that say where they went wrong.

use std::sync::Arc;

use lapidary::{
    base::{
        Confined, ContentHash, Effort, Emit, Extraction, Fault, FaultKind, Finish, Generation, Item, Kind, Lease,
        Origin, Part, PromptFacts, Shape, Source, Stage, Timing, Tokens,
    },
    parse::{Parser, Settings},
};
use serde_json::{Value, json};

#[derive(Default)]
pub struct Emitted(pub Vec<Extraction>);

impl Emit<Extraction> for Emitted {
    fn item(&mut self, item: Item<Extraction>) {
        self.0.push(item.body);
    }

    fn fault(&mut self, _: &Origin, _: Fault) {}

    fn open(&self) -> bool {
        true
    }
}

pub fn item(text: &str, finish: Finish) -> Item<Generation> {
    let source = Source {
        name: "a.pdf".into(),
        path: "a.pdf".into(),
        hash: ContentHash([1; 32]),
        kind: Kind::Pdf,
        bytes: 3,
        ordinal: 0,
        modified: None,
    };
    let body = Generation {
        tokens: vec![1, 2],
        logprobs: vec![-0.5, -1.5],
        places: Tokens { open: 2, ..Tokens::default() },
        text: text.into(),
        controls: Vec::new(),
        thought: None,
        finish,
        confined: None,
        facts: PromptFacts { budget: 280, prompt_tokens: 300, image_tokens: 256, audio_tokens: 0 },
        layer: None,
        effort: Effort::default(),
        timing: Timing::default(),
    };
    Item { origin: Origin { source: Arc::new(source), part: Part::Whole }, attempt: 0, lease: Lease::default(), body }
}

fn shape() -> Arc<Shape> {
    let line = json!({"type": "object", "properties": {"what": {"type": "string"}, "count": {"type": "integer"}}, "required": ["what"]});
    let schema = json!({"type": "object", "required": ["vendor", "lines"], "properties": {
        "vendor": {"type": "string", "minLength": 1},
        "day": {"type": "string", "format": "date"},
        "at": {"type": ["string", "null"], "format": "date-time"},
        "currency": {"enum": ["EUR", "USD"]},
        "lines": {"type": "array", "items": line, "uniqueItems": true}
    }});
    Arc::new(Shape::compile(&schema).unwrap())
}

fn parsed(answer: &str, finish: Finish) -> Result<Extraction, Fault> {
    let mut emitted = Emitted::default();
    Parser::new(shape()).process(item(answer, finish), &mut emitted)?;
    Ok(emitted.0.remove(0))
}

fn processed(item: Item<Generation>) -> Extraction {
    let mut emitted = Emitted::default();
    Parser::new(shape()).process(item, &mut emitted).unwrap();
    emitted.0.remove(0)
}

fn fault(answer: &Value) -> Fault {
    parsed(&answer.to_string(), Finish::Stop).unwrap_err()
}

#[test]
fn a_record_is_whole_and_in_the_order_of_the_schema() {
    let answer = json!({"lines": [{"count": 3.0, "what": "tea"}, {"what": "milk"}], "vendor": "Ada", "currency": null});
    let extraction = parsed(&answer.to_string(), Finish::Stop).unwrap();
    let record = json!({"vendor": "Ada", "day": null, "at": null, "currency": null,
        "lines": [{"what": "tea", "count": 3}, {"what": "milk", "count": null}]});
    assert_eq!(extraction.record.to_string(), record.to_string());
    assert_eq!((extraction.problems.len(), extraction.tokens, extraction.mean_logprob), (0, 2, -1.0));
    assert_eq!(extraction.raw, answer.to_string());
}

#[test]
fn tokens_that_closed_an_answer_do_not_make_it_more_certain() {
    let mean = |open: usize| {
        let mut item = item(r#"{"vendor":"Ada","lines":[]}"#, Finish::Closed);
        item.body.logprobs = vec![-0.5, -1.5, 0.0, 0.0];
        item.body.places.open = open;
        processed(item).mean_logprob
    };
    assert_eq!([2, 1, 0, 9].map(mean), [-1.0, -0.5, 0.0, -0.5]);
}

#[test]
fn an_answer_that_the_context_has_cut_says_so_and_what_helps() {
    let cut = |finish: Finish| {
        let mut item = item(r#"{"vendor":"Ada","lines":[]}"#, finish);
        item.body.confined = Some(Confined { tokens: 90, context: 400 });
        processed(item)
    };
    let extraction = cut(Finish::Closed);
    assert!(extraction.confined);
    let told = &extraction.problems[0];
    assert!(told.starts_with("closed early: only 90 tokens fit behind a prompt of 300 in a context of 400"), "{told}");
    assert!(told.ends_with("raise generate.context or lower encode.budget"), "{told}");
    assert!(!cut(Finish::Stop).confined && cut(Finish::Stop).problems.is_empty(), "it has ended by itself");
}

#[test]
fn what_the_schema_does_not_name_is_dropped_and_said() {
    let answer = r#"{"vendor":"Ada","lines":[{"what":"tea","colour":"red"}],"extra":1}"#;
    let extraction = parsed(answer, Finish::Closed).unwrap();
    assert_eq!(extraction.problems.len(), 3);
    assert!(extraction.problems[0].starts_with("closed early"));
    assert!(extraction.problems[1].starts_with("/lines/0/colour: dropped"));
    assert!(extraction.problems[2].starts_with("/extra: dropped"));
}

#[test]
fn text_that_is_no_record_is_a_fault_that_shows_its_beginning() {
    let long = format!("Here you are: {}", "x".repeat(900));
    let fault = parsed(&long, Finish::Length).unwrap_err();
    assert_eq!(fault.kind, FaultKind::Invalid);
    assert!(fault.message.contains("not JSON") && fault.message.contains("Here you are: xxx"), "{}", fault.message);
    assert!(fault.message.len() < 400);
    assert!(fault.hint.contains("max_tokens"));
    for text in ["", "  ", "[]", "null", "{", "{\"vendor\":1e999}"] {
        assert_eq!(parsed(text, Finish::Stop).unwrap_err().kind, FaultKind::Invalid, "{text}");
    }
}

#[test]
fn each_broken_rule_is_named_with_its_path() {
    let good = json!({"vendor": "Ada", "day": "2024-02-29", "at": null, "currency": "EUR", "lines": []});
    assert!(parsed(&good.to_string(), Finish::Stop).is_ok());
    for (pointer, value, expected) in [
        ("/vendor", json!(""), "/vendor: "),
        ("/vendor", json!(null), "/vendor: "),
        ("/day", json!("2023-02-29"), "/day: `2023-02-29` is no date"),
        ("/at", json!("2023-02-28T10:00:00"), "/at: `2023-02-28T10:00:00` is no date and time"),
        ("/currency", json!("GBP"), "/currency: "),
        ("/lines", json!([{"what": "a", "count": 9.5}]), "/lines/0/count: "),
        ("/lines", json!([{"what": "a", "count": 1e19}]), "/lines/0/count: "),
        ("/lines", json!([{"count": 1}]), "/lines/0: "),
    ] {
        let mut answer = good.clone();
        *answer.pointer_mut(pointer).unwrap() = value;
        let fault = fault(&answer);
        assert!(fault.message.contains(expected), "{expected} is not in {}", fault.message);
    }
}

#[test]
fn what_must_not_come_twice_is_dropped_and_said() {
    let answer = json!({"vendor": "Ada", "lines": [{"what": "tea"}, {"what": "milk"}, {"what": "tea", "count": null}]});
    let extraction = parsed(&answer.to_string(), Finish::Stop).unwrap();
    assert_eq!(extraction.record["lines"].as_array().unwrap().len(), 2);
    assert_eq!(extraction.problems, ["/lines: dropped 1 items that were there already"]);
    let schema = json!({"type": "object", "properties": {"v": {"type": "array", "minItems": 2, "uniqueItems": true, "items": {"type": "number"}}}});
    let told = Shape::compile(&schema).unwrap().settle(json!({"v": [1, 1.0]})).unwrap_err();
    assert!(told[0].starts_with("/v: "), "too few are left: {told:?}");
}

#[test]
fn what_is_too_much_is_not_repeated_back() {
    let mut answer = json!({"vendor": "Ada", "lines": []});
    for name in 0..1000 {
        answer[format!("x{name}")] = json!(1);
    }
    assert_eq!(parsed(&answer.to_string(), Finish::Stop).unwrap().problems.len(), 32);
    let wrong = json!({"vendor": "Ada", "day": "9".repeat(100_000), "lines": vec![json!({"what": 3}); 1000]});
    assert!(fault(&wrong).message.len() < 2000);
}

#[test]
fn a_string_that_fills_its_bound_is_remarked_on() {
    let schema = json!({"type": "object", "properties": {"text": {"type": "string", "maxLength": 20}}});
    let shape = Shape::compile(&schema).unwrap();
    let remarks = |text: &str| shape.settle(json!({"text": text})).unwrap().remarks;
    assert!(remarks(&"é".repeat(19)).is_empty());
    assert_eq!(remarks(&"é".repeat(20)), ["/text: has all of the 20 characters that are allowed and may be cut"]);
}

#[test]
fn hostile_depth_is_a_fault_and_no_crash() {
    let deep = format!("{{\"vendor\":{}", "[".repeat(100_000));
    assert_eq!(parsed(&deep, Finish::Stop).unwrap_err().kind, FaultKind::Invalid);
}

#[test]
fn a_schema_file_that_cannot_be_used_is_named() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("bad.json"), "{").unwrap();
    std::fs::write(folder.path().join("odd.json"), r#"{"type":"object","properties":{"a":{"not":{}}}}"#).unwrap();
    let problems =
        |schema: &str| Settings { schema: schema.into(), ..Settings::default() }.shape(folder.path()).unwrap_err();
    assert!(problems("")[0].contains("no schema is named"));
    assert!(problems("none.json")[0].contains("none.json: cannot be read"));
    assert!(problems("bad.json")[0].contains("bad.json: is not JSON"));
    assert!(problems("odd.json")[0].contains("odd.json: /properties/a/not: "));
    assert_eq!(Settings { most_items: 0, ..Settings::default() }.validate().len(), 1);
    let digits = |most_digits| Settings { most_digits, ..Settings::default() }.validate();
    assert_eq!((digits(18).len(), digits(19).len()), (0, 1));
}

#[test]
fn a_name_that_comes_twice_is_remarked_on() {
    let extraction = parsed(r#"{"vendor":"Ada","lines":[],"vendor":"Eve"}"#, Finish::Stop).unwrap();
    assert_eq!(extraction.record["vendor"], "Eve");
    assert_eq!(extraction.problems, ["1 values were replaced by a later one of the same name"]);
}

#[test]
fn the_bounds_of_a_pipeline_hold_where_the_schema_has_none() {
    let folder = tempfile::tempdir().unwrap();
    let schema = json!({"type": "object", "required": ["t", "l", "m", "i", "n", "d"], "properties": {
        "t": {"type": "string"}, "l": {"type": "array", "items": {"type": "boolean"}},
        "m": {"type": "object", "additionalProperties": {"type": "boolean"}}, "i": {"type": "integer"},
        "n": {"type": "number"}, "d": {"type": "number", "multipleOf": 0.01}
    }});
    std::fs::write(folder.path().join("s.json"), schema.to_string()).unwrap();
    let settings =
        Settings { schema: "s.json".into(), longest_string: 2, most_items: 1, most_digits: 3, ..Settings::default() };
    let guide = settings.shape(folder.path()).unwrap().guide();
    let answer = |t: &str, l: &str, m: &str, i: &str, n: &str, d: &str| {
        let text = format!(r#"{{"t":"{t}","l":{l},"m":{m},"i":{i},"n":{n},"d":{d}}}"#);
        super::guide::follow(&guide, &text).is_ok()
    };
    assert!(answer("ab", "[true]", r#"{"a":true}"#, "1000", "1000", "999.99"));
    assert!(!answer("abc", "[]", "{}", "0", "0", "0"));
    assert!(!answer("", "[true,true]", "{}", "0", "0", "0"));
    assert!(!answer("", "[]", r#"{"a":true,"b":true}"#, "0", "0", "0"));
    assert!(!answer("", "[]", "{}", "1001", "0", "0"));
    assert!(!answer("", "[]", "{}", "0", "1000.1", "0"));
    assert!(!answer("", "[]", "{}", "0", "0", "1000"));
}

#[test]
fn boxes_are_fractions_of_the_page_with_their_sides_in_order() {
    let corner = json!({"type": "integer", "minimum": 0, "maximum": 1000});
    let on_grid = json!({"type": ["array", "null"], "minItems": 4, "maxItems": 4, "items": corner});
    let unbounded = json!({"type": "array", "minItems": 4, "maxItems": 4, "items": {"type": "integer"}});
    let thing = json!({"type": "object", "properties": {"box_2d": on_grid, "inner": {"type": "object", "properties": {"box_2d": unbounded}}}});
    let schema = json!({"type": "object", "properties": {"a/b": {"type": "array", "items": thing}, "box_2d": on_grid}});
    let answer = json!({"a/b": [{"box_2d": [100, 200, 300, 1000], "inner": {"box_2d": [1, 2, 3, 4]}}, {"box_2d": null}],
        "box_2d": [500, 1000, 0, 250]});
    let mut emitted = Emitted::default();
    let parser = &mut Parser::new(Arc::new(Shape::compile(&schema).unwrap()));
    parser.process(item(&answer.to_string(), Finish::Stop), &mut emitted).unwrap();
    let found: Vec<_> = emitted.0[0].boxes.iter().map(|found| (found.path.as_str(), found.bounds)).collect();
    assert_eq!(found, [("/a~1b/0/box_2d", [0.2, 0.1, 1.0, 0.3]), ("/box_2d", [0.25, 0.0, 1.0, 0.5])]);
    assert_eq!(emitted.0[0].record["box_2d"], json!([500, 1000, 0, 250]), "the record keeps the grid");
}
