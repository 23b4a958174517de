//! A short text that matches a pattern: what a string may be closed with.

use regex_syntax::hir::{Class, Hir, HirKind, Look, Repetition};

/// Bytes of the longest text that is looked for.
const MOST: usize = 1 << 10;

/// What stands for a class that has it; else the first printable character of the class.
const USUAL: &str = "a0A ";

/// Each part of the pattern as seldom as it may stand. `None` where the pattern cannot be read, or demands very much.
pub(super) fn of(pattern: &str) -> Option<String> {
    let parsed = regex_syntax::parse(pattern).ok()?;
    String::from_utf8(shortest(&parsed)?).ok()
}

/// True of a pattern that the empty text matches.
pub(super) fn may_be_empty(pattern: &str) -> bool {
    regex_syntax::parse(pattern).is_ok_and(|parsed| takes_nothing(&parsed))
}

fn takes_nothing(part: &Hir) -> bool {
    match part.kind() {
        HirKind::Empty => true,
        HirKind::Look(look) => is_anchor(*look),
        HirKind::Literal(_) | HirKind::Class(_) => false,
        HirKind::Repetition(repeated) => repeated.min == 0 || takes_nothing(&repeated.sub),
        HirKind::Capture(group) => takes_nothing(&group.sub),
        HirKind::Concat(parts) => parts.iter().all(takes_nothing),
        HirKind::Alternation(ways) => ways.iter().any(takes_nothing),
    }
}

/// True of what holds at both ends of any text; an empty one has no words, nor borders of them.
fn is_anchor(look: Look) -> bool {
    matches!(look, Look::Start | Look::End | Look::StartLF | Look::EndLF | Look::StartCRLF | Look::EndCRLF)
}

fn shortest(part: &Hir) -> Option<Vec<u8>> {
    let bytes = match part.kind() {
        HirKind::Empty | HirKind::Look(_) => Some(Vec::new()),
        HirKind::Literal(literal) => Some(literal.0.to_vec()),
        HirKind::Class(class) => plainest(class).map(|one| one.to_string().into_bytes()),
        HirKind::Repetition(repeated) => fewest(repeated),
        HirKind::Capture(group) => shortest(&group.sub),
        HirKind::Concat(parts) => parts.iter().map(shortest).collect::<Option<Vec<_>>>().map(|parts| parts.concat()),
        HirKind::Alternation(ways) => ways.iter().filter_map(shortest).min_by_key(Vec::len),
    };
    bytes.filter(|bytes| bytes.len() <= MOST)
}

fn fewest(repeated: &Repetition) -> Option<Vec<u8>> {
    if repeated.min == 0 {
        return Some(Vec::new());
    }
    let (once, times) = (shortest(&repeated.sub)?, repeated.min as usize);
    (once.len().saturating_mul(times) <= MOST).then(|| once.repeat(times))
}

fn plainest(class: &Class) -> Option<char> {
    let printable = USUAL.chars().chain('!'..='~').find(|one| holds(class, *one));
    printable.or_else(|| match class {
        Class::Unicode(class) => class.iter().next().map(|range| range.start()),
        Class::Bytes(_) => None,
    })
}

fn holds(class: &Class, one: char) -> bool {
    match class {
        Class::Unicode(class) => class.iter().any(|range| (range.start()..=range.end()).contains(&one)),
        Class::Bytes(class) => {
            u8::try_from(one).is_ok_and(|byte| class.iter().any(|range| (range.start()..=range.end()).contains(&byte)))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{may_be_empty, of};

    #[test]
    fn what_need_not_stand_does_not() {
        let found = |pattern: &str| of(pattern).unwrap();
        assert_eq!(found(r"^.+\.$"), "a.");
        assert_eq!(found("^[0-9 .,]+€$"), "0€");
        assert_eq!(found(r"^.+\([0-9]{4}\)$"), "a(0000)");
        assert_eq!(found("^(?:EUR|€)?x*(long|no)$"), "no");
        assert_eq!(found("^[é-ü]$"), "é");
    }

    #[test]
    fn the_empty_text_matches_where_nothing_must_stand() {
        for pattern in ["^[0-9]*$", "x?", "^$", "^(?:EUR|€)?(a|)$", "^(?:[a-z]*){3}$", ""] {
            assert!(may_be_empty(pattern), "{pattern}");
        }
        for pattern in ["^[0-9]+$", "x", "^a*b$", "^(?:a|b)$", r"\b", "^(?:[a-z]?x){2}$", "("] {
            assert!(!may_be_empty(pattern), "{pattern}");
        }
    }

    #[test]
    fn what_cannot_be_read_or_is_endless_has_none() {
        assert_eq!(of("("), None);
        assert_eq!(of("^(?:a{900}){900}$"), None);
    }
}
