//! Answers become records, or faults that say where they went wrong.

use std::sync::Arc;

use lapidary::{
    base::{
        ContentHash, Effort, Emit, Extraction, Fault, FaultKind, Finish, Generation, Item, Kind, Lease, Origin, Part,
        PromptFacts, Shape, Source, Stage, Timing, Tokens,
    },
    parse::{Parser, Settings},
};
use serde_json::{Value, json};

#[derive(Default)]
pub struct Emitted(pub Vec<Extraction>);

impl Emit<Extraction> for Emitted {
    fn promise(&mut self, _: &Arc<Source>, _: u64) {}

    fn item(&mut self, item: Item<Extraction>) {
        self.0.push(item.body);
    }

    fn fault(&mut self, _: &Origin, _: Fault) {}

    fn open(&self) -> bool {
        true
    }
}

pub fn item(text: &str, finish: Finish) -> Item<Generation> {
    let source = Source { name: "a.pdf".into(), hash: ContentHash([1; 32]), kind: Kind::Pdf, bytes: 3, ordinal: 0 };
    let body = Generation {
        tokens: vec![1, 2],
        logprobs: vec![-0.5, -1.5],
        places: Tokens::default(),
        text: text.into(),
        finish,
        facts: PromptFacts { budget: 280, prompt_tokens: 300, image_tokens: 256, audio_tokens: 0 },
        layer: None,
        effort: Effort::default(),
        timing: Timing::default(),
    };
    Item { origin: Origin { source: Arc::new(source), part: Part::Whole }, lease: Lease::default(), body }
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
        ("/lines", json!([{"what": "a"}, {"what": "a"}]), "/lines: "),
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
}
