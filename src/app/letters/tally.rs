//! How many failures of which sort there are.

use std::{collections::BTreeMap, path::Path};

use super::{Wanted, failures};
use crate::base::Fatal;

/// Failures of one sort.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tally {
    /// The stage that gave up.
    pub stage: String,
    /// What sort.
    pub kind: String,
    /// The limit that was gone over; empty where it was none.
    pub limit: String,
    /// How many.
    pub count: u64,
    /// One of them: the document and the part.
    pub example: String,
}

/// Counts the failures of a dataset by stage, kind and limit, most first.
///
/// # Errors
/// When there is no dataset, or a part cannot be read.
pub fn tally(dataset: &Path, wanted: &Wanted) -> Result<Vec<Tally>, Fatal> {
    let mut sorts: BTreeMap<[String; 3], (u64, String)> = BTreeMap::new();
    failures(dataset, wanted, &mut |row| {
        let sort = ["stage", "kind", "limit"].map(|column| row.line(column));
        sorts.entry(sort).or_insert_with(|| (0, row.origin())).0 += 1;
        Ok(true)
    })?;
    let tally =
        |([stage, kind, limit], (count, example)): ([String; 3], _)| Tally { stage, kind, limit, count, example };
    let mut tallies: Vec<Tally> = sorts.into_iter().map(tally).collect();
    tallies.sort_by_key(|tally| std::cmp::Reverse(tally.count));
    Ok(tallies)
}
