//! What the parts of a dataset hold already, so that a run that goes on with it asks for nothing twice.
//!
//! The parts are the truth. A row counts when it was made by the model and the settings of this run; where a kill has left
//! a unit in two parts, the later one counts. The ledger tells which documents need not even be looked at.

use std::{
    collections::{BTreeMap, HashMap},
    path::{Path, PathBuf},
};

use serde::Serialize;

use super::{
    asked::RunIdentity,
    keys::{DocumentKey, NameKey, UnitKey},
    ledger::Entry,
    marks::{self, Mark},
};
use crate::base::{Fatal, Kept, Kind, Origin, RecordOf, Source};

/// What a dataset holds when a run begins.
#[derive(Debug, Default)]
pub struct Known {
    run: RunIdentity,
    manner: Continuing,
    ledger: HashMap<DocumentKey, Entry>,
    units: HashMap<UnitKey, Held>,
    names: HashMap<DocumentKey, Vec<Name>>,
    /// Rows and failures.
    shelves: [Shelf; 2],
    tally: Tally,
    /// Rows of both tables, whatever they are about.
    read: u64,
    /// Those of them that are about no unit: files that could not be read, documents that failed as a whole.
    strangers: u64,
    parts: [Vec<PathBuf>; 2],
}

/// How a run goes on with a dataset.
#[derive(Debug, Clone, Copy, Default)]
pub struct Continuing {
    /// What has failed is asked again.
    pub retry_failures: bool,
    /// What a row is made of.
    pub record: RecordOf,
}

/// Which of the two tables.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// Extractions.
    Rows = 0,
    /// Failures.
    Failures = 1,
}

/// A unit that is settled.
#[derive(Debug, Clone, Copy)]
struct Held {
    side: Side,
    place: Place,
    rows: u64,
}

/// Where the rows of a unit are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// Under which file's name.
    pub name: NameKey,
    /// In which part, by its place among the parts.
    pub part: usize,
}

/// A name under which a document stands in the dataset.
#[derive(Debug)]
pub struct Name {
    /// As the user would say it.
    pub name: Box<str>,
    /// The same, however it is spelled: where one content has many names, they are told apart by this first.
    pub key: NameKey,
    /// Its rows, made by the model and the settings of this run.
    pub rows: u64,
    /// Its failures, met with these settings.
    pub failures: u64,
    /// Rows and failures of other runs.
    pub others: u64,
}

/// One table: for each unit under each name, whether the part that counts was made with the settings of this run, and which
/// one it is.
#[derive(Debug, Default)]
struct Shelf {
    best: HashMap<(UnitKey, NameKey), (bool, usize)>,
    /// Rows that a later part or a success has made void.
    untidy: bool,
}

/// What there is, in numbers.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Tally {
    /// Rows made by the model and settings of this run.
    pub rows: u64,
    /// Failures met with them.
    pub failures: u64,
    /// Rows and failures of another model or other settings, by kind of document: they are asked again if they are among
    /// the inputs.
    pub others: BTreeMap<&'static str, u64>,
}

impl Known {
    /// Reads what tells rows apart of all parts of both tables.
    ///
    /// # Errors
    /// When a part cannot be read.
    pub fn read(
        run: RunIdentity,
        manner: Continuing,
        ledger: HashMap<DocumentKey, Entry>,
        extractions: Vec<PathBuf>,
        failures: Vec<PathBuf>,
    ) -> Result<Self, Fatal> {
        let mut known = Self { run, manner, ledger, ..Self::default() };
        for (side, parts) in [(Side::Rows, &extractions), (Side::Failures, &failures)] {
            for (number, part) in parts.iter().enumerate() {
                known.take(side, number, part)?;
            }
        }
        Ok(Self { parts: [extractions, failures], ..known })
    }

    fn take(&mut self, side: Side, part: usize, path: &Path) -> Result<(), Fatal> {
        marks::of_part(path, &mut |mark| self.mark(side, part, &mark))
    }

