//! The stage itself: sends documents to its child, checks what comes back, replaces the child when it is lost.

use std::{
    io,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use crate::base::{
    Budget, ByteBudget, Document, Emit, Fatal, Fault, FaultKind, Item, Lease, Origin, Page, Part, Source, Stage, Stop,
    Unit, UnitQuota,
    ladder::{Rung, Rungs},
};

use super::{
    course::{Course, Verdict, admit, broken},
    form::Form,
    order::{Order, Render},
    output::refuse,
    process::Process,
    settings::Settings,
    wire::{Ask, Reply, Request},
};

/// A lane of `decode`: owns one child process, started when the first document comes.
#[derive(Debug)]
pub struct Decoder {
    program: Option<PathBuf>,
    order: Result<Order, String>,
    patience: Duration,
    recycle_after: u32,
    budget: ByteBudget,
    quota: UnitQuota,
    stop: Stop,
    child: Option<Process>,
    documents: u32,
    rungs: Rungs,
}

/// What is wanted of a document on one attempt.
struct Wanted<'a> {
    source: &'a Arc<Source>,
    attempt: u8,
    rung: Rung,
    /// The one part that is wanted; all of them where the item is the document as a whole.
    only: Option<Part>,
}

impl<'a> Wanted<'a> {
    fn of(item: &'a Item<Document>, rungs: &Rungs) -> Self {
        let Item { origin, attempt, .. } = item;
        let only = (origin.part != Part::Whole).then_some(origin.part);
        Self { source: &origin.source, attempt: *attempt, rung: rungs.at(*attempt), only }
    }

    fn ordered(&self, mut order: Order) -> Order {
        order.render.page_budget = self.rung.budget.map_or(order.render.page_budget, Budget::Tokens);
        order.tiles = self.rung.tiles.unwrap_or(1);
        order
    }

    /// Pages and pictures as the rung turns them; their text layer keeps its places.
    fn turned(&self, unit: Unit) -> Unit {
        let Some(degrees) = self.rung.rotate else { return unit };
        match unit {
            Unit::Page(page) => Unit::Page(Page { raster: page.raster.turned(degrees), ..page }),
            Unit::Image(raster) => Unit::Image(raster.turned(degrees)),
            other => other,
        }
    }
}

/// Why a child stopped working on a document.
enum Halt {
    /// It is through, or the document as a whole failed.
    Over(Result<(), Fault>),
    /// The run is being aborted.
    Aborted,
    /// The pipe broke.
    Silent(io::Error),
    /// It said something that cannot be.
    Lied(String),
}

impl From<io::Error> for Halt {
    fn from(error: io::Error) -> Self {
        Self::Silent(error)
    }
}

type Outlet<'a> = &'a mut dyn Emit<Unit>;

impl Decoder {
    /// A lane. Settings that [`Settings::validate`] would refuse make every document fail.
    pub fn new(settings: &Settings, render: Render, budget: ByteBudget, quota: UnitQuota, stop: Stop) -> Self {
        let patience = Duration::try_from_secs_f64(settings.seconds_without_progress);
        Self {
            program: None,
            order: Order::new(settings, render),
            patience: patience.unwrap_or(Duration::from_secs(60)),
            recycle_after: settings.recycle_after,
            budget,
            quota,
            stop,
            child: None,
            documents: 0,
            rungs: Rungs::default(),
        }
    }

    /// Units that are tried again are decoded as these rungs say.
    pub fn with_rungs(self, rungs: Rungs) -> Self {
        Self { rungs, ..self }
    }

    /// Starts children with another program than the running one.
    pub fn with_program(mut self, program: impl Into<PathBuf>) -> Self {
        self.program = Some(program.into());
        self
    }

    /// Asks a child whether it can load what it decodes PDFs with: to be called before a run that will need it.
    ///
    /// # Errors
    /// PDFium is missing, damaged or too old, or no child can be started.
    pub fn probe(&mut self) -> Result<(), Fatal> {
        self.ask_probe().map_err(|fault| Fatal::new(fault.message, fault.hint))
    }

    fn ask_probe(&mut self) -> Result<(), Fault> {
        let child = self.child()?;
        match child.ask(&Ask::Probe).and_then(|()| child.reply()) {
            Ok(Reply::Done) => Ok(()),
            Ok(Reply::DocumentFault { fault }) => Err(fault.into()),
            Ok(_) => Err(self.bury(Halt::Lied("it answered another question".to_owned()))),
            Err(error) => Err(self.bury(Halt::Silent(error))),
        }
    }

    /// The id of the child process, when one runs.
    pub fn child_id(&self) -> Option<u32> {
        self.child.as_ref().map(Process::id)
    }

