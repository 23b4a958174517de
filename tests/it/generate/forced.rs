//! What the grammar forces: the tokenizer's own tokens, never more than what must come, and never another answer.

use lapidary::{
    base::Shape,
    encode::vocabulary::Vocabulary as Tokenizer,
    generate::{Guide, Guided, Vocabulary},
};
use serde_json::{Value, json};

use super::closing::schemas;
use crate::{parse::guide::follow, vocabulary};

/// An invoice, as the model writes it.
const ANSWER: &str = r#"{"vendor":"Miller and Sons","invoice_number":"2026-00117","date":"2026-11-21","due_date":null,"currency":"EUR","line_items":[{"description":"Two granite slabs, 30 x 60 cm","quantity":2,"unit_price":200,"amount":400},{"description":"Transport","quantity":1,"unit_price":134.5,"amount":134.5}],"subtotal":534.5,"tax":101.56,"total":636.06}"#;

fn guide(vocabulary: &Vocabulary, properties: Value) -> Guide {
    let names: Vec<&String> = properties.as_object().unwrap().keys().collect();
    let schema =
        json!({ "type": "object", "required": names, "properties": properties, "additionalProperties": false });
    Guide::compile(vocabulary, &schema).unwrap()
}

/// A follower that has said `text`, cut as the tokenizer cuts it.
fn after(guide: &mut Guide, tokenizer: &Tokenizer, text: &str) -> Guided {
    let mut guided = guide.begin();
    for token in tokenizer.ids(text).unwrap() {
        guided.consume(token).unwrap();
    }
    guided
}

/// The next of a fixed sequence of numbers without pattern.
fn next(state: &mut u64) -> usize {
    *state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
    (*state >> 33) as usize
}

/// One of the tokens that the mask allows; ends and quotes are not liked, so that texts grow.
fn any_of(guided: &mut Guided, vocabulary: &Vocabulary, state: &mut u64) -> u32 {
    let mut allowed: Vec<u32> = guided.mask().unwrap().iter().collect();
    let start = next(state) % allowed.len();
    allowed.rotate_left(start);
    let dull = |token: &u32| vocabulary.is_end(*token) || vocabulary.bytes(*token).contains(&b'"');
    let lively = if next(state).is_multiple_of(4) { None } else { allowed.iter().find(|token| !dull(token)) };
    *lively.unwrap_or(&allowed[0])
}

/// Writes an answer of any tokens that may come, at most `most`; gives its text, how many tokens it has, and how many
/// of them were forced. Each forced token is compared with the mask of a follower that is never asked what is forced.
fn write(vocabulary: &Vocabulary, guide: &mut Guide, seed: u64, most: usize) -> (Vec<u8>, usize, usize) {
    let (mut guided, mut plain, mut state) = (guide.begin(), guide.begin(), seed);
    let (mut text, mut count, mut forced_count) = (Vec::new(), 0, 0);
    while !guided.is_complete() && count < most {
        let forced = guided.forced().unwrap();
        assert_eq!(guided.allowed_prefix(&forced).unwrap(), forced.len());
        forced_count += forced.len();
        let tokens = if forced.is_empty() { vec![any_of(&mut guided, vocabulary, &mut state)] } else { forced.clone() };
        if vocabulary.is_end(tokens[0]) {
            break;
        }
        for token in tokens {
            let mask = plain.mask().unwrap();
            assert!(mask.is_allowed(token), "{token} after {}", String::from_utf8_lossy(&text));
            assert!(forced.is_empty() || mask.num_set() == 1, "another way on: {}", String::from_utf8_lossy(&text));
            guided.consume(token).unwrap();
            plain.consume(token).unwrap();
            text.extend(vocabulary.bytes(token));
            count += 1;
        }
    }
    let closing = guided.closing().unwrap();
    closing.iter().for_each(|token| text.extend(vocabulary.bytes(*token)));
    (text, count, forced_count)
}

