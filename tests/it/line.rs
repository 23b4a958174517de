//! Tests of the line as a whole, with stages that count instead of working.

use std::{
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use lapidary::{
    app::{
        gauge::Gauge,
        line::{Found, Line},
    },
    base::{
        ByteBudget, ContentHash, Document, Effort, Emit, Extraction, Fatal, Fault, FaultKind, Finish, Generation, Item,
        Kind, Lease, Origin, Outcome, Part, Prompt, PromptFacts, Source, Stage, StageName, Stop, Timing, Tokens, Unit,
        UnitQuota,
    },
};

fn document(ordinal: u64) -> Item<Document> {
    let mut hash = [0; 32];
    hash[..8].copy_from_slice(&ordinal.to_le_bytes());
    let source =
        Source { name: format!("{ordinal}.txt"), hash: ContentHash(hash), kind: Kind::Text, bytes: 1, ordinal };
    let origin = Origin { source: Arc::new(source), part: Part::Whole };
    Item { origin, lease: Lease::none(), body: Document { path: PathBuf::new() } }
}

/// Gives `pages` units a document; every third fails, and documents divisible by ten fail, panic or break a promise.
struct Pages {
    pages: u32,
    budget: ByteBudget,
    stop: Stop,
    quota: UnitQuota,
}

impl Stage for Pages {
    type In = Document;
    type Out = Unit;

    fn process(&mut self, item: Item<Document>, emit: &mut dyn Emit<Unit>) -> Result<(), Fault> {
        let (source, ordinal) = (item.origin.source.clone(), item.origin.source.ordinal);
        match ordinal % 30 {
            10 => return Err(Fault::new(StageName::Decode, FaultKind::Corrupt, "no good", "")),
            20 => panic!("a decoder that panics"),
            _ => {}
        }
        let granted = self.quota.take(self.pages.into()) as u32;
        emit.promise(&source, granted.into());
        let delivered = if ordinal % 30 == 29 { granted.saturating_sub(1) } else { granted };
        for number in 1..=delivered {
            let origin = Origin { source: source.clone(), part: Part::Page { number, of: self.pages } };
            let Some(lease) = self.budget.lease(100, &self.stop) else { return Ok(()) };
            match number % 3 {
                0 => emit.fault(&origin, Fault::new(StageName::Decode, FaultKind::Corrupt, "bad page", "")),
                _ => emit.item(Item { origin, lease, body: Unit::Text(String::new()) }),
            }
        }
        Ok(())
    }
}

struct Blank;

impl Stage for Blank {
    type In = Unit;
    type Out = Prompt;

    fn process(&mut self, item: Item<Unit>, emit: &mut dyn Emit<Prompt>) -> Result<(), Fault> {
        let prompt = Prompt { tokens: vec![1], ..Prompt::default() };
        emit.item(item.with(prompt));
        Ok(())
    }
}

struct Accept;

impl Stage for Accept {
    type In = Generation;
    type Out = Extraction;

    fn process(&mut self, item: Item<Generation>, emit: &mut dyn Emit<Extraction>) -> Result<(), Fault> {
        let extraction = Extraction {
            record: serde_json::json!({}),
            raw: item.body.text.clone(),
            problems: vec![],
            evidence: None,
            checks: Vec::new(),
            tokens: 1,
            mean_logprob: 0.0,
            finish: Finish::Stop,
            facts: PromptFacts::default(),
            effort: Effort::default(),
            timing: Timing::default(),
        };
        emit.item(item.with(extraction));
        Ok(())
    }
}

fn answer() -> Generation {
    Generation {
        tokens: vec![1],
        logprobs: vec![0.0],
        places: Tokens::default(),
        text: "{}".to_owned(),
        finish: Finish::Stop,
        facts: PromptFacts::default(),
        layer: None,
        effort: Effort::default(),
        timing: Timing::default(),
    }
}

#[derive(Default)]
struct Tally {
    found: u64,
    promised: u64,
    rows: u64,
    failures: u64,
}

type AtPrompt = Box<dyn Fn(u64, &Stop) -> Result<(), Fatal> + Send + Sync>;
type AtOutcome = Box<dyn Fn(&Tally) -> Result<(), Fatal>>;

/// What a run needs to be told.
struct Setup {
    documents: u64,
    quota: UnitQuota,
    /// Called for each prompt that reaches the engine.
    at_prompt: AtPrompt,
    /// Called for each outcome that reaches the writer.
    at_outcome: AtOutcome,
}

impl Setup {
    fn of(documents: u64) -> Self {
        let at_prompt = Box::new(|_, _: &Stop| Ok(()));
        Self { documents, quota: UnitQuota::new(None), at_prompt, at_outcome: Box::new(|_| Ok(())) }
    }
}

fn run(setup: Setup, stop: &Stop) -> (Result<u64, Fatal>, Tally, u64) {
    let (budget, gauge, mut tally) = (ByteBudget::new(1000), Gauge::default(), Tally::default());
    let decoder = || Pages { pages: 10, budget: budget.clone(), stop: stop.clone(), quota: setup.quota.clone() };
    let result = Line {
        collect: Box::new(|found| {
            (0..setup.documents).take_while(|_| !stop.draining()).for_each(|n| found(Found::Document(document(n))));
        }),
        decode: vec![Box::new(decoder()), Box::new(decoder())],
        encode: vec![Box::new(Blank)],
        generate: Box::new(|prompts, emit| {
            let mut count = 0;
            for item in prompts {
                (setup.at_prompt)(count, stop)?;
                count += 1;
                emit.item(item.with(answer()));
            }
            Ok(count)
        }),
        parse: Box::new(Accept),
        write: Box::new(|outcome| {
            match outcome {
                Some(Outcome::Found(_)) => tally.found += 1,
                Some(Outcome::Promise(_, units)) => tally.promised += units,
                Some(Outcome::Row(_)) => tally.rows += 1,
                Some(Outcome::Failure(_)) => tally.failures += 1,
                Some(Outcome::Duplicate(_)) | None => {}
            }
            (setup.at_outcome)(&tally)
        }),
        last_words: Box::new(|why| panic!("{why}")),
        quota: setup.quota.clone(),
        ahead: 4,
    }
    .run(&gauge, stop);
    (result, tally, budget.in_use())
}

#[test]
fn every_promise_is_settled_whatever_the_decoders_do() {
    let (result, tally, in_use) = run(Setup::of(60), &Stop::default());
    assert_eq!(tally.found, 60);
    assert_eq!(tally.promised, tally.rows + tally.failures);
    // 60 documents of 10 pages; two fail whole, two panic, and two break the promise of their last page.
    assert_eq!(tally.promised, 56 * 10 + 4);
    assert_eq!(tally.rows, 54 * 7 + 2 * 6);
    assert_eq!(result, Ok(tally.rows));
    assert_eq!(in_use, 0, "every byte was given back");
}

#[test]
fn a_limit_is_kept_to_the_unit() {
    let (_, tally, _) = run(Setup { quota: UnitQuota::new(Some(25)), ..Setup::of(9) }, &Stop::default());
    assert_eq!((tally.promised, tally.rows + tally.failures), (25, 25));
}

#[test]
fn draining_finishes_what_is_begun() {
    let stop = Stop::default();
    let at_prompt = Box::new(|count, stop: &Stop| {
        if count == 20 {
            stop.ask();
        }
        Ok(())
    });
    let (_, tally, in_use) = run(Setup { at_prompt, ..Setup::of(1000) }, &stop);
    assert!(tally.promised < 9000, "not every document was begun");
    assert_eq!(tally.promised, tally.rows + tally.failures);
    assert_eq!(in_use, 0);
}

#[test]
fn an_aborted_run_ends_and_gives_everything_back() {
    let stop = Stop::default();
    let at_prompt = Box::new(|count, stop: &Stop| {
        if count == 20 {
            stop.abort();
        }
        Ok(())
    });
    let (_, tally, in_use) = run(Setup { at_prompt, ..Setup::of(1000) }, &stop);
    assert!(tally.rows <= 21);
    assert_eq!(in_use, 0);
}

#[test]
fn an_engine_that_cannot_go_on_ends_the_run_with_its_own_words() {
    let at_prompt = Box::new(|count, _: &Stop| match count {
        5 => Err(Fatal::new("the card is lost", "")),
        _ => Ok(()),
    });
    let (result, _, in_use) = run(Setup { at_prompt, ..Setup::of(1000) }, &Stop::default());
    assert_eq!(result.unwrap_err().message, "the card is lost");
    assert_eq!(in_use, 0);
}

#[test]
fn a_writer_that_fails_ends_the_run_with_its_own_words() {
    let at_outcome = Box::new(|tally: &Tally| match tally.rows {
        0..10 => Ok(()),
        _ => Err(Fatal::new("the disk is full", "")),
    });
    let (result, _, in_use) = run(Setup { at_outcome, ..Setup::of(1000) }, &Stop::default());
    assert_eq!(result.unwrap_err().message, "the disk is full");
    assert_eq!(in_use, 0);
}

#[test]
fn a_slow_engine_holds_back_the_decoders() {
    static DECODED: AtomicU64 = AtomicU64::new(0);
    struct Counting(Pages);
    impl Stage for Counting {
        type In = Document;
        type Out = Unit;
        fn process(&mut self, item: Item<Document>, emit: &mut dyn Emit<Unit>) -> Result<(), Fault> {
            DECODED.fetch_add(1, Ordering::SeqCst);
            self.0.process(item, emit)
        }
    }
    let (stop, gauge, budget) = (Stop::default(), Gauge::default(), ByteBudget::new(1000));
    let pages = Pages { pages: 10, budget, stop: stop.clone(), quota: UnitQuota::new(None) };
    let ahead_at_first_prompt = AtomicU64::new(0);
    let _ = Line {
        collect: Box::new(|found| (1..9).for_each(|n| found(Found::Document(document(n))))),
        decode: vec![Box::new(Counting(pages))],
        encode: vec![Box::new(Blank)],
        generate: Box::new(|prompts, _| {
            // Wait until the line is full to the brim: one document (7 good pages of 10) does not fit into the
            // channels (2 units and 1 prompt) and the hands of the stages, so the second is never begun.
            let first = prompts.recv().ok();
            std::thread::sleep(std::time::Duration::from_millis(100));
            ahead_at_first_prompt.store(DECODED.load(Ordering::SeqCst), Ordering::SeqCst);
            drop(first);
            prompts.into_iter().for_each(drop);
            Ok(())
        }),
        parse: Box::new(Accept),
        write: Box::new(|_| Ok(())),
        last_words: Box::new(|why| panic!("{why}")),
        quota: UnitQuota::new(None),
        ahead: 1,
    }
    .run(&gauge, &stop);
    assert_eq!(ahead_at_first_prompt.load(Ordering::SeqCst), 1);
    assert_eq!(DECODED.load(Ordering::SeqCst), 8);
}
