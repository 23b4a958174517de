//! However a model behaves, a finished answer is JSON for the schema, within its allowance of tokens.

use std::path::Path;

use lapidary::{
    base::{Finish, Shape},
    generate::{Answer, Guide, Logits, Rules, Sampler, Settings, Turn, Vocabulary},
};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::desk;
use crate::vocabulary;

fn object(properties: Value) -> Value {
    let names: Vec<&String> = properties.as_object().unwrap().keys().collect();
    json!({ "type": "object", "properties": properties, "required": names, "additionalProperties": false })
}

/// Closed and bounded schemas, as `Shape::guide()` makes them.
pub fn schemas() -> Vec<(&'static str, Value)> {
    let line = object(json!({
        "what": { "type": "string", "minLength": 2, "maxLength": 30 },
        "amount": { "type": "number", "minimum": -0.125, "maximum": 99999.5 },
        "unit": { "enum": ["piece", "hour", "kilogram of something very long"] },
    }));
    vec![
        ("text", object(json!({ "text": { "type": "string", "maxLength": 200 } }))),
        ("long text", object(json!({ "text": { "type": "string", "minLength": 40, "maxLength": 60 } }))),
        ("choice", object(json!({ "a": { "enum": ["x", "yy", "zzz\"quoted\"", null] }, "b": { "const": 17 } }))),
        (
            "dates",
            object(json!({
                "day": { "type": "string", "format": "date" },
                "moment": { "type": "string", "format": "date-time" },
                "time": { "type": ["string", "null"], "format": "time" },
            })),
        ),
        (
            "formats",
            object(json!({
                "email": { "type": "string", "format": "email", "maxLength": 254 },
                "uuid": { "type": "string", "format": "uuid" },
                "ip": { "type": "string", "format": "ipv4" },
                "host": { "type": "string", "format": "hostname", "maxLength": 253 },
                "uri": { "type": "string", "format": "uri" },
                "lasts": { "type": "string", "format": "duration" },
            })),
        ),
        (
            "integers",
            object(json!({
                "a": { "type": "integer", "minimum": 1000, "maximum": 9_999_999 },
                "b": { "type": "integer", "minimum": -50, "maximum": -7 },
                "c": { "type": "integer", "minimum": -9_007_199_254_740_991_i64, "maximum": 9_007_199_254_740_991_i64 },
                "d": { "type": ["integer", "null"], "minimum": 0, "maximum": 0 },
            })),
        ),
        (
            "numbers",
            object(json!({
                "a": { "type": "number", "minimum": 0.0001, "maximum": 0.001 },
                "b": { "type": "number", "minimum": 0.4999, "exclusiveMaximum": 0.5 },
                "c": { "type": "number", "minimum": -1e15, "maximum": 1e15 },
                "d": { "type": "number", "minimum": 99.75, "maximum": 100 },
            })),
        ),
        ("steps", object(json!({ "a": { "type": "integer", "minimum": 0, "maximum": 700, "multipleOf": 7 } }))),
        (
            "lines",
            object(json!({
                "lines": { "type": "array", "items": line, "minItems": 2, "maxItems": 40 },
                "paid": { "type": ["boolean", "null"] },
            })),
        ),
        (
            "nested",
            object(json!({
                "a": object(json!({ "b": object(json!({ "c": { "type": "array", "items": {
                    "type": "array", "items": { "type": "integer", "minimum": 0, "maximum": 99 }, "maxItems": 5
                }, "maxItems": 8 } })), "d": { "type": "boolean" } })),
                "e": { "anyOf": [object(json!({ "f": { "type": "string", "maxLength": 9 } })), { "type": "null" }] },
            })),
        ),
        (
            "many fields",
            object(Value::Object(
                (0..24)
                    .map(|number| {
                        (
                            format!("a rather long name of field {number}"),
                            json!({ "type": ["string", "null"], "maxLength": 99 }),
                        )
                    })
                    .collect(),
            )),
        ),
        (
            "patterns",
            object(json!({
                "plate": { "type": "string", "pattern": "^[A-Z]{1,3}-[A-Z]{1,2} [0-9]{1,4}$" },
                "iban": { "type": "string", "pattern": "^DE[0-9]{20}$" },
                "free": { "type": "string", "pattern": "^a*b$", "maxLength": 50 },
            })),
        ),
        ("nothing", object(json!({}))),
    ]
}

