//! The whole stage over an engine that replays answers.

use crossbeam::channel::unbounded;
use lapidary::{
    base::{ByteBudget, Confined, FaultKind, Finish, Item, Prompt, Stop, TextLayer},
    generate::{Card, Engine, EngineError, Feed, Generator, Guide, Logits, ReplayEngine, Reused, Settings, Stats},
};
use serde_json::{Value, json};

use super::desk::{self, Tray};
use crate::vocabulary;

fn schema() -> Value {
    json!({
        "type": "object",
        "properties": { "a": { "type": "string", "maxLength": 50 }, "n": { "type": "integer", "minimum": 0, "maximum": 99 } },
        "required": ["a", "n"],
        "additionalProperties": false,
    })
}

fn replay(answers: &[&str], slots: usize, context: usize) -> ReplayEngine {
    let answers: Vec<String> = answers.iter().map(|answer| (*answer).to_owned()).collect();
    ReplayEngine::new(&answers, &desk::vocabulary(), desk::END, slots, context).unwrap()
}

fn run(engine: impl Engine, settings: Settings, items: Vec<Item<Prompt>>) -> (Stats, Tray) {
    let guide = Guide::compile(&desk::vocabulary(), &schema()).unwrap();
    desk::run(engine, desk::vocabulary(), Some(guide), settings, items)
}

