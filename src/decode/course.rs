//! How far the decoding of one document has come: what was promised, what is settled, whom it cost a child.

use std::time::Duration;

use crate::base::{Fault, FaultKind, Kind, Limit, Part};

use super::{
    form::Form,
    output::refuse,
    settings::{Limits, Settings},
};

/// Most units of one document.
const MOST_UNITS: usize = 1_000_000;

/// After so many units in a row that were lost with their child, the rest is given up.
const MOST_LOST: u32 = 8;

/// What one document may cost.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct DocumentQuota {
    /// Time of all its children together.
    pub time: Duration,
    /// Children that die over it or are killed.
    pub children: u32,
    /// Bytes of its units.
    pub bytes: u64,
}

impl DocumentQuota {
    /// As the settings have it.
    pub fn of(settings: &Settings) -> Self {
        let time = Duration::try_from_secs_f64(settings.seconds_per_document).unwrap_or(Duration::from_secs(3600));
        Self { time, children: settings.children_per_document, bytes: settings.limits.decoded_bytes }
    }
}

/// The books of one document, kept by the parent across all the children that work on it.
#[derive(Debug)]
pub struct Course {
    left: DocumentQuota,
    /// Asked and granted, in the order of the promises: a later child that promises again is granted the same.
    grants: Vec<(usize, usize)>,
    /// How many of them the child at work has repeated.
    repeated: usize,
    promised: Vec<Part>,
    settled: usize,
    /// Children lost since the last unit was settled.
    deaths: u32,
    /// Units lost with their child since the last that came through.
    lost: u32,
    /// The silence of the document was told.
    silent: bool,
}

/// What the loss of a child means.
#[derive(Debug, Clone, PartialEq)]
pub enum Verdict {
    /// Try again with a new child.
    Again,
    /// These units failed; go on with a new child.
    Lose(Vec<Part>),
    /// The document as a whole failed, with these units.
    GiveUp(Vec<Part>),
}

impl Course {
    /// Nothing promised, everything left.
    pub fn new(left: DocumentQuota) -> Self {
        Self {
            left,
            grants: Vec::new(),
            repeated: 0,
            promised: Vec::new(),
            settled: 0,
            deaths: 0,
            lost: 0,
            silent: false,
        }
    }

    /// The time that is left for it.
    pub fn time(&self) -> Duration {
        self.left.time
    }

    /// Takes down what a child has left of the time.
    pub fn spend_until(&mut self, left: Duration) {
        self.left.time = left;
    }

    /// True when it may cost no more children.
    pub fn has_cost_all(&self) -> bool {
        self.left.children == 0
    }

    /// Takes down a unit of so many bytes; false when they are too many.
    pub fn spend_bytes(&mut self, bytes: u64) -> bool {
        let left = self.left.bytes.checked_sub(bytes);
        self.left.bytes = left.unwrap_or(0);
        left.is_some()
    }

    /// A new child begins; it will pass over the settled units.
    pub fn begin(&mut self) -> usize {
        self.repeated = 0;
        self.settled
    }

    /// Takes down that the document's silence was told; false when an earlier child, or this one, has told it before.
    pub fn hear_silence(&mut self) -> bool {
        !std::mem::replace(&mut self.silent, true)
    }

    /// Takes down a promise. `Err` when the child contradicts an earlier one; else how many are granted; those that are
    /// new are asked of `take`.
    pub fn promise(&mut self, parts: &[Part], take: impl FnOnce(&[Part]) -> usize) -> Result<usize, String> {
        if let Some(&(asked, granted)) = self.grants.get(self.repeated) {
            self.repeated += 1;
            let same = asked == parts.len();
            return if same { Ok(granted) } else { Err("it promised other units than before".to_owned()) };
        }
        if parts.len() > MOST_UNITS - self.promised.len() {
            return Err(format!("it promised more than {MOST_UNITS} units"));
        }
        let granted = take(parts).min(parts.len());
        self.grants.push((parts.len(), granted));
        self.repeated += 1;
        self.promised.extend_from_slice(&parts[..granted]);
        Ok(granted)
    }

