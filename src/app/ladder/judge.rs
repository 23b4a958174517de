//! The judge: weighs each outcome, keeps the best of a unit's tries, and says which goes on to `write`.

use std::{collections::HashMap, sync::Arc};

use serde_json::Value;

use super::settings::{Reason, Settings};
use crate::{
    base::{
        Document, Extraction, Failure, Fault, FaultKind, Finish, Item, Lease, Origin, Outcome, RecordOf, Shape,
        StageName,
        ladder::{Rungs, Try},
        shape::{Field, Form},
    },
    parse::records,
};

/// What becomes of an outcome.
pub enum Weighed {
    /// It goes to `write`.
    Settled(Outcome),
    /// The unit is tried again.
    Again(Item<Document>),
}

/// Weighs outcomes. Without rungs, and where nothing is given up, everything is settled at once.
pub struct Judge {
    shape: Arc<Shape>,
    settings: Settings,
    rungs: Rungs,
    record: RecordOf,
    held: HashMap<(String, String), Held>,
}

/// A unit on its way up.
struct Held {
    /// Tries that are over, the best left out.
    tries: Vec<Try>,
    best: Candidate,
    /// New tokens of all tries.
    tokens: u64,
    /// The attempt that it was sent to.
    sent: u8,
}

/// What a try came to.
struct Candidate {
    origin: Origin,
    attempt: u8,
    reasons: Vec<Reason>,
    result: Result<Extraction, Box<Failure>>,
}

impl Candidate {
    fn tokens(&self) -> u32 {
        self.result.as_ref().map_or(0, |extraction| extraction.tokens)
    }
}

impl Judge {
    /// A judge of answers that are records of this shape.
    pub fn new(shape: Arc<Shape>, settings: Settings) -> Self {
        let rungs = settings.rungs();
        Self { shape, settings, rungs, record: RecordOf::Unit, held: HashMap::new() }
    }

    /// The same, of answers that may list records of that shape.
    pub fn with_record(self, record: RecordOf) -> Self {
        Self { record, ..self }
    }

    /// True when every outcome stays what it is.
    fn is_content(&self) -> bool {
        self.idle() && self.settings.give_up_on.is_empty()
    }

    /// True when no unit can climb.
    pub fn idle(&self) -> bool {
        self.rungs.all().is_empty()
    }

    /// Weighs one outcome. A unit is settled when its tries are through, also while the run is ending: a row without
    /// them would look final to the next run.
    pub fn weigh(&mut self, outcome: Outcome) -> Weighed {
        match outcome {
            Outcome::Row(item) if !self.is_content() => {
                let Item { origin, attempt, body, .. } = *item;
                let reasons = self.reasons(&body);
                self.next(Candidate { origin, attempt, reasons, result: Ok(body) })
            }
            Outcome::Failure(failure) if !self.idle() => self.weigh_failure(failure),
            other => Weighed::Settled(other),
        }
    }

    /// A failure of a unit that stands on no rung climbs when its answer is to blame.
    fn weigh_failure(&mut self, failure: Box<Failure>) -> Weighed {
        let Some(source) = failure.document.clone() else { return Weighed::Settled(Outcome::Failure(failure)) };
        let origin = Origin { source, part: failure.part };
        let sent = self.held.get(&key(&origin)).map(|held| held.sent);
        if sent.is_none() && failure.fault.kind != FaultKind::Invalid {
            return Weighed::Settled(Outcome::Failure(failure));
        }
        let attempt = sent.unwrap_or(0);
        self.next(Candidate { origin, attempt, reasons: vec![Reason::Invalid], result: Err(failure) })
    }

    fn next(&mut self, candidate: Candidate) -> Weighed {
        let (key, tokens) = (key(&candidate.origin), u64::from(candidate.tokens()));
        let Candidate { origin, attempt, .. } = &candidate;
        let (source, part, above) =
            (origin.source.clone(), origin.part, self.rungs.above(*attempt, origin.source.kind, &origin.part));
        let bad = candidate.reasons.iter().any(|reason| self.settings.climb_on.contains(reason));
        let spent = self.held.get(&key).map_or(0, |held| held.tokens) + tokens;
        let goes_on = bad && spent < self.settings.allowance;
        let Some(next) = above.filter(|_| goes_on) else {
            let held = self.held.remove(&key);
            return Weighed::Settled(self.settle(candidate, held));
        };
        let held = self.held.remove(&key);
        let held = Held { tokens: spent, sent: next, ..self.merged(candidate, held) };
        self.held.insert(key, held);
        let origin = Origin { source, part };
        Weighed::Again(Item { origin, attempt: next, lease: Lease::none(), body: Document })
    }

