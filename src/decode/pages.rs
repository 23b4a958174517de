//! Page ranges as a person writes them: `1-3,7,10-`.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

/// Which pages of a document are wanted; none given means all. Counted from 1, in the order of the document.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct PageRanges(Vec<Range>);

/// First page, and last page or the end of the document.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Range {
    first: u32,
    last: Option<u32>,
}

impl PageRanges {
    /// True when page `number` (from 1) is wanted.
    pub fn contain(&self, number: u32) -> bool {
        self.0.is_empty() || self.0.iter().any(|range| range.contains(number))
    }

    /// The wanted pages of a document of `count` pages, ascending, each once.
    pub fn of(&self, count: u32) -> impl Iterator<Item = u32> + '_ {
        (1..=count).filter(|&number| self.contain(number))
    }
}

impl Range {
    fn contains(self, number: u32) -> bool {
        self.first <= number && self.last.is_none_or(|last| number <= last)
    }

    fn parse(text: &str) -> Option<Self> {
        let (first, last) = match text.split_once('-') {
            None => (text.parse().ok()?, Some(text.parse().ok()?)),
            Some((first, "")) => (first.parse().ok()?, None),
            Some(("", last)) => (1, Some(last.parse().ok()?)),
            Some((first, last)) => (first.parse().ok()?, Some(last.parse().ok()?)),
        };
        (first > 0 && last.is_none_or(|last| first <= last)).then_some(Self { first, last })
    }
}

impl FromStr for PageRanges {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text.trim().is_empty() {
            return Ok(Self::default());
        }
        let wrong = |part: &str| format!("`{part}` is no range of pages; write for example `1-3,7,10-`");
        let ranges = text.split(',').map(str::trim).map(|part| Range::parse(part).ok_or_else(|| wrong(part)));
        ranges.collect::<Result<_, _>>().map(Self)
    }
}

impl TryFrom<String> for PageRanges {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<PageRanges> for String {
    fn from(ranges: PageRanges) -> Self {
        ranges.to_string()
    }
}

impl fmt::Display for PageRanges {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, range) in self.0.iter().enumerate() {
            let comma = if index == 0 { "" } else { "," };
            match range.last {
                Some(last) if last == range.first => write!(f, "{comma}{last}")?,
                Some(last) => write!(f, "{comma}{}-{last}", range.first)?,
                None => write!(f, "{comma}{}-", range.first)?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pages(text: &str, count: u32) -> Vec<u32> {
        text.parse::<PageRanges>().unwrap().of(count).collect()
    }

    #[test]
    fn ranges_choose_pages_in_the_order_of_the_document() {
        assert_eq!(pages("", 3), [1, 2, 3]);
        assert_eq!(pages("7, 1-3,10-", 11), [1, 2, 3, 7, 10, 11]);
        assert_eq!(pages("-2,2,1-2", 5), [1, 2]);
        assert!(pages("9", 5).is_empty());
    }

    #[test]
    fn what_is_no_range_is_named() {
        for wrong in ["0", "3-1", "-", "a", "1,,2", "1-2-3", "99999999999"] {
            assert!(wrong.parse::<PageRanges>().is_err(), "{wrong}");
        }
        assert!("1-3,x".parse::<PageRanges>().unwrap_err().contains("`x`"));
    }

    #[test]
    fn ranges_survive_being_written_down() {
        let ranges: PageRanges = "1-3,7,10-".parse().unwrap();
        assert_eq!(ranges.to_string(), "1-3,7,10-");
        assert_eq!(ranges.to_string().parse(), Ok(ranges));
    }
}
