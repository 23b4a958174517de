//! Tests of the line as a whole, with stages that count instead of working.

use std::{
    collections::BTreeMap,
    panic::{AssertUnwindSafe, catch_unwind},
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use lapidary::{
    app::{
        allowance::Allowance,
        collate::Collator,
        gauge::Gauge,
        ladder::Judge,
        line::{Found, Line},
    },
    base::{
        ByteBudget, ContentHash, Document, Effort, Emit, Extraction, Fatal, Fault, FaultKind, Finish, Generation, Item,
        Kept, Kind, Lease, Origin, Outcome, Part, Prompt, PromptFacts, RecordOf, Shape, Source, Stage, StageName, Stop,
        Timing, Tokens, Unit, UnitQuota,
    },
    parse::Merging,
};

fn document(ordinal: u64) -> Item<Document> {
    let mut hash = [0; 32];
    hash[..8].copy_from_slice(&ordinal.to_le_bytes());
    let source = Source {
        name: format!("{ordinal}.txt"),
        path: PathBuf::new(),
        hash: ContentHash(hash),
        kind: Kind::Text,
        bytes: 1,
        ordinal,
        modified: None,
    };
    let origin = Origin { source: Arc::new(source), part: Part::Whole };
    Item { origin, attempt: 0, lease: Lease::none(), body: Document }
}

/// Gives `pages` units a document; every third fails, and documents divisible by ten fail, panic or break a promise.
struct Pages {
    pages: u32,
    budget: ByteBudget,
    stop: Stop,
}

impl Stage for Pages {
    type In = Document;
    type Out = Unit;

    fn process(&mut self, item: Item<Document>, emit: &mut dyn Emit<Unit>) -> Result<(), Fault> {
        let (source, ordinal) = (item.origin.source.clone(), item.origin.source.ordinal);
        if item.attempt > 0 {
            let Some(lease) = self.budget.lease(100, &self.stop) else { return Ok(()) };
            let Item { origin, attempt, .. } = item;
            emit.item(Item { origin, attempt, lease, body: Unit::Text(String::new()) });
            return Ok(());
        }
        match ordinal % 30 {
            10 => return Err(Fault::new(StageName::Decode, FaultKind::Corrupt, "no good", "")),
            20 => panic!("a decoder that panics"),
            _ => {}
        }
        let parts: Vec<Part> = (1..=self.pages).map(|number| Part::Page { number, of: self.pages }).collect();
        let granted = emit.promise(&source, &parts) as u32;
        let delivered = if ordinal % 30 == 29 { granted.saturating_sub(1) } else { granted };
        for number in 1..=delivered {
            let origin = Origin { source: source.clone(), part: Part::Page { number, of: self.pages } };
            let Some(lease) = self.budget.lease(100, &self.stop) else { return Ok(()) };
            match number % 3 {
                0 => emit.fault(&origin, Fault::new(StageName::Decode, FaultKind::Corrupt, "bad page", "")),
                _ => emit.item(Item { origin, attempt: 0, lease, body: Unit::Text(String::new()) }),
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

/// The attempt on which a page has an answer: the first, but every second page of every seventh document takes another.
fn wanted_attempt(origin: &Origin) -> u8 {
    let Part::Page { number, .. } = origin.part else { return 0 };
    if origin.source.ordinal % 7 == 1 && number.is_multiple_of(2) { 2 } else { 0 }
}

struct Accept;

impl Stage for Accept {
    type In = Generation;
    type Out = Extraction;

    fn process(&mut self, item: Item<Generation>, emit: &mut dyn Emit<Extraction>) -> Result<(), Fault> {
        let extraction = Extraction {
            record: serde_json::json!({ "a": if item.attempt < wanted_attempt(&item.origin) { "" } else { "x" } }),
            raw: item.body.text.clone(),
            boxes: Vec::new(),
            thought: None,
            problems: vec![],
            evidence: None,
            checks: Vec::new(),
            tokens: 1,
            mean_logprob: 0.0,
            finish: Finish::Stop,
            ..Extraction::default()
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
        controls: Vec::new(),
        thought: None,
        finish: Finish::Stop,
        facts: PromptFacts::default(),
        layer: None,
        effort: Effort::default(),
        timing: Timing::default(),
    }
}

fn shape() -> Arc<Shape> {
    let properties = serde_json::json!({ "a": { "type": "string" } });
    let schema = serde_json::json!({ "type": "object", "properties": properties, "required": ["a"] });
    Arc::new(Shape::compile(&schema).unwrap())
}

/// A judge with this `[ladder]` table.
fn judge(ladder: &str) -> Judge {
    Judge::new(shape(), toml::from_str(ladder).unwrap())
}

fn collator(record: RecordOf, reduce: Option<&str>) -> Collator {
    let collator = Collator::new(record, shape(), Merging::new(&BTreeMap::new(), shape()).unwrap());
    collator.with_reduce(reduce.map(|reduce| toml::from_str(reduce).unwrap()))
}

#[derive(Default)]
struct Tally {
    found: u64,
    promised: u64,
    rows: u64,
    failures: u64,
    /// Units that came through without a row of their own.
    answered: u64,
    /// What merged rows say of their parts: how many came through and how many failed.
    parts: [u64; 2],
    /// Rows by the attempt that they hold.
    attempts: [u64; 4],
    /// Units that the dataset held, and documents that are through.
    kept: [u64; 2],
}

type AtPrompt = Box<dyn Fn(u64, &Stop) -> Result<(), Fatal> + Send + Sync>;
type AtOutcome = Box<dyn Fn(&Tally) -> Result<(), Fatal>>;

/// What a run needs to be told.
struct Setup {
    documents: u64,
    /// Of units.
    limit: Option<u64>,
    /// Pages of each document that the dataset holds.
    held: u32,
    /// What a row is.
    record: RecordOf,
    /// The `[reduce]` table.
    reduce: Option<&'static str>,
    /// The `[ladder]` table.
    ladder: &'static str,
    /// Called for each prompt that reaches the engine.
    at_prompt: AtPrompt,
    /// Called for each outcome that reaches the writer.
    at_outcome: AtOutcome,
}

impl Setup {
    fn of(documents: u64) -> Self {
        let at_prompt = Box::new(|_, _: &Stop| Ok(()));
        Self {
            documents,
            limit: None,
            held: 0,
            record: RecordOf::Unit,
            reduce: None,
            ladder: "",
            at_prompt,
            at_outcome: Box::new(|_| Ok(())),
        }
    }
}

impl Setup {
    fn allowance<'a>(&self) -> Allowance<'a> {
        let held = self.held;
        let is_held = move |origin: &Origin| origin.part.pages().is_some_and(|(first, _)| first <= held);
        Allowance {
            quota: UnitQuota::new(self.limit),
            keep: Box::new(move |origin| is_held(origin).then_some(Kept { units: 1, rows: 1, failures: 0 })),
            whole_documents: self.record == RecordOf::Document,
        }
    }
}

fn run(setup: Setup, stop: &Stop) -> (Result<u64, Fatal>, Tally, u64) {
    let (budget, gauge, mut tally) = (ByteBudget::new(1000), Gauge::default(), Tally::default());
    let decoder = || Pages { pages: 10, budget: budget.clone(), stop: stop.clone() };
    let result = Line {
        collect: Box::new(|found| {
            (0..setup.documents).take_while(|_| !stop.draining()).for_each(|n| found(Found::Document(document(n))));
        }),
        decode: vec![Box::new(decoder()), Box::new(decoder())],
        allowance: setup.allowance(),
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
        judge: &mut judge(setup.ladder),
        collator: &mut collator(setup.record, setup.reduce),
        write: Box::new(|outcome| {
            match outcome {
                Some(Outcome::Found(_)) => tally.found += 1,
                Some(Outcome::Promise(_, units)) => tally.promised += units,
                Some(Outcome::Answered(_)) => tally.answered += 1,
                Some(Outcome::Row(item) | Outcome::Record(item)) => {
                    tally.rows += 1;
                    tally.attempts[usize::from(item.body.attempt)] += 1;
                    if let Some(merged) = &item.body.merged {
                        tally.parts[0] += merged.parts.len() as u64;
                        tally.parts[1] += merged.failed.len() as u64;
                    }
                }
                Some(Outcome::Failure(_)) => tally.failures += 1,
                Some(Outcome::KeptUnit(..)) => tally.kept[0] += 1,
                Some(Outcome::Decoded { whole, .. }) => tally.kept[1] += u64::from(whole),
                Some(Outcome::Duplicate(_) | Outcome::Silence(..) | Outcome::Kept(..)) | None => {}
            }
            (setup.at_outcome)(&tally)
        }),
        last_words: Box::new(|why| panic!("{why}")),
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
fn a_document_is_one_row_when_all_of_its_units_are_settled() {
    let ladder = "steps = [{ budget = 560 }, { rotate = 90 }]";
    let setup = Setup { record: RecordOf::Document, ladder, ..Setup::of(60) };
    let (_, tally, in_use) = run(setup, &Stop::default());
    assert_eq!(tally.promised, tally.answered + tally.failures);
    assert_eq!(tally.rows, 56, "all documents but those that fail whole");
    assert_eq!(tally.parts, [tally.answered, tally.failures - 4]);
    assert_eq!(in_use, 0, "what waits for its document holds no bytes");
}

#[test]
fn answers_about_parts_are_read_again_until_they_are_one() {
    let ladder = "steps = [{ budget = 560 }, { rotate = 90 }]";
    // Notes of some 24 characters: ten are read in three groups, then those.
    let reduce = Some("prompt = \"Make one of them.\"\nlongest = 100");
    let setup = Setup { record: RecordOf::Document, reduce, ladder, ..Setup::of(60) };
    let (_, tally, in_use) = run(setup, &Stop::default());
    assert_eq!(tally.promised, tally.answered + tally.failures);
    assert_eq!(tally.rows, 56, "all documents but those that fail whole");
    let read_again = tally.answered - tally.parts[0];
    assert!(read_again >= 3 * tally.rows, "{read_again} answers about several parts");
    assert_eq!(in_use, 0);
}

#[test]
fn a_stop_in_the_middle_of_making_one_ends_the_run() {
    let reduce = Some("prompt = \"Make one of them.\"");
    for at in [5, 30, 300] {
        let at_prompt = Box::new(move |count, stop: &Stop| {
            if count == at {
                stop.abort();
            }
            Ok(())
        });
        let setup = Setup { record: RecordOf::Document, reduce, at_prompt, ..Setup::of(60) };
        let (_, _, in_use) = run(setup, &Stop::default());
        assert_eq!(in_use, 0);
    }
}

#[test]
fn a_limit_is_kept_to_the_unit() {
    let (_, tally, _) = run(Setup { limit: Some(25), ..Setup::of(9) }, &Stop::default());
    assert_eq!((tally.promised, tally.rows + tally.failures), (25, 25));
    assert!(tally.kept[1] <= 2, "of documents of ten pages 25 pages are two");
}

/// A document of more units than the limit goes on behind those that are held, and is through only at its end.
#[test]
fn what_is_held_takes_nothing_of_a_limit() {
    let (_, tally, _) = run(Setup { limit: Some(3), held: 5, ..Setup::of(1) }, &Stop::default());
    assert_eq!((tally.promised, tally.kept), (8, [4, 0]), "of the five that are held one fails on the way");
    let (_, tally, _) = run(Setup { limit: Some(3), held: 7, ..Setup::of(1) }, &Stop::default());
    assert_eq!((tally.promised, tally.kept), (10, [5, 1]));
}

/// Its units become one record: half a document would look like a whole one.
#[test]
fn a_limit_does_not_cut_a_document_that_becomes_one_record() {
    let setup = Setup { limit: Some(3), record: RecordOf::Document, ..Setup::of(9) };
    let (_, tally, _) = run(setup, &Stop::default());
    assert!((1..=2).contains(&tally.kept[1]) && tally.promised == 10 * tally.kept[1], "{}", tally.promised);
    assert_eq!((tally.rows, tally.parts[0] + tally.parts[1]), (tally.kept[1], tally.promised));
}

/// Else every other thread would wait for it.
#[test]
fn a_thread_that_panics_ends_the_run() {
    let at_prompt = Box::new(|count, _: &Stop| {
        assert!(count < 20, "the engine panics");
        Ok(())
    });
    let (stop, setup) = (Stop::default(), Setup { ladder: STEPS, at_prompt, ..Setup::of(1000) });
    let ended = catch_unwind(AssertUnwindSafe(|| run(setup, &stop)));
    assert!(ended.is_err() && stop.aborting());

    let at_outcome = Box::new(|tally: &Tally| {
        assert!(tally.rows < 20, "the writer panics");
        Ok(())
    });
    let (stop, setup) = (Stop::default(), Setup { ladder: STEPS, at_outcome, ..Setup::of(1000) });
    let ended = catch_unwind(AssertUnwindSafe(|| run(setup, &stop)));
    assert!(ended.is_err() && stop.aborting());
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
    let pages = Pages { pages: 10, budget, stop: stop.clone() };
    let ahead_at_first_prompt = AtomicU64::new(0);
    let _ = Line {
        collect: Box::new(|found| (1..9).for_each(|n| found(Found::Document(document(n))))),
        decode: vec![Box::new(Counting(pages))],
        allowance: Setup::of(0).allowance(),
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
        judge: &mut judge(""),
        collator: &mut collator(RecordOf::Unit, None),
        write: Box::new(|_| Ok(())),
        last_words: Box::new(|why| panic!("{why}")),
        ahead: 1,
    }
    .run(&gauge, &stop);
    assert_eq!(ahead_at_first_prompt.load(Ordering::SeqCst), 1);
    assert_eq!(DECODED.load(Ordering::SeqCst), 8);
}

const STEPS: &str = "steps = [{ budget = 560 }, { temperature = 0.5 }]";

#[test]
fn units_whose_answer_is_not_good_enough_are_tried_again_and_settled_once() {
    let (result, tally, in_use) = run(Setup { ladder: STEPS, ..Setup::of(60) }, &Stop::default());
    assert_eq!((tally.found, tally.promised, tally.rows), (60, 56 * 10 + 4, 54 * 7 + 2 * 6));
    assert_eq!(tally.promised, tally.rows + tally.failures);
    // Of the pages 2, 4, 8 and 10 (every third fails before it is asked about), 8 of 9 documents: number 29 breaks its
    // promise of page 10 and 50 panics.
    let climbed = (0..60).filter(|ordinal| ordinal % 7 == 1 && ![10, 20].contains(&(ordinal % 30))).count() as u64;
    let broken = (0..60).filter(|ordinal| ordinal % 7 == 1 && ordinal % 30 == 29).count() as u64;
    assert_eq!(tally.attempts, [tally.rows - (4 * climbed - broken), 0, 4 * climbed - broken, 0]);
    assert_eq!(result, Ok(tally.rows + tally.attempts[2]), "texts have no budget: they pass the first step over");
    assert_eq!(in_use, 0);
}

#[test]
fn a_limited_run_with_a_ladder_ends_and_a_try_takes_nothing_of_the_limit() {
    let (_, tally, _) = run(Setup { ladder: STEPS, limit: Some(25), ..Setup::of(9) }, &Stop::default());
    assert_eq!((tally.promised, tally.rows + tally.failures), (25, 25));
    assert_eq!(tally.attempts[2], 4);
}

#[test]
fn a_run_that_is_asked_to_stop_writes_the_best_that_it_has() {
    let stop = Stop::default();
    let at_prompt = Box::new(|count, stop: &Stop| {
        if count == 20 {
            stop.ask();
        }
        Ok(())
    });
    let (_, tally, in_use) = run(Setup { at_prompt, ladder: STEPS, ..Setup::of(1000) }, &stop);
    assert!(tally.promised < 9000, "not every document was begun");
    assert_eq!(tally.promised, tally.rows + tally.failures);
    assert_eq!(in_use, 0);
}