#[test]
fn keys_are_forced_as_the_tokenizer_spells_them_and_no_further_than_is_certain() {
    let (vocabulary, tokenizer) = vocabulary::full_speller();
    let mut guide = guide(
        &vocabulary,
        json!({
            "total": { "type": "number", "minimum": 0, "maximum": 1e9 },
            "currency": { "enum": ["EUR", "USD"] },
            "größe_мм": { "type": ["string", "null"], "maxLength": 20 },
        }),
    );
    let places = [
        ("", r#"{"total":12.5,"currency":"EUR","größe_мм":"#),
        (r#"{"total":1,""#, r#"{"total":1,"currency":"EUR","größe_мм":"#),
        (r#"{"total":1,"currency":"EUR"#, r#"{"total":1,"currency":"EUR","größe_мм":"x"}"#),
        (r#"{"total":1,"currency":"EUR","größe_мм":null"#, r#"{"total":1,"currency":"EUR","größe_мм":null}"#),
    ];
    for (said, whole) in places {
        let forced = after(&mut guide, &tokenizer, said).forced().unwrap();
        let canonical = tokenizer.ids(whole).unwrap();
        let before = tokenizer.ids(said).unwrap().len();
        assert!(!forced.is_empty(), "{said}");
        assert_eq!(forced, canonical[before..before + forced.len()], "{said}: {}", vocabulary.text(&forced));
    }
}

#[test]
fn a_token_that_could_reach_into_what_is_free_is_not_forced() {
    let (vocabulary, tokenizer) = vocabulary::full_speller();
    let mut guide = guide(
        &vocabulary,
        json!({ "a": { "enum": ["x", "xylophone"] }, "b": { "type": "string", "maxLength": 9 }, "c": { "const": 1 } }),
    );
    // `":"` and `":"",` are tokens: whether the text of `b` is empty is not known before its first letter.
    let mut guided = after(&mut guide, &tokenizer, r#"{"a":"x""#);
    let forced = guided.forced().unwrap();
    assert_eq!(vocabulary.text(&forced), r#","b"#);
    forced.into_iter().for_each(|token| guided.consume(token).unwrap());
    let mask = guided.mask().unwrap();
    let open: Vec<String> = mask.iter().map(|token| vocabulary.text(&[token])).collect();
    assert!(open.iter().any(|text| text == r#"":""#) && open.iter().any(|text| text == r#"":"","#), "{open:?}");
}

#[test]
fn the_end_of_an_answer_is_forced_and_a_finished_one_forces_nothing() {
    let (vocabulary, tokenizer) = vocabulary::full_speller();
    let mut guide = guide(&vocabulary, json!({ "paid": { "type": "boolean" } }));
    let mut guided = after(&mut guide, &tokenizer, r#"{"paid":tr"#);
    let forced = guided.forced().unwrap();
    assert_eq!(vocabulary.text(&forced), "ue}");
    forced.into_iter().for_each(|token| guided.consume(token).unwrap());
    assert!(guided.is_complete());
    assert_eq!(guided.forced().unwrap(), Vec::<u32>::new());
}

#[test]
fn forcing_leads_to_no_answer_that_could_not_be_written_byte_by_byte() {
    let vocabularies = [(vocabulary::full_speller().0, 2), (vocabulary::tiny_speller(), 10)];
    for (vocabulary, seeds) in &vocabularies {
        for (name, schema) in schemas() {
            let mut guide = Guide::compile(vocabulary, &schema).unwrap();
            for seed in 0..*seeds {
                let (text, _, _) = write(vocabulary, &mut guide, seed, 150);
                let text = String::from_utf8(text).unwrap();
                assert_eq!(follow(&schema, &text), Ok(()), "{name}: {text}");
            }
        }
    }
}

#[test]
fn drafts_are_allowed_as_far_as_the_grammar_goes_and_change_nothing() {
    let (vocabulary, tokenizer) = vocabulary::full_speller();
    let mut guide = guide(&vocabulary, json!({ "n": { "type": "integer", "minimum": 0, "maximum": 99 } }));
    let mut guided = after(&mut guide, &tokenizer, r#"{"n":"#);
    let mut draft = tokenizer.ids("12").unwrap();
    assert_eq!(guided.allowed_prefix(&draft).unwrap(), 2);
    draft.extend(tokenizer.ids("3}").unwrap());
    assert_eq!(guided.allowed_prefix(&draft).unwrap(), 2);
    for strange in [u32::MAX, 262_144, 258_880, 106] {
        assert_eq!(guided.allowed_prefix(&[draft[0], strange, draft[1]]).unwrap(), 1, "{strange}");
    }
    assert_eq!(guided.allowed_prefix(&[]).unwrap(), 0);
    guided.consume(draft[0]).unwrap();
    assert_eq!(guided.allowed_prefix(&tokenizer.ids("}").unwrap()).unwrap(), 1);
}

#[test]
fn answers_to_the_schemas_of_this_project_are_forced_in_good_part() {
    let (vocabulary, tokenizer) = vocabulary::full_speller();
    let answer = ANSWER;
    let schema = serde_json::from_str(include_str!("../../../schemas/invoice.json")).unwrap();
    let mut guide = Guide::compile(&vocabulary, &Shape::compile(&schema).unwrap().guide()).unwrap();
    let (tokens, mut guided, mut forced) = (tokenizer.ids(answer).unwrap(), guide.begin(), 0);
    let mut at = 0;
    while at < tokens.len() {
        let run = guided.forced().unwrap();
        assert_eq!(run, tokens[at..at + run.len()], "after {}", vocabulary.text(&tokens[..at]));
        forced += run.len();
        let step = run.len().max(1);
        tokens[at..at + step].iter().for_each(|token| guided.consume(*token).unwrap());
        at += step;
    }
    println!("{forced} of {} tokens are forced", tokens.len());
    assert!(5 * forced > tokens.len(), "{forced} of {}", tokens.len());
}
