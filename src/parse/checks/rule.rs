//! What a check demands, and what it says of a record. Numbers are compared as decimals: 0.1 and 0.2 make 0.3.

use regex::Regex;
use serde_json::Value;

use super::Path;
use crate::{
    base::shape,
    parse::{answer, decimal::Decimal, silence::is_silent},
};

/// What a check demands.
#[derive(Debug, Clone)]
pub enum Rule {
    /// The addends make the total, give or take the tolerance.
    Sum { addends: Vec<Path>, total: Path, tolerance: Decimal },
    /// No value is smaller than the one before it.
    Order(Vec<Path>),
    /// Every value matches.
    Matches { path: Path, pattern: Regex },
    /// There is a value, and it says something.
    Present(Path),
}

impl Rule {
    /// Whether a record passes, `None` where a value is missing, and what was compared.
    pub fn judge(&self, record: &Value) -> (Option<bool>, String) {
        let verdict = match self {
            Self::Sum { addends, total, tolerance } => sum(record, addends, total, *tolerance),
            Self::Order(paths) => order(record, paths),
            Self::Matches { path, pattern } => matches(record, path, pattern),
            Self::Present(path) => Ok(present(record, path)),
        };
        match verdict {
            Ok((passed, detail)) => (Some(passed), detail),
            Err(missing) => (None, missing),
        }
    }
}

type Judged = Result<(bool, String), String>;

/// The values of a path, or that one is missing.
fn all<'a>(record: &'a Value, path: &Path) -> Result<Vec<&'a Value>, String> {
    let values: Option<Vec<&Value>> = path.values(record).into_iter().collect();
    values.filter(|values| !values.is_empty()).ok_or_else(|| format!("no value at {path}"))
}

fn sum(record: &Value, addends: &[Path], total: &Path, tolerance: Decimal) -> Judged {
    let decimals = |path: &Path| -> Result<Vec<Decimal>, String> {
        all(record, path)?
            .into_iter()
            .map(|value| decimal(value).ok_or_else(|| format!("{path} is beyond measure")))
            .collect()
    };
    let mut made = Decimal::ZERO;
    for path in addends {
        for addend in decimals(path)? {
            made = made.plus(addend).ok_or_else(|| "the sum is beyond measure".to_owned())?;
        }
    }
    let wanted = decimals(total)?.into_iter().fold(Decimal::ZERO, |_, only| only);
    let passed = made.distance(wanted).is_some_and(|distance| distance <= tolerance);
    Ok((passed, format!("the sum is {made}, {total} is {wanted}")))
}

/// Decimals are read from the shortest spelling of the number.
fn decimal(value: &Value) -> Option<Decimal> {
    Decimal::parse(&value.as_number()?.to_string())
}

/// What can be put in order.
#[derive(PartialEq, PartialOrd)]
enum Rank {
    Time(i64),
    Number(Decimal),
}

fn rank(value: &Value) -> Option<Rank> {
    match value.as_str() {
        Some(text) => shape::date(text).map(i64::from).or_else(|| shape::date_time(text)).map(Rank::Time),
        None => decimal(value).map(Rank::Number),
    }
}

fn order(record: &Value, paths: &[Path]) -> Judged {
    let mut values = Vec::new();
    for path in paths {
        for value in all(record, path)? {
            values.push((rank(value).ok_or_else(|| format!("{path} is beyond measure"))?, value));
        }
    }
    let wrong = values.windows(2).find(|pair| pair[0].0 > pair[1].0);
    Ok(match wrong {
        None => (true, format!("{} values in order", values.len())),
        Some(pair) => (false, format!("{} stands before {}", shown(pair[0].1), shown(pair[1].1))),
    })
}

fn matches(record: &Value, path: &Path, pattern: &Regex) -> Judged {
    let values = all(record, path)?;
    let wrong = values.iter().find(|value| !value.as_str().is_some_and(|text| pattern.is_match(text)));
    Ok(match wrong {
        None => (true, format!("{path} matches")),
        Some(value) => (false, format!("{} does not match", shown(value))),
    })
}

fn present(record: &Value, path: &Path) -> (bool, String) {
    let values = path.values(record);
    let passed = !values.is_empty() && values.into_iter().all(|value| value.is_some_and(|value| !is_silent(value)));
    (passed, format!("{path} {}", if passed { "has a value" } else { "is empty" }))
}

fn shown(value: &Value) -> String {
    answer::beginning(&value.to_string())
}