    /// The better of two stays, the earlier of equals; the other becomes a try.
    fn merged(&self, candidate: Candidate, held: Option<Held>) -> Held {
        let Some(Held { mut tries, best, tokens, sent }) = held else {
            return Held { tries: Vec::new(), best: candidate, tokens: 0, sent: 0 };
        };
        let better = self.badness(&candidate) < self.badness(&best);
        let (best, other) = if better { (candidate, best) } else { (best, candidate) };
        tries.push(self.over(&other));
        Held { tries, best, tokens, sent }
    }

    fn settle(&mut self, candidate: Candidate, held: Option<Held>) -> Outcome {
        let Held { mut tries, best, .. } = self.merged(candidate, held);
        tries.sort_by_key(|one| one.attempt);
        match best.result {
            Ok(extraction) => {
                if let Some(reason) = self.unbearable(&best.reasons) {
                    let fault = given_up(reason, tries.len() + 1, &extraction.raw);
                    return Outcome::Failure(Box::new(Failure { tries, ..Failure::of(&best.origin, fault) }));
                }
                let body = Extraction { attempt: best.attempt, tries, ..extraction };
                let lease = Lease::none();
                Outcome::Row(Box::new(Item { origin: best.origin, attempt: best.attempt, lease, body }))
            }
            Err(mut failure) => {
                failure.tries = tries;
                if !failure.tries.is_empty() {
                    failure.fault.message.push_str(&format!("; {} other tries were no better", failure.tries.len()));
                }
                Outcome::Failure(failure)
            }
        }
    }

    /// Less is better: any row before any failure, then one that is not given up, then the fewest reasons.
    fn badness(&self, candidate: &Candidate) -> (bool, bool, usize) {
        let Candidate { reasons, result, .. } = candidate;
        (result.is_err(), self.unbearable(reasons).is_some(), reasons.len())
    }

    /// The outcome of what cannot climb: where its answer is to be given up, a failure.
    pub fn settled(&self, outcome: Outcome) -> Outcome {
        let Outcome::Row(item) = outcome else { return outcome };
        let Some(reason) = self.unbearable(&self.reasons(&item.body)) else { return Outcome::Row(item) };
        let fault = given_up(reason, 1, &item.body.raw);
        Outcome::Failure(Box::new(Failure::of(&item.origin, fault)))
    }

    /// The first reason for which a unit is given up.
    fn unbearable(&self, reasons: &[Reason]) -> Option<Reason> {
        self.settings.give_up_on.iter().copied().find(|reason| reasons.contains(reason))
    }

    fn over(&self, candidate: &Candidate) -> Try {
        Try {
            why: candidate.reasons.iter().map(|reason| reason.as_str()).collect(),
            attempt: candidate.attempt,
            rung: self.rungs.at(candidate.attempt),
            tokens: candidate.tokens(),
        }
    }

    /// What is wrong with a row.
    fn reasons(&self, extraction: &Extraction) -> Vec<Reason> {
        let holds = |reason: Reason| match reason {
            Reason::Invalid => false,
            Reason::Loop => extraction.finish == Finish::Loop,
            Reason::Closed => extraction.finish == Finish::Closed,
            Reason::Empty => self.has_empty(&extraction.record),
            Reason::Check => extraction.checks.iter().any(|check| check.passed == Some(false)),
            Reason::Agreement => self.disagrees(extraction),
        };
        Reason::ALL.into_iter().filter(|reason| holds(*reason)).collect()
    }

    /// An empty list of records is an answer like any other.
    fn has_empty(&self, answer: &Value) -> bool {
        let records = match self.record {
            RecordOf::Unit | RecordOf::Document => std::slice::from_ref(answer),
            RecordOf::List => records(answer),
        };
        records.iter().any(|record| has_empty(self.shape.fields(), record))
    }

    /// True when the page's text is known and says too little of the record.
    fn disagrees(&self, extraction: &Extraction) -> bool {
        let agreement = extraction.evidence.as_ref().and_then(|evidence| evidence.agreement);
        agreement.zip(self.settings.least_agreement).is_some_and(|(agreement, least)| agreement < least)
    }
}

