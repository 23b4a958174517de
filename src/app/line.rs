//! The line: six stages as threads, joined by short bounded channels. Nothing in here knows what the stages do.
//!
//! ```text
//! collect -> documents -> decode lanes -> units -> encode lanes -> prompts -> generate -> generations -> parse
//!    `------------------------`--------- outcomes ---------`-----------------`--------------`----> judge -> collator -> write
//!                              `<----------------- units to be tried again -------------------------´    |
//!                                                     `<---------- answers to be made one ----------------´
//! ```
//!
//! Back-pressure is the channels' fullness; the byte budget bounds what they hold. Only documents, which are paths and
//! hold no bytes, may wait in numbers, so that the total is known early. `write` listens until the
//! last sender is gone, so no other stage can wait for ever. The way back from the judge to `decode` is not bounded, or
//! the line could wait for itself in a circle: what goes there is a name and a number.

use std::{
    convert::Infallible,
    panic::resume_unwind,
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use crossbeam::channel::{Receiver, RecvTimeoutError, Sender, bounded, unbounded};

use super::{
    allowance::Allowance,
    collate::{Collated, Collator},
    gauge::Gauge,
    ladder::{Judge, Weighed},
    lane::{self, Books, Intake, Outlet},
};
use crate::base::{
    Document, Emit, Extraction, Failure, Fatal, Generation, Item, Kept, Origin, Outcome, Prompt, Source, Stage,
    StageName, Stop, Unit,
};

/// Documents that may wait for `decode`. They are paths without bytes, and looking far ahead is what lets progress say
/// how much is left.
const DOCUMENTS: usize = 4096;

/// Outcomes that may wait for `write`.
const OUTCOMES: usize = 64;

/// After so long without an outcome `write` is told that nothing happens.
const QUIET: Duration = Duration::from_millis(250);

/// What `collect` finds.
pub enum Found {
    /// A document to decode.
    Document(Item<Document>),
    /// A document that the dataset holds already.
    Kept(Arc<Source>, Kept),
    /// A document with the content of an earlier one.
    Duplicate(Arc<Source>),
    /// An input that is no document.
    Failure(Failure),
}

/// `collect`: calls its argument for everything it finds, until told to stop.
pub type Collecting<'a> = Box<dyn FnOnce(&mut dyn FnMut(Found)) + Send + 'a>;

/// Says of a unit what the dataset holds of it already, if it does.
pub type Keeping<'a> = Box<dyn Fn(&Origin) -> Option<Kept> + Sync + 'a>;

/// `generate`: one engine, which owns its loop over the prompts that it takes from those of all.
pub type Generating<'a, S> =
    Box<dyn FnOnce(Receiver<Item<Prompt>>, &mut dyn Emit<Generation>) -> Result<S, Fatal> + Send + 'a>;

/// `write`: takes every outcome, on the thread that called [`Line::run`]; `None` comes after all outcomes that belong
/// together, and in quiet seconds: time to close parts that are full or have grown old.
pub type Writing<'a> = Box<dyn FnMut(Option<Outcome>) -> Result<(), Fatal> + 'a>;

/// Called on the thread that called [`Line::run`] when a thread is stuck and cannot be waited for: closes what is
/// written and ends the process.
pub type LastWords<'a> = Box<dyn FnOnce(&Fatal) -> Infallible + 'a>;

/// One decoder per lane.
pub type Decoding = Box<dyn Stage<In = Document, Out = Unit>>;

/// One encoder per lane.
pub type Encoding = Box<dyn Stage<In = Unit, Out = Prompt>>;

/// The one parser.
pub type Parsing = Box<dyn Stage<In = Generation, Out = Extraction>>;

/// Everything that a run needs, ready to start.
pub struct Line<'a, S> {
    /// Stage 1.
    pub collect: Collecting<'a>,
    /// Stage 2, one per lane.
    pub decode: Vec<Decoding>,
    /// Which of its units go no further, and how many new ones there may be: `--limit`.
    pub allowance: Allowance<'a>,
    /// Stage 3, one per lane.
    pub encode: Vec<Encoding>,
    /// Stage 4, one per engine, at least one. Whoever has room takes the next prompt.
    pub generate: Vec<Generating<'a, S>>,
    /// Stage 5.
    pub parse: Parsing,
    /// Says before stage 6 which units are tried again.
    pub judge: &'a mut Judge,
    /// Makes rows of answers.
    pub collator: &'a mut Collator,
    /// Stage 6.
    pub write: Writing<'a>,
    /// When a thread is stuck.
    pub last_words: LastWords<'a>,
    /// Prompts that may wait for all engines together.
    pub ahead: usize,
}

