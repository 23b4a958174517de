//! A table of `[[parse.checks]]`, and the rule that comes of it.

use std::mem::discriminant;

use regex::RegexBuilder;
use serde::Deserialize;

use super::{Path, Rule};
use crate::{
    base::{
        Shape,
        shape::{Form, Node},
    },
    parse::decimal::Decimal,
};

/// Bytes of a compiled pattern.
const LARGEST_PATTERN: usize = 1 << 20;

/// What a check may say: a name, and one of `sum`, `order`, `matches` and `present`.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// A name for the column.
    pub name: String,
    /// Numbers that make up `equals`.
    pub sum: Option<Vec<String>>,
    /// With `sum`: the total.
    pub equals: Option<String>,
    /// With `sum`: how far the total may be off; 0 when absent.
    pub tolerance: Option<f64>,
    /// Dates, or numbers, of which none is smaller than the one before it.
    pub order: Option<Vec<String>>,
    /// A string that `pattern` matches.
    pub matches: Option<String>,
    /// With `matches`: a regular expression, which may match anywhere unless it has anchors.
    pub pattern: Option<String>,
    /// What must not be `null` or empty.
    pub present: Option<String>,
}

impl Settings {
    /// The rule, its paths looked up in the schema.
    ///
    /// # Errors
    /// Every problem.
    pub(super) fn rule(&self, shape: &Shape) -> Result<Rule, Vec<String>> {
        let mut problems = self.idle();
        let rule = match (&self.sum, &self.order, &self.matches, &self.present) {
            (Some(addends), None, None, None) => self.sum(addends, shape, &mut problems),
            (None, Some(paths), None, None) => order(paths, shape, &mut problems),
            (None, None, Some(path), None) => self.matches(path, shape, &mut problems),
            (None, None, None, Some(path)) => look(path, shape, |_| None, &mut problems).map(Rule::Present),
            _ => {
                problems.push("give one of `sum`, `order`, `matches` and `present`".to_owned());
                None
            }
        };
        rule.filter(|_| problems.is_empty()).ok_or(problems)
    }

    /// An option without effect is an error.
    fn idle(&self) -> Vec<String> {
        let needs = [
            (self.equals.is_some() && self.sum.is_none(), "`equals` has no effect without `sum`; leave it out"),
            (self.tolerance.is_some() && self.sum.is_none(), "`tolerance` has no effect without `sum`; leave it out"),
            (
                self.pattern.is_some() && self.matches.is_none(),
                "`pattern` has no effect without `matches`; leave it out",
            ),
        ];
        needs.into_iter().filter(|(idle, _)| *idle).map(|(_, problem)| problem.to_owned()).collect()
    }

    fn sum(&self, addends: &[String], shape: &Shape, problems: &mut Vec<String>) -> Option<Rule> {
        let tolerance = Decimal::of(self.tolerance.unwrap_or(0.0)).filter(|tolerance| !tolerance.is_negative());
        if tolerance.is_none() {
            problems.push("`tolerance` is a number from 0 up".to_owned());
        }
        if addends.is_empty() {
            problems.push("`sum` names nothing; write the paths of the addends".to_owned());
        }
        let addends = looks(addends, shape, not_a_number, problems);
        let Some(total) = &self.equals else {
            problems.push("`sum` needs `equals`, the path of the total".to_owned());
            return None;
        };
        let total = look(total, shape, not_a_number, problems)?;
        if total.is_several() {
            problems.push(format!("{total}: the total is one value; leave out `*`"));
        }
        Some(Rule::Sum { addends, total, tolerance: tolerance? })
    }

    fn matches(&self, path: &str, shape: &Shape, problems: &mut Vec<String>) -> Option<Rule> {
        let path = look(path, shape, not_a_string, problems);
        let Some(pattern) = &self.pattern else {
            problems.push("`matches` needs `pattern`, a regular expression".to_owned());
            return None;
        };
        let compiled = RegexBuilder::new(pattern).size_limit(LARGEST_PATTERN).build();
        let pattern = compiled.map_err(|error| problems.push(format!("`pattern`: {}", last_line(&error)))).ok()?;
        Some(Rule::Matches { path: path?, pattern })
    }
}

fn order(paths: &[String], shape: &Shape, problems: &mut Vec<String>) -> Option<Rule> {
    let mut kinds = Vec::new();
    let mut unordered = |node: &Node| {
        kinds.push(discriminant(&node.form));
        match node.form {
            Form::Date | Form::DateTime => None,
            _ => not_a_number(node).map(|_| "is neither a date nor a number"),
        }
    };
    let mut found = Vec::new();
    for path in paths {
        found.extend(look(path, shape, &mut unordered, problems));
    }
    if kinds.windows(2).any(|pair| pair[0] != pair[1]) {
        problems.push("`order` names values of several kinds; only values of one type can be put in order".to_owned());
    }
    if paths.len() < 2 && !found.first().is_some_and(Path::is_several) {
        problems.push("`order` needs two paths, or one with `*`".to_owned());
    }
    Some(Rule::Order(found))
}

/// A path whose end `wrong` has nothing to say against.
fn look(
    path: &str,
    shape: &Shape,
    mut wrong: impl FnMut(&Node) -> Option<&'static str>,
    problems: &mut Vec<String>,
) -> Option<Path> {
    match Path::new(path, shape) {
        Ok((path, node)) => {
            problems.extend(wrong(node).map(|why| format!("{path} {why}")));
            Some(path)
        }
        Err(problem) => {
            problems.push(problem);
            None
        }
    }
}

fn looks(
    paths: &[String],
    shape: &Shape,
    wrong: fn(&Node) -> Option<&'static str>,
    problems: &mut Vec<String>,
) -> Vec<Path> {
    paths.iter().filter_map(|path| look(path, shape, wrong, problems)).collect()
}

fn not_a_number(node: &Node) -> Option<&'static str> {
    (!matches!(node.form, Form::Integer(_) | Form::Number(_) | Form::Decimal(_))).then_some("is no number")
}

fn not_a_string(node: &Node) -> Option<&'static str> {
    let is_string = matches!(node.form, Form::Text(_) | Form::Choice(_) | Form::Date | Form::DateTime);
    (!is_string).then_some("is no string")
}

/// The explanation comes after a drawing of the pattern.
fn last_line(error: &regex::Error) -> String {
    error.to_string().lines().last().unwrap_or_default().trim().to_owned()
}
