//! Steps that carry more than a token: several tokens of several slots beside a chunk of a prompt, guesses that stand and
//! guesses that are taken back. Each model of the family, in both forms of its decoder, gives what it gives token by token.

use lapidary::{
    bundle::{Dtype, Quantize},
    generate::{Device, Engine, EngineSettings, Feed, Form, Logits, OrtEngine, Runtime, Settings},
};

use super::member::{Exported, MEMBERS, Member};
use crate::generate::desk;

const SAME: f32 = 2e-4;

fn engine(exported: &Exported, decoder: Form, prefill_chunk: usize) -> OrtEngine {
    let settings = Settings { slots: Some(3), context: Some(140), prefill_chunk, decoder, ..Settings::default() };
    let settings = EngineSettings { threads: 1, ..EngineSettings::new(&settings, Device::Cpu) };
    OrtEngine::open(&Runtime::load().unwrap(), &exported.model, settings).unwrap()
}

fn scores(engine: &OrtEngine, slot: usize, place: usize) -> Vec<f32> {
    match engine.logits(slot, place) {
        Some(Logits::Scores(scores)) => scores.to_vec(),
        other => panic!("no scores but {other:?}"),
    }
}

fn assert_same(found: &[f32], expected: &[f32], what: &str) {
    let difference = found.iter().zip(expected).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
    assert!(found.len() == expected.len() && difference < SAME, "{what}: logits differ by {difference}");
}

/// What follows each of these tokens when they are fed one by one behind the member's prompt.
fn one_by_one(exported: &Exported, member: Member, tokens: &[u32]) -> Vec<Vec<f32>> {
    let mut engine = engine(exported, Form::Sequences, 1000);
    engine.admit(0, &mut member.prompt()).unwrap();
    engine.prefill(0).unwrap();
    let step = |token: &u32| {
        engine.step(&[Feed::token(0, token)]).unwrap();
        scores(&engine, 0, 0)
    };
    tokens.iter().map(step).collect()
}

#[test]
fn tokens_fed_together_give_what_they_give_one_by_one() {
    let tokens: Vec<u32> = (0..12).map(|place| 7 + 17 * place).collect();
    for name in MEMBERS {
        let member = Member(name);
        let exported = member.export(Dtype::F32, Quantize::None);
        let expected = one_by_one(&exported, member, &tokens);
        for form in [Form::Slots, Form::Sequences] {
            let what = |place: usize| format!("{name}, {form:?}, token {place}");
            let mut engine = engine(&exported, form, 7);
            for slot in [0, 1] {
                engine.admit(slot, &mut member.prompt()).unwrap();
                engine.prefill(slot).unwrap();
            }
            engine.admit(2, &mut desk::prompt(3, 40)).unwrap();
            // Slot 0 is fed three tokens of which two are guesses, slot 1 one token, slot 2 a chunk of its prompt.
            let feeds = [Feed::Tokens { slot: 0, tokens: &tokens[..3], guessed: 2 }, Feed::token(1, &tokens[0])];
            engine.step(&[feeds[0], Feed::Prompt(2), feeds[1]]).unwrap();
            (0..3).for_each(|place| assert_same(&scores(&engine, 0, place), &expected[place], &what(place)));
            assert_same(&scores(&engine, 1, 0), &expected[0], &what(0));
            assert_eq!(engine.remaining(2), 33);
            // Two guesses of slot 1 are wrong and are taken back; of slot 0 all stand.
            let wrong = [tokens[1], 250, 251];
            let feeds = [
                Feed::Tokens { slot: 0, tokens: &tokens[3..9], guessed: 5 },
                Feed::Prompt(2),
                Feed::Tokens { slot: 1, tokens: &wrong, guessed: 2 },
            ];
            engine.step(&feeds).unwrap();
            (0..6).for_each(|place| assert_same(&scores(&engine, 0, place), &expected[3 + place], &what(3 + place)));
            assert_same(&scores(&engine, 1, 0), &expected[1], &what(1));
            engine.retract(1, 2).unwrap();
            for (place, token) in tokens.iter().enumerate().skip(2) {
                let feeds: Vec<Feed> = [(1, token)].map(|(slot, token)| Feed::token(slot, token)).to_vec();
                engine.step(&feeds).unwrap();
                assert_same(&scores(&engine, 1, 0), &expected[place], &what(place));
            }
            engine.step(&[Feed::Tokens { slot: 0, tokens: &tokens[9..], guessed: 0 }]).unwrap();
            assert_same(&scores(&engine, 0, 0), &expected[11], &what(11));
            assert_eq!(engine.logits(0, 1), None, "no guess, no further place");
        }
    }
}

#[test]
fn a_step_that_asks_for_what_cannot_be_is_refused_and_changes_nothing() {
    let member = Member("e2b");
    let exported = member.export(Dtype::F32, Quantize::None);
    for form in [Form::Slots, Form::Sequences] {
        let mut engine = engine(&exported, form, 7);
        engine.admit(0, &mut member.prompt()).unwrap();
        assert!(engine.step(&[Feed::token(0, &5)]).is_err(), "the prompt is not in yet");
        engine.prefill(0).unwrap();
        assert!(engine.step(&[]).is_err() && engine.step(&[Feed::Prompt(0)]).is_err());
        assert!(engine.step(&[Feed::Tokens { slot: 0, tokens: &[5, 6], guessed: 2 }]).is_err(), "guesses alone");
        assert!(engine.step(&[Feed::token(0, &5), Feed::token(1, &5)]).is_err(), "slot 1 is free");
        assert!(engine.retract(0, 1).is_err(), "nothing was guessed");
        engine.step(&[Feed::token(0, &7)]).unwrap();
        assert_same(&scores(&engine, 0, 0), &one_by_one(&exported, member, &[7])[0], "after all that");
    }
}
