//! A lane: one thread that takes items from a channel, runs a stage on each, and keeps the books.

use std::{
    any::Any,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
    time::{Duration, Instant},
};

use crossbeam::channel::{Receiver, Sender, select_biased};

use super::{allowance::Allowance, gauge::Gauge};
use crate::base::{Emit, Failure, Fault, FaultKind, Item, Origin, Outcome, Part, Source, Stage, StageName, Stop};

/// Where a lane's failures and counts go.
#[derive(Clone)]
pub struct Books<'a> {
    /// Which stage the lane runs.
    pub stage: StageName,
    /// To `write`.
    pub outcomes: Sender<Outcome>,
    /// The run's counters.
    pub gauge: &'a Gauge,
    /// The run's end.
    pub stop: &'a Stop,
}

impl Drop for Books<'_> {
    fn drop(&mut self) {
        self.stop.abort_if_panicking();
    }
}

impl Books<'_> {
    /// Sends an outcome unless the run is being aborted. Time spent waiting for room is returned.
    pub fn tell(&self, outcome: Outcome) -> Duration {
        if self.stop.aborting() {
            return Duration::ZERO;
        }
        let waiting = Instant::now();
        // A closed channel means that the writer has failed and said so; the run is ending.
        let _ = self.outcomes.send(outcome);
        waiting.elapsed()
    }

    /// Counts a failure, logs it and sends it to `write`. Time spent waiting for room is returned.
    pub fn failure(&self, failure: Failure) -> Duration {
        self.gauge.stage(self.stage).faults.add(1);
        let Failure { source, part, fault, .. } = &failure;
        tracing::warn!(target: "lapidary", kind = fault.kind.as_str(), hint = fault.hint, "{source} ({part}): {fault}");
        self.tell(Outcome::Failure(Box::new(failure)))
    }
}

/// Hands items on: to the next channel, or as rows to `write`.
pub trait Forward<T>: FnMut(Item<T>) {}
impl<T, F: FnMut(Item<T>)> Forward<T> for F {}

/// What a stage emits into while it works on one item.
pub struct Outlet<'a, T, F: Forward<T>> {
    books: &'a Books<'a>,
    forward: &'a mut F,
    /// What may be promised; all when absent.
    allowance: Option<&'a Allowance<'a>>,
    waited: Duration,
    promised: u64,
    delivered: u64,
    /// Silence was told of.
    silent: bool,
    /// The allowance left some units out.
    short: bool,
    _body: std::marker::PhantomData<fn(T)>,
}

impl<'a, T, F: Forward<T>> Outlet<'a, T, F> {
    /// An outlet with fresh counts.
    pub fn new(books: &'a Books<'a>, forward: &'a mut F) -> Self {
        Self {
            books,
            forward,
            allowance: None,
            waited: Duration::ZERO,
            promised: 0,
            delivered: 0,
            silent: false,
            short: false,
            _body: std::marker::PhantomData,
        }
    }

    /// Takes so many units more into the books.
    fn expect(&mut self, source: &Arc<Source>, units: u64) {
        self.promised += units;
        self.books.gauge.promised.add(units);
        self.waited += self.books.tell(Outcome::Promise(source.clone(), units));
    }

    /// Time spent waiting for room in the next channel.
    pub fn waited(&self) -> Duration {
        self.waited
    }
}

impl<T, F: Forward<T>> Emit<T> for Outlet<'_, T, F> {
    fn promise(&mut self, source: &Arc<Source>, parts: &[Part]) -> usize {
        let wanted = self.allowance.map_or(parts.len(), |allowance| allowance.take(source, parts));
        self.short |= wanted < parts.len();
        if wanted > 0 {
            self.expect(source, wanted as u64);
        }
        wanted
    }

    fn item(&mut self, item: Item<T>) {
        self.delivered += 1;
        self.books.gauge.stage(self.books.stage).items.add(1);
        let waiting = Instant::now();
        (self.forward)(item);
        self.waited += waiting.elapsed();
    }

    fn fault(&mut self, origin: &Origin, fault: Fault) {
        self.delivered += 1;
        self.waited += self.books.failure(Failure::of(origin, fault));
    }

    fn silence(&mut self, source: &Arc<Source>, seconds: f64) {
        self.silent = true;
        self.waited += self.books.tell(Outcome::Silence(source.clone(), seconds));
    }

    fn open(&self) -> bool {
        !self.books.stop.aborting()
    }
}

/// Runs an ordinary stage until its channel is empty and closed, or the run is aborted.
pub fn run<S: Stage + ?Sized>(
    stage: &mut S,
    input: impl IntoIterator<Item = Item<S::In>>,
    books: &Books,
    forward: &mut impl Forward<S::Out>,
) {
    for item in input {
        if books.stop.aborting() {
            break;
        }
        let origin = item.origin.clone();
        work(stage, item, Outlet::new(books, forward), |outlet, result| {
            if let Err(fault) = result {
                outlet.fault(&origin, fault);
            }
        });
    }
}