    /// Takes down one row.
    pub(super) fn mark(&mut self, side: Side, part: usize, mark: &Mark) {
        self.read += 1;
        let ours = self.is_ours(side, mark);
        let (Some(document), Some(unit)) = (mark.document, mark.unit) else {
            self.strangers += 1;
            return;
        };
        let place = Place { name: mark.name(), part };
        self.shelves[side as usize].put(unit, place, ours);
        self.name(document, place.name, mark.source).count(side, ours);
        self.tally.count(side, ours, mark.kind);
        if ours {
            self.hold(side, unit, place);
        }
    }

    /// True of what was made by the model and the settings of this run.
    pub(super) fn is_ours(&self, side: Side, mark: &Mark) -> bool {
        let config = self.run.config(mark.kind);
        let holds = if side == Side::Rows { config.holds_row(mark.config) } else { mark.config == config.failures };
        mark.model == self.run.model && holds
    }

    fn name(&mut self, document: DocumentKey, key: NameKey, name: &str) -> &mut Name {
        let names = self.names.entry(document).or_default();
        let place = names.iter().position(|known| known.key == key && &*known.name == name).unwrap_or_else(|| {
            names.push(Name { name: name.into(), key, rows: 0, failures: 0, others: 0 });
            names.len() - 1
        });
        &mut names[place]
    }

    /// A success makes a failure void, and a later part an earlier one. Copies under other names change nothing.
    fn hold(&mut self, side: Side, unit: UnitKey, place: Place) {
        let Some(held) = self.units.get_mut(&unit) else {
            self.units.insert(unit, Held { side, place, rows: 1 });
            return;
        };
        match (held.side, side) {
            // A merged row and the failure of what is left of its document are about the same whole.
            (Side::Rows, Side::Failures) if self.manner.record == RecordOf::Document => {}
            (Side::Rows, Side::Failures) => self.shelves[side as usize].untidy = true,
            (Side::Failures, Side::Rows) => *held = Held { side, place, rows: 1 },
            _ if held.place == place => held.rows += 1,
            _ if held.place.name == place.name => *held = Held { side, place, rows: 1 },
            _ => {}
        }
    }

    /// The parts that were read, of extractions and of failures.
    pub fn parts(&self) -> (&[PathBuf], &[PathBuf]) {
        let [extractions, failures] = &self.parts;
        (extractions, failures)
    }

    /// True of a dataset without any rows.
    pub fn is_empty(&self) -> bool {
        self.read == 0
    }

    /// What there is.
    pub fn tally(&self) -> &Tally {
        &self.tally
    }

    /// What is kept of this document, where nothing new would come of it.
    pub fn document(&self, source: &Source) -> Option<Kept> {
        let document = DocumentKey::of(&source.hash);
        let entry = self.ledger.get(&document)?;
        let whole = |name: &Name| name.rows == entry.rows && name.failures == entry.failures;
        let is_there = entry.rows + entry.failures == 0 || self.names(document).iter().any(whole);
        let holds = entry.holds(&self.run, source.kind, self.manner.retry_failures);
        (is_there && holds).then_some(Kept { units: entry.units, rows: entry.rows, failures: entry.failures })
    }

    /// What is kept of this unit. Rows that are merged of several units are kept with their document or not at all.
    pub fn unit(&self, origin: &Origin) -> Option<Kept> {
        if self.manner.record == RecordOf::Document {
            return None;
        }
        let held = self.units.get(&UnitKey::of(origin)?)?;
        match held.side {
            Side::Rows => Some(Kept { units: 1, rows: held.rows, failures: 0 }),
            Side::Failures if self.manner.retry_failures => None,
            Side::Failures => Some(Kept { units: 1, rows: 0, failures: 1 }),
        }
    }

    /// Where the rows, or the failure, of a unit that is kept are.
    pub fn place(&self, unit: UnitKey) -> Option<(Side, Place)> {
        self.units.get(&unit).map(|held| (held.side, held.place))
    }