    /// Checks that this is the next promised unit, and settles it.
    pub fn settle(&mut self, part: Part) -> Result<(), String> {
        match self.promised.get(self.settled) {
            Some(next) if *next == part => {
                (self.settled, self.deaths, self.lost) = (self.settled + 1, 0, 0);
                Ok(())
            }
            Some(next) => Err(format!("it gave {part} where {next} was due")),
            None => Err(format!("it gave {part}, which it had not promised")),
        }
    }

    /// Settles everything that is left.
    pub fn rest(&mut self) -> Vec<Part> {
        let rest = self.promised[self.settled..].to_vec();
        self.settled = self.promised.len();
        rest
    }

    /// True when everything promised is settled.
    pub fn settled_all(&self) -> bool {
        self.settled == self.promised.len()
    }

    /// The unit that is due.
    pub fn due(&self) -> Option<Part> {
        self.promised.get(self.settled).copied()
    }

    /// A child was lost. A unit that costs a second child is lost; one that ran out of time is not tried again. When the
    /// document has cost all that it may, the rest is given up.
    pub fn lose_child(&mut self, kind: FaultKind) -> Verdict {
        self.deaths += 1;
        self.left.children = self.left.children.saturating_sub(1);
        if self.left.children == 0 || self.left.time.is_zero() {
            return Verdict::GiveUp(self.rest());
        }
        if self.deaths < 2 && kind != FaultKind::Deadline {
            return Verdict::Again;
        }
        let Some(due) = self.due() else { return Verdict::GiveUp(Vec::new()) };
        self.lost += 1;
        if self.lost >= MOST_LOST {
            return Verdict::GiveUp(self.rest());
        }
        (self.settled, self.deaths) = (self.settled + 1, 0);
        Verdict::Lose(vec![due])
    }
}

/// Checks sizes before anything is allocated for them; returns the bytes to lease.
pub fn admit(form: &Form, kind: Kind, limits: &Limits) -> Result<u64, String> {
    const ROOM_FOR_TEXT: u64 = 256 << 20;
    if !form.suits(kind) {
        return Err(format!("it gave a unit that no {kind} has"));
    }
    let most = limits.pixels.saturating_mul(3).saturating_add(ROOM_FOR_TEXT);
    form.bytes().filter(|bytes| *bytes <= most).ok_or_else(|| format!("it gave a unit of more than {most} bytes"))
}

/// The fault of a document that has cost all its children.
pub fn poisonous(last: &Fault, children: u32) -> Fault {
    let message = format!("it has cost {children} decoder processes and is given up; the last: {}", last.message);
    let hint = "look at the file apart, or raise `[decode] children_per_document`";
    refuse(last.kind, message, hint).over(Limit::ChildrenPerDocument)
}

/// The fault of a document that becomes too much.
pub fn too_much(most: u64) -> Fault {
    let message = format!("the document becomes more than {most} bytes of pixels, samples and text");
    refuse(FaultKind::TooLarge, message, "raise `[decode.limits] decoded_bytes`").over(Limit::DecodedBytes)
}