/// Random scores that like some bytes more than others, so that texts grow long in different ways.
pub(super) fn scores(state: &mut u64, liked: u8, vocabulary: &Vocabulary) -> Vec<f32> {
    let mut next = || {
        *state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (*state >> 40) as f32 / (1_u64 << 24) as f32
    };
    let mut scores: Vec<f32> = (0..vocabulary.width()).map(|_| 6.0 * next()).collect();
    for (byte, more) in [(liked, 5.0), (b'"', -3.0), (b']', -6.0)] {
        scores[vocabulary.token_of_byte(byte).unwrap() as usize] += more;
    }
    scores
}

fn answer(
    vocabulary: &Vocabulary,
    guide: &mut Guide,
    seed: u64,
    allowance: usize,
    temperature: f32,
) -> (Finish, String, usize) {
    let settings = Settings { temperature, seed, ..Settings::default() };
    let item = desk::item(seed as u32, desk::prompt(1, 3));
    let guided = Some(guide.begin());
    let rules = Rules { thinking: None, guided, allowance, reserve: guide.reserve(), loop_tokens: 0 };
    let mut answer = Answer::new(rules, Sampler::new(&settings, &item.origin), vocabulary.clone());
    let (mut state, liked) = (seed, b"a\\1,.{\xe2e-["[(seed % 10) as usize]);
    loop {
        let scores = scores(&mut state, liked, vocabulary);
        match answer.advance(Logits::Scores(&scores)).unwrap() {
            Turn::Feed(_) => {}
            Turn::Finished(finish) => return (finish, answer.text().0, answer.tokens.len()),
        }
    }
}

#[test]
fn every_finished_answer_is_json_for_the_schema_and_within_its_allowance() {
    check_all(&desk::vocabulary(), 24);
}

#[test]
fn the_same_holds_for_the_tokenizer_of_the_tiny_model() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("onnx/reference/tiny/tokenizer.json");
    check_all(&Vocabulary::read(&path, 1024, &[1, 16, 9]).unwrap(), 8);
}

#[test]
fn the_same_holds_where_the_grammar_forces_what_its_tokenizer_would_say() {
    check_all(&vocabulary::tiny_speller(), 8);
}

fn check_all(vocabulary: &Vocabulary, cases: u32) {
    let mut closed = 0;
    for (name, schema) in schemas() {
        let mut guide = Guide::compile(vocabulary, &schema).unwrap_or_else(|problems| panic!("{name}: {problems:?}"));
        let validator = jsonschema::draft202012::options().should_validate_formats(false).build(&schema).unwrap();
        let config = ProptestConfig { cases, failure_persistence: None, ..ProptestConfig::default() };
        let reserve = guide.reserve();
        let mut runner = proptest::test_runner::TestRunner::new_with_rng(
            config,
            proptest::test_runner::TestRng::deterministic_rng(proptest::test_runner::RngAlgorithm::ChaCha),
        );
        let guide = std::cell::RefCell::new(&mut guide);
        let count = std::cell::Cell::new(0);
        let inputs = (any::<u64>(), 1_usize..200, prop_oneof![Just(0.0_f32), Just(1.0), Just(3.0)]);
        let outcome = runner.run(&inputs, |(seed, beyond, temperature)| {
            let allowance = reserve + beyond;
            let (finish, text, tokens) = answer(vocabulary, &mut guide.borrow_mut(), seed, allowance, temperature);
            count.set(count.get() + usize::from(finish == Finish::Closed));
            prop_assert!(matches!(finish, Finish::Closed | Finish::Stop));
            let value: Value =
                serde_json::from_str(&text).map_err(|error| TestCaseError::fail(format!("{error}: {text}")))?;
            prop_assert!(validator.is_valid(&value), "{text}");
            prop_assert!(tokens <= allowance, "{tokens} tokens of {allowance} (reserve {reserve}): {text}");
            Ok(())
        });
        outcome.unwrap_or_else(|error| panic!("{name}: {error}"));
        closed += count.get();
    }
    assert!(closed > 2 * cases as usize, "only {closed} answers had to be closed: the test shows little");
}

