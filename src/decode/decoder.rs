//! The stage itself: sends documents to its child, checks what comes back, replaces the child when it is lost.

use std::{convert::Infallible, io, path::PathBuf, sync::Arc};

use crate::base::{
    ByteBudget, Document, Emit, Fatal, Fault, FaultKind, Item, Kind, Lease, Limit, Origin, Part, Source, Stage, Stop,
    Unit, ladder::Rungs,
};

use super::{
    children::{Children, Which, bury},
    course::{Course, DocumentQuota, Verdict, broken, poisonous},
    input::Input,
    order::{Order, Render},
    output::refuse,
    process::Process,
    settings::Settings,
    walls::{Reached, Sandbox},
    wanted::Wanted,
    wire::{Ask, Reply, Request},
    word::{Refused, Word},
};

/// A lane of `decode`: its children are started when the first document comes.
#[derive(Debug)]
pub struct Decoder {
    order: Result<Order, String>,
    quota: DocumentQuota,
    budget: ByteBudget,
    stop: Stop,
    children: Children,
    rungs: Rungs,
}

/// Why a child stopped working on a document.
enum Halt {
    /// It is through, or the document as a whole failed.
    Over(Result<(), Fault>),
    /// The run is being aborted.
    Aborted,
    /// The document takes a child that may start ffmpeg.
    NeedsFfmpeg,
    /// The document is over a limit that is watched from outside.
    Excess(Fault),
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

impl From<Refused> for Halt {
    fn from(refused: Refused) -> Self {
        match refused {
            Refused::Lie(what) => Self::Lied(what),
            Refused::Excess(fault) => Self::Excess(fault),
        }
    }
}

type Outlet<'a> = &'a mut dyn Emit<Unit>;

impl Decoder {
    /// A lane. Settings that [`Settings::validate`] would refuse make every document fail.
    pub fn new(settings: &Settings, render: Render, budget: ByteBudget, stop: Stop) -> Self {
        let children = Children::new(settings, stop.clone());
        let (order, quota) = (Order::new(settings, render), DocumentQuota::of(settings));
        Self { order, quota, budget, stop, children, rungs: Rungs::default() }
    }

    /// Units that are tried again are decoded as these rungs say.
    pub fn with_rungs(self, rungs: Rungs) -> Self {
        Self { rungs, ..self }
    }

    /// Starts children with another program than the running one.
    pub fn with_program(mut self, program: impl Into<PathBuf>) -> Self {
        self.children.program = Some(program.into());
        self
    }

    /// Children stand within these walls.
    pub fn with_sandbox(mut self, sandbox: Sandbox) -> Self {
        self.children.sandbox = sandbox;
        self
    }

    /// Asks a child whether it can load what it decodes PDFs with, and which walls it stands in: to be called before a run
    /// that will need it.
    ///
    /// # Errors
    /// PDFium is missing, damaged or too old, no child can be started, or its walls are lower than they must be.
    pub fn probe(&mut self) -> Result<Reached, Fatal> {
        let reached = self.ask_probe().map_err(|fault| Fatal::new(fault.message, fault.hint));
        self.children.take(Which::Steady);
        reached
    }

    fn ask_probe(&mut self) -> Result<Reached, Fault> {
        let child = self.children.steady()?;
        match child.ask(&Ask::Probe).and_then(|()| child.reply()) {
            Ok(Reply::Done) => self.children.reached().cloned().ok_or_else(|| broken("it has said nothing of walls")),
            Ok(Reply::DocumentFault { fault }) => Err(fault.into()),
            Ok(_) => Err(broken("it answered another question")),
            Err(error) => Err(bury(self.children.take(Which::Steady), &error)),
        }
    }

    /// The id of the child process, when one runs.
    pub fn child_id(&self) -> Option<u32> {
        self.children.get(Which::Steady).map(Process::id)
    }

    /// One document, or one part of it, which must be the same before and after.
    fn decode(&mut self, wanted: &Wanted, emit: Outlet) -> Result<(), Fault> {
        let input = Input::open(&wanted.source.path)?;
        input.is_still(wanted.source)?;
        self.decode_open(wanted, &input, emit)?;
        input.is_still(wanted.source)
    }

    /// Through as many children as it takes.
    fn decode_open(&mut self, wanted: &Wanted, input: &Input, emit: Outlet) -> Result<(), Fault> {
        let source = wanted.source;
        let mut request = self.request(wanted)?;
        let mut course = Course::new(self.quota);
        let mut which = if source.kind == Kind::Video { Which::Special } else { Which::Steady };
        loop {
            request.settled = course.begin();
            let Err(halt) = self.converse(&request, (wanted, input, which), &mut course, emit);
            let fault = match halt {
                Halt::Over(outcome) => return close(outcome, source, &mut course, emit),
                Halt::Excess(fault) => {
                    self.children.take(which);
                    return close(Err(fault), source, &mut course, emit);
                }
                Halt::NeedsFfmpeg if which == Which::Steady => {
                    which = Which::Special;
                    continue;
                }
                lost => self.bury(which, lost),
            };
            if self.stop.aborting() || !emit.open() {
                return Ok(());
            }
            tracing::debug!(target: "decode", source = source.name, "{}", fault.message);
            match course.lose_child(fault.kind) {
                Verdict::Again => {}
                Verdict::Lose(parts) => lose(&parts, &fault, source, emit),
                Verdict::GiveUp(parts) => return self.give_up(&parts, &fault, &course, source, emit),
            }
        }
    }

