//! The records of a document's units merged into one, as the pipeline says under `[parse.merge]`.

mod rule;
mod stitch;
mod sums;
mod tree;

#[cfg(test)]
mod tests;

use std::{collections::BTreeMap, sync::Arc};

use serde_json::Value;

pub use self::stitch::{Seam, seam};
use self::{rule::Rules, tree::Merger};
use super::{Check, evidence};
use crate::base::{Conflict, Evidence, Extraction, Grounds, Item, Merged, MergedPart, PageBox, Part, Shape};

/// How the records of a document become one. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Merging {
    shape: Arc<Shape>,
    rules: Arc<Rules>,
    checks: Arc<[Check]>,
}

impl Merging {
    /// Rules that fit records of this shape.
    ///
    /// # Errors
    /// Every problem, one line each.
    pub fn new(written: &BTreeMap<String, Value>, shape: Arc<Shape>) -> Result<Self, Vec<String>> {
        let rules = Arc::new(rule::fit(written, &shape)?);
        Ok(Self { shape, rules, checks: Arc::default() })
    }

    /// The same, which also makes these checks, of the merged record.
    pub fn with_checks(self, checks: Arc<[Check]>) -> Self {
        Self { checks, ..self }
    }

    /// Merges units, given in the order of the document; `failed` are those that did not come through.
    pub fn merge(&self, units: &[Item<Extraction>], failed: Vec<Part>) -> Extraction {
        let mut merger = Merger::new(&self.rules, overlaps(units));
        let records: Vec<&Value> = units.iter().map(|unit| &unit.body.record).collect();
        let record = merger.record(self.shape.fields(), &records);
        let merged = Merged { parts: units.iter().map(part).collect(), failed, conflicts: conflicts(&merger, units) };
        Extraction {
            boxes: boxes(&merger, units),
            evidence: self.evidence(&merger, units),
            checks: self.checks.iter().map(|check| check.judge(&record)).collect(),
            record,
            merged: Some(merged),
            ..sums::of(&units.iter().collect::<Vec<_>>())
        }
    }

    /// The record that the model made of what it said of the parts: `answers` are those about several parts, the last of which
    /// is about all.
    pub fn reduced(
        &self,
        units: &[Item<Extraction>],
        failed: Vec<Part>,
        answers: &[Item<Extraction>],
    ) -> Option<Extraction> {
        let last = &answers.last()?.body;
        let all: Vec<&Item<Extraction>> = units.iter().chain(answers).collect();
        let merged = Merged { parts: units.iter().map(part).collect(), failed, conflicts: Vec::new() };
        Some(Extraction {
            record: last.record.clone(),
            raw: last.raw.clone(),
            checks: self.checks.iter().map(|check| check.judge(&last.record)).collect(),
            merged: Some(merged),
            ..sums::of(&all)
        })
    }

    /// What speaks for the values that entered the record, at their new places; a value may have several grounds.
    fn evidence(&self, merger: &Merger, units: &[Item<Extraction>]) -> Option<Evidence> {
        let mut all = Evidence::default();
        for (unit, item) in units.iter().enumerate() {
            let own = item.body.evidence.as_ref()?;
            let moved = |one: &Grounds| Some(Grounds { path: merger.place(unit, &one.path)?, ..one.clone() });
            all.values.extend(own.values.iter().filter_map(moved));
            all.addresses_model = all.addresses_model.max(own.addresses_model);
        }
        all.agreement = evidence::agreement(&self.shape, &all.values);
        Some(all)
    }
}

/// How many seconds of each unit were in the one before as well: by their spans, and by how much earlier the sound began.
fn overlaps(units: &[Item<Extraction>]) -> Vec<f64> {
    let span = |unit: &Item<Extraction>| match unit.origin.part {
        Part::Time { start, end } => Some((start, end)),
        _ => None,
    };
    let shared = |pair: &[Item<Extraction>]| Some(span(&pair[0])?.1 - span(&pair[1])?.0 + pair[1].body.shift);
    std::iter::once(0.0)
        .chain(units.windows(2).map(|pair| shared(pair).map_or(0.0, |shared| shared.max(0.0))))
        .collect()
}

fn part(unit: &Item<Extraction>) -> MergedPart {
    let Extraction { attempt, shift, finish, tokens, mean_logprob, .. } = unit.body;
    let Extraction { raw, thought, .. } = &unit.body;
    let thought = thought.as_ref().and_then(|thought| thought.text.clone());
    MergedPart { part: unit.origin.part, attempt, shift, finish, tokens, mean_logprob, raw: raw.clone(), thought }
}

fn conflicts(merger: &Merger, units: &[Item<Extraction>]) -> Vec<Conflict> {
    let of = |one: &tree::Contradiction| Conflict {
        path: one.path.clone(),
        value: one.value.clone(),
        part: units[one.unit].origin.part,
    };
    merger.contradictions.iter().map(of).collect()
}

fn boxes(merger: &Merger, units: &[Item<Extraction>]) -> Vec<PageBox> {
    let moved = |(unit, item): (usize, &Item<Extraction>)| -> Vec<PageBox> {
        let place = |one: &PageBox| Some(PageBox { path: merger.place(unit, &one.path)?, ..one.clone() });
        item.body.boxes.iter().filter_map(place).collect()
    };
    units.iter().enumerate().flat_map(moved).collect()
}
