//! What becomes a row: the record of each unit, those of a document merged, or each of the records that a unit lists. Stands
//! between the judge and `write`, and holds the answers about a document until all of its units are settled.

use std::{collections::HashMap, sync::Arc};

use crate::{
    base::{Extraction, Item, Lease, Origin, Outcome, Part, RecordOf, Shape, Source},
    parse::{self, Merging},
};

/// Makes rows of answers.
pub struct Collator(Manner);

enum Manner {
    Unit,
    List(Arc<Shape>),
    Document(Merging, HashMap<String, Gathering>),
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
}

impl Collator {
    /// Rows as `[parse] record` asks for them, of records of this shape, which are merged so.
    pub fn new(record: RecordOf, shape: Arc<Shape>, merging: Merging) -> Self {
        Self(match record {
            RecordOf::Unit => Manner::Unit,
            RecordOf::List => Manner::List(shape),
            RecordOf::Document => Manner::Document(merging, HashMap::new()),
        })
    }

    /// What goes on to `write`.
    pub fn take(&mut self, outcome: Outcome) -> Vec<Outcome> {
        match (&mut self.0, outcome) {
            (Manner::List(shape), Outcome::Row(item)) => listed(shape, *item),
            (Manner::Document(merging, gatherings), outcome) => gather(merging, gatherings, outcome),
            (_, outcome) => vec![outcome],
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

fn gather(merging: &Merging, gatherings: &mut HashMap<String, Gathering>, outcome: Outcome) -> Vec<Outcome> {
    let Some(source) = about(&outcome) else { return vec![outcome] };
    let gathering = gatherings.entry(source.name.clone()).or_default();
    let mut told = vec![gathering.take(outcome)];
    if gathering.is_whole() {
        let gathering = gatherings.remove(&source.name).unwrap_or_default();
        told.extend(gathering.merged(merging, source));
    }
    told
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
            Outcome::Failure(ref failure) => {
                self.settled += 1;
                self.failed.push(failure.part);
            }
            Outcome::Row(item) => {
                let item = Item { lease: Lease::none(), ..*item };
                self.settled += 1;
                let Item { origin, attempt, body, .. } = &item;
                let (origin, attempt, body) = (origin.clone(), *attempt, body.clone());
                self.units.push(Item { origin, attempt, lease: Lease::none(), body });
                return Outcome::Answered(Box::new(item));
            }
            _ => {}
        }
        outcome
    }

    fn is_whole(&self) -> bool {
        self.decoded && self.settled >= self.promised
    }

    /// No row where no unit came through: its failures tell.
    fn merged(mut self, merging: &Merging, source: Arc<Source>) -> Option<Outcome> {
        if self.units.is_empty() {
            return None;
        }
        self.units.sort_by(|one, other| one.origin.part.order(&other.origin.part));
        self.failed.sort_by(Part::order);
        let body = merging.merge(&self.units, self.failed);
        let (origin, lease) = (Origin { source, part: Part::Whole }, Lease::none());
        Some(Outcome::Record(Box::new(Item { origin, attempt: body.attempt, lease, body })))
    }
}