impl<S: Send> Line<'_, S> {
    /// Runs to the end, to the drain or to the abort, and gives what each engine says of its work, in their order. All
    /// threads have ended when this returns; where one never will, the last words are said instead. An engine that
    /// finds no more prompts ends while the others still work; one that cannot go on aborts the run.
    pub fn run(self, gauge: &Gauge, stop: &Stop) -> Result<Vec<S>, Fatal> {
        let Self { collect, decode, allowance, encode, generate, parse, judge, collator, .. } = self;
        let Self { mut write, last_words, ahead, .. } = self;
        let (outcomes, written) = bounded(OUTCOMES);
        let (documents_in, documents) = bounded(DOCUMENTS);
        let (again_in, again) = unbounded();
        let (notes_in, notes) = unbounded();
        let (units_in, units) = bounded(encode.len() + 1);
        let (prompts_in, prompts) = bounded(ahead.max(1));
        let (generations_in, generations) = bounded(ahead.max(1));
        let books = move |stage| Books { stage, outcomes: outcomes.clone(), gauge, stop };
        thread::scope(|scope| {
            let collecting = books(StageName::Collect);
            scope.spawn(move || run_collect(collect, &collecting, &documents_in));
            let intake = Intake { documents, again };
            for mut decoder in decode {
                let (books, intake, next) = (books(StageName::Decode), intake.clone(), units_in.clone());
                let allowance = &allowance;
                scope.spawn(move || {
                    let mut forward = hand_on_new(&next, &allowance.keep, &books);
                    lane::run_decode(&mut *decoder, intake, &books, allowance, &mut forward);
                });
            }
            for mut encoder in encode {
                let (books, next) = (books(StageName::Encode), prompts_in.clone());
                let intake = Intake { documents: units.clone(), again: notes.clone() };
                scope.spawn(move || lane::run(&mut *encoder, intake, &books, &mut hand_on(&next)));
            }
            let engines = generate.into_iter().map(|generate| {
                let (books, prompts, next) = (books(StageName::Generate), prompts.clone(), generations_in.clone());
                scope.spawn(move || run_generate(generate, prompts, &books, next))
            });
            let engines: Vec<_> = engines.collect();
            let parsing = books(StageName::Parse);
            scope.spawn(move || run_parse(parse, &generations, &parsing));
            // From here on only the threads hold senders: each channel closes when the stage before it has ended.
            drop((books, intake, units_in, units, notes, prompts_in, prompts, generations_in));
            let (again, notes) = (Some(again_in), Some(notes_in));
            let desk = Desk { judge, collator, again, notes, write: &mut write, gauge, stop };
            let writing = desk.run(written);
            if let Some(why) = stop.given_up() {
                match last_words(why) {}
            }
            let ended = engines.into_iter().map(|engine| engine.join().unwrap_or_else(|panic| resume_unwind(panic)));
            writing.and(ended.collect())
        })
    }
}

fn hand_on<T>(next: &Sender<Item<T>>) -> impl FnMut(Item<T>) {
    // A closed channel means that the next stage has ended early, which it says itself.
    move |item| drop(next.send(item))
}

/// As [`hand_on`], but for units that the dataset holds.
fn hand_on_new(next: &Sender<Item<Unit>>, keep: &Keeping, books: &Books) -> impl FnMut(Item<Unit>) {
    let mut forward = hand_on(next);
    move |item| match keep(&item.origin).filter(|_| item.attempt == 0) {
        None => forward(item),
        Some(kept) => drop(books.tell(Outcome::KeptUnit(Box::new(item.origin.clone()), kept))),
    }
}

fn run_collect(collect: Collecting, books: &Books, documents: &Sender<Item<Document>>) {
    collect(&mut |found| match found {
        Found::Document(item) => {
            books.gauge.documents.add(1);
            books.gauge.stage(StageName::Collect).items.add(1);
            books.tell(Outcome::Found(item.origin.source.clone()));
            drop(documents.send(item));
        }
        Found::Kept(source, kept) => drop(books.tell(Outcome::Kept(source, kept))),
        Found::Duplicate(source) => drop(books.tell(Outcome::Duplicate(source))),
        Found::Failure(failure) => {
            books.gauge.promised.add(1);
            books.failure(failure);
        }
    });
    books.gauge.close_collection();
}