/// The fault of a child that did not keep to the protocol.
pub fn broken(what: impl std::fmt::Display) -> Fault {
    refuse(FaultKind::ChildDied, format!("the decoder process broke the protocol: {what}"), "report it with the file")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(number: u32) -> Part {
        Part::Page { number, of: 3 }
    }

    fn course(children: u32) -> Course {
        Course::new(DocumentQuota { children, ..DocumentQuota::of(&Settings::default()) })
    }

    fn promised() -> Course {
        let mut course = course(100);
        course.begin();
        assert_eq!(course.promise(&[page(1), page(2), page(3)], |_| 2), Ok(2));
        course
    }

    #[test]
    fn a_later_child_is_granted_the_same() {
        let mut course = promised();
        course.settle(page(1)).unwrap();
        assert_eq!(course.begin(), 1);
        assert_eq!(course.promise(&[page(1), page(2), page(3)], |_| panic!()), Ok(2));
        course.begin();
        assert!(course.promise(&[page(1)], |_| 1).is_err());
    }

    #[test]
    fn units_come_in_the_order_of_the_promise_and_no_more() {
        let mut course = promised();
        assert!(course.settle(page(2)).is_err());
        course.settle(page(1)).unwrap();
        course.settle(page(2)).unwrap();
        assert!(course.settle(page(3)).is_err());
        assert!(course.settled_all());
    }

    #[test]
    fn a_unit_is_lost_with_its_second_child_or_its_first_deadline() {
        let mut course = promised();
        assert_eq!(course.lose_child(FaultKind::ChildDied), Verdict::Again);
        assert_eq!(course.lose_child(FaultKind::ChildDied), Verdict::Lose(vec![page(1)]));
        assert_eq!(course.lose_child(FaultKind::Deadline), Verdict::Lose(vec![page(2)]));
        assert_eq!(course.lose_child(FaultKind::Deadline), Verdict::GiveUp(vec![]));
    }

    #[test]
    fn a_document_that_costs_child_after_child_is_given_up() {
        let mut course = course(100);
        let parts: Vec<Part> = (1..=100).map(page).collect();
        course.promise(&parts, <[Part]>::len).unwrap();
        let verdicts: Vec<Verdict> = (0..MOST_LOST).map(|_| course.lose_child(FaultKind::Deadline)).collect();
        assert!(matches!(verdicts.last(), Some(Verdict::GiveUp(rest)) if rest.len() == 93));
        assert!(course.settled_all());
    }

    #[test]
    fn a_document_may_cost_so_many_children_and_so_much_time_in_all() {
        let mut course = course(3);
        let parts: Vec<Part> = (1..=9).map(page).collect();
        course.promise(&parts, <[Part]>::len).unwrap();
        assert_eq!(course.lose_child(FaultKind::ChildDied), Verdict::Again);
        course.settle(page(1)).unwrap();
        assert_eq!(course.lose_child(FaultKind::ChildDied), Verdict::Again);
        course.settle(page(2)).unwrap();
        assert!(matches!(course.lose_child(FaultKind::ChildDied), Verdict::GiveUp(rest) if rest.len() == 7));
        let mut course = promised();
        course.spend_until(Duration::ZERO);
        assert!(matches!(course.lose_child(FaultKind::Deadline), Verdict::GiveUp(rest) if rest.len() == 2));
    }

    #[test]
    fn the_silence_of_a_document_is_heard_once() {
        let mut course = promised();
        assert!(course.hear_silence());
        course.begin();
        assert!(!course.hear_silence());
    }

    #[test]
    fn the_bytes_of_a_document_are_counted() {
        let mut course = Course::new(DocumentQuota { bytes: 10, ..DocumentQuota::of(&Settings::default()) });
        assert!(course.spend_bytes(10));
        assert!(!course.spend_bytes(1));
    }

    #[test]
    fn a_unit_must_suit_its_document_and_its_limits() {
        let limits = Limits { pixels: 100, ..Limits::default() };
        let small = Form::Image { width: 10, height: 10 };
        assert_eq!(admit(&small, Kind::Image, &limits), Ok(300));
        assert!(admit(&small, Kind::Text, &limits).is_err());
        let large = Form::Image { width: 60_000, height: 60_000 };
        assert!(admit(&large, Kind::Image, &limits).is_err());
        let admitted = |pages: &[&Form]| {
            admit(&Form::Pages { pages: pages.iter().copied().cloned().collect() }, Kind::Image, &limits)
        };
        assert_eq!(admitted(&[&small, &small]), Ok(600));
        assert!(admitted(&[&small, &large]).is_err());
        assert!(admitted(&[&Form::Pages { pages: vec![small.clone()] }]).is_err(), "pages within pages");
    }
}
