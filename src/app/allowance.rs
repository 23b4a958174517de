//! Which units of a document a run with `--limit` takes.

use std::sync::Arc;

use super::line::Keeping;
use crate::base::{Origin, Part, Source, UnitQuota};

/// What the lanes of `decode` may still take.
pub struct Allowance<'a> {
    /// Of units.
    pub quota: UnitQuota,
    /// What the dataset holds, which costs nothing.
    pub keep: Keeping<'a>,
    /// Whether a document that is begun is taken to its end, since its units become one record.
    pub whole_documents: bool,
}

impl Allowance<'_> {
    /// True when no further document is begun.
    pub fn spent(&self) -> bool {
        self.quota.spent()
    }

    /// Takes of these units, and says how many of them from the front.
    pub fn take(&self, source: &Arc<Source>, parts: &[Part]) -> usize {
        if !self.quota.is_limited() {
            return parts.len();
        }
        if self.whole_documents {
            self.quota.take(parts.len() as u64);
            return parts.len();
        }
        let is_new = |part: &Part| (self.keep)(&Origin { source: source.clone(), part: *part }).is_none();
        let new: Vec<usize> = (0..parts.len()).filter(|place| is_new(&parts[*place])).collect();
        let taken = self.quota.take(new.len() as u64);
        usize::try_from(taken).ok().and_then(|taken| new.get(taken).copied()).unwrap_or(parts.len())
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;
    use crate::base::{ContentHash, Kept, Kind};

    fn pages(count: u32) -> Vec<Part> {
        (1..=count).map(|number| Part::Page { number, of: 9 }).collect()
    }

    fn taken(limit: Option<u64>, held: u32, whole_documents: bool, asked: &[u32]) -> (Vec<usize>, bool) {
        let source = Arc::new(Source {
            name: "a.pdf".to_owned(),
            path: PathBuf::new(),
            hash: ContentHash([1; 32]),
            kind: Kind::Pdf,
            bytes: 1,
            ordinal: 0,
            modified: None,
        });
        let keep: Keeping = Box::new(move |origin| {
            let (page, _) = origin.part.pages().unwrap();
            (page <= held).then_some(Kept { units: 1, rows: 1, failures: 0 })
        });
        let allowance = Allowance { quota: UnitQuota::new(limit), keep, whole_documents };
        let counts = asked.iter().map(|count| allowance.take(&source, &pages(*count))).collect();
        (counts, allowance.spent())
    }

    #[test]
    fn what_is_held_costs_nothing() {
        assert_eq!(taken(Some(2), 0, false, &[9]), (vec![2], true));
        assert_eq!(taken(Some(2), 3, false, &[9]), (vec![5], true));
        assert_eq!(taken(Some(2), 3, false, &[4, 9]), (vec![4, 4], true));
        assert_eq!(taken(Some(2), 9, false, &[9]), (vec![9], false));
        assert_eq!(taken(None, 0, false, &[9]), (vec![9], false));
    }

    #[test]
    fn a_document_that_becomes_one_record_is_taken_whole() {
        assert_eq!(taken(Some(2), 0, true, &[9, 4]), (vec![9, 4], true));
    }
}
