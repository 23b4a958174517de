//! The text of a page, made for looking up where its words stand.
//!
//! White space counts as one blank, whatever it is made of; whether it held a line break is kept for those who copy.

use std::collections::HashMap;

/// Characters that must agree for a place to count.
pub(super) const LEAST: usize = 4;

/// Characters that are compared.
const LONGEST_MATCH: usize = 32;

/// Places that are looked at behind the last one, and again from the beginning.
const PLACES: usize = 8;

/// Most characters that are kept of a page: more than any answer could copy.
const MOST: usize = 1 << 16;

/// A page's text.
#[derive(Debug)]
pub(super) struct PageText {
    /// Blanks are `' '`, or `'\n'` where they held a line break.
    characters: Vec<char>,
    /// Where each four characters stand, in order.
    places: HashMap<[char; LEAST], Vec<u32>>,
}

impl PageText {
    pub fn new(text: &str) -> Self {
        let mut characters: Vec<char> = Vec::new();
        for c in text.chars().filter(|c| c.is_whitespace() || !c.is_control()) {
            let length = characters.len();
            match characters.last_mut() {
                Some(last) if c.is_whitespace() && last.is_whitespace() => *last = joined(*last, c),
                _ if length >= MOST => break,
                _ => characters.push(if c.is_whitespace() { joined(' ', c) } else { c }),
            }
        }
        let mut places: HashMap<_, Vec<u32>> = HashMap::new();
        for (start, four) in characters.windows(LEAST).enumerate() {
            places.entry(gram(four)).or_default().push(start as u32);
        }
        Self { characters, places }
    }

    /// The character at a place.
    pub fn at(&self, place: usize) -> Option<char> {
        self.characters.get(place).copied()
    }

    /// The place of the first character at or after `place` that is no blank.
    pub fn word_from(&self, place: usize) -> usize {
        if self.at(place).is_some_and(char::is_whitespace) { place + 1 } else { place }
    }

    /// The place behind the text that `said` ends with: of a few places after `from`, and of the first on the page,
    /// the one that agrees longest; `None` where no four characters do.
    pub fn behind(&self, said: &[char], from: usize) -> Option<usize> {
        let starts = self.places.get(&gram(said.last_chunk::<LEAST>()?))?;
        let next = starts.partition_point(|start| (*start as usize) < from);
        let candidates = starts[next..].iter().take(PLACES).chain(starts[..next].iter().take(PLACES));
        let ends = candidates.map(|start| *start as usize + LEAST);
        // `max_by_key` takes the last of equals, and the first is wanted.
        ends.rev().max_by_key(|end| self.agreement(said, *end))
    }

    fn agreement(&self, said: &[char], end: usize) -> usize {
        let pairs = self.characters[..end].iter().rev().zip(said.iter().rev());
        pairs.take(LONGEST_MATCH).take_while(|(held, said)| plain(**held) == plain(**said)).count()
    }
}

/// All white space as one blank.
pub(super) fn plain(c: char) -> char {
    if c.is_whitespace() { ' ' } else { c }
}

fn joined(blank: char, c: char) -> char {
    if blank == '\n' || matches!(c, '\n' | '\r') { '\n' } else { ' ' }
}

fn gram(four: &[char]) -> [char; LEAST] {
    std::array::from_fn(|index| plain(four[index]))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn behind(page: &PageText, said: &str, from: usize) -> Option<String> {
        let said: Vec<char> = said.chars().collect();
        page.behind(&said, from).map(|place| page.characters[place..].iter().take(6).collect())
    }

    #[test]
    fn a_place_is_found_whatever_its_white_space() {
        let page = PageText::new("Granat  & Sons,\r\n Lapidary Supplies\nGranat & Co");
        assert_eq!(behind(&page, "Sons, Lap", 0).unwrap(), "idary ");
        assert_eq!(behind(&page, "xGranat &", 0).unwrap(), " Sons,");
        assert_eq!(behind(&page, "Granat &", 20).unwrap(), " Co");
        assert_eq!(behind(&page, "Grana", 0).unwrap(), "t & So");
        assert_eq!(behind(&page, "Gra", 0), None);
        assert_eq!(behind(&page, "never", 0), None);
    }

    #[test]
    fn longer_agreement_wins_over_being_next() {
        let page = PageText::new("net total 12, gross total 15");
        assert_eq!(behind(&page, "gross total ", 0).unwrap(), "15");
        assert_eq!(behind(&page, "the total ", 0).unwrap(), "12, gr");
    }

    #[test]
    fn pages_of_any_length_are_held_in_bounds() {
        let page = PageText::new(&"a b\u{0}".repeat(1 << 17));
        assert_eq!(page.characters.len(), MOST);
        assert_eq!(PageText::new("").at(0), None);
    }
}
