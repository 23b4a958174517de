//! How many characters a string may still need to match a pattern, wherever in it one stands.

use regex_syntax::hir::{Class, Hir, HirKind};

/// What a character may take in a JSON string: an escape.
const ESCAPED: usize = 2;
/// The longest character in UTF-8.
const WIDEST: usize = 4;

/// A bound for the bytes that lead to a match from anywhere inside one: each part of the pattern once, or as often as it
/// must stand. A pattern that cannot be read counts as it is written.
pub(super) fn of(pattern: &str) -> usize {
    regex_syntax::parse(pattern).map_or(pattern.len(), |parsed| span(&parsed))
}

fn span(part: &Hir) -> usize {
    match part.kind() {
        HirKind::Empty | HirKind::Look(_) => 0,
        HirKind::Literal(literal) => literal.0.iter().map(|byte| length(*byte)).sum(),
        HirKind::Class(class) if has_plain(class) => 1,
        HirKind::Class(_) => part.properties().minimum_len().map_or(WIDEST, |bytes| bytes.max(ESCAPED)),
        HirKind::Repetition(repeated) => span(&repeated.sub) * (repeated.min.max(1) as usize),
        HirKind::Capture(group) => span(&group.sub),
        HirKind::Concat(parts) => parts.iter().map(span).sum(),
        HirKind::Alternation(ways) => ways.iter().map(span).max().unwrap_or(0),
    }
}

fn length(byte: u8) -> usize {
    if is_escaped(byte) { ESCAPED } else { 1 }
}

fn is_escaped(byte: u8) -> bool {
    byte == b'"' || byte == b'\\' || byte < b' '
}

/// True when the class has a character that is one byte in a JSON string.
fn has_plain(class: &Class) -> bool {
    let mut plain = (b' '..=b'~').filter(|byte| !is_escaped(*byte));
    match class {
        Class::Unicode(class) => plain.any(|byte| {
            let one = char::from(byte);
            class.iter().any(|range| (range.start()..=range.end()).contains(&one))
        }),
        Class::Bytes(class) => {
            plain.any(|byte| class.iter().any(|range| (range.start()..=range.end()).contains(&byte)))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::of;

    #[test]
    fn what_must_be_repeated_counts_as_often() {
        assert_eq!(of("^ab\"c$"), 5);
        assert_eq!(of("^a{20}b*$"), 21);
        assert_eq!(of("^(?:abc|d)$"), 3);
        assert_eq!(of("^é$"), 2);
        assert_eq!(of("("), 1);
    }

    #[test]
    fn a_class_may_need_an_escape() {
        assert_eq!(of("^[0-9]{4}-[0-9]{2}$"), 7);
        assert_eq!(of("^[\"\\\\]{3}$"), 6);
    }
}
