//! Double-entry books per document: what was promised against what came.

use std::collections::HashMap;

use crate::base::{Kept, Part};

use super::totals::Imbalance;

/// The account of one document.
#[derive(Debug, Clone, Copy, Default)]
struct Account {
    promised: Option<u64>,
    answered: u64,
    /// Rows that were made of the answers.
    rows: u64,
    failures: u64,
    /// Failures of the document as a whole.
    whole: u64,
    /// Units that were settled by an earlier run.
    kept: Kept,
    /// All units are promised that there are.
    decoded: bool,
}

/// A document that is through, in numbers, with what earlier runs have settled of it.
#[derive(Debug, Clone, Copy)]
pub struct Through {
    /// Units.
    pub units: u64,
    /// Rows.
    pub rows: u64,
    /// Failures.
    pub failures: u64,
    /// The share of earlier runs.
    pub kept: Kept,
}

impl Account {
    /// Units that the account answers for. A document that fails before anything is promised counts as one.
    fn units(&self) -> u64 {
        match self.promised {
            None | Some(0) => self.whole.min(1),
            Some(promised) => promised,
        }
    }

    fn balances(&self) -> bool {
        self.units() == self.answered + self.failures + self.kept.units
    }

    fn untouched(&self) -> bool {
        self.promised.is_none() && self.answered + self.failures == 0
    }
}

/// The accounts of all documents, by the name of their source, as long as they are open.
#[derive(Debug, Default)]
pub struct Books {
    accounts: HashMap<String, Account>,
    /// What the accounts of documents that are through came to; they are closed, so that memory does not grow with them.
    closed: Closed,
}

#[derive(Debug, Default)]
struct Closed {
    documents: u64,
    units: u64,
}

/// What the books say at the end.
#[derive(Debug, Default)]
pub struct Balance {
    /// Documents that have or had an account.
    pub documents: u64,
    /// Units promised by all.
    pub units: u64,
    /// Documents of which nothing was ever heard.
    pub untouched: u64,
    /// The accounts that do not balance, by name.
    pub unbalanced: Vec<Imbalance>,
}

impl Books {
    /// A document was found.
    pub fn found(&mut self, source: &str) {
        self.account(source);
    }

    /// More units of a document will come.
    pub fn promise(&mut self, source: &str, units: u64) {
        let promised = &mut self.account(source).promised;
        *promised = Some(promised.unwrap_or(0).saturating_add(units));
    }

    /// Nobody speaks in some of the document, so that it may have no units; true when none was promised.
    pub fn silence(&mut self, source: &str) -> bool {
        *self.account(source).promised.get_or_insert(0) == 0
    }

    /// A unit came through.
    pub fn answer(&mut self, source: &str) {
        self.account(source).answered += 1;
    }

    /// A row was made.
    pub fn row(&mut self, source: &str) {
        self.account(source).rows += 1;
    }

    /// A promised unit was settled by an earlier run.
    pub fn kept(&mut self, source: &str, kept: Kept) {
        let sum = &mut self.account(source).kept;
        *sum =
            Kept { units: sum.units + kept.units, rows: sum.rows + kept.rows, failures: sum.failures + kept.failures };
    }

    /// All units of a document are promised that there are.
    pub fn decoded(&mut self, source: &str) {
        self.account(source).decoded = true;
    }

    /// Closes the account of a document, once: when all units are promised and settled. Whatever is heard of it afterwards
    /// does not balance.
    pub fn through(&mut self, source: &str) -> Option<Through> {
        self.accounts.get(source).filter(|account| account.decoded && account.balances())?;
        let account = self.accounts.remove(source)?;
        let (units, Account { rows, failures, kept, .. }) = (account.units(), account);
        self.closed.documents += 1;
        self.closed.units += units;
        Some(Through { units, rows: rows + kept.rows, failures: failures + kept.failures, kept })
    }

    /// A unit or the whole document failed.
    pub fn failure(&mut self, source: &str, part: &Part) {
        let account = self.account(source);
        account.failures += 1;
        account.whole += u64::from(*part == Part::Whole);
    }

    /// True when every document is through.
    pub fn are_through(&self) -> bool {
        self.accounts.values().all(|account| account.promised.is_none() && account.whole > 0)
    }

    /// Adds everything up.
    pub fn balance(&self) -> Balance {
        let Closed { documents, units } = self.closed;
        let mut balance = Balance { documents, units, ..Balance::default() };
        for (source, account) in &self.accounts {
            balance.documents += 1;
            balance.units += account.units();
            balance.untouched += u64::from(account.untouched());
            if !account.balances() {
                balance.unbalanced.push(imbalance(source, account));
            }
        }
        balance.unbalanced.sort_by(|one, other| one.source.cmp(&other.source));
        balance
    }

    fn account(&mut self, source: &str) -> &mut Account {
        self.accounts.entry(source.to_owned()).or_default()
    }
}

fn imbalance(source: &str, account: &Account) -> Imbalance {
    Imbalance {
        source: source.to_owned(),
        promised: account.units(),
        answered: account.answered,
        failures: account.failures,
        kept: account.kept.units,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE: Part = Part::Page { number: 1, of: 2 };

    #[test]
    fn a_document_that_fails_whole_counts_as_one_unit_promised_or_not() {
        let mut books = Books::default();
        books.failure("silent", &Part::Whole);
        books.promise("announced", 1);
        books.failure("announced", &Part::Whole);
        let balance = books.balance();
        assert_eq!((balance.documents, balance.units), (2, 2));
        assert!(balance.unbalanced.is_empty());
    }

    #[test]
    fn a_page_that_never_came_is_found_out() {
        let mut books = Books::default();
        books.promise("a", 2);
        books.answer("a");
        books.promise("b", 1);
        books.promise("b", 1);
        books.answer("b");
        books.failure("b", &PAGE);
        books.found("c");
        let balance = books.balance();
        assert_eq!(balance.untouched, 1);
        let [lost] = &balance.unbalanced[..] else { panic!("only one") };
        assert_eq!((lost.source.as_str(), lost.promised, lost.answered, lost.failures), ("a", 2, 1, 0));
    }

    #[test]
    fn a_row_that_nobody_promised_is_found_out() {
        let mut books = Books::default();
        books.answer("a");
        assert_eq!(books.balance().unbalanced.len(), 1);
        let mut books = Books::default();
        books.failure("b", &PAGE);
        assert_eq!(books.balance().unbalanced.len(), 1);
    }

    #[test]
    fn a_document_is_through_once_when_all_its_units_are_settled_now_or_before() {
        let mut books = Books::default();
        books.promise("a", 3);
        books.answer("a");
        books.row("a");
        books.failure("a", &PAGE);
        books.decoded("a");
        assert!(books.through("a").is_none(), "a unit is missing");
        books.kept("a", Kept { units: 1, rows: 4, failures: 0 });
        let through = books.through("a").expect("all are there");
        assert_eq!((through.units, through.rows, through.failures), (3, 5, 1));
        assert!(books.through("a").is_none(), "it is told once");
        books.promise("b", 1);
        books.answer("b");
        assert!(books.through("b").is_none(), "more may be promised");
    }
}
