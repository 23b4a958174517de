//! Where a page says a value, by what kind of value it is.

use std::{cell::OnceCell, ops::Range};

use serde_json::Value;

use super::{
    dates::Dates,
    likeness::Likeness,
    numbers::{self, Numbers},
    page::{Page, plain},
};
use crate::{
    base::{
        Agreement,
        shape::{self, Form},
    },
    parse::decimal::Decimal,
};

/// How like a date and time is to a page that has the day alone.
const DAY_ALONE: f32 = 0.8;

/// How a value is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// With separators, signs and currencies.
    Number,
    /// As a date.
    Day,
    /// As a date with the time of day.
    Moment,
    /// As it is.
    Text,
}

impl Kind {
    /// A number is one whatever the schema says of its place; which strings are dates is for the schema to say. `None`
    /// for what is not printed: null, true and false.
    pub fn of(form: &Form, value: &Value) -> Option<Self> {
        match (value, form) {
            (Value::Number(_), _) => Some(Self::Number),
            (Value::String(_), Form::Date) => Some(Self::Day),
            (Value::String(_), Form::DateTime) => Some(Self::Moment),
            (Value::String(_), _) => Some(Self::Text),
            _ => None,
        }
    }
}

/// Places of a value on a page.
#[derive(Debug, Clone, PartialEq)]
pub struct Places {
    /// How they agree with the value.
    pub agreement: Agreement,
    /// How well, 0 to 1.
    pub score: f32,
    /// The words of each, in reading order; none when absent.
    pub words: Vec<Range<usize>>,
}

impl Places {
    fn absent() -> Self {
        Self { agreement: Agreement::Absent, score: 0.0, words: Vec::new() }
    }

    fn some(agreement: Agreement, score: f32, words: &[Range<usize>]) -> Option<Self> {
        (!words.is_empty()).then(|| Self { agreement, score, words: words.to_vec() })
    }
}

/// A page in which values are looked up. What a record does not ask for is not prepared.
pub struct Lookup<'a> {
    /// The page.
    pub page: &'a Page<'a>,
    numbers: OnceCell<Numbers>,
    dates: OnceCell<Dates>,
    likeness: OnceCell<Likeness<'a>>,
}

impl<'a> Lookup<'a> {
    /// Looks in this page.
    pub fn new(page: &'a Page<'a>) -> Self {
        Self { page, numbers: OnceCell::new(), dates: OnceCell::new(), likeness: OnceCell::new() }
    }

    /// Where the page says `value`, the text of a value of this kind.
    pub fn find(&self, kind: Kind, value: &str) -> Places {
        let otherwise = || match kind {
            Kind::Number => self.number(Decimal::parse(value)),
            Kind::Day => self.day(value).and_then(|days| Places::some(Agreement::Normalised, 1.0, days)),
            Kind::Moment => self.moment(value),
            Kind::Text => self.text(value),
        };
        self.exact(kind, value).or_else(otherwise).unwrap_or_else(Places::absent)
    }

    fn exact(&self, kind: Kind, value: &str) -> Option<Places> {
        let words = value.split_whitespace().collect::<Vec<_>>().join(" ");
        let found = match kind {
            Kind::Number => self.page.exact.find_number(&words),
            _ => self.page.exact.find(&words),
        };
        Places::some(Agreement::Exact, 1.0, &found)
    }

    fn number(&self, value: Option<Decimal>) -> Option<Places> {
        let numbers = self.numbers.get_or_init(|| Numbers::of(&self.page.words));
        Places::some(Agreement::Normalised, 1.0, numbers.find(value?))
    }

    fn day(&self, value: &str) -> Option<&[Range<usize>]> {
        let dates = self.dates.get_or_init(|| Dates::of(&self.page.words));
        Some(dates.find(shape::date(value.get(..10)?)?))
    }

    fn moment(&self, value: &str) -> Option<Places> {
        let days = self.day(value)?;
        let has_time = self.says_time(value);
        let (agreement, score) = if has_time { (Agreement::Normalised, 1.0) } else { (Agreement::Fuzzy, DAY_ALONE) };
        Places::some(agreement, score, days)
    }

    /// True where the page has the time of day, to the second or to the minute: joined to its day, `09:30`, or `9:30`.
    fn says_time(&self, value: &str) -> bool {
        let says = |text: &str| !self.page.exact.find(text).is_empty();
        [19, 16].into_iter().any(|end| {
            let (Some(joined), Some(time)) = (value.get(..end), value.get(11..end)) else { return false };
            says(joined) || says(time) || time.strip_prefix('0').is_some_and(says)
        })
    }

    fn text(&self, value: &str) -> Option<Places> {
        let even = plain(value);
        let found = Places::some(Agreement::Normalised, 1.0, &self.page.plain.find(&even));
        found.or_else(|| self.number(numbers::read(value))).or_else(|| self.like(&even))
    }

    fn like(&self, even: &str) -> Option<Places> {
        let likeness = self.likeness.get_or_init(|| Likeness::new(&self.page.plain));
        let like = likeness.find(even)?;
        Places::some(Agreement::Fuzzy, like.score, &[like.words])
    }
}