fn run_generate<S>(
    generate: Generating<S>,
    prompts: Receiver<Item<Prompt>>,
    books: &Books,
    generations: Sender<Item<Generation>>,
) -> Result<S, Fatal> {
    let mut forward = hand_on(&generations);
    let mut outlet = Outlet::new(books, &mut forward);
    let result = generate(prompts, &mut outlet);
    if result.is_err() {
        books.stop.abort();
    }
    result
}

fn run_parse(mut parse: Parsing, generations: &Receiver<Item<Generation>>, books: &Books) {
    let mut to_rows = |item: Item<Extraction>| {
        books.gauge.prompt_tokens.add(item.body.facts.prompt_tokens.into());
        books.gauge.new_tokens.add(item.body.tokens.into());
        books.tell(Outcome::Row(Box::new(item)));
    };
    lane::run(&mut *parse, generations, books, &mut to_rows);
}

/// The end of the line: what comes is weighed, made into rows and written, on the thread that called [`Line::run`].
struct Desk<'a, 'w> {
    judge: &'a mut Judge,
    collator: &'a mut Collator,
    /// To `decode`, until nothing can be tried again any more.
    again: Option<Sender<Item<Document>>>,
    /// To `encode`, until nothing is to be read once more.
    notes: Option<Sender<Item<Unit>>>,
    write: &'a mut Writing<'w>,
    gauge: &'a Gauge,
    stop: &'a Stop,
}

impl Drop for Desk<'_, '_> {
    fn drop(&mut self) {
        self.stop.abort_if_panicking();
    }
}

impl Desk<'_, '_> {
    /// Writes until every sender is gone, or until the run is given up. After an error of its own it aborts the run and
    /// goes on listening, so that nobody waits for it; where it panics, nobody can send to it any more.
    fn run(mut self, outcomes: Receiver<Outcome>) -> Result<(), Fatal> {
        let mut result = Ok(());
        while self.stop.given_up().is_none() {
            self.close_the_way_back();
            let outcome = match outcomes.recv_timeout(QUIET) {
                Ok(outcome) => Some(outcome),
                Err(RecvTimeoutError::Timeout) => None,
                Err(RecvTimeoutError::Disconnected) => return result,
            };
            if result.is_ok() {
                result = self.take(outcome);
            }
            if result.is_err() {
                self.stop.abort();
            }
        }
        result
    }

    fn take(&mut self, outcome: Option<Outcome>) -> Result<(), Fatal> {
        let weighed = outcome.map(|outcome| match self.collator.has_asked(&outcome) {
            true => Weighed::Settled(self.judge.settled(outcome)),
            false => self.judge.weigh(outcome),
        });
        let outcome = match weighed {
            Some(Weighed::Again(item)) => {
                // The lanes listen as long as this sender lives. An aborted run leaves the unit for the next one.
                if let Some(again) = &self.again {
                    drop(again.send(item));
                }
                return Ok(());
            }
            Some(Weighed::Settled(outcome)) => Some(outcome),
            None => None,
        };
        let settled = matches!(outcome, Some(Outcome::Row(_) | Outcome::Failure(_) | Outcome::KeptUnit(..)));
        let kept = matches!(outcome, Some(Outcome::KeptUnit(..)));
        let began = Instant::now();
        let Collated { told, asked } = outcome.map(|outcome| self.collator.take(outcome)).unwrap_or_default();
        told.into_iter().try_for_each(|one| (self.write)(Some(one)))?;
        self.gauge.promised.add(asked.len() as u64);
        if let Some(notes) = &self.notes {
            // The encoders listen as long as this sender lives, unless the run is being aborted.
            asked.into_iter().for_each(|item| drop(notes.send(item)));
        }
        (self.write)(None)?;
        self.gauge.stage(StageName::Write).worked(began.elapsed());
        if settled {
            self.gauge.kept.add(u64::from(kept));
            self.gauge.settled.add(1);
            self.gauge.stage(StageName::Write).items.add(1);
        }
        Ok(())
    }

    /// Once every unit of every document is settled, or none can climb, the lanes of `decode` may end.
    fn close_the_way_back(&mut self) {
        let gauge = self.gauge;
        let through = gauge.documents_decoded.get() + gauge.documents_left.get();
        let decoded = gauge.collection_closed() && through >= gauge.documents.get();
        let settled = gauge.settled.get() >= gauge.promised.get();
        let over = self.stop.aborting() || (decoded && settled);
        if self.judge.idle() || over {
            self.again = None;
        }
        if !self.collator.reduces() || self.stop.aborting() || (over && self.collator.is_through()) {
            self.notes = None;
        }
    }
}
