//! Drafts, checked by a model that is known to say a given text: what they save, and what they cost where they fail.

use lapidary::{
    base::{Output, TextLayer},
    generate::{Drafter, Habits, Shelf, Syntax, Vocabulary},
};

use crate::{decode, vocabulary};

/// What a drafted token adds to a step in these tests.
const COST: f64 = 0.03;

/// How a text was written.
#[derive(Debug, Default)]
struct Tally {
    steps: usize,
    drafted: usize,
    accepted: usize,
}

impl Tally {
    /// Time in steps that feed one token.
    fn time(&self) -> f64 {
        self.steps as f64 + self.drafted as f64 * COST
    }
}

/// Writes `target` token by token and draft by draft; what it takes of a draft is what the target says.
fn write(drafter: &mut Drafter, shelf: &mut Shelf, target: &[u32]) -> Tally {
    let (mut said, mut tally) = (0, Tally::default());
    while said < target.len() {
        let draft = drafter.propose(shelf, &target[..said], 32, <[u32]>::len);
        assert!(draft.len() <= 32);
        let accepted = draft.iter().zip(&target[said..]).take_while(|(drafted, next)| drafted == next).count();
        drafter.judge(draft.len(), accepted);
        tally.steps += 1;
        tally.drafted += draft.len();
        tally.accepted += accepted;
        said += accepted + 1;
    }
    shelf.learn(target);
    tally
}

/// The next of a fixed sequence of numbers without pattern, each less than `below`.
fn next(state: &mut u64, below: u64) -> u32 {
    *state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
    ((*state >> 33) % below) as u32
}

fn invoice(number: u32) -> String {
    let (day, total) = (1 + number % 28, 100 + number * 37 % 900);
    format!(
        r#"{{"vendor":"Miller and Sons","invoice_number":"2026-{:05}","date":"2026-11-{day:02}","due_date":null,"currency":"EUR","line_items":[{{"description":"Granite slabs","quantity":{},"unit_price":{},"amount":{total}}},{{"description":"Transport","quantity":1,"unit_price":34.5,"amount":34.5}}],"subtotal":{total}.5,"tax":{}.1,"total":{}.6}}"#,
        number * 7919 % 99_999,
        1 + number % 7,
        number * 31 % 211,
        total / 5,
        total + total / 5,
    )
}

#[test]
fn invoices_of_one_pipeline_share_their_keys_and_phrases() {
    let (_, tokenizer) = vocabulary::full_speller();
    let mut shelf = Shelf::default();
    let (mut steps, mut time, mut tokens) = (0, 0.0, 0);
    for number in 0..12 {
        let target = tokenizer.ids(&invoice(number)).unwrap();
        let tally = write(&mut Drafter::new(&[2, 105, 2364], Habits::new(COST)), &mut shelf, &target);
        println!("invoice {number}: {} tokens, {tally:?}", target.len());
        if number >= 4 {
            (steps, time, tokens) = (steps + tally.steps, time + tally.time(), tokens + target.len());
        }
    }
    assert!(5 * steps < 3 * tokens, "{steps} steps for {tokens} tokens");
    assert!(time < 0.7 * tokens as f64, "{time} for {tokens} tokens");
}

#[test]
fn an_answer_that_copies_its_prompt_is_written_in_few_steps() {
    let (_, tokenizer) = vocabulary::full_speller();
    let text = include_str!("../../../README.md");
    let prompt = tokenizer.ids(&format!("Copy this.\n{text}")).unwrap();
    let target = tokenizer.ids(&format!("{{\"text\":\"{text}")).unwrap();
    let tally = write(&mut Drafter::new(&prompt, Habits::new(COST)), &mut Shelf::default(), &target);
    println!("{} tokens, {tally:?}", target.len());
    assert!(8 * tally.steps < target.len(), "{} steps for {} tokens", tally.steps, target.len());
}

