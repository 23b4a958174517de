//! The words of a page strung together, to be searched, with the way back from a character to its word.

use std::ops::Range;

/// Places that are kept of one search.
const MOST_PLACES: usize = 64;

/// Places that are looked at in one search.
const MOST_TRIES: usize = 4096;

/// A text made of words.
#[derive(Debug, Default)]
pub struct Spelling {
    text: String,
    /// Byte at which each word begins, in order; words that spell nothing begin where the next one does.
    starts: Vec<usize>,
}

impl Spelling {
    /// Adds a word; `apart` puts a blank before it.
    pub fn push(&mut self, word: &str, apart: bool) {
        if apart && !self.text.is_empty() {
            self.text.push(' ');
        }
        self.starts.push(self.text.len());
        self.text.push_str(word);
    }

    /// Takes the last character back when it is a hyphen behind a letter.
    pub fn take_hyphen(&mut self) -> bool {
        let hyphenated = self.text.strip_suffix('-').is_some_and(|rest| rest.ends_with(char::is_alphabetic));
        if hyphenated {
            self.text.pop();
        }
        hyphenated
    }

    /// The text.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The word that a byte of the text belongs to.
    pub fn word_at(&self, byte: usize) -> usize {
        self.starts.partition_point(|start| *start <= byte).saturating_sub(1)
    }

    /// The words that these bytes touch.
    pub fn words(&self, bytes: Range<usize>) -> Range<usize> {
        self.word_at(bytes.start)..self.word_at(bytes.end.saturating_sub(1).max(bytes.start)) + 1
    }

    /// The words of each place where the text says `wanted` between borders of words.
    pub fn find(&self, wanted: &str) -> Vec<Range<usize>> {
        self.places(wanted, |_| true)
    }

    /// The same for a number with its sign: `5.5` is not in `-5.5`, and `-17` is not in `2026-04-17`.
    pub fn find_number(&self, wanted: &str) -> Vec<Range<usize>> {
        self.places(wanted, |found| self.has_own_sign(found))
    }

    fn places(&self, wanted: &str, fits: impl Fn(&Range<usize>) -> bool) -> Vec<Range<usize>> {
        let Some(first) = wanted.chars().next() else { return Vec::new() };
        let (mut places, mut from) = (Vec::new(), 0);
        for _ in 0..MOST_TRIES {
            let Some(at) = self.text[from..].find(wanted).map(|at| from + at) else { break };
            let found = at..at + wanted.len();
            let stands = self.is_bordered(&found) && fits(&found);
            from = if stands { found.end } else { at + first.len_utf8() };
            places.extend(stands.then(|| self.words(found)));
            if places.len() == MOST_PLACES {
                break;
            }
        }
        places
    }

    fn is_bordered(&self, found: &Range<usize>) -> bool {
        let (before, inside, after) = (&self.text[..found.start], &self.text[found.clone()], &self.text[found.end..]);
        let (mut before, mut after) = (before.chars().rev(), after.chars());
        let joined = |edge: Option<char>, outer: Option<char>, beyond: Option<char>| {
            edge.zip(outer).is_some_and(|(edge, outer)| is_joined(edge, outer, beyond))
        };
        !joined(inside.chars().next(), before.next(), before.next())
            && !joined(inside.chars().next_back(), after.next(), after.next())
    }

    fn has_own_sign(&self, found: &Range<usize>) -> bool {
        let (before, after) = (&self.text[..found.start], &self.text[found.end..]);
        if self.text[found.clone()].starts_with('-') {
            return !before.ends_with(is_lettered);
        }
        !is_signed_before(before) && !is_signed_behind(after)
    }
}

/// True for what ends in a minus and perhaps a currency: `-$`, but no hyphen, as `A-`, and no line of dashes.
fn is_signed_before(before: &str) -> bool {
    let rest = before.trim_end_matches(|c: char| !c.is_whitespace() && !c.is_alphanumeric());
    let symbols = &before[rest.len()..];
    let is_hyphen = symbols.starts_with(is_minus) && rest.ends_with(is_lettered);
    symbols.matches(is_minus).count() == 1 && !is_hyphen
}

/// True for what begins with a minus, as tills print it: `3.50-`.
fn is_signed_behind(after: &str) -> bool {
    let goes_on = |c: char| is_lettered(c) || is_minus(c);
    after.strip_prefix(is_minus).is_some_and(|rest| !rest.starts_with(goes_on))
}

fn is_minus(c: char) -> bool {
    matches!(c, '-' | '\u{2212}')
}

/// Letters and digits that make words with their neighbours.
fn is_lettered(c: char) -> bool {
    c.is_alphanumeric() && !is_spaceless(c)
}

/// True when no word ends between two neighbours: letters and digits belong together, and so do digits around a
/// separator, or `1` would stand in `1.50`.
fn is_joined(edge: char, outer: char, beyond: Option<char>) -> bool {
    let separates = matches!(outer, '.' | ',' | '\'' | '-' | '/' | ':');
    let in_number = edge.is_ascii_digit() && separates && beyond.is_some_and(|c| c.is_ascii_digit());
    let in_word = edge.is_alphanumeric() && outer.is_alphanumeric() && !(is_spaceless(edge) || is_spaceless(outer));
    in_number || in_word
}

/// Scripts that put no blanks between words: Thai and Lao, kana, Han.
pub fn is_spaceless(c: char) -> bool {
    matches!(c, '\u{e00}'..='\u{eff}' | '\u{3040}'..='\u{30ff}' | '\u{3400}'..='\u{9fff}' | '\u{f900}'..='\u{faff}' | '\u{20000}'..='\u{3ffff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spelling(text: &str) -> Spelling {
        let mut spelling = Spelling::default();
        text.split(' ').for_each(|word| spelling.push(word, true));
        spelling
    }

    #[test]
    fn a_match_ends_at_borders_of_words() {
        let page = spelling("a cat, 1.50 at 2026-0417 (a)");
        assert_eq!(page.find("a"), [0..1, 5..6]);
        assert_eq!(page.find("at"), std::slice::from_ref(&(3..4)));
        assert!(page.find("1").is_empty());
        assert!(page.find("0417").is_empty());
        assert_eq!(page.find("cat, 1.50"), std::slice::from_ref(&(1..3)));
        assert_eq!(spelling("発行日は東京です").find("東京"), std::slice::from_ref(&(0..1)));
    }

    #[test]
    fn a_number_is_found_with_its_own_sign_alone() {
        for (page, number, is_there) in [
            ("5.5", "5.5", true),
            ("-5.5", "5.5", false),
            ("-5.5", "-5.5", true),
            ("\u{2212}5.5", "5.5", false),
            ("-$5.50", "5.50", false),
            ("(-5.5)", "5.5", false),
            ("(5.5)", "5.5", true),
            ("-5.5°C", "5.5", false),
            ("温度-5度", "5", false),
            ("3.50-", "3.50", false),
            ("3.-", "3", true),
            ("- 5", "5", true),
            ("--5", "5", true),
            ("A-17", "17", true),
            ("A-17", "-17", false),
            ("2026-04-17", "-17", false),
            ("2026-04-17", "17", false),
        ] {
            assert_eq!(!spelling(page).find_number(number).is_empty(), is_there, "{number} in {page}");
        }
    }

    #[test]
    fn a_search_is_bounded() {
        let page = spelling(&"aaaa".repeat(50_000));
        assert!(page.find(&"a".repeat(5_000)).is_empty());
        assert_eq!(spelling(&"b ".repeat(1000)).find("b").len(), MOST_PLACES);
    }
}
