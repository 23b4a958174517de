//! The dates of a page, in figures or with the month's name in ten languages.

use std::{collections::HashMap, ops::Range};

use unicode_normalization::UnicodeNormalization;

use super::page::Placed;
use crate::base::shape;

/// How the names of the months begin in English, German, French, Spanish, Portuguese, Italian, Dutch, Danish, Norwegian
/// and Swedish.
const MONTHS: [&[&str]; 12] = [
    &["jan", "jän", "ene", "gen"],
    &["feb", "fev", "fév"],
    &["mar", "mär", "mrt", "maa"],
    &["apr", "abr", "avr"],
    &["may", "mai", "maj", "mag", "mei"],
    &["jun", "juin", "giu"],
    &["jul", "juil", "lug"],
    &["aug", "ago", "aou", "aoû"],
    &["sep", "set"],
    &["oct", "okt", "ott", "out"],
    &["nov"],
    &["dec", "dez", "déc", "des", "dic"],
];

/// Letters of the longest name of a month.
const LONGEST_NAME: usize = 10;

/// What may stand inside a date and says nothing.
const FILLERS: [&str; 18] =
    ["st", "nd", "rd", "th", "de", "del", "di", "do", "of", "den", "le", "er", "年", "月", "日", "년", "월", "일"];

/// Where each day stands, in days from 1970-01-01.
#[derive(Debug, Default)]
pub struct Dates(HashMap<i32, Vec<Range<usize>>>);

impl Dates {
    /// Reads all words.
    pub fn of(words: &[Placed]) -> Self {
        let mut dates = Self::default();
        let parts: Vec<Part> = words.iter().enumerate().flat_map(|(index, word)| parts(index, word.text)).collect();
        for (index, part) in parts.iter().enumerate() {
            dates.add(eight_figures(part), part, part);
            if let [first, second, third, ..] = &parts[index..] {
                three(first, second, third).into_iter().for_each(|day| dates.add(day, first, third));
            }
        }
        dates
    }

    fn add(&mut self, day: Option<i32>, first: &Part, last: &Part) {
        if let Some(day) = day {
            let places = self.0.entry(day).or_default();
            let words = first.word..last.word + 1;
            // 5/5/2026 is the same day both ways.
            if places.last() != Some(&words) {
                places.push(words);
            }
        }
    }

    /// Where this day stands, in reading order.
    pub fn find(&self, day: i32) -> &[Range<usize>] {
        self.0.get(&day).map_or(&[], Vec::as_slice)
    }
}

/// Figures or letters of a word.
#[derive(Debug)]
struct Part {
    word: usize,
    text: String,
    /// True when it goes on in the word of the next part as figures of one date do: `17. 4. 2026`.
    dotted: bool,
}

impl Part {
    fn figures(&self) -> Option<u32> {
        (self.text.len() <= 4 && self.text.bytes().all(|byte| byte.is_ascii_digit())).then(|| self.text.parse().ok())?
    }

    fn month(&self) -> Option<u32> {
        let named = |names: &[&str]| names.iter().any(|name| self.text.starts_with(name));
        let short = self.text.chars().count() <= LONGEST_NAME;
        MONTHS.iter().position(|names| named(names)).filter(|_| short).map(|month| month as u32 + 1)
    }

    fn year(&self) -> Option<u32> {
        let year = self.figures()?;
        match self.text.len() {
            4 => Some(year),
            2 => Some(if year < 70 { 2000 + year } else { 1900 + year }),
            _ => None,
        }
    }

    /// A day or month in figures.
    fn small(&self) -> Option<u32> {
        self.figures().filter(|_| self.text.len() <= 2)
    }

    /// True when figures of `next` belong to the same date.
    fn joins(&self, next: &Self) -> bool {
        self.word == next.word || self.dotted && next.word == self.word + 1
    }

    /// True when `next` is in the same word or the next one, or the one after a filler.
    fn is_near(&self, next: &Self) -> bool {
        next.word - self.word <= 2
    }
}

fn parts(index: usize, word: &str) -> Vec<Part> {
    let text: String = word.nfkc().flat_map(char::to_lowercase).take(64).collect();
    let dotted = text.ends_with(['.', '/']);
    let mut parts: Vec<Part> = Vec::new();
    let mut before = None;
    for c in text.chars() {
        let kind = (c.is_ascii_digit(), c.is_alphabetic());
        match parts.last_mut() {
            _ if kind == (false, false) => {}
            Some(part) if before == Some(kind) => part.text.push(c),
            _ => parts.push(Part { word: index, text: c.to_string(), dotted }),
        }
        before = Some(kind);
    }
    parts.retain(|part| !FILLERS.contains(&part.text.as_str()));
    parts
}

/// `20260417`
fn eight_figures(part: &Part) -> Option<i32> {
    let text = Some(&part.text).filter(|text| text.len() == 8 && text.bytes().all(|byte| byte.is_ascii_digit()))?;
    day(text[..4].parse().ok(), text[4..6].parse().ok(), text[6..].parse().ok())
}

/// All days that three parts may stand for.
fn three(a: &Part, b: &Part, c: &Part) -> [Option<i32>; 3] {
    if b.month().is_some() && a.is_near(b) && b.is_near(c) {
        return [day(c.year(), b.month(), a.small()), None, None];
    }
    if a.month().is_some() && a.is_near(b) && b.is_near(c) {
        return [day(c.year(), a.month(), b.small()), None, None];
    }
    if !a.joins(b) || !b.joins(c) {
        return [None; 3];
    }
    match a.text.len() {
        4 => [day(a.year(), b.small(), c.small()), None, None],
        _ => [day(c.year(), b.small(), a.small()), day(c.year(), a.small(), b.small()), None],
    }
}

fn day(year: Option<u32>, month: Option<u32>, day: Option<u32>) -> Option<i32> {
    shape::date(&format!("{:04}-{:02}-{:02}", year?, month?, day?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{base::TextLayer, parse::evidence::page::Page};

    fn found(page: &str, date: &str) -> Vec<Range<usize>> {
        let layer = TextLayer { text: page.into(), words: Vec::new() };
        Dates::of(&Page::new(&layer).words).find(shape::date(date).unwrap()).to_vec()
    }

    #[test]
    fn dates_of_many_countries_are_read() {
        for printed in [
            "2026-11-21",
            "21.11.2026",
            "21. 11. 2026",
            "11/21/2026",
            "21/11/26",
            "20261121",
            "Nov 21, 2026",
            "21 November 2026",
            "November 21st, 2026",
            "21. Nov. 2026",
            "21 de noviembre de 2026",
            "2026年11月21日",
            "21-Nov-2026",
            "2026/11/21,",
        ] {
            assert_eq!(found(&format!("on {printed} by"), "2026-11-21").len(), 1, "{printed}");
        }
        assert_eq!(found("Date: 17 April 2026", "2026-04-17"), std::slice::from_ref(&(1..4)));
    }

    #[test]
    fn figures_that_are_no_date_are_none() {
        assert!(found("4 3 2026 and 31.02.2026", "2026-03-04").is_empty());
        assert!(found("1234567890 2026", "2026-01-01").is_empty());
    }

    #[test]
    fn a_date_in_figures_may_be_read_both_ways() {
        assert_eq!(found("04/03/2026", "2026-03-04").len(), 1);
        assert_eq!(found("04/03/2026", "2026-04-03").len(), 1);
        assert_eq!(found("05/05/2026", "2026-05-05").len(), 1);
    }
}