/// What a stage works on that has two ways in.
pub struct Intake<T> {
    /// What comes down the line.
    pub documents: Receiver<Item<T>>,
    /// What comes back from its end, which goes first, so that no answer is held for long.
    pub again: Receiver<Item<T>>,
}

impl<T> Clone for Intake<T> {
    fn clone(&self) -> Self {
        Self { documents: self.documents.clone(), again: self.again.clone() }
    }
}

impl<T> Iterator for Intake<T> {
    type Item = Item<T>;

    /// The next of either; none when both are closed.
    fn next(&mut self) -> Option<Item<T>> {
        let Self { documents, again } = self;
        select_biased! {
            recv(again) -> item => item.or_else(|_| documents.recv()).ok(),
            recv(documents) -> item => item.or_else(|_| again.recv()).ok(),
        }
    }
}

/// Runs `decode`: as [`run`], and every document that is begun has its promises kept.
pub fn run_decode<S: Stage + ?Sized>(
    stage: &mut S,
    input: Intake<S::In>,
    books: &Books,
    allowance: &Allowance,
    forward: &mut impl Forward<S::Out>,
) {
    for item in input {
        if books.stop.aborting() {
            break;
        }
        let origin = item.origin.clone();
        if item.attempt > 0 {
            try_again(stage, item, books, forward);
            continue;
        }
        if books.stop.draining() || allowance.spent() {
            books.gauge.documents_left.add(1);
            continue;
        }
        let outlet = Outlet { allowance: Some(allowance), ..Outlet::new(books, forward) };
        let short = work(stage, item, outlet, |outlet, result| settle_document(outlet, &origin, result));
        books.gauge.documents_decoded.add(1);
        let whole = !short && !books.stop.aborting();
        books.tell(Outcome::Decoded { source: origin.source.clone(), whole });
    }
}

/// One more try of one unit, which was promised long ago: it comes through or fails, once. A run that drains finishes
/// what it has begun, so it makes these too.
fn try_again<S: Stage + ?Sized>(stage: &mut S, item: Item<S::In>, books: &Books, forward: &mut impl Forward<S::Out>) {
    let origin = item.origin.clone();
    work(stage, item, Outlet::new(books, forward), |outlet, result| {
        if outlet.delivered == 0 && outlet.open() {
            let gone = || broken("the file has no such part any more");
            outlet.fault(&origin, result.err().unwrap_or_else(gone));
        }
    });
}

/// A document that fails as a whole counts as one unit; a promise that `decode` broke is our mistake and is
/// settled unit by unit, so that the totals balance whatever happens.
fn settle_document<T, F: Forward<T>>(outlet: &mut Outlet<T, F>, origin: &Origin, result: Result<(), Fault>) {
    if !outlet.open() {
        return;
    }
    let (promised, delivered) = (outlet.promised, outlet.delivered);
    for _ in delivered..promised {
        outlet.fault(origin, broken(&format!("decode promised {promised} units and gave {delivered}")));
    }
    match result {
        Err(fault) => fail_whole(outlet, origin, fault),
        Ok(()) if promised == 0 && !outlet.short && !outlet.silent => {
            fail_whole(outlet, origin, broken("decode gave neither units nor an error"));
        }
        Ok(()) => {}
    }
}

/// The failure takes its one unit of the limit; where none is left, the document is left for another run.
fn fail_whole<T, F: Forward<T>>(outlet: &mut Outlet<T, F>, origin: &Origin, fault: Fault) {
    if outlet.promise(&origin.source, &[origin.part]) > 0 {
        outlet.fault(origin, fault);
    }
}

fn broken(message: &str) -> Fault {
    Fault::new(StageName::Decode, FaultKind::Internal, message, "please report this with the file")
}

/// One item through the stage, timed; a panic is a fault of that item. True when the allowance left some of it out.
fn work<S: Stage + ?Sized, F: Forward<S::Out>>(
    stage: &mut S,
    item: Item<S::In>,
    mut outlet: Outlet<S::Out, F>,
    settle: impl FnOnce(&mut Outlet<S::Out, F>, Result<(), Fault>),
) -> bool {
    let (began, books) = (Instant::now(), outlet.books);
    let result = catch_unwind(AssertUnwindSafe(|| stage.process(item, &mut outlet)))
        .unwrap_or_else(|panic| Err(panicked(books.stage, panic.as_ref())));
    settle(&mut outlet, result);
    let busy = began.elapsed().saturating_sub(outlet.waited);
    books.gauge.stage(books.stage).worked(busy);
    outlet.short
}

fn panicked(stage: StageName, panic: &(dyn Any + Send)) -> Fault {
    let words = panic.downcast_ref::<String>().map(String::as_str).or_else(|| panic.downcast_ref::<&str>().copied());
    let message = format!("the stage panicked: {}", words.unwrap_or("no message"));
    Fault::new(stage, FaultKind::Internal, message, "please report this with the file")
}
