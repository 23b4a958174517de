//! What a run finds out about documents that its dataset may hold already: which of the rows of before still count, under
//! which name, and which have to be copied.

use std::collections::{HashMap, HashSet};

use super::{
    copies::Copies,
    keys::{DocumentKey, NameKey, UnitKey},
    known::{Known, Name, Place, Side},
    marks::Mark,
};
use crate::base::{Failure, Kept, Origin, Source, name::path_of};

/// What has come to light so far. Of a new dataset only duplicates are noted.
#[derive(Debug, Default)]
pub struct Findings {
    new: bool,
    /// What is now under a file's name; none where it was refused.
    named: HashMap<NameKey, Option<DocumentKey>>,
    /// Documents that were gone through, and under which name.
    through: HashMap<DocumentKey, String>,
    /// Units of those that were not asked again.
    kept_units: HashSet<UnitKey>,
    /// Documents that were not looked at, under names that may be new.
    kept: Vec<(DocumentKey, Kept, String)>,
    /// Further files with the content of another.
    duplicates: Vec<(DocumentKey, String)>,
}

/// What becomes of a row of before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate<'a> {
    /// It stays.
    Stays,
    /// It stays under another file's name.
    Renamed(&'a str),
    /// It stays, and stands under another file's name too.
    Doubled(&'a str),
    /// It does not count any more.
    Goes,
}

/// What is to be done when everything is through.
#[derive(Debug, Default)]
pub struct Settlement {
    /// Rows that are written once more under other names.
    pub copies: Copies,
    /// Documents that were not looked at, since what this run would ask is there.
    kept: HashSet<DocumentKey>,
    renamed: HashMap<(DocumentKey, NameKey), String>,
    /// Copies that a kill has left incomplete.
    incomplete: HashSet<(DocumentKey, NameKey)>,
    /// Further names whose rows of before go once their copies are there: a kill leaves them the one or the other.
    replaced: HashSet<(DocumentKey, NameKey)>,
}

impl Findings {
    /// For a dataset that holds nothing, or something.
    pub fn new(new: bool) -> Self {
        Self { new, ..Self::default() }
    }

    /// True where the dataset held nothing when the run began.
    pub fn is_new(&self) -> bool {
        self.new
    }

    /// A file that is no document.
    pub fn refused(&mut self, failure: &Failure) {
        if !self.new && failure.document.is_none() {
            self.named.insert(NameKey::of(&failure.source), None);
        }
    }

    /// A document that was not looked at.
    pub fn kept(&mut self, source: &Source, kept: Kept) {
        let document = DocumentKey::of(&source.hash);
        self.named.insert(NameKey::of(&source.name), Some(document));
        self.kept.push((document, kept, source.name.clone()));
    }

    /// A unit that was not asked again.
    pub fn kept_unit(&mut self, origin: &Origin) {
        self.kept_units.extend(UnitKey::of(origin));
    }

    /// A file with the content of another.
    pub fn duplicate(&mut self, source: &Source) {
        self.duplicates.push((DocumentKey::of(&source.hash), source.name.clone()));
    }

    /// A document of which all units are settled.
    pub fn through(&mut self, source: &str, document: DocumentKey) {
        if !self.new {
            self.named.insert(NameKey::of(source), Some(document));
            self.through.insert(document, source.to_owned());
        }
    }

    /// What there is to do at the end.
    pub fn settle(&mut self, known: &Known) -> Settlement {
        let mut settlement = Settlement::default();
        for (document, name) in &self.duplicates {
            self.named.insert(NameKey::of(name), Some(*document));
        }
        let entries: HashMap<DocumentKey, Kept> =
            self.kept.iter().map(|(document, kept, _)| (*document, *kept)).collect();
        settlement.kept.extend(entries.keys());
        let kept = self.kept.iter().map(|(document, _, name)| (*document, name));
        for (document, name) in kept.chain(self.duplicates.iter().map(|(document, name)| (*document, name))) {
            match entries.get(&document) {
                Some(kept) => settlement.adopt(known.names(document), document, kept, name, &self.named),
                None if self.new => settlement.copies.add(document, None, name.clone()),
                // Where a limit has left some of it out, there is nothing new to copy yet.
                None => {
                    let donor = self.through.get(&document);
                    donor.into_iter().for_each(|own| settlement.copies.add(document, Some(own.clone()), name.clone()));
                }
            }
        }
        for (document, name) in &self.through {
            settlement.copy_to_others(known.names(*document), *document, name, &self.named);
        }
        settlement
    }

    /// True when every row of before stays as it is, which can be told without reading them; false where that is open.
    pub fn leaves_all(&self, settlement: &Settlement, known: &Known) -> bool {
        let is_there =
            |document: DocumentKey, name: &Name| self.named.get(&name.key).is_none_or(|now| *now == Some(document));
        let holds = |(document, names): (DocumentKey, &[Name])| {
            names.iter().all(|name| name.others == 0 && is_there(document, name))
        };
        let nothing_new = self.through.is_empty() && settlement.renamed.is_empty() && settlement.incomplete.is_empty();
        nothing_new && !known.is_untidy() && !known.has_strangers() && known.documents().all(holds)
    }

    /// What becomes of a row of an earlier part.
    pub fn fate<'a>(
        &'a self,
        settlement: &'a Settlement,
        known: &Known,
        side: Side,
        part: usize,
        mark: &Mark,
    ) -> Fate<'a> {
        let name = mark.name();
        let replaced = if self.is_replaced(side, name, mark) { Fate::Goes } else { Fate::Stays };
        let Some(document) = mark.document else { return replaced };
        if let Some(now) = self.through.get(&document) {
            let place = Place { name, part };
            let kept = |unit: &UnitKey| self.kept_units.contains(unit) && known.place(*unit) == Some((side, place));
            return match mark.unit.filter(kept) {
                None if settlement.replaced.contains(&(document, name)) => Fate::Stays,
                None => Fate::Goes,
                Some(_) if *now == mark.source => Fate::Stays,
                Some(_) if settlement.replaced.contains(&(document, name)) => Fate::Doubled(now),
                Some(_) => Fate::Renamed(now),
            };
        }
        if settlement.incomplete.contains(&(document, name)) || !known.counts(side, mark, part) {
            return Fate::Goes;
        }
        let renamed = settlement.renamed.get(&(document, name));
        let asked = renamed.is_some() || self.named.contains_key(&name);
        if asked && settlement.kept.contains(&document) && !known.is_ours(side, mark) {
            return Fate::Goes;
        }
        renamed.map_or(replaced, |name| Fate::Renamed(name))
    }

    /// What becomes of a row of an earlier part once the copies are there.
    pub fn late_fate(&self, settlement: &Settlement, mark: &Mark) -> Fate<'static> {
        let replaced = mark.document.is_some_and(|document| settlement.replaced.contains(&(document, mark.name())));
        if replaced { Fate::Goes } else { Fate::Stays }
    }

    /// True when the file of that name has another content now, or was refused once more.
    fn is_replaced(&self, side: Side, name: NameKey, mark: &Mark) -> bool {
        match (self.named.get(&name), mark.document) {
            (None, _) => false,
            (Some(Some(now)), Some(then)) => *now != then,
            (Some(_), None) => true,
            (Some(None), Some(_)) => side == Side::Failures && mark.kind.is_none(),
        }
    }
}

