//! The catalogue of shapes: each schema is understood, and any text that its grammar lets through validates.

use lapidary::base::Shape;
use llguidance::{Matcher, ParserFactory, api::TopLevelGrammar, toktrie::ApproximateTokEnv};
use serde_json::Value;

use crate::catalogue;

/// Texts drawn from each grammar.
const DRAWS: u64 = 12;
/// Bytes after which a text is led to its end.
const LONGEST: usize = 160;

/// Some text of the grammar: bytes are drawn with a bias that differs from draw to draw.
fn drawn(matcher: &Matcher, seed: u64) -> Option<String> {
    let mut matcher = matcher.deep_clone();
    let (mut state, mut text) = (seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1, Vec::new());
    while text.len() < 4 * LONGEST {
        let mask = matcher.compute_mask_or_eos().unwrap();
        let mut allowed: Vec<u8> = (0..=255_u8).filter(|byte| mask.is_allowed(u32::from(*byte))).collect();
        allowed.retain(|byte| byte.is_ascii());
        if matcher.is_accepting().unwrap() || allowed.is_empty() {
            break;
        }
        let closing: Vec<u8> = allowed.iter().copied().filter(|byte| b"\"]},".contains(byte)).collect();
        let candidates = if text.len() > LONGEST && !closing.is_empty() { closing } else { allowed };
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let byte = candidates[(state >> 33) as usize % candidates.len()];
        matcher.consume_token(u32::from(byte)).unwrap();
        text.push(byte);
    }
    matcher.is_accepting().unwrap().then(|| String::from_utf8(text).unwrap())
}

fn matcher(guide: &Value) -> Matcher {
    let environment = ApproximateTokEnv::single_byte_env();
    let mut factory = ParserFactory::new_simple(&environment).unwrap();
    factory.quiet();
    let mut guide = guide.clone();
    let options = llguidance::JsonCompileOptions {
        whitespace_flexible: false,
        json_allowed_escapes: Some("nrbtf\\\"".to_owned()),
        ..Default::default()
    };
    options.apply_to(&mut guide);
    Matcher::new(factory.create_parser(TopLevelGrammar::from_json_schema(guide)))
}

#[test]
fn whatever_a_grammar_lets_through_settles_and_validates() {
    let mut finished = 0;
    for (name, schema) in catalogue::schemas() {
        let shape = Shape::compile(&schema).unwrap_or_else(|problems| panic!("{name}: {problems:#?}"));
        let matcher = matcher(&shape.guide());
        assert!(!matcher.is_error(), "{name}: {:?}", matcher.get_error());
        let validator = catalogue::validator(&schema);
        for text in (0..DRAWS).filter_map(|seed| drawn(&matcher, seed)) {
            finished += 1;
            let settled = shape.settle(serde_json::from_str(&text).unwrap());
            assert!(settled.is_ok(), "{name}: {text}: {:?}", settled.err());
            let record = settled.unwrap().record;
            assert!(catalogue::fits(&validator, &record), "{name}: {text} became {record}");
        }
    }
    assert!(finished > 1000, "only {finished} texts came to an end");
}
