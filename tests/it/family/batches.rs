//! Batches of every model of the family: with and without pictures, each unit gets the tokens that it would get alone.

use lapidary::{
    base::{Item, Prompt},
    bundle::{Dtype, Quantize},
    generate::Settings,
};

use super::member::{BIDIRECTIONAL, Exported, MEMBERS, Member, engine};
use crate::generate::{
    desk::{self, Answers},
    models,
};

fn settings(slots: usize, prefill_chunk: usize) -> Settings {
    Settings { slots: Some(slots), prefill_chunk, context: Some(140), max_tokens: 20, ..Settings::default() }
}

/// Every other unit is text alone; the others have two pictures or one, with tails and beginnings of different lengths.
fn units(member: Member) -> Vec<Item<Prompt>> {
    let prompt = |number: u32| {
        if number.is_multiple_of(2) {
            return desk::prompt(number, 5 + 9 * number as usize);
        }
        let mut prompt = member.prompt();
        prompt.tokens.splice(1..1, desk::prompt(number, 2 * number as usize).tokens);
        prompt.tokens.extend(desk::prompt(number + 50, number as usize).tokens);
        if number == 3 {
            one_picture(&mut prompt);
        }
        prompt
    };
    (0..8).map(|number| desk::item(number, prompt(number))).collect()
}

/// Leaves out the second picture: the soft tokens after the first run of them.
fn one_picture(prompt: &mut Prompt) {
    prompt.images.truncate(1);
    let first = prompt.tokens.iter().position(|token| *token == 292).unwrap();
    let mut place = 0;
    prompt.tokens.retain(|token| {
        place += 1;
        *token != 292 || place <= first + 12
    });
}

fn answers(exported: &Exported, settings: Settings, items: Vec<Item<Prompt>>) -> Answers {
    desk::answers(engine(exported, &settings), models::vocabulary(), settings, items)
}

/// Experts that are nearly as good as each other may change places with the order of a sum, so who meets whom in a run of
/// experts is not left to the threads.
fn answers_of(member: Member) -> fn(&Exported, Settings, Vec<Item<Prompt>>) -> Answers {
    if member.0 == "26b-a4b" { answers_in_step } else { answers }
}

/// The same with everything encoded beforehand, so that prompts meet in the same way in every run.
fn answers_in_step(exported: &Exported, settings: Settings, mut items: Vec<Item<Prompt>>) -> Answers {
    let mut engine = engine(exported, &settings);
    desk::encode(&mut engine, &mut items);
    desk::answers(engine, models::vocabulary(), settings, items)
}

/// Largest difference of a log-probability; only the order of sums may differ.
const SAME: f32 = 1e-4;

/// The same for experts in 4 bits: they are widened and multiplied as f32, where sums depend on the number of rows, and
/// the next map rounds its input to 8 bits, which makes whole steps of the last bit; 0.038 was measured. Two tokens that
/// are as likely as that may change places, after which the answers are different ones.
const EXPERTS_IN_4_BITS: f32 = 0.1;

fn assert_alike(together: &Answers, alone: &Answers, tolerance: f32, what: &str) {
    assert_eq!(together.len(), alone.len());
    for ((number, tokens, logprobs), (_, tokens_alone, logprobs_alone)) in together.iter().zip(alone) {
        let same = tokens.iter().zip(tokens_alone).take_while(|(token, alone)| token == alone).count();
        let tied = tolerance == EXPERTS_IN_4_BITS && same > 0 && same < tokens.len().min(tokens_alone.len());
        assert!(tied || tokens == tokens_alone, "unit {number}, {what}: {tokens:?}, alone {tokens_alone:?}");
        let compared = if tied { same + 1 } else { same };
        let pairs = logprobs.iter().zip(logprobs_alone).take(compared);
        let difference = pairs.map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        assert!(difference < tolerance, "unit {number}, {what}: log-probabilities differ by {difference}");
    }
}

fn alone(exported: &Exported, member: Member) -> Answers {
    units(member).into_iter().flat_map(|item| answers(exported, settings(1, 1000), vec![item])).collect()
}

#[test]
fn units_with_and_without_pictures_get_the_same_tokens_together_as_alone() {
    for name in MEMBERS {
        let member = Member(name);
        let exported = member.export(Dtype::F32, Quantize::None);
        let alone = alone(&exported, member);
        let distinct: std::collections::HashSet<_> = alone.iter().map(|(_, tokens, _)| tokens).collect();
        assert_eq!(distinct.len(), alone.len(), "the units must have different answers to tell anything");
        for (slots, chunk) in [(4, 1000), (3, 7), (8, 1), (2, 16)] {
            let together = answers_of(member)(&exported, settings(slots, chunk), units(member));
            assert_alike(&together, &alone, SAME, &format!("{name}, {slots} slots, chunks of {chunk}"));
        }
    }
}

#[test]
fn quantised_models_that_see_in_both_directions_keep_their_rows_apart_too() {
    for name in BIDIRECTIONAL {
        for quantize in [Quantize::Int8, Quantize::Int4] {
            let member = Member(name);
            let exported = member.export(Dtype::F32, quantize);
            let together = answers_in_step(&exported, settings(4, 1000), units(member));
            let rounds_twice = exported.model.manifest.architecture == "gemma4-moe" && quantize == Quantize::Int4;
            let tolerance = if rounds_twice { EXPERTS_IN_4_BITS } else { SAME };
            let what = format!("{name}, {}", quantize.as_str());
            assert_alike(&together, &alone(&exported, member), tolerance, &what);
        }
    }
}