    /// One document, or one part of it, through as many children as it takes.
    fn decode(&mut self, wanted: &Wanted, emit: Outlet) -> Result<(), Fault> {
        let source = wanted.source;
        let order = self.order.clone().map_err(|problem| refuse(FaultKind::Internal, problem, "correct `[decode]`"))?;
        if source.bytes > order.limits.bytes {
            return Err(too_many_bytes(source.bytes, order.limits.bytes));
        }
        let order = wanted.ordered(order);
        let mut request =
            Request { path: absolute(&source.path), kind: source.kind, order, settled: 0, only: wanted.only };
        let mut course = Course::default();
        loop {
            request.settled = course.begin();
            let Err(halt) = self.converse(&request, wanted, &mut course, emit);
            let fault = match halt {
                Halt::Over(outcome) => return close(outcome, source, &mut course, emit),
                lost => self.bury(lost),
            };
            if self.stop.aborting() || !emit.open() {
                return Ok(());
            }
            tracing::debug!(target: "decode", source = source.name, "{}", fault.message);
            let (parts, over) = match course.lose_child(fault.kind) {
                Verdict::Again => continue,
                Verdict::Lose(parts) => (parts, false),
                Verdict::GiveUp(parts) => (parts, true),
            };
            lose(&parts, &fault, source, emit);
            if over {
                return if parts.is_empty() { Err(fault) } else { Ok(()) };
            }
        }
    }

    /// Ends the child, whatever it is doing, and says why.
    fn bury(&mut self, halt: Halt) -> Fault {
        let child = self.child.take();
        match (halt, child) {
            (Halt::Silent(error), Some(child)) => child.bury(&error),
            (Halt::Lied(what), _) => broken(what),
            (Halt::Over(_) | Halt::Aborted | Halt::Silent(_), _) => broken("it is gone"),
        }
    }

    /// Talks with one child until something ends it.
    fn converse(
        &mut self,
        request: &Request,
        wanted: &Wanted,
        course: &mut Course,
        emit: Outlet,
    ) -> Result<std::convert::Infallible, Halt> {
        let (budget, quota, stop) = (self.budget.clone(), self.quota.clone(), self.stop.clone());
        let Wanted { source, attempt, .. } = *wanted;
        // A unit that is tried again was promised, and counted, the first time.
        let take = |count| if attempt == 0 { quota.take(count) } else { count };
        let child = self.child().map_err(|fault| Halt::Over(Err(fault)))?;
        child.ask(&Ask::Decode(Box::new(request.clone())))?;
        loop {
            match child.reply()? {
                Reply::Heartbeat => {}
                Reply::Promise { parts } => {
                    let (granted, new) = course.promise(&parts, take).map_err(Halt::Lied)?;
                    if new > 0 && attempt == 0 {
                        emit.promise(source, new as u64);
                    }
                    child.grant(granted)?;
                }
                Reply::Unit { of, form } => {
                    let lease = lease(&form, request, &budget, &stop)?;
                    let body = child.unit(&form)?;
                    course.settle(of).map_err(Halt::Lied)?;
                    let body = wanted.turned(body);
                    emit.item(Item { origin: origin(source, of), attempt, lease, body });
                }
                Reply::UnitFault { of, fault } => {
                    course.settle(of).map_err(Halt::Lied)?;
                    emit.fault(&origin(source, of), fault.into());
                }
                Reply::Done => return Err(Halt::Over(Ok(()))),
                Reply::DocumentFault { fault } => return Err(Halt::Over(Err(fault.into()))),
            }
            if !emit.open() {
                return Err(Halt::Aborted);
            }
        }
    }

    fn child(&mut self) -> Result<&mut Process, Fault> {
        if self.child.is_none() {
            let own = || std::env::current_exe().map_err(|error| refuse(FaultKind::Internal, error.to_string(), ""));
            let program = self.program.clone().map_or_else(own, Ok)?;
            self.child = Some(Process::start(&program, self.patience, self.stop.clone())?);
            self.documents = 0;
        }
        self.child.as_mut().ok_or_else(|| broken("it did not start"))
    }

    fn recycle(&mut self) {
        self.documents += 1;
        if self.recycle_after > 0 && self.documents >= self.recycle_after {
            self.child = None;
        }
    }
}

impl Stage for Decoder {
    type In = Document;
    type Out = Unit;

    fn process(&mut self, item: Item<Document>, emit: &mut dyn Emit<Unit>) -> Result<(), Fault> {
        let wanted = Wanted::of(&item, &self.rungs);
        let outcome = self.decode(&wanted, emit);
        self.recycle();
        outcome
    }
}

fn lease(form: &Form, request: &Request, budget: &ByteBudget, stop: &Stop) -> Result<Lease, Halt> {
    let bytes = admit(form, request.kind, &request.order.limits).map_err(Halt::Lied)?;
    budget.lease(bytes, stop).ok_or(Halt::Aborted)
}

/// The end of a document: what was promised and never came fails with it.
fn close(outcome: Result<(), Fault>, source: &Arc<Source>, course: &mut Course, emit: Outlet) -> Result<(), Fault> {
    if course.settled_all() {
        return outcome;
    }
    let fault = outcome.err().unwrap_or_else(|| broken("it ended before all promised units were there"));
    lose(&course.rest(), &fault, source, emit);
    Ok(())
}

fn lose(parts: &[Part], fault: &Fault, source: &Arc<Source>, emit: Outlet) {
    parts.iter().for_each(|&part| emit.fault(&origin(source, part), fault.clone()));
}

fn origin(source: &Arc<Source>, part: Part) -> Origin {
    Origin { source: source.clone(), part }
}

fn absolute(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned())
}

fn too_many_bytes(bytes: u64, most: u64) -> Fault {
    let message = format!("the file has {bytes} bytes, the limit is {most}");
    refuse(FaultKind::TooLarge, message, "raise `[decode.limits] bytes`")
}
