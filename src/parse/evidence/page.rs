//! A page's own text, made for looking values up: as it is, and with everything evened out that may differ without
//! meaning anything.

use std::ops::Range;

use unicode_normalization::UnicodeNormalization;

use super::spelling::Spelling;
use crate::base::{PAGE_BREAK, Passage, TextLayer, Word};

/// Bytes of a text that are searched: more than any page has; of a long text document what comes later counts as absent.
const MOST: usize = 1 << 18;

/// Characters of a quote.
const LONGEST_QUOTE: usize = 1000;

/// A word and where it stands.
#[derive(Debug)]
pub struct Placed<'a> {
    /// Its characters.
    pub text: &'a str,
    /// On which of the pages, from 0.
    page: u32,
    bounds: Option<[f32; 4]>,
}

/// The page, or several in a row.
#[derive(Debug)]
pub struct Page<'a> {
    /// True when a page among several has no text: what is not found may stand there.
    pub has_gaps: bool,
    /// All words, in the order of the file.
    pub words: Vec<Placed<'a>>,
    /// The words with single blanks between them.
    pub exact: Spelling,
    /// The words as [`plain`] has them, those that a line break cuts put together.
    pub plain: Spelling,
}

impl<'a> Page<'a> {
    /// Reads a text layer.
    pub fn new(layer: &'a TextLayer) -> Self {
        let (exact, plain) = (Spelling::default(), Spelling::default());
        let mut read = Self { has_gaps: has_gaps(&layer.text), words: Vec::new(), exact, plain };
        let mut boxes = layer.words.as_slice();
        let mut goes_on = false;
        for (page, text) in (0..).zip(beginning(&layer.text).split(PAGE_BREAK)) {
            for line in text.lines() {
                for text in line.split_whitespace() {
                    let apart = !(goes_on && text.starts_with(char::is_alphabetic) && read.plain.take_hyphen());
                    goes_on = false;
                    read.push(Placed { text, page, bounds: taken(&mut boxes, text) }, apart);
                }
                goes_on = true;
            }
        }
        read
    }

    fn push(&mut self, word: Placed<'a>, apart: bool) {
        self.exact.push(word.text, true);
        self.plain.push(&plain(word.text), apart);
        self.words.push(word);
    }

    /// These words as a passage.
    pub fn passage(&self, words: &Range<usize>, occurrences: usize) -> Passage {
        let words = self.words.get(words.clone()).unwrap_or_default();
        let mut quote = String::new();
        for word in words.iter().take(LONGEST_QUOTE) {
            quote.push_str(if quote.is_empty() { "" } else { " " });
            quote.push_str(word.text);
        }
        let page = words.first().map_or(0, |word| word.page);
        let cut = quote.char_indices().nth(LONGEST_QUOTE).map_or(quote.len(), |(at, _)| at);
        quote.truncate(cut);
        let bounds = words.iter().filter(|word| word.page == page).filter_map(|word| word.bounds).reduce(union);
        Passage { quote, page, bounds, occurrences: u32::try_from(occurrences).unwrap_or(u32::MAX) }
    }
}

fn has_gaps(text: &str) -> bool {
    text.contains(PAGE_BREAK) && text.split(PAGE_BREAK).any(|page| page.trim().is_empty())
}

/// Words whose place is not known are left out of the boxes, so the next box is that of the next word that reads so.
fn taken(boxes: &mut &[Word], text: &str) -> Option<[f32; 4]> {
    let (first, rest) = boxes.split_first()?;
    (first.text == text).then(|| {
        *boxes = rest;
        first.bounds
    })
}

fn beginning(text: &str) -> &str {
    &text[..text.floor_char_boundary(MOST)]
}

fn union(a: [f32; 4], b: [f32; 4]) -> [f32; 4] {
    [a[0].min(b[0]), a[1].min(b[1]), a[2].max(b[2]), a[3].max(b[3])]
}

/// A text evened out: NFKC, lower case, single blanks, plain quotation marks and dashes, no hyphens inside words, nothing
/// invisible.
pub fn plain(text: &str) -> String {
    let characters = text.nfkc().flat_map(char::to_lowercase).filter_map(even);
    let (mut plain, mut open) = (String::with_capacity(text.len()), false);
    for c in characters {
        if c.is_whitespace() {
            open = !plain.is_empty();
            continue;
        }
        if std::mem::take(&mut open) {
            plain.push(' ');
        } else if c.is_alphabetic() && plain.strip_suffix('-').is_some_and(|rest| rest.ends_with(char::is_alphabetic)) {
            plain.pop();
        }
        plain.push(c);
    }
    plain
}

fn even(c: char) -> Option<char> {
    match c {
        '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{2060}'..='\u{2064}' | '\u{feff}' => None,
        '‘' | '’' | '‚' | '′' | '`' | '´' => Some('\''),
        '“' | '”' | '„' | '″' | '«' | '»' => Some('"'),
        '\u{2010}'..='\u{2015}' | '\u{2212}' => Some('-'),
        _ => Some(c),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_means_the_same_is_spelled_the_same() {
        assert_eq!(plain("  IDAR\u{2010}Oberstein \n \u{fb01}ne “Ware”"), "idaroberstein fine \"ware\"");
        assert_eq!(plain("Straße 7-9"), "straße 7-9");
    }

    #[test]
    fn words_that_a_line_break_cuts_are_put_together() {
        let layer = TextLayer { text: "a lapi-\ndary wheel\n2026-\n0417".into(), words: Vec::new() };
        let page = Page::new(&layer);
        assert_eq!(page.plain.text(), "a lapidary wheel 2026- 0417");
        assert_eq!(page.plain.find("lapidary"), std::slice::from_ref(&(1..3)));
        assert_eq!(page.passage(&(1..3), 1).quote, "lapi- dary");
    }

    #[test]
    fn a_passage_stands_on_the_page_of_its_first_word() {
        let word = |text: &str, left: f32| Word { text: text.into(), bounds: [left, 0.1, left + 0.1, 0.2] };
        let words = vec![word("one", 0.0), word("two", 0.5), word("three", 0.2)];
        let layer = TextLayer { text: "one two\u{c}three".into(), words };
        let page = Page::new(&layer);
        let passage = page.passage(&(1..3), 1);
        assert_eq!(
            (passage.quote.as_str(), passage.page, passage.bounds),
            ("two three", 0, Some([0.5, 0.1, 0.6, 0.2]))
        );
        assert_eq!(page.passage(&(2..3), 1).page, 1);
        assert!(!page.has_gaps && Page::new(&TextLayer { text: "one\u{c}".into(), words: Vec::new() }).has_gaps);
    }

    #[test]
    fn boxes_go_to_their_words_though_some_have_none() {
        let word = |text: &str, left: f32| Word { text: text.into(), bounds: [left, 0.1, left + 0.1, 0.2] };
        let layer = TextLayer { text: "one two three".into(), words: vec![word("one", 0.0), word("three", 0.5)] };
        let page = Page::new(&layer);
        assert_eq!(page.passage(&(0..3), 1).bounds, Some([0.0, 0.1, 0.6, 0.2]));
        assert_eq!(page.passage(&(1..2), 1).bounds, None);
    }
}
