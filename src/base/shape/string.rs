//! Strings: which formats and patterns can be enforced while decoding.

/// Formats that the grammar knows, with the longest text that each may take, in characters.
const FORMATS: [(&str, u64); 8] = [
    ("time", 32),
    ("duration", 64),
    ("email", 254),
    ("hostname", 253),
    ("ipv4", 15),
    ("ipv6", 45),
    ("uuid", 36),
    ("uri", 2048),
];

/// The longest text of a format, `None` for a format that we cannot enforce.
pub fn longest_of(format: &str) -> Option<u64> {
    FORMATS.iter().find(|(name, _)| *name == format).map(|(_, longest)| *longest)
}

/// The formats that a schema may name, for messages.
pub fn known_formats() -> String {
    let others = FORMATS.iter().map(|(name, _)| format!("`{name}`")).collect::<Vec<_>>().join(", ");
    format!("`date`, `date-time`, {others}")
}

/// True when a pattern keeps to what an automaton can follow: anchors only at its two ends, and no look-around, flags,
/// back-references or word boundaries.
pub fn is_guidable(pattern: &str) -> bool {
    let inner = pattern.strip_prefix('^').unwrap_or(pattern);
    let mut rest = inner.chars();
    let mut in_class = false;
    while let Some(one) = rest.next() {
        let beyond = match one {
            '\\' => rest.next().is_none_or(is_beyond_escape),
            '[' | ']' => {
                in_class = one == '[';
                false
            }
            _ if in_class => false,
            '(' => rest.as_str().starts_with('?') && !rest.as_str().starts_with("?:"),
            '^' => true,
            '$' => !rest.as_str().is_empty(),
            _ => false,
        };
        if beyond {
            return false;
        }
    }
    true
}

fn is_beyond_escape(escaped: char) -> bool {
    matches!(escaped, 'b' | 'B' | 'k' | 'p' | 'P' | 'A' | 'z' | 'Z' | 'G' | 'K') || escaped.is_ascii_digit()
}