/// What the failures table says of a unit without a good answer.
fn given_up(reason: Reason, tries: usize, answer: &str) -> Fault {
    let kind = if reason == Reason::Loop { FaultKind::Loop } else { FaultKind::Rejected };
    let tried = if tries == 1 { "its only try".to_owned() } else { format!("the best of {tries} tries") };
    let begins: String = answer.chars().take(80).collect();
    let message = format!("{} on {tried}; the answer begins: {begins}", reason.told());
    Fault::new(StageName::Parse, kind, message, "look at it with `lapidary failures`, or add steps to the `[ladder]`")
}

fn key(origin: &Origin) -> (String, String) {
    (origin.source.name.clone(), origin.part.to_string())
}

/// True when a required text or list of the record, or of an object in it, is empty.
fn has_empty(fields: &[Field], record: &Value) -> bool {
    fields.iter().filter(|field| field.required && !field.node.nullable).any(|field| {
        match (&field.node.form, &record[&field.name]) {
            (Form::Object(inner), value) => has_empty(inner, value),
            (_, Value::String(text)) => text.trim().is_empty(),
            (_, Value::Array(items)) => items.is_empty(),
            _ => false,
        }
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::base::{ContentHash, Evidence, Kind, Part, Source, Verdict};

    fn judge(text: &str) -> Judge {
        let schema = json!({
            "type": "object",
            "required": ["name"],
            "properties": { "name": { "type": "string" }, "note": { "type": "string" } }
        });
        Judge::new(Arc::new(Shape::compile(&schema).unwrap()), toml::from_str(text).unwrap())
    }

    fn origin() -> Origin {
        let path = "a.pdf".into();
        let (hash, kind) = (ContentHash([1; 32]), Kind::Pdf);
        let source = Source { name: "a.pdf".into(), path, hash, kind, bytes: 1, ordinal: 0, modified: None };
        Origin { source: Arc::new(source), part: Part::Page { number: 2, of: 3 } }
    }

    fn row(attempt: u8, name: &str, finish: Finish) -> Outcome {
        let body =
            Extraction { record: json!({ "name": name, "note": null }), finish, tokens: 100, ..Extraction::default() };
        Outcome::Row(Box::new(Item { origin: origin(), attempt, lease: Lease::none(), body }))
    }

    fn failure(kind: FaultKind) -> Outcome {
        let fault = Fault::new(StageName::Parse, kind, "no good", "");
        Outcome::Failure(Box::new(Failure::of(&origin(), fault)))
    }

    fn again(weighed: Weighed) -> u8 {
        let Weighed::Again(item) = weighed else { panic!("it must climb") };
        assert_eq!(item.origin, origin());
        item.attempt
    }

    fn settled(weighed: Weighed) -> Outcome {
        let Weighed::Settled(outcome) = weighed else { panic!("it must be settled") };
        outcome
    }

    fn extraction(weighed: Weighed) -> Extraction {
        let Outcome::Row(item) = settled(weighed) else { panic!("it must be a row") };
        item.body
    }

    const STEPS: &str = "steps = [{ budget = 560 }, { rotate = 90 }]";

    #[test]
    fn a_good_answer_is_settled_and_a_bad_one_climbs_until_it_is_good() {
        let mut judge = judge(STEPS);
        assert_eq!(extraction(judge.weigh(row(0, "Miller", Finish::Stop))).tries, []);
        assert_eq!(again(judge.weigh(row(0, " ", Finish::Stop))), 1);
        assert_eq!(again(judge.weigh(failure(FaultKind::Invalid))), 2);
        let row = extraction(judge.weigh(row(2, "Miller", Finish::Stop)));
        assert_eq!((row.attempt, row.record["name"].as_str()), (2, Some("Miller")));
        let why: Vec<_> = row.tries.iter().map(|one| (one.attempt, one.why.clone())).collect();
        assert_eq!(why, [(0, vec!["empty"]), (1, vec!["invalid"])]);
        assert!(judge.held.is_empty());
    }

    #[test]
    fn where_no_try_is_good_the_best_stays_and_the_earlier_of_equals() {
        let mut judge = judge(STEPS);
        again(judge.weigh(row(0, "", Finish::Closed)));
        again(judge.weigh(row(1, "first", Finish::Closed)));
        let row = extraction(judge.weigh(row(2, "second", Finish::Closed)));
        assert_eq!((row.record["name"].as_str(), row.tries.len()), (Some("first"), 2));
    }

    #[test]
    fn a_failure_climbs_when_its_answer_is_to_blame_and_stays_one_when_nothing_helps() {
        let mut judge = judge(STEPS);
        assert!(matches!(settled(judge.weigh(failure(FaultKind::Corrupt))), Outcome::Failure(_)));
        again(judge.weigh(failure(FaultKind::Invalid)));
        again(judge.weigh(failure(FaultKind::Corrupt)));
        let Outcome::Failure(failure) = settled(judge.weigh(failure(FaultKind::Invalid))) else { panic!() };
        assert!(failure.fault.message.contains("2 other tries"), "{}", failure.fault.message);
    }

    #[test]
    fn no_unit_climbs_over_its_allowance() {
        let mut tight = judge("allowance = 150\nsteps = [{ budget = 560 }, { rotate = 90 }]");
        again(tight.weigh(row(0, "", Finish::Stop)));
        assert_eq!(extraction(tight.weigh(row(1, "", Finish::Stop))).tries.len(), 1);
    }

    #[test]
    fn failed_checks_and_pages_that_say_otherwise_are_reasons_too() {
        let mut judge =
            judge("climb_on = [\"check\", \"agreement\"]\nleast_agreement = 0.5\nsteps = [{ rotate = 90 }]");
        let with = |passed, agreement| {
            let Outcome::Row(mut item) = row(0, "Miller", Finish::Stop) else { unreachable!() };
            item.body.checks = vec![Verdict { name: "sum".to_owned(), passed, detail: String::new() }];
            item.body.evidence = Some(Evidence { agreement, ..Evidence::default() });
            Outcome::Row(item)
        };
        assert_eq!(extraction(judge.weigh(with(None, None))).tries, []);
        assert_eq!(extraction(judge.weigh(with(Some(true), Some(0.5)))).tries, []);
        again(judge.weigh(with(Some(false), Some(0.4))));
        let row = extraction(judge.weigh(with(Some(true), Some(0.9))));
        assert_eq!(row.tries[0].why, ["check", "agreement"]);
    }

    #[test]
    fn what_is_given_up_is_a_failure_with_a_name() {
        let mut climbing = judge("steps = [{ rotate = 90 }]\ngive_up_on = [\"loop\", \"empty\"]");
        again(climbing.weigh(row(0, "Miller", Finish::Loop)));
        let Outcome::Failure(failure) = settled(climbing.weigh(row(1, "Miller", Finish::Loop))) else { panic!() };
        assert_eq!((failure.fault.kind, failure.tries.len()), (FaultKind::Loop, 1));
        assert!(failure.fault.message.contains("the best of 2 tries"), "{}", failure.fault.message);
        again(climbing.weigh(row(0, "Miller", Finish::Loop)));
        assert_eq!(extraction(climbing.weigh(row(1, "Miller", Finish::Stop))).attempt, 1);
        let mut strict = judge("steps = [{ rotate = 90 }]\ngive_up_on = [\"loop\"]");
        again(strict.weigh(row(0, "Miller", Finish::Loop)));
        let kept = extraction(strict.weigh(row(1, "", Finish::Closed)));
        assert_eq!(kept.attempt, 1, "a try that does not loop is better than one that does, whatever else it is");
        assert!(matches!(climbing.settled(row(0, "Miller", Finish::Loop)), Outcome::Failure(_)), "what cannot climb");
        let mut still = judge("give_up_on = [\"empty\"]");
        let Outcome::Failure(failure) = settled(still.weigh(row(0, "", Finish::Stop))) else { panic!() };
        assert_eq!(failure.fault.kind, FaultKind::Rejected);
        assert_eq!(extraction(still.weigh(row(0, "Miller", Finish::Loop))).tries, []);
    }

    #[test]
    fn only_the_named_reasons_make_a_unit_climb() {
        let mut judge = judge("climb_on = [\"loop\"]\nsteps = [{ rotate = 90 }]");
        assert_eq!(extraction(judge.weigh(row(0, "", Finish::Closed))).attempt, 0);
        again(judge.weigh(row(0, "", Finish::Loop)));
    }
}