    fn request(&self, wanted: &Wanted) -> Result<Request, Fault> {
        let source = wanted.source;
        let order = self.order.clone().map_err(|problem| refuse(FaultKind::Internal, problem, "correct `[decode]`"))?;
        if source.bytes > order.limits.bytes {
            return Err(too_many_bytes(source.bytes, order.limits.bytes));
        }
        Ok(Request {
            #[cfg(not(unix))]
            path: std::path::absolute(&source.path).unwrap_or_else(|_| source.path.clone()),
            kind: source.kind,
            order: wanted.ordered(order),
            settled: 0,
            only: wanted.only,
        })
    }

    /// What is left of a document fails; one that has promised nothing fails as a whole.
    fn give_up(
        &self,
        parts: &[Part],
        last: &Fault,
        course: &Course,
        source: &Arc<Source>,
        emit: Outlet,
    ) -> Result<(), Fault> {
        let fault = if course.has_cost_all() { poisonous(last, self.quota.children) } else { last.clone() };
        if parts.is_empty() {
            return Err(fault);
        }
        lose(parts, &fault, source, emit);
        Ok(())
    }

    /// Ends the child, whatever it is doing, and says why.
    fn bury(&mut self, which: Which, halt: Halt) -> Fault {
        let child = self.children.take(which);
        match halt {
            Halt::Silent(error) => bury(child, &error),
            Halt::Lied(what) => broken(what),
            Halt::NeedsFfmpeg => broken("it asked for what it has"),
            Halt::Over(_) | Halt::Excess(_) | Halt::Aborted => broken("it is gone"),
        }
    }

    /// Talks with one child until something ends it, and takes down the time.
    fn converse(
        &mut self,
        request: &Request,
        (wanted, input, which): (&Wanted, &Input, Which),
        course: &mut Course,
        emit: Outlet,
    ) -> Result<Infallible, Halt> {
        let halt = self.talk(request, (wanted, input, which), course, emit);
        if let Some(child) = self.children.get(which) {
            course.spend_until(child.left());
        }
        halt
    }

    fn talk(
        &mut self,
        request: &Request,
        (wanted, input, which): (&Wanted, &Input, Which),
        course: &mut Course,
        emit: Outlet,
    ) -> Result<Infallible, Halt> {
        let (budget, stop) = (self.budget.clone(), self.stop.clone());
        let Wanted { source, attempt, .. } = *wanted;
        let child = self.children.ready(which, input).map_err(|fault| Halt::Over(Err(fault)))?;
        child.allow(course.time());
        child.ask(&Ask::Decode(Box::new(request.clone())))?;
        if which == Which::Steady {
            child.hand(input.file())?;
        }
        loop {
            // A unit that is tried again was promised, and counted, the first time.
            let take = |parts: &[Part]| if attempt == 0 { emit.promise(source, parts) } else { parts.len() };
            match Word::of(child.reply()?, request.kind, &request.order.limits, course, take)? {
                Word::Alive => {}
                Word::Promise { granted } => child.grant(granted)?,
                Word::Unit { of, form, shared, bytes } => {
                    let lease = lease(bytes, &budget, &stop)?;
                    let body = child.unit(&form, shared)?;
                    course.settle(of).map_err(Halt::Lied)?;
                    let body = wanted.turned(body);
                    emit.item(Item { origin: origin(source, of), attempt, lease, body });
                }
                Word::UnitFault { of, fault } => emit.fault(&origin(source, of), fault),
                Word::Silence(seconds) if attempt == 0 => emit.silence(source, seconds),
                Word::Silence(_) => {}
                Word::NeedsFfmpeg => return Err(Halt::NeedsFfmpeg),
                Word::End(outcome) => return Err(Halt::Over(outcome)),
            }
            if !emit.open() {
                return Err(Halt::Aborted);
            }
        }
    }
}

impl Stage for Decoder {
    type In = Document;
    type Out = Unit;

    fn process(&mut self, item: Item<Document>, emit: &mut dyn Emit<Unit>) -> Result<(), Fault> {
        let wanted = Wanted::of(&item, &self.rungs);
        let outcome = self.decode(&wanted, emit);
        self.children.finish_document();
        outcome
    }
}

fn lease(bytes: u64, budget: &ByteBudget, stop: &Stop) -> Result<Lease, Halt> {
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

fn too_many_bytes(bytes: u64, most: u64) -> Fault {
    let message = format!("the file has {bytes} bytes, the limit is {most}");
    refuse(FaultKind::TooLarge, message, "raise `[decode.limits] bytes`").over(Limit::Bytes)
}
