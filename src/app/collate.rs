//! What becomes a row: the record of each unit, those of a document merged, or each of the records that a unit lists. Stands
//! between the judge and `write`, and holds the answers about a document until all of its units are settled.

use std::{collections::HashMap, sync::Arc};

use super::digest::{self, Note, grouped};
use crate::{
    base::{Extraction, Failure, Item, Lease, Origin, Outcome, Part, RecordOf, Shape, Source, Unit},
    parse::{self, Merging},
};

/// Makes rows of answers.
pub struct Collator(Manner);

enum Manner {
    Unit,
    List(Arc<Shape>),
    Document(Together, HashMap<String, Gathering>),
}

/// How a document's answers become one.
struct Together {
    merging: Merging,
    /// By the model, and not by rules.
    reduce: Option<digest::Settings>,
}

/// What comes of an outcome.
#[derive(Default)]
pub struct Collated {
    /// To `write`, in this order.
    pub told: Vec<Outcome>,
    /// What the model is to read once more.
    pub asked: Vec<Item<Unit>>,
}

impl From<Outcome> for Collated {
    fn from(outcome: Outcome) -> Self {
        Self { told: vec![outcome], asked: Vec::new() }
    }
}

/// A document whose units are coming.
#[derive(Default)]
struct Gathering {
    promised: u64,
    settled: u64,
    /// No more will be promised.
    decoded: bool,
    units: Vec<Item<Extraction>>,
    failed: Vec<Part>,
    reduction: Option<Reduction>,
}

/// Answers about parts that are being made one.
#[derive(Default)]
struct Reduction {
    /// What is read in the next round.
    notes: Vec<Note>,
    /// Answers about several parts, in the order in which they came.
    answers: Vec<Item<Extraction>>,
    /// One of them failed.
    lost: bool,
}

impl Collator {
    /// Rows as `[parse] record` asks for them, of records of this shape, which are merged so.
    pub fn new(record: RecordOf, shape: Arc<Shape>, merging: Merging) -> Self {
        Self(match record {
            RecordOf::Unit => Manner::Unit,
            RecordOf::List => Manner::List(shape),
            RecordOf::Document => Manner::Document(Together { merging, reduce: None }, HashMap::new()),
        })
    }

    /// The same, where the model makes one record of what it says of a document's parts.
    pub fn with_reduce(mut self, reduce: Option<digest::Settings>) -> Self {
        if let Manner::Document(together, _) = &mut self.0 {
            together.reduce = reduce;
        }
        self
    }

    /// True when it may have something read once more.
    pub fn reduces(&self) -> bool {
        matches!(&self.0, Manner::Document(Together { reduce: Some(_), .. }, _))
    }

    /// True when it is at no document.
    pub fn is_through(&self) -> bool {
        !matches!(&self.0, Manner::Document(_, gatherings) if !gatherings.is_empty())
    }

    /// True for the outcome of what was read once more: it is no unit that could be tried otherwise.
    pub fn has_asked(&self, outcome: &Outcome) -> bool {
        let Manner::Document(_, gatherings) = &self.0 else { return false };
        let gathering = about(outcome).and_then(|source| gatherings.get(&source.name));
        gathering.is_some_and(|gathering| gathering.reduction.is_some())
    }

    /// What comes of it.
    pub fn take(&mut self, outcome: Outcome) -> Collated {
        match (&mut self.0, outcome) {
            (Manner::List(shape), Outcome::Row(item)) => Collated { told: listed(shape, *item), asked: Vec::new() },
            (Manner::Document(together, gatherings), outcome) => gather(together, gatherings, outcome),
            (_, outcome) => outcome.into(),
        }
    }
}

fn listed(shape: &Shape, item: Item<Extraction>) -> Vec<Outcome> {
    let row = |body: Extraction| {
        let (origin, attempt) = (item.origin.clone(), item.attempt);
        Outcome::Record(Box::new(Item { origin, attempt, lease: Lease::none(), body }))
    };
    let rows: Vec<Outcome> = parse::split(shape, &item.body).map(row).collect();
    [Outcome::Answered(Box::new(item))].into_iter().chain(rows).collect()
}

fn gather(together: &Together, gatherings: &mut HashMap<String, Gathering>, outcome: Outcome) -> Collated {
    let Some(source) = about(&outcome) else { return outcome.into() };
    let gathering = gatherings.entry(source.name.clone()).or_default();
    let mut collated = Collated::from(gathering.take(outcome));
    if !gathering.is_whole() {
        return collated;
    }
    if let Some(reduce) = &together.reduce {
        collated.asked = gathering.ask(reduce, &source);
    }
    if collated.asked.is_empty() {
        let gathering = gatherings.remove(&source.name).unwrap_or_default();
        collated.told.extend(gathering.made(&together.merging, source));
    } else {
        // Before the last answer, or the account of the document would be closed.
        collated.told.insert(0, Outcome::Promise(source, collated.asked.len() as u64));
    }
    collated
}

