//! How an open answer is completed: byte by byte, always the allowed byte that leads soonest to the end.
//!
//! The grammar says which bytes may come next; an order of preference picks one of them. Inside a string the closing
//! quote comes first; outside, closing brackets come before commas, and commas before whatever would make a number
//! longer; `null` comes before any other value. Several orders are tried, because patterns and formats differ in
//! what leads out of them, and the shortest result is taken.
//!
//! In calls the quote is a special token, and so are the two ends; among the bytes of an answer each stands as its
//! spelling behind the byte 0xff, which no text holds.

use llguidance::Matcher;

use super::{syntax::Syntax, vocabulary::Vocabulary};

/// Inside strings, after the quote. Fillers first (`a`, and what ends formats), then ways out of ever more patterns.
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

/// The bytes that complete the text so far; empty when it may end as it is.
///
/// # Errors
/// When no order of preference reaches an end, or the grammar fails.
pub(super) fn suffix(
    matcher: &Matcher,
    vocabulary: &Vocabulary,
    syntax: Syntax,
    text: &[u8],
) -> Result<Vec<u8>, String> {
    let place = Place::after(syntax, vocabulary, text);
    let mut path = Path { matcher: matcher.clone(), syntax, place, bytes: Vec::new() };
    while !path.may_end()? {
        if path.bytes.len() > LONGEST {
            return Err(format!("an answer to this schema cannot be closed within {LONGEST} bytes"));
        }
        if path.place.in_string() {
            path = path.out_of_string(vocabulary)?;
        } else {
            path.go(vocabulary, OUTSIDE)?;
        }
    }
    Ok(path.bytes)
}

/// A way on from the text so far.
struct Path {
    matcher: Matcher,
    syntax: Syntax,
    place: Place,
    bytes: Vec<u8>,
}

impl Path {
    fn may_end(&mut self) -> Result<bool, String> {
        if self.matcher.is_stopped() && !self.matcher.is_error() {
            return Ok(true);
        }
        self.matcher.is_accepting().map_err(|error| error.to_string())
    }

    /// The shortest way to the closing quote that any order of preference finds.
    fn out_of_string(&self, vocabulary: &Vocabulary) -> Result<Self, String> {
        for limit in ROUNDS {
            let ways = INSIDE.iter().filter_map(|order| self.by_order(vocabulary, order, limit).transpose());
            let ways: Vec<Self> = ways.collect::<Result<_, _>>()?;
            if let Some(shortest) = ways.into_iter().min_by_key(|way| way.bytes.len()) {
                return Ok(shortest);
            }
        }
        Err("a string of this schema cannot be closed; give it a maxLength or a simpler pattern".to_owned())
    }

    /// The way to the closing quote that one order finds within `limit` bytes.
    fn by_order(&self, vocabulary: &Vocabulary, order: &[u8], limit: usize) -> Result<Option<Self>, String> {
        let (matcher, bytes) = (self.matcher.clone(), self.bytes.clone());
        let mut way = Self { matcher, syntax: self.syntax, place: self.place, bytes };
        while way.place.in_string() {
            if way.bytes.len() >= self.bytes.len() + limit {
                return Ok(None);
            }
            way.go(vocabulary, order)?;
        }
        Ok(Some(way))
    }

    /// One byte or special token on: a closing quote when that is allowed, else the first of `order`, else any.
    fn go(&mut self, vocabulary: &Vocabulary, order: &[u8]) -> Result<(), String> {
        let quote = self.place.in_string().then_some(b'"');
        let (syntax, preferred) = (self.syntax, quote.into_iter().chain(order.iter().copied()));
        let preferred = preferred.filter_map(|byte| token(syntax, vocabulary, byte));
        let any = (0..=255).filter_map(|byte| vocabulary.token_of_byte(byte)).chain(syntax.controls());
        let mut tokens = preferred.chain(any);
        let token = loop {
            let token = tokens.next().ok_or("the vocabulary lacks a byte that the schema demands")?;
            if self.matcher.validate_tokens(&[token]).map_err(|error| error.to_string())? == 1 {
                break token;
            }
        };
        self.matcher.consume_token(token).map_err(|error| error.to_string())?;
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