#[test]
fn recorded_answers_come_out_as_they_were_recorded() {
    let answers = [r#"{"a":"the 日本","n":7}"#, r#"{"a":"é","n":10}"#, r#"{"a":"","n":0}"#];
    let items = (0..9).map(|number| desk::item(number, desk::prompt(number, 20))).collect();
    let (stats, mut tray) = run(replay(&answers, 4, 200), Settings::default(), items);
    assert!(tray.faults.is_empty(), "{:?}", tray.faults);
    tray.done.sort_by_key(|item| item.origin.source.ordinal);
    for (number, item) in tray.done.iter().enumerate() {
        assert_eq!(item.body.text, answers[number % 3]);
        assert_eq!(item.body.finish, Finish::Stop);
        assert_eq!(item.body.tokens.len(), item.body.logprobs.len());
        assert!(item.body.logprobs.iter().all(|logprob| *logprob == 0.0));
    }
    assert_eq!((stats.units, stats.faults, stats.prompt_tokens), (9, 0, 180));
}

#[test]
fn an_answer_that_runs_too_long_is_closed() {
    let settings = Settings { max_tokens: 30, ..Settings::default() };
    let items = vec![desk::item(0, desk::prompt(0, 20))];
    let (stats, tray) = run(replay(&[&format!(r#"{{"a":"{}"#, "x".repeat(50))], 1, 200), settings, items);
    let body = &tray.done[0].body;
    assert_eq!(body.finish, Finish::Closed);
    assert!(body.tokens.len() <= 30 && serde_json::from_str::<Value>(&body.text).is_ok(), "{}", body.text);
    assert_eq!(stats.closed, 1);
}

#[test]
fn an_answer_that_the_context_bounds_knows_what_it_had_room_for() {
    let confined = |max_tokens: usize| {
        let settings = Settings { max_tokens, ..Settings::default() };
        let items = vec![desk::item(0, desk::prompt(0, 20))];
        let (_, tray) = run(replay(&[&format!(r#"{{"a":"{}"#, "x".repeat(50))], 1, 50), settings, items);
        assert_eq!(tray.done[0].body.finish, Finish::Closed);
        tray.done[0].body.confined
    };
    assert_eq!(confined(31), Some(Confined { tokens: 30, context: 50 }));
    assert_eq!(confined(30), None);
}

#[test]
fn an_answer_that_says_the_same_again_and_again_is_cut_and_closed() {
    let text =
        json!({ "type": "object", "properties": { "a": { "type": "string", "maxLength": 4000 } }, "required": ["a"] });
    let guide = Guide::compile(&desk::vocabulary(), &text).unwrap();
    let answer = json!({ "a": format!("Total due{}", " and more".repeat(300)) }).to_string();
    let settings = Settings { max_tokens: 3000, loop_tokens: 64, ..Settings::default() };
    let items = vec![desk::item(0, desk::prompt(0, 20))];
    let (stats, tray) = desk::run(replay(&[&answer], 1, 4000), desk::vocabulary(), Some(guide), settings, items);
    let body = &tray.done[0].body;
    assert_eq!((body.finish, stats.looped, stats.closed), (Finish::Loop, 1, 0));
    assert!(body.tokens.len() < 200, "{} tokens", body.tokens.len());
    let said: Value = serde_json::from_str(&body.text).unwrap();
    assert!(said["a"].as_str().unwrap().starts_with("Total due and more and more"));
}

#[test]
fn an_answer_that_is_much_for_the_grammar_costs_no_other_unit() {
    let text = json!({ "type": "string", "pattern": r"^[A-Za-z ]+(; ([^,]+,\s*)*[^,]+)?$", "maxLength": 4096 });
    let schema =
        json!({ "type": "object", "properties": { "v": text }, "required": ["v"], "additionalProperties": false });
    let vocabulary = vocabulary::tiny_speller();
    let guide = Guide::compile(&vocabulary, &schema).unwrap();
    let mut answers = vec![r#"{"v":"Widget"}"#.to_owned(); 60];
    answers[10] = r#"{"v":"Widget; red, blue"}"#.to_owned();
    let engine = ReplayEngine::new(&answers, &vocabulary, 1, 4, 600).unwrap();
    let items = (0..60).map(|number| desk::item(number, desk::prompt(number, 20))).collect();
    let settings = Settings { max_tokens: 200, ..Settings::default() };
    let (stats, tray) = desk::run(engine, vocabulary, Some(guide), settings, items);
    assert!(stats.units >= 59, "{:?}", tray.faults);
    assert!(tray.done.iter().all(|item| answers.contains(&item.body.text)));
}

#[test]
fn a_prompt_that_does_not_fit_fails_alone_and_says_both_numbers() {
    let items = vec![desk::item(0, desk::prompt(0, 199)), desk::item(1, desk::prompt(1, 20))];
    let (stats, tray) =
        run(replay(&[r#"{"a":"","n":1}"#], 2, 200), Settings { max_tokens: 100, ..Settings::default() }, items);
    assert_eq!((stats.units, stats.faults), (1, 1));
    let (name, fault) = &tray.faults[0];
    assert_eq!((name.as_str(), fault.kind), ("unit 0", FaultKind::TooLong));
    assert!(fault.message.contains("199") && fault.message.contains("200"), "{}", fault.message);
}

#[test]
fn an_aborted_run_drops_its_units_and_a_draining_one_finishes_them() {
    for (stop, expected) in [(Stop::default(), 3), (Stop::default(), 0)] {
        if expected == 0 {
            stop.abort()
        } else {
            stop.drain()
        }
        let generator =
            Generator::new(replay(&[r#"{"a":"","n":1}"#], 2, 200), desk::vocabulary(), None, Settings::default())
                .unwrap();
        let (sender, receiver) = unbounded();
        (0..3).for_each(|number| sender.send(desk::item(number, desk::prompt(number, 5))).unwrap());
        drop(sender);
        let mut tray = Tray::default();
        generator.run(receiver, &mut tray, &stop).unwrap();
        assert_eq!(tray.done.len(), expected);
    }
}

#[test]
fn bytes_of_pictures_are_given_back_once_they_are_encoded() {
    let budget = ByteBudget::new(1 << 30);
    let mut with_picture = desk::prompt(0, 20);
    with_picture.images.push(lapidary::base::ImagePatches {
        pixels: ndarray::Array2::zeros((9, 768)),
        positions: ndarray::Array2::zeros((9, 2)),
        soft_tokens: 1,
    });
    let (_, tray) =
        run(replay(&[r#"{"a":"","n":1}"#], 2, 2000), Settings::default(), vec![desk::leased(0, with_picture, &budget)]);
    assert_eq!(budget.in_use(), 20 * 4);
    assert_eq!(tray.done[0].body.facts.image_tokens, 1);
    drop(tray);
    assert_eq!(budget.in_use(), 0);
}

#[test]
fn the_bytes_of_a_text_layer_stay_leased_as_long_as_it_walks_on() {
    let (budget, page) = (ByteBudget::new(1 << 30), TextLayer { text: "Total due: 17".to_owned(), words: Vec::new() });
    let prompt = Prompt { text: Some(page.clone()), ..desk::prompt(0, 20) };
    let items = vec![desk::leased(0, prompt, &budget)];
    let (_, tray) = run(replay(&[r#"{"a":"","n":1}"#], 2, 2000), Settings::default(), items);
    assert_eq!(budget.in_use(), 20 * 4 + page.bytes() as u64);
    assert_eq!(tray.done[0].body.layer, Some(page));
    drop(tray);
    assert_eq!(budget.in_use(), 0);
}

#[test]
fn guesses_that_an_answer_ends_with_count_as_right() {
    let answer = r#"{"a":"bcdefghijklmopqr","n":17}"#;
    let items = (0..6).map(|number| desk::item(number, desk::prompt(number, 20))).collect();
    let (stats, tray) = run(replay(&[answer], 1, 200), Settings::default(), items);
    assert!(tray.done.len() == 6 && tray.done.iter().all(|item| item.body.text == answer), "{:?}", tray.faults);
    assert!(stats.drafted_tokens > 0);
    assert_eq!(stats.accepted_tokens, stats.drafted_tokens);
}

/// Fails whenever the slot of a unit with an odd number of prompt tokens is concerned.
struct Brittle(ReplayEngine, Vec<bool>);

impl Engine for Brittle {
    fn card(&self) -> &Card {
        self.0.card()
    }

    fn admit(&mut self, slot: usize, prompt: &mut Prompt) -> Result<Reused, EngineError> {
        self.1[slot] = prompt.tokens.len() % 2 == 1;
        self.0.admit(slot, prompt)
    }

    fn remaining(&self, slot: usize) -> usize {
        self.0.remaining(slot)
    }

    fn step(&mut self, feeds: &[Feed]) -> Result<(), EngineError> {
        if feeds.iter().any(|feed| matches!(feed, Feed::Prompt(slot) if self.1[*slot])) {
            return Err(EngineError::failed("prefill", &std::io::Error::other("out of luck")));
        }
        self.0.step(feeds)
    }

    fn logits(&self, slot: usize, place: usize) -> Option<Logits<'_>> {
        self.0.logits(slot, place)
    }

    fn retract(&mut self, slot: usize, count: usize) -> Result<(), EngineError> {
        self.0.retract(slot, count)
    }

    fn release(&mut self, slot: usize) {
        self.0.release(slot);
    }
}

#[test]
fn a_unit_that_fails_frees_its_slot_for_the_next() {
    let items = (0..20).map(|number| desk::item(number, desk::prompt(number, 20 + number as usize))).collect();
    let engine = Brittle(replay(&[r#"{"a":"","n":1}"#], 2, 200), vec![false; 2]);
    let (stats, tray) = run(engine, Settings::default(), items);
    assert_eq!((stats.units, stats.faults), (10, 10));
    assert!(
        tray.faults.iter().all(|(_, fault)| fault.kind == FaultKind::Engine && fault.message.contains("out of luck"))
    );
}

#[test]
fn an_engine_that_fails_every_unit_ends_the_run() {
    let items = (0..40).map(|number| desk::item(number, desk::prompt(number, 21))).collect::<Vec<_>>();
    let engine = Brittle(replay(&[r#"{"a":"","n":1}"#], 2, 200), vec![false; 2]);
    let generator = Generator::new(engine, desk::vocabulary(), None, Settings::default()).unwrap();
    let (sender, receiver) = unbounded();
    items.into_iter().for_each(|item| sender.send(item).unwrap());
    let fatal = generator.run(receiver, &mut Tray::default(), &Stop::default()).unwrap_err();
    assert!(fatal.message.contains("16 times in a row"), "{}", fatal.message);
}

/// Cannot step more slots at once than this, nor a slot whose prompt has `poison` tokens.
struct Narrow {
    engine: ReplayEngine,
    most: usize,
    poison: usize,
    poisoned: Vec<bool>,
}

impl Engine for Narrow {
    fn card(&self) -> &Card {
        self.engine.card()
    }

    fn admit(&mut self, slot: usize, prompt: &mut Prompt) -> Result<Reused, EngineError> {
        self.poisoned[slot] = prompt.tokens.len() == self.poison;
        self.engine.admit(slot, prompt)
    }

    fn remaining(&self, slot: usize) -> usize {
        self.engine.remaining(slot)
    }

    fn step(&mut self, feeds: &[Feed]) -> Result<(), EngineError> {
        let poisoned = |feed: &Feed| matches!(feed, Feed::Tokens { slot, .. } if self.poisoned[*slot]);
        if feeds.len() > self.most || feeds.iter().any(poisoned) {
            return Err(EngineError::failed("decoding step", &std::io::Error::other("no memory")));
        }
        self.engine.step(feeds)
    }

    fn logits(&self, slot: usize, place: usize) -> Option<Logits<'_>> {
        self.engine.logits(slot, place)
    }

    fn retract(&mut self, slot: usize, count: usize) -> Result<(), EngineError> {
        self.engine.retract(slot, count)
    }

    fn release(&mut self, slot: usize) {
        self.engine.release(slot);
    }
}

fn narrow(most: usize, poison: usize) -> (Stats, Tray) {
    let items = (0..20).map(|number| desk::item(number, desk::prompt(number, 20 + number as usize))).collect();
    let engine = replay(&[r#"{"a":"word","n":17}"#], 8, 200);
    run(Narrow { engine, most, poison, poisoned: vec![false; 8] }, Settings::default(), items)
}

#[test]
fn a_step_of_too_many_slots_costs_no_unit_and_fewer_go_together_from_then_on() {
    let (stats, tray) = narrow(3, 0);
    assert_eq!((stats.units, stats.faults, stats.narrowed_to), (20, 0, 2));
    assert!(tray.done.iter().all(|item| item.body.text == r#"{"a":"word","n":17}"#));
}

#[test]
fn a_unit_that_cannot_be_stepped_fails_alone_and_the_others_stay_together() {
    let (stats, tray) = narrow(8, 25);
    assert_eq!((stats.units, stats.faults, stats.narrowed_to), (19, 1, 0));
    assert_eq!(tray.faults[0].0, "unit 5");
    assert!(tray.done.iter().all(|item| item.body.text == r#"{"a":"word","n":17}"#));
}
