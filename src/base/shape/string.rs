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

/// True when a pattern keeps to what an automaton can follow: no look-around, back-references or word boundaries.
pub fn is_guidable(pattern: &str) -> bool {
    const BEYOND: [&str; 7] = ["(?=", "(?!", "(?<", "\\b", "\\B", "\\k", "\\p"];
    let refers_back = pattern.as_bytes().windows(2).any(|pair| pair[0] == b'\\' && pair[1].is_ascii_digit());
    !refers_back && !BEYOND.iter().any(|syntax| pattern.contains(syntax))
}