impl Settlement {
    /// True when rows of before go once the copies are there.
    pub fn replaces(&self) -> bool {
        !self.replaced.is_empty()
    }

    /// A kept document under one more name: where a file of before is gone, or holds something else, it was renamed, else it is
    /// a copy. A name of before that is spelled otherwise is renamed too.
    fn adopt(
        &mut self,
        names: &[Name],
        document: DocumentKey,
        kept: &Kept,
        name: &str,
        named: &HashMap<NameKey, Option<DocumentKey>>,
    ) {
        let whole = |one: &&Name| one.rows == kept.rows && one.failures == kept.failures;
        let key = |one: &Name| (document, one.key);
        let own = (document, NameKey::of(name));
        let spellings: Vec<&Name> = names.iter().filter(|one| key(one) == own).collect();
        if spellings.iter().any(whole) {
            let is_respelled = spellings.iter().any(|one| *one.name != *name);
            self.renamed.extend(is_respelled.then(|| (own, name.to_owned())));
            return;
        }
        if !spellings.is_empty() {
            self.incomplete.insert(own);
        }
        let gone = |one: &&Name| {
            // The disk is asked last, and not again of a name that has become another's.
            let gone = || match named.get(&one.key) {
                None => !path_of(&one.name).exists(),
                Some(now) => now.is_some_and(|now| now != document),
            };
            !self.renamed.contains_key(&key(one)) && gone()
        };
        match names.iter().filter(whole).find(gone) {
            Some(gone) => drop(self.renamed.insert(key(gone), name.to_owned())),
            None => {
                let now = |one: &Name| self.renamed.get(&key(one)).cloned().unwrap_or_else(|| one.name.to_string());
                let donor = names.iter().find(whole).map(now);
                self.copies.add(document, donor, name.to_owned());
            }
        }
    }