/// The document that an outcome changes the account of.
fn about(outcome: &Outcome) -> Option<Arc<Source>> {
    match outcome {
        Outcome::Promise(source, _) | Outcome::Decoded { source, .. } => Some(source.clone()),
        Outcome::Row(item) => Some(item.origin.source.clone()),
        Outcome::Failure(failure) => failure.document.clone(),
        Outcome::Found(_)
        | Outcome::Duplicate(_)
        | Outcome::Silence(..)
        | Outcome::Answered(_)
        | Outcome::Record(_) => None,
        // Units of a document that becomes one row are never kept alone.
        Outcome::Kept(..) | Outcome::KeptUnit(..) => None,
    }
}

impl Gathering {
    /// Enters it into the account, and gives what `write` is told. What waits holds no leases: the whole line would wait
    /// for a long document.
    fn take(&mut self, outcome: Outcome) -> Outcome {
        match outcome {
            Outcome::Promise(_, units) => self.promised += units,
            Outcome::Decoded { .. } => self.decoded = true,
            Outcome::Failure(failure) => {
                self.settled += 1;
                return Outcome::Failure(self.lose(failure));
            }
            Outcome::Row(item) => {
                let item = Item { lease: Lease::none(), ..*item };
                self.settled += 1;
                let Item { origin, attempt, body, .. } = &item;
                let (origin, attempt, body) = (origin.clone(), *attempt, body.clone());
                let answers = self.reduction.as_mut().map_or(&mut self.units, |reduction| &mut reduction.answers);
                answers.push(Item { origin, attempt, lease: Lease::none(), body });
                if let Some(reduction) = &mut self.reduction {
                    reduction.notes.push(Note::of(item.origin.part, &item.body));
                }
                return Outcome::Answered(Box::new(item));
            }
            _ => {}
        }
        outcome
    }

    fn lose(&mut self, mut failure: Box<Failure>) -> Box<Failure> {
        match &mut self.reduction {
            None => self.failed.push(failure.part),
            Some(reduction) => {
                reduction.lost = true;
                // It is not about the parts that it covers, each of which was answered.
                failure.part = Part::Whole;
                let message = format!("the answers about its parts became no record: {}", failure.fault.message);
                failure.fault.message = message;
            }
        }
        failure
    }

    /// The next round, in which what is known of the document is read; none when it is one record, or cannot become one.
    fn ask(&mut self, reduce: &digest::Settings, source: &Arc<Source>) -> Vec<Item<Unit>> {
        let first = || Reduction {
            notes: self.units.iter().map(|unit| Note::of(unit.origin.part, &unit.body)).collect(),
            ..Reduction::default()
        };
        let mut reduction = self.reduction.take().unwrap_or_else(first);
        if reduction.lost || reduction.notes.len() < 2 {
            self.reduction = Some(reduction).filter(|reduction| !reduction.answers.is_empty() || reduction.lost);
            return Vec::new();
        }
        reduction.notes.sort_by(|one, other| one.part.order(&other.part));
        let (groups, alone) = grouped(std::mem::take(&mut reduction.notes), reduce.longest);
        reduction.notes = alone;
        self.reduction = Some(reduction);
        self.promised += groups.len() as u64;
        let item = |group: digest::Group| {
            let origin = Origin { source: source.clone(), part: group.part };
            Item { origin, attempt: 0, lease: Lease::none(), body: Unit::Notes(group.text) }
        };
        groups.into_iter().map(item).collect()
    }

    fn is_whole(&self) -> bool {
        self.decoded && self.settled >= self.promised
    }

    /// No row where no unit came through, or where the answers did not become one: its failures tell.
    fn made(mut self, merging: &Merging, source: Arc<Source>) -> Option<Outcome> {
        if self.units.is_empty() || self.reduction.as_ref().is_some_and(|reduction| reduction.lost) {
            return None;
        }
        self.units.sort_by(|one, other| one.origin.part.order(&other.origin.part));
        self.failed.sort_by(Part::order);
        let answers = self.reduction.iter().flat_map(|reduction| &reduction.answers);
        let confined = self.units.iter().chain(answers).any(|one| one.body.confined);
        let made = match &self.reduction {
            None => merging.merge(&self.units, self.failed),
            Some(reduction) => merging.reduced(&self.units, self.failed, &reduction.answers)?,
        };
        let body = Extraction { confined, ..made };
        let (origin, lease) = (Origin { source, part: Part::Whole }, Lease::none());
        Some(Outcome::Record(Box::new(Item { origin, attempt: body.attempt, lease, body })))
    }
}