#[test]
fn answers_to_the_schemas_of_this_project_pass_the_last_check_wherever_they_are_closed() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"));
    let path = folder.join("onnx/reference/tiny/tokenizer.json");
    let vocabulary = Vocabulary::read(&path, 1024, &[1, 16, 9]).unwrap();
    for entry in std::fs::read_dir(folder.join("schemas")).unwrap() {
        let path = entry.unwrap().path();
        let schema = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
        let shape = Shape::compile(&schema).unwrap();
        let mut guide = Guide::compile(&vocabulary, &shape.guide()).unwrap();
        for seed in 0..12 {
            let allowance = guide.reserve() + 1 + 9 * seed as usize;
            let (_, text, tokens) = answer(&vocabulary, &mut guide, seed, allowance, 1.0);
            assert!(tokens <= allowance, "{}: {tokens} tokens of {allowance}: {text}", path.display());
            let settled = shape.settle(serde_json::from_str(&text).unwrap());
            assert!(settled.is_ok(), "{}: {text}: {:?}", path.display(), settled.err());
        }
    }
}

#[test]
fn a_string_that_anything_may_stand_in_is_closed_as_its_pattern_ends() {
    let patterns = [
        r"^.+\.$",
        "€$",
        "^.* €$",
        "^[0-9 .,]+€$",
        r"^\(.+\)$",
        r"^\[.+\]$",
        r"^.+\([0-9]{4}\)$",
        r"^.+\?$",
        "^[^;]+;$",
        r"^([^,]+,\s*)*[^,]+$",
    ];
    for pattern in patterns {
        let schema = object(json!({ "v": { "type": "string", "pattern": pattern, "maxLength": 4096 } }));
        let guide = Guide::compile(&desk::vocabulary(), &schema).unwrap_or_else(|problems| panic!("{problems:?}"));
        assert!(guide.reserve() < 40, "{pattern}: {}", guide.reserve());
    }
}

#[test]
fn what_was_said_is_kept_and_as_little_as_possible_is_put_behind_it() {
    for (pattern, said, rest) in [
        (r"^.+\.$", "The total am", "."),
        (r"^.+\.$", "", "a."),
        ("^[0-9 .,]+€$", "1 200,", "€"),
        (r"^.+\([0-9]{4}\)$", "Ada (19", "00)"),
        ("^[^;]+;$", "the \\", "\";"),
    ] {
        let (vocabulary, schema) =
            (desk::vocabulary(), json!({ "type": "string", "pattern": pattern, "maxLength": 200 }));
        let mut guided = Guide::compile(&vocabulary, &object(json!({ "v": schema }))).unwrap().begin();
        let beginning = format!("{{\"v\":\"{said}");
        vocabulary.spell(beginning.as_bytes()).unwrap().iter().for_each(|token| guided.consume(*token).unwrap());
        let closing = vocabulary.text(&guided.closing().unwrap());
        assert_eq!(closing, format!("{rest}\"}}"), "{pattern} after {said}");
    }
}

#[test]
fn a_schema_that_cannot_be_guided_is_refused_with_all_its_problems() {
    let schema = object(json!({ "a": { "description": "anything" }, "b": { "type": "array" } }));
    let problems = Guide::compile(&desk::vocabulary(), &schema).err().unwrap();
    assert_eq!(problems.len(), 2, "{problems:?}");
    let schema = object(json!({ "a": { "type": "string", "not": { "const": "x" } } }));
    let problems = Guide::compile(&desk::vocabulary(), &schema).err().unwrap();
    assert!(problems[0].contains("not"), "{problems:?}");
}
