//! Double-entry books per document: what was promised against what came.

use std::collections::HashMap;

use crate::base::Part;

use super::totals::Imbalance;

/// The account of one document.
#[derive(Debug, Clone, Copy, Default)]
struct Account {
    promised: Option<u64>,
    rows: u64,
    failures: u64,
    /// Failures of the document as a whole.
    whole: u64,
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
        self.units() == self.rows + self.failures
    }

    fn untouched(&self) -> bool {
        self.promised.is_none() && self.rows + self.failures == 0
    }
}

/// The accounts of all documents, by the name of their source.
#[derive(Debug, Default)]
pub struct Books(HashMap<String, Account>);

/// What the books say at the end.
#[derive(Debug, Default)]
pub struct Balance {
    /// Documents with an account.
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

    /// A unit came through.
    pub fn row(&mut self, source: &str) {
        self.account(source).rows += 1;
    }

    /// A unit or the whole document failed.
    pub fn failure(&mut self, source: &str, part: &Part) {
        let account = self.account(source);
        account.failures += 1;
        account.whole += u64::from(*part == Part::Whole);
    }

    /// Adds everything up.
    pub fn balance(&self) -> Balance {
        let mut balance = Balance::default();
        for (source, account) in &self.0 {
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
        self.0.entry(source.to_owned()).or_default()
    }
}

fn imbalance(source: &str, account: &Account) -> Imbalance {
    Imbalance {
        source: source.to_owned(),
        promised: account.units(),
        answered: account.rows,
        failures: account.failures,
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
        books.row("a");
        books.promise("b", 1);
        books.promise("b", 1);
        books.row("b");
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
        books.row("a");
        assert_eq!(books.balance().unbalanced.len(), 1);
        let mut books = Books::default();
        books.failure("b", &PAGE);
        assert_eq!(books.balance().unbalanced.len(), 1);
    }
}