#[test]
fn an_answer_like_nothing_before_costs_next_to_nothing() {
    let mut state = 1_u64;
    // Few different tokens, so that each three of them have come by often, and what followed says nothing.
    for different in [6, 20, 900] {
        let mut shelf = Shelf::default();
        for _ in 0..6 {
            let target: Vec<u32> = (0..600).map(|_| 20 + next(&mut state, different)).collect();
            let tally = write(&mut Drafter::new(&target[300..], Habits::new(COST)), &mut shelf, &target);
            let bound = 1.03 * target.len() as f64;
            assert!(tally.time() <= bound, "{different} tokens: {} of {}: {tally:?}", tally.time(), target.len());
        }
    }
}

#[test]
fn the_same_answers_are_drafted_in_the_same_way() {
    let run = || {
        let mut shelf = Shelf::default();
        let answers = (0..20_u32).map(|number| (0..200).map(|place| (place * place + number % 3) % 50).collect());
        answers
            .map(|target: Vec<u32>| write(&mut Drafter::new(&[], Habits::new(COST)), &mut shelf, &target).drafted)
            .collect()
    };
    let (first, second): (Vec<usize>, Vec<usize>) = (run(), run());
    assert_eq!(first, second);
}

/// Writes `answer` about a page, without and with its text layer.
fn with_and_without(vocabulary: &Vocabulary, target: &[u32], layer: &TextLayer) -> [Tally; 2] {
    in_syntax(Output::Json, vocabulary, target, layer)
}

fn in_syntax(output: Output, vocabulary: &Vocabulary, target: &[u32], layer: &TextLayer) -> [Tally; 2] {
    let syntax = Syntax::of(output, vocabulary).unwrap();
    [None, Some(layer)].map(|layer| {
        write(
            &mut Drafter::new(&[2, 105], Habits::new(COST)).with_page(vocabulary, syntax, layer),
            &mut Shelf::default(),
            target,
        )
    })
}

#[test]
fn a_page_that_is_written_out_takes_a_step_for_many_tokens() {
    let (vocabulary, tokenizer) = vocabulary::full_speller();
    for name in ["documents/invoice.pdf", "documents/receipt.pdf"] {
        let layer = decode::layer_of(name);
        for lines in ["\n", " "] {
            let text: Vec<&str> = layer.text.lines().map(str::trim).collect();
            let answer = serde_json::json!({ "text": text.join(lines), "language": "en" }).to_string();
            let target = tokenizer.ids(&answer).unwrap();
            let [without, with] = with_and_without(&vocabulary, &target, &layer);
            println!("{name} {lines:?}: {} tokens, {with:?} instead of {without:?}", target.len());
            assert!(3 * with.steps < target.len(), "{name}: {} steps for {} tokens", with.steps, target.len());
            assert!(with.time() < without.time(), "{name}");
        }
    }
}

#[test]
fn a_call_copies_a_page_too() {
    let (vocabulary, tokenizer) = vocabulary::full_speller();
    let layer = decode::layer_of("documents/receipt.pdf");
    let text: Vec<&str> = layer.text.lines().map(str::trim).collect();
    let mark = vocabulary.special("<|\"|>").unwrap();
    let (before, after) = (tokenizer.ids("call:record{text:").unwrap(), tokenizer.ids("}").unwrap());
    let target = [before, vec![mark], tokenizer.ids(&text.join("\n")).unwrap(), vec![mark], after].concat();
    let [without, with] = in_syntax(Output::ToolCall, &vocabulary, &target, &layer);
    println!("{} tokens, {with:?} instead of {without:?}", target.len());
    assert!(3 * with.steps < target.len() && with.time() < without.time(), "{with:?} instead of {without:?}");
}

