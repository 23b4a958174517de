//! How an open answer is completed: byte by byte, always the allowed byte that leads soonest to the end.
//!
//! The grammar says which bytes may come next; an order of preference picks one of them. Inside a string the closing
//! quote comes first, then the endings that the schema's patterns are known to have ([`super::endings`]); outside, closing
//! brackets come before commas, and commas before whatever would make a number longer; `null` comes before any other value.
//! Several orders are tried, because patterns and formats differ in what leads out of them, and the shortest result is
//! taken.
//!
//! In calls the quote is a special token, and so are the two ends; among the bytes of an answer each stands as its
//! spelling behind the byte 0xff, which no text holds.

use llguidance::Matcher;

use super::{endings::Endings, syntax::Syntax, vocabulary::Vocabulary};

/// Inside strings, after quote and endings. Fillers first (`a`, and what ends formats), then ways out of ever more patterns.
const INSIDE: [&[u8]; 4] = [
    b"aZ1023456789",
    b":@/.-_ 10aAZz",
    b"ZYXWVUTSRQPONMLKJIHGFEDCBA@:-/. 19876543210",
    b"zyxwvutsrqponmlkjihgfedcb ,;:-/9876543210",
];

/// Bytes that the rest of a string may take: few at first, so that an order that leads nowhere costs little.
const ROUNDS: [usize; 2] = [64, 1 << 14];

/// Outside strings. Digits start in the middle of the scale: 0 or 9 could lead along a bound without end.
const OUTSIDE: &[u8] = b"}],n\"[{:5647382910-.eE+tf";

/// Bytes that an answer may take to be closed, else the schema is at fault.
const LONGEST: usize = 1 << 20;

/// What ways are made of.
#[derive(Clone, Copy)]
pub(super) struct Means<'a> {
    pub vocabulary: &'a Vocabulary,
    pub syntax: Syntax,
    pub endings: &'a Endings,
}

/// The bytes that complete the text so far; empty when it may end as it is.
///
/// # Errors
/// When no order of preference reaches an end, or the grammar fails.
pub(super) fn suffix(matcher: &Matcher, means: Means, text: &[u8]) -> Result<Vec<u8>, String> {
    let place = Place::after(means.syntax, means.vocabulary, text);
    let mut path = Path { matcher: matcher.clone(), means, place, bytes: Vec::new() };
    path.has_a_mask()?;
    while !path.may_end()? {
        if path.bytes.len() > LONGEST {
            return Err(format!("an answer to this schema cannot be closed within {LONGEST} bytes"));
        }
        if path.place.in_string() {
            path = path.out_of_string()?;
        } else {
            path.go(OUTSIDE)?;
        }
    }
    Ok(path.bytes)
}

/// A way on from the text so far.
struct Path<'a> {
    matcher: Matcher,
    means: Means<'a>,
    place: Place,
    bytes: Vec<u8>,
}