    /// The other names of a document that was asked again get its new rows, where their files are still there. Those among
    /// the inputs are duplicates of this run.
    fn copy_to_others(
        &mut self,
        names: &[Name],
        document: DocumentKey,
        own: &str,
        named: &HashMap<NameKey, Option<DocumentKey>>,
    ) {
        let own_key = NameKey::of(own);
        let is_other = |key: NameKey| key != own_key && !named.contains_key(&key);
        let others = names.iter().filter(|one| is_other(one.key));
        for other in others.filter(|one| path_of(&one.name).exists()) {
            self.copies.add(document, Some(own.to_owned()), other.name.to_string());
            self.replaced.insert((document, other.key));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MARK: Mark = Mark {
        source: "a.pdf",
        document: Some(DocumentKey(1)),
        unit: Some(UnitKey(1)),
        kind: None,
        model: "",
        config: "",
    };

    fn leaves_all(marks: &[(usize, Mark)], found: impl FnOnce(&mut Findings)) -> bool {
        let (mut known, mut findings) = (Known::default(), Findings::new(false));
        marks.iter().for_each(|(part, mark)| known.mark(Side::Rows, *part, mark));
        found(&mut findings);
        let settlement = findings.settle(&known);
        findings.leaves_all(&settlement, &known)
    }

    fn named(document: Option<DocumentKey>) -> impl FnOnce(&mut Findings) {
        move |findings| {
            findings.named.insert(NameKey::of("a.pdf"), document);
        }
    }

    #[test]
    fn rows_need_not_be_read_again_where_nothing_has_changed() {
        let two = [(0, MARK), (0, Mark { unit: Some(UnitKey(2)), ..MARK })];
        assert!(leaves_all(&two, |_| {}));
        assert!(leaves_all(&two, named(MARK.document)));
    }

    #[test]
    fn rows_are_read_again_where_one_may_have_to_go() {
        let one = [(0, MARK)];
        assert!(!leaves_all(&one, named(Some(DocumentKey(2)))), "another content");
        assert!(!leaves_all(&one, named(None)), "the file was refused");
        assert!(!leaves_all(&one, |findings| findings.through("a.pdf", DocumentKey(1))), "it was gone through");
        assert!(!leaves_all(&[(0, MARK), (1, MARK)], |_| {}), "a kill has left a unit twice");
        assert!(!leaves_all(&[(0, Mark { config: "other", ..MARK })], |_| {}), "it was asked otherwise");
        assert!(!leaves_all(&[(0, Mark { unit: None, ..MARK })], |_| {}), "it is about no unit");
    }

    /// What becomes of these rows where the document was not looked at, under the name `a.pdf`.
    fn fates_of_kept(marks: &[(usize, Mark)]) -> Vec<String> {
        let (mut known, mut findings) = (Known::default(), Findings::new(false));
        marks.iter().for_each(|(part, mark)| known.mark(Side::Rows, *part, mark));
        findings.named.insert(NameKey::of("a.pdf"), MARK.document);
        findings.kept.push((DocumentKey(1), Kept { units: 1, rows: 1, failures: 0 }, "a.pdf".to_owned()));
        let settlement = findings.settle(&known);
        assert!(!findings.leaves_all(&settlement, &known));
        let fate = |(part, mark): &(usize, Mark)| findings.fate(&settlement, &known, Side::Rows, *part, mark);
        marks.iter().map(|row| format!("{:?}", fate(row))).collect()
    }

    #[test]
    fn a_name_of_before_that_is_spelled_otherwise_is_renamed() {
        let before = Mark { source: "./a.pdf", ..MARK };
        assert_eq!(fates_of_kept(&[(0, before)]), ["Renamed(\"a.pdf\")"]);
        let doubled = [(0, MARK), (1, before)];
        assert_eq!(fates_of_kept(&doubled), ["Goes", "Renamed(\"a.pdf\")"], "what was doubled is there once");
    }

    #[test]
    fn rows_of_other_settings_do_not_stay_beside_those_of_a_kept_document() {
        let other = Mark { unit: Some(UnitKey(2)), config: "other", ..MARK };
        assert_eq!(fates_of_kept(&[(0, MARK), (0, other)]), ["Stays", "Goes"]);
        let elsewhere = Mark { source: "b.pdf", ..other };
        assert_eq!(
            fates_of_kept(&[(0, MARK), (0, elsewhere)]),
            ["Stays", "Stays"],
            "that name is not among the inputs"
        );
    }
}