#[test]
fn values_copied_from_a_page_are_drafted_from_their_place_on() {
    let (vocabulary, tokenizer) = vocabulary::full_speller();
    let layer = TextLayer {
        text: "Article\tDescription\r\nA-1 Diamond file set, \"fine\"\r\nA-2 Granite slab, polished on both sides\r\n\
               A-3 Größe 42, Ölstein mit Lederbezug und Griff aus Nußbaum"
            .to_owned(),
        words: Vec::new(),
    };
    let answer = serde_json::json!({ "items": [
        { "article": "A-1", "description": "Diamond file set, \"fine\"" },
        { "article": "A-2", "description": "Granite slab, polished on both sides" },
        { "article": "A-3", "description": "Größe 42, Ölstein mit Lederbezug und Griff aus Nußbaum" },
    ] });
    let target = tokenizer.ids(&answer.to_string()).unwrap();
    let [without, with] = with_and_without(&vocabulary, &target, &layer);
    println!("{} tokens, {with:?} instead of {without:?}", target.len());
    assert!(with.steps + 8 < without.steps, "{with:?} instead of {without:?}");
}

#[test]
fn a_page_that_the_answer_does_not_copy_costs_next_to_nothing() {
    let (vocabulary, tokenizer) = vocabulary::full_speller();
    let page =
        TextLayer { text: "It was the best of times, it was the worst of times. ".repeat(40), words: Vec::new() };
    let words = ["it was ", "the best ", "of a ", "times for ", "worst was ", "best it "];
    let mut state = 1_u64;
    let text: String = (0..300).map(|_| words[next(&mut state, words.len() as u64) as usize]).collect();
    let target = tokenizer.ids(&serde_json::json!({ "text": text }).to_string()).unwrap();
    let mut drafter = Drafter::new(&[], Habits::new(COST)).with_page(&vocabulary, Syntax::Json, Some(&page));
    let tally = write(&mut drafter, &mut Shelf::default(), &target);
    println!("{} tokens, {tally:?}", target.len());
    assert!(tally.time() <= 1.03 * target.len() as f64, "{} of {}: {tally:?}", tally.time(), target.len());
}

#[test]
fn many_short_answers_without_a_hit_cost_no_more_than_a_long_one() {
    let (mut state, mut habits, mut shelf) = (1_u64, Habits::new(COST), Shelf::default());
    let (mut time, mut tokens) = (0.0, 0);
    for _ in 0..100 {
        let target: Vec<u32> = (0..12).map(|_| 20 + next(&mut state, 6)).collect();
        let prompt: Vec<u32> = (0..200).map(|_| 20 + next(&mut state, 6)).collect();
        let mut drafter = Drafter::new(&prompt, habits);
        let tally = write(&mut drafter, &mut shelf, &target);
        habits = drafter.into_habits();
        (time, tokens) = (time + tally.time(), tokens + target.len());
    }
    assert!(time <= 1.03 * tokens as f64, "{time} for {tokens} tokens");
}

#[test]
fn a_page_that_the_grammar_refuses_does_not_stand_before_what_may_be_said() {
    let (vocabulary, tokenizer) = vocabulary::full_speller();
    let layer = TextLayer { text: "Total due: 1,234.50 EUR, payable at once".to_owned(), words: Vec::new() };
    let answer = r#"{"note":"Total due: one thousand"#;
    let said = tokenizer.ids(r#"{"note":"Total due:"#).unwrap();
    let mut shelf = Shelf::default();
    shelf.learn(&tokenizer.ids(answer).unwrap());
    let page = tokenizer.ids(" 1,234.50").unwrap()[0];
    let allowed = |guesses: &[u32]| guesses.iter().take_while(|token| **token != page).count();
    let drafter = || Drafter::new(&[2, 105], Habits::new(COST)).with_page(&vocabulary, Syntax::Json, Some(&layer));
    assert_eq!(drafter().propose(&shelf, &said, 8, <[u32]>::len).first(), Some(&page));
    let draft = drafter().propose(&shelf, &said, 8, allowed);
    let expected = tokenizer.ids(answer).unwrap();
    assert_eq!(draft.first(), expected.get(said.len()), "{draft:?} after {said:?}");
}