impl Path<'_> {
    fn may_end(&mut self) -> Result<bool, String> {
        if self.matcher.is_stopped() && !self.matcher.is_error() {
            return Ok(true);
        }
        self.matcher.is_accepting().map_err(|error| error.to_string())
    }

    /// Only a mask tells that the lexer has failed, and gives it new fuel: asked for single tokens, a lexer that has
    /// failed allows none.
    fn has_a_mask(&mut self) -> Result<(), String> {
        self.matcher.compute_mask_or_eos().map(drop).map_err(|error| error.to_string())
    }

    /// The shortest way to the closing quote that any order of preference finds.
    fn out_of_string(&self) -> Result<Self, String> {
        for limit in ROUNDS {
            let ways = INSIDE.iter().filter_map(|order| self.by_order(order, limit).transpose());
            let ways: Vec<Self> = ways.collect::<Result<_, _>>()?;
            if let Some(shortest) = ways.into_iter().min_by_key(|way| way.bytes.len()) {
                return Ok(shortest);
            }
        }
        Err("a string of this schema cannot be closed; give it a maxLength or a simpler pattern".to_owned())
    }

    /// The way to the closing quote that one order finds within `limit` bytes.
    fn by_order(&self, order: &[u8], limit: usize) -> Result<Option<Self>, String> {
        let (matcher, bytes) = (self.matcher.clone(), self.bytes.clone());
        let mut way = Self { matcher, means: self.means, place: self.place, bytes };
        while way.place.in_string() {
            if way.bytes.len() >= self.bytes.len() + limit {
                return Ok(None);
            }
            if !way.end()? {
                way.go(order)?;
            }
        }
        Ok(Some(way))
    }

    /// Takes the shortest ending that is allowed here; false where none is.
    fn end(&mut self) -> Result<bool, String> {
        let endings = self.means.endings;
        for ending in endings.shortest_first() {
            if self.allows(ending)? {
                return ending.iter().try_for_each(|token| self.take(*token)).map(|()| true);
            }
        }
        Ok(false)
    }

    /// One byte or special token on: the first of `order` that is allowed, else any.
    fn go(&mut self, order: &[u8]) -> Result<(), String> {
        let Means { vocabulary, syntax, .. } = self.means;
        let preferred = order.iter().filter_map(|byte| token(syntax, vocabulary, *byte));
        let any = (0..=255).filter_map(|byte| vocabulary.token_of_byte(byte)).chain(syntax.controls());
        for token in preferred.chain(any) {
            if self.allows(&[token])? {
                return self.take(token);
            }
        }
        self.has_a_mask()?;
        Err("the vocabulary lacks a byte that the schema demands".to_owned())
    }

    fn allows(&mut self, tokens: &[u32]) -> Result<bool, String> {
        self.matcher.validate_tokens(tokens).map(|count| count == tokens.len()).map_err(|error| error.to_string())
    }

    fn take(&mut self, token: u32) -> Result<(), String> {
        self.matcher.consume_token(token).map_err(|error| error.to_string())?;
        let Means { vocabulary, syntax, .. } = self.means;
        let bytes = vocabulary.bytes(token);
        self.place = self.place.then(syntax, vocabulary, bytes);
        self.bytes.extend(bytes);
        Ok(())
    }
}

/// The token of a byte; of a quote, whatever stands around strings.
fn token(syntax: Syntax, vocabulary: &Vocabulary, byte: u8) -> Option<u32> {
    if byte == b'"' { syntax.quote(vocabulary) } else { vocabulary.token_of_byte(byte) }
}

/// Where in the text we are: the little of the syntax that decides what a quote means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Outside,
    Inside,
    Escaped,
}

impl Place {
    fn after(syntax: Syntax, vocabulary: &Vocabulary, text: &[u8]) -> Self {
        Self::Outside.then(syntax, vocabulary, text)
    }

    fn then(self, syntax: Syntax, vocabulary: &Vocabulary, text: &[u8]) -> Self {
        match syntax {
            Syntax::Json => text.iter().fold(self, |place, byte| place.behind(*byte)),
            Syntax::Call { quote, .. } => {
                let quote = vocabulary.bytes(quote);
                let quotes = text.windows(quote.len()).filter(|bytes| *bytes == quote).count();
                if quotes % 2 == 0 { self } else { self.across() }
            }
        }
    }

    /// Inside becomes outside, and the other way round.
    fn across(self) -> Self {
        if self.in_string() { Self::Outside } else { Self::Inside }
    }

    fn behind(self, byte: u8) -> Self {
        match (self, byte) {
            (Self::Outside, b'"') | (Self::Escaped, _) => Self::Inside,
            (Self::Inside, b'"') => Self::Outside,
            (Self::Inside, b'\\') => Self::Escaped,
            (place, _) => place,
        }
    }

    fn in_string(self) -> bool {
        self != Self::Outside
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::generate::vocabulary::tests::small;

    #[test]
    fn an_escaped_quote_does_not_end_a_string() {
        let after = |text: &[u8]| Place::after(Syntax::Json, &small(), text);
        assert_eq!(after(br#"{"a":"x\""#), Place::Inside);
        assert_eq!(after(br#"{"a":"x\\""#), Place::Outside);
        assert_eq!(after(br#"{"a":"x\"#), Place::Escaped);
    }

    #[test]
    fn only_the_special_token_ends_a_string_of_a_call() {
        let (vocabulary, syntax) = (small(), Syntax::Call { quote: 257, ends: (256, 256) });
        let after = |text: &[u8]| Place::after(syntax, &vocabulary, text);
        assert_eq!(after(b"a:\xff<soft>say \"<soft>\" "), Place::Inside);
        assert_eq!(after(b"a:\xff<soft>\xff<soft>"), Place::Outside);
    }
}
