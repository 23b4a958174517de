//! The numbers of a document: what its units took together.

use crate::base::{Effort, Extraction, Finish, Item, PromptFacts, Thought, Timing, ladder::Try};

/// An extraction without a record, whose numbers are the units' together: sums of tokens, effort and time, the largest
/// budget and attempt, the mean log-probability over all tokens, and the first ending that is no plain stop.
pub fn of(units: &[&Item<Extraction>]) -> Extraction {
    let all = || units.iter().map(|unit| &unit.body);
    let cut = all().map(|one| one.finish).find(|finish| *finish != Finish::Stop);
    Extraction {
        problems: units.iter().flat_map(|unit| problems(unit)).collect(),
        thought: thought(units),
        tokens: all().map(|one| one.tokens).fold(0, u32::saturating_add),
        mean_logprob: mean_logprob(units),
        finish: cut.unwrap_or_default(),
        facts: all().map(|one| one.facts).fold(PromptFacts::default(), facts),
        effort: all().map(|one| one.effort).fold(Effort::default(), effort),
        timing: all().map(|one| one.timing).fold(Timing::default(), timing),
        attempt: all().map(|one| one.attempt).max().unwrap_or(0),
        tries: all().flat_map(|one| &one.tries).cloned().collect::<Vec<Try>>(),
        ..Extraction::default()
    }
}

/// A remark says which part it is about.
fn problems(unit: &Item<Extraction>) -> impl Iterator<Item = String> + '_ {
    unit.body.problems.iter().map(|problem| format!("{}: {problem}", unit.origin.part))
}

/// How long was thought; the thoughts themselves stand beside their answers.
fn thought(units: &[&Item<Extraction>]) -> Option<Thought> {
    let thoughts: Vec<&Thought> = units.iter().filter_map(|unit| unit.body.thought.as_ref()).collect();
    (!thoughts.is_empty()).then(|| Thought {
        text: None,
        tokens: thoughts.iter().map(|one| one.tokens).fold(0, u32::saturating_add),
        cut: thoughts.iter().any(|one| one.cut),
    })
}

fn mean_logprob(units: &[&Item<Extraction>]) -> f32 {
    let weights = units.iter().map(|unit| (f64::from(unit.body.mean_logprob), f64::from(unit.body.tokens)));
    let (sum, tokens) = weights.fold((0.0, 0.0), |(sum, all), (mean, tokens)| (sum + mean * tokens, all + tokens));
    (sum / f64::max(tokens, 1.0)) as f32
}

fn facts(one: PromptFacts, other: PromptFacts) -> PromptFacts {
    PromptFacts {
        budget: one.budget.max(other.budget),
        prompt_tokens: one.prompt_tokens.saturating_add(other.prompt_tokens),
        image_tokens: one.image_tokens.saturating_add(other.image_tokens),
        audio_tokens: one.audio_tokens.saturating_add(other.audio_tokens),
    }
}

fn effort(one: Effort, other: Effort) -> Effort {
    Effort {
        steps: one.steps.saturating_add(other.steps),
        forced: one.forced.saturating_add(other.forced),
        drafted: one.drafted.saturating_add(other.drafted),
        accepted: one.accepted.saturating_add(other.accepted),
    }
}

fn timing(one: Timing, other: Timing) -> Timing {
    Timing {
        encode_micros: one.encode_micros.saturating_add(other.encode_micros),
        prefill_micros: one.prefill_micros.saturating_add(other.prefill_micros),
        decode_micros: one.decode_micros.saturating_add(other.decode_micros),
    }
}