    /// Every document of which there is a unit, with its names.
    pub fn documents(&self) -> impl Iterator<Item = (DocumentKey, &[Name])> {
        self.names.iter().map(|(document, names)| (*document, names.as_slice()))
    }

    /// True when there are rows that are about no unit.
    pub fn has_strangers(&self) -> bool {
        self.strangers > 0
    }

    /// The names under which a document stands.
    pub fn names(&self, document: DocumentKey) -> &[Name] {
        self.names.get(&document).map_or(&[], Vec::as_slice)
    }

    /// False of what a later part, or a success, has made void.
    pub fn counts(&self, side: Side, mark: &Mark, part: usize) -> bool {
        let Some(unit) = mark.unit else { return true };
        let best = self.shelves[side as usize].best.get(&(unit, mark.name()));
        let both = self.manner.record == RecordOf::Document;
        let succeeded = || !both && self.units.get(&unit).is_some_and(|held| held.side == Side::Rows);
        best.is_none_or(|(_, best)| *best == part) && (side == Side::Rows || !succeeded())
    }

    /// True when a part holds what another has made void.
    pub fn is_untidy(&self) -> bool {
        self.shelves.iter().any(|shelf| shelf.untidy)
    }
}

impl Shelf {
    fn put(&mut self, unit: UnitKey, place: Place, ours: bool) {
        let best = self.best.entry((unit, place.name)).or_insert((ours, place.part));
        self.untidy |= best.1 != place.part;
        *best = (*best).max((ours, place.part));
    }
}

impl Name {
    fn count(&mut self, side: Side, ours: bool) {
        let count = match (ours, side) {
            (true, Side::Rows) => &mut self.rows,
            (true, Side::Failures) => &mut self.failures,
            (false, _) => &mut self.others,
        };
        *count += 1;
    }
}

impl Tally {
    fn count(&mut self, side: Side, ours: bool, kind: Option<Kind>) {
        match (ours, side) {
            (true, Side::Rows) => self.rows += 1,
            (true, Side::Failures) => self.failures += 1,
            (false, _) => *self.others.entry(kind.map_or("unknown", Kind::as_str)).or_default() += 1,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::write::Config;

    /// Of a row and a failure of the same unit: whether the failure counts, and whether anything is to be tidied.
    fn both(record: RecordOf) -> (bool, bool) {
        let mut known = Known { manner: Continuing { record, ..Continuing::default() }, ..Known::default() };
        let (document, unit) = (Some(DocumentKey(1)), Some(UnitKey(1)));
        let mark = Mark { source: "a.mp3", document, unit, kind: None, model: "", config: "" };
        known.mark(Side::Rows, 0, &mark);
        known.mark(Side::Failures, 0, &mark);
        (known.counts(Side::Failures, &mark, 0), known.is_untidy())
    }

    #[test]
    fn a_row_that_the_context_has_cut_holds_as_long_as_a_failure_would() {
        let config = |failures: &str| Config { answers: "a".into(), failures: failures.into(), units: "u".into() };
        let holds = |side: Side, config_now: &str, config_then: &str| {
            let run = RunIdentity::new("m", |_| config(config_now));
            let known = Known { run, ..Known::default() };
            let (document, unit) = (Some(DocumentKey(1)), Some(UnitKey(1)));
            let (source, kind) = ("a.txt", Some(Kind::Text));
            known.is_ours(side, &Mark { source, document, unit, kind, model: "m", config: config_then })
        };
        assert!(holds(Side::Rows, "f", "a") && holds(Side::Rows, "g", "a"), "a whole row");
        assert!(holds(Side::Rows, "f", "f") && !holds(Side::Rows, "g", "f"), "one that was cut");
        assert!(holds(Side::Failures, "f", "f") && !holds(Side::Failures, "f", "a"), "a failure");
    }

    #[test]
    fn a_success_makes_the_failure_of_its_unit_void_but_not_that_of_the_rest_of_a_document() {
        assert_eq!(both(RecordOf::Unit), (false, true));
        assert_eq!(both(RecordOf::Document), (true, false));
    }
}
