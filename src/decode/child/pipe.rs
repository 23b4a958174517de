//! The [`Output`] of the child: every call becomes a message to the parent.

use std::io;

use crate::base::{Fault, FaultKind, Part, Unit};

use super::{
    super::{
        form::Form,
        output::{Output, refuse},
        wire::{Reply, WireFault},
    },
    courier::Courier,
};

/// The way to the parent for one document.
pub struct Pipe<'a> {
    courier: Courier<'a>,
    /// Units that an earlier child settled and that were not yet passed over.
    settled: usize,
    /// What is wanted of the document, where that is not all.
    only: Option<Only>,
    broken: Option<io::Error>,
}

/// The one part that is wanted: the parent hears of no other.
struct Only {
    part: Part,
    /// Promised units that are not it and were not yet passed over.
    others: usize,
    /// It has been promised; nothing after it is wanted.
    promised: bool,
}

impl<'a> Pipe<'a> {
    /// A way out that drops the first `settled` units, and all but the one that is wanted.
    pub fn new(courier: Courier<'a>, settled: usize, only: Option<Part>) -> Self {
        let only = only.map(|part| Only { part, others: 0, promised: false });
        Self { courier, settled, only, broken: None }
    }

    /// Tells the parent how the document ended.
    ///
    /// # Errors
    /// When the parent is gone: then there is nothing left to do.
    pub fn finish(mut self, outcome: Result<(), Fault>) -> io::Result<()> {
        if let Some(error) = self.broken.take() {
            return Err(error);
        }
        self.courier.send(&Reply::end(outcome))?;
        self.courier.settle()
    }

    /// Tells the parent that another child must do it.
    ///
    /// # Errors
    /// When the parent is gone.
    pub fn needs_ffmpeg(mut self) -> io::Result<()> {
        self.courier.send(&Reply::NeedsFfmpeg)?;
        self.courier.settle()
    }

    fn ask(&mut self, parts: &[Part]) -> io::Result<usize> {
        self.courier.send(&Reply::Promise { parts: parts.to_vec() })?;
        self.courier.granted()
    }

    /// Keeps the error for [`Pipe::finish`]; the fault only carries the decoder out.
    fn or_break<T>(&mut self, result: io::Result<T>) -> Result<T, Fault> {
        result.map_err(|error| {
            let fault = refuse(FaultKind::Internal, format!("the parent process is gone: {error}"), "");
            self.broken = Some(error);
            fault
        })
    }
}

impl Output for Pipe<'_> {
    fn promise(&mut self, parts: &[Part]) -> Result<usize, Fault> {
        let Some(only) = &mut self.only else {
            let granted = self.ask(parts);
            return self.or_break(granted);
        };
        if only.promised {
            return Ok(0);
        }
        let part = only.part;
        let place = parts.iter().position(|promised| *promised == part);
        only.others += place.unwrap_or(parts.len());
        let Some(place) = place else { return Ok(parts.len()) };
        only.promised = true;
        let granted = self.ask(&[part]);
        Ok(if self.or_break(granted)? == 0 { 0 } else { place + 1 })
    }

    fn passed_over(&mut self) -> bool {
        if let Some(only) = &mut self.only
            && only.others > 0
        {
            only.others -= 1;
            return true;
        }
        let settled = self.settled > 0;
        self.settled = self.settled.saturating_sub(1);
        settled
    }

    fn unit(&mut self, part: Part, unit: Unit) -> Result<(), Fault> {
        if self.passed_over() {
            return self.heartbeat();
        }
        let Some(form) = Form::of(&unit) else {
            return self.fault(part, refuse(FaultKind::TooLarge, "the unit is over 4 GiB", "lower `[decode.limits]`"));
        };
        let handed = self.courier.hand(part, form, &unit);
        self.or_break(handed)
    }

    fn fault(&mut self, part: Part, fault: Fault) -> Result<(), Fault> {
        if self.passed_over() {
            return Ok(());
        }
        let said = self.courier.send(&Reply::UnitFault { of: part, fault: WireFault::from(fault) });
        self.or_break(said)
    }

    fn silence(&mut self, seconds: f64) -> Result<(), Fault> {
        let said = self.courier.send(&Reply::Silence { seconds });
        self.or_break(said)
    }

    fn heartbeat(&mut self) -> Result<(), Fault> {
        let said = self.courier.send(&Reply::Heartbeat);
        self.or_break(said)
    }
}
