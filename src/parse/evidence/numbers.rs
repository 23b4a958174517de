//! The numbers of a page, read with whatever separators, signs and currencies they are printed with.

use std::{collections::HashMap, ops::Range};

use unicode_normalization::UnicodeNormalization;

use super::page::Placed;
use crate::parse::decimal::Decimal;

/// Words that one number may be printed in: `1 234 567 890,00`.
const MOST_WORDS: usize = 5;

/// Longest word that is read as a number.
const LONGEST: usize = 40;

/// Letters that may touch a number.
const CURRENCIES: [&str; 22] = [
    "eur", "usd", "gbp", "chf", "jpy", "cny", "inr", "aud", "cad", "sek", "nok", "dkk", "pln", "czk", "brl", "mxn",
    "idr", "myr", "rs", "rp", "kr", "fr",
];

/// Where each number stands.
#[derive(Debug, Default)]
pub struct Numbers(HashMap<Decimal, Vec<Range<usize>>>);

impl Numbers {
    /// Reads all words, and neighbours that may be groups of one number.
    pub fn of(words: &[Placed]) -> Self {
        let mut numbers = Self::default();
        let printed: Vec<Option<Printed>> = words.iter().map(|word| Printed::of(word.text)).collect();
        for start in 0..printed.len() {
            let Some(mut number) = printed[start].clone() else { continue };
            numbers.add(&number, start..start + 1);
            for (end, next) in printed.iter().enumerate().take(start + MOST_WORDS).skip(start + 1) {
                let Some(joined) = next.as_ref().and_then(|next| number.followed_by(next)) else { break };
                number = joined;
                numbers.add(&number, start..end + 1);
            }
        }
        numbers
    }

    fn add(&mut self, number: &Printed, words: Range<usize>) {
        for reading in number.readings() {
            self.0.entry(reading).or_default().push(words.clone());
        }
    }

    /// Where this number stands, in reading order.
    pub fn find(&self, number: Decimal) -> &[Range<usize>] {
        self.0.get(&number).map_or(&[], Vec::as_slice)
    }
}

/// A word as a number: its sign, and its digits with the separators between them.
#[derive(Debug, Clone)]
struct Printed {
    negative: bool,
    core: String,
    /// False when something other than a blank follows, as a currency does.
    open: bool,
}

impl Printed {
    fn of(word: &str) -> Option<Self> {
        if word.len() > LONGEST || !word.contains(char::is_numeric) {
            return None;
        }
        let word: String = word.nfkc().map(|c| if c == '\u{2212}' { '-' } else { c }).collect();
        let core = word.trim_matches(|c: char| !c.is_ascii_digit());
        let (before, after) = word.split_once(core).filter(|_| !core.is_empty())?;
        let is_number = core.chars().all(|c| c.is_ascii_digit() || matches!(c, '.' | ',' | '\'' | '’'));
        let negative = before.contains('-') || after.starts_with('-') || before.contains('(') && after.contains(')');
        (is_number && may_touch(before) && may_touch(after)).then(|| Self {
            negative,
            core: core.replace('’', "'"),
            open: after.is_empty(),
        })
    }

    /// The number that goes on in the next word, a group of three digits.
    fn followed_by(&self, next: &Self) -> Option<Self> {
        let group = next.core.bytes().take_while(u8::is_ascii_digit).count();
        let plain = self.core.split('\'').all(|part| part.len() <= 3 && !part.contains(['.', ',']));
        let goes_on = self.open && plain && group == 3 && !next.negative;
        goes_on.then(|| Self { core: format!("{}'{}", self.core, next.core), open: next.open, ..self.clone() })
    }

    /// One, or two where `1.234` may be either.
    fn readings(&self) -> impl Iterator<Item = Decimal> {
        let separators: Vec<(usize, char)> = self.core.char_indices().filter(|(_, c)| !c.is_ascii_digit()).collect();
        let all_alike = separators.iter().all(|(_, c)| Some(*c) == separators.first().map(|(_, first)| *first));
        let (mut point, mut whole) = (None, false);
        match separators.last() {
            None => whole = true,
            Some((at, '.' | ',')) if separators.len() == 1 => {
                point = Some(*at);
                whole = self.core.len() - at == 4 && (1..=3).contains(at) && !self.core.starts_with('0');
            }
            Some(_) if all_alike => whole = true,
            Some((at, c)) => point = (separators.iter().filter(|(_, other)| other == c).count() == 1).then_some(*at),
        }
        let of = move |point: Option<usize>| self.number(point);
        [whole.then(|| of(None)), point.map(|at| of(Some(at)))].into_iter().flatten().flatten()
    }

    /// The number whose decimal point stands at this byte, all other separators being for the eye.
    fn number(&self, point: Option<usize>) -> Option<Decimal> {
        let (whole, fraction) = point.map_or((self.core.as_str(), ""), |at| (&self.core[..at], &self.core[at + 1..]));
        let groups: Vec<&str> = whole.split(['.', ',', '\'']).collect();
        let last = groups.len() - 1;
        let sized = groups.iter().enumerate().skip(1).all(|(index, group)| match group.len() {
            3 => true,
            // 12,34,567 in India.
            2 => index < last,
            _ => false,
        });
        let sign = if self.negative { "-" } else { "" };
        sized.then(|| Decimal::parse(&format!("{sign}{}.{fraction}", groups.concat())))?
    }
}

/// Nothing but signs, brackets and a currency may touch a number: `M4` is none.
fn may_touch(text: &str) -> bool {
    let letters: String = text.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect();
    letters.is_empty() || CURRENCIES.contains(&letters.as_str())
}

/// The first reading of a text that is a number and nothing else.
pub fn read(text: &str) -> Option<Decimal> {
    Printed::of(text.trim())?.readings().next()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{base::TextLayer, parse::evidence::page::Page};

    fn found(page: &str, number: &str) -> Vec<Range<usize>> {
        let layer = TextLayer { text: page.into(), words: Vec::new() };
        Numbers::of(&Page::new(&layer).words).find(Decimal::parse(number).unwrap()).to_vec()
    }

    #[test]
    fn separators_of_many_countries_are_read() {
        for printed in ["1,234.50", "1.234,50", "1'234.50", "€1.234,50", "1234.5EUR", "(1234.50).", "1,234.5;"] {
            let negative = printed.starts_with('(');
            assert_eq!(found(printed, if negative { "-1234.5" } else { "1234.5" }).len(), 1, "{printed}");
        }
        assert_eq!(found("Total 1 234,50 EUR", "1234.5"), std::slice::from_ref(&(1..3)));
        assert_eq!(found("12,34,567.00", "1234567").len(), 1);
        assert_eq!(found("3.50-", "-3.5").len(), 1);
    }

    #[test]
    fn what_may_be_either_is_found_as_either() {
        assert_eq!(found("1.234", "1234").len(), 1);
        assert_eq!(found("1.234", "1.234").len(), 1);
        assert_eq!(found("0.234", "234").len(), 0);
    }

    #[test]
    fn part_numbers_and_dates_are_no_numbers() {
        for printed in ["M4", "2026-0417", "10:30", "1.23.4", "12/3", "1,,2"] {
            for number in ["4", "417", "10", "1", "12", "2", "1234"] {
                assert!(found(printed, number).is_empty(), "{number} in {printed}");
            }
        }
    }
}
