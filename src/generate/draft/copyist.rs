//! Drafts from the page's own text layer: a value that is being copied from the page goes on as the page does.

use super::{
    page::{PageText, plain},
    strings::{Event, Strings, push_escaped, push_plain},
};
use crate::generate::{syntax::Syntax, vocabulary::Vocabulary};

/// Characters that are read ahead for a token; longer ones are rare.
const CHARACTERS_PER_TOKEN: usize = 5;

/// Characters of the value that are kept for finding its place.
const REMEMBERED: usize = 64;

/// Follows an answer on the page that it is made from.
pub(super) struct Copyist {
    vocabulary: Vocabulary,
    syntax: Syntax,
    page: PageText,
    strings: Strings,
    /// The last characters of the value being written.
    value: Vec<char>,
    /// Where on the page the value goes on, as far as we know.
    place: Option<usize>,
    /// Where the last value that stands on the page ended.
    last: usize,
    /// True while all of the value, or of the one before, was found where it was expected.
    verbatim: bool,
    /// How the answer writes the line breaks of the page.
    line_break: char,
}

impl Copyist {
    /// For answers about a page with this text.
    pub fn new(vocabulary: &Vocabulary, syntax: Syntax, text: &str) -> Self {
        let strings = match syntax {
            Syntax::Json => Strings::default(),
            Syntax::Call { .. } => Strings::of_call(),
        };
        Self {
            vocabulary: vocabulary.clone(),
            syntax,
            page: PageText::new(text),
            strings,
            value: Vec::new(),
            place: None,
            last: 0,
            verbatim: false,
            line_break: '\n',
        }
    }

    /// The answer went on with this token.
    pub fn hear(&mut self, token: u32) {
        if self.syntax.is_mark(token) {
            let event = self.strings.mark();
            return self.heed(event);
        }
        let vocabulary = self.vocabulary.clone();
        for byte in vocabulary.bytes(token) {
            let event = self.strings.take(*byte);
            self.heed(event);
        }
    }

    fn heed(&mut self, event: Event) {
        match event {
            Event::Nothing => {}
            Event::Begin => self.begin(),
            Event::Character(c) => self.character(c),
            Event::End => self.end(),
        }
    }

    /// At most `most` tokens that copy the page from where the value stands; `before` is the last token of the answer.
    pub fn propose(&self, before: Option<u32>, most: usize) -> Vec<u32> {
        let Some(place) = self.place.filter(|_| self.strings.in_value() && most > 0) else { return Vec::new() };
        let (wanted, mut text) = (most * CHARACTERS_PER_TOKEN + CHARACTERS_PER_TOKEN, String::new());
        let ahead = (place..place + wanted).map_while(|place| self.page.at(place));
        let push = match self.syntax {
            Syntax::Json => push_escaped,
            Syntax::Call { .. } => push_plain,
        };
        ahead.for_each(|c| push(&mut text, if c == '\n' { self.line_break } else { c }));
        let mut tokens = self.vocabulary.spell_after(before, text.as_bytes());
        if self.page.at(place + wanted).is_some() && tokens.len() > 1 {
            // The text was cut there, perhaps within a token.
            tokens.pop();
        }
        tokens.truncate(most);
        tokens
    }

    /// A value after one that was copied whole probably stands behind it.
    fn begin(&mut self) {
        self.value.clear();
        self.place = self.verbatim.then(|| self.page.word_from(self.last));
        self.verbatim = true;
    }

    fn character(&mut self, c: char) {
        if c.is_whitespace() && self.value.last().is_some_and(|last| last.is_whitespace()) {
            return;
        }
        let first = self.value.is_empty();
        if self.value.len() >= 2 * REMEMBERED {
            self.value.drain(..REMEMBERED);
        }
        self.value.push(c);
        if !self.goes_on_with(c) {
            self.verbatim &= first || self.place.is_none();
            self.place = self.page.behind(&self.value, self.last);
        }
    }

    /// True when the page has `c` at the value's place, which then lies one further.
    fn goes_on_with(&mut self, c: char) -> bool {
        let Some((place, held)) = self.place.and_then(|place| Some((place, self.page.at(place)?))) else {
            return false;
        };
        if held == '\n' && c.is_whitespace() {
            self.line_break = if matches!(c, '\n' | '\r') { '\n' } else { ' ' };
        }
        let same = plain(held) == plain(c);
        self.place = same.then_some(place + 1);
        same
    }

    fn end(&mut self) {
        self.verbatim &= self.place.is_some();
        self.last = self.place.unwrap_or(self.last);
        self.place = None;
    }
}

impl std::fmt::Debug for Copyist {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Copyist").field("place", &self.place).field("last", &self.last).finish_non_exhaustive()
    }
}
