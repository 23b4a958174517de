//! Strings: which formats and patterns can be enforced while decoding, and the expressions for those whose common
//! grammar lets through what is not valid.

/// A format: its name, the longest text that it may take, in characters, and what it may be. Without an expression of
/// ours the grammar's own is used.
type Format = (&'static str, u64, Option<&'static str>);

/// Formats that a string may have beside dates. Times are held to seconds below 60.
const FORMATS: [Format; 8] = [
    ("time", 32, Some(TIME)),
    ("duration", 64, None),
    ("email", 254, Some(EMAIL)),
    ("hostname", 253, Some(HOST)),
    ("ipv4", 15, None),
    ("ipv6", 45, None),
    ("uuid", 36, None),
    ("uri", 2048, None),
];

macro_rules! clock {
    () => {
        "(?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9]"
    };
}

macro_rules! zone {
    () => {
        "(?:Z|[+-](?:[01][0-9]|2[0-3]):[0-5][0-9])"
    };
}

/// A name between the dots of a host: up to 63 letters, digits and hyphens, hyphens at neither end, and two as its
/// third and fourth sign only in names that are encoded. Whether the code of those is one is left to the check.
macro_rules! label {
    () => {
        concat!(
            "(?:[A-Za-z0-9](?:[A-Za-z0-9]",
            "|[A-Za-z0-9-][A-Za-z0-9](?:[A-Za-z0-9-]{0,59}[A-Za-z0-9])?",
            "|[A-Za-z0-9-]-[A-Za-z0-9](?:[A-Za-z0-9-]{0,58}[A-Za-z0-9])?)?",
            "|xn--[A-Za-z0-9](?:[A-Za-z0-9-]{0,57}[A-Za-z0-9])?)",
        )
    };
}

macro_rules! host {
    () => {
        concat!(label!(), "(?:\\.", label!(), "){0,9}")
    };
}

/// A host whose labels are so short that four of them have an end without counting.
macro_rules! short_host {
    ($length:literal) => {
        concat!(
            "[A-Za-z0-9](?:-?[A-Za-z0-9]){0,",
            $length,
            "}(?:\\.[A-Za-z0-9](?:-?[A-Za-z0-9]){0,",
            $length,
            "}){0,3}"
        )
    };
}

/// What stands between the dots before an `@`: RFC 5322's `atext`.
macro_rules! atom {
    ($most:literal) => {
        concat!("[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]{1,", $most, "}")
    };
}

/// Up to 64 signs before an `@`, the dots among them.
macro_rules! local {
    () => {
        concat!(
            "(?:",
            atom!(64),
            "|",
            atom!(31),
            "\\.",
            atom!(32),
            "|",
            atom!(20),
            "(?:\\.",
            atom!(20),
            "){2}|",
            atom!(12),
            "(?:\\.",
            atom!(12),
            "){3,4})"
        )
    };
}

/// The days that there are from the year 1 to 9999: 29 February in years that 4 divides, but not 100, unless 400 does.
macro_rules! day {
    () => {
        concat!(
            "(?:(?:[0-9]{3}[1-9]|[0-9]{2}[1-9]0|[0-9][1-9]00|[1-9]000)-",
            "(?:(?:0[13578]|1[02])-(?:0[1-9]|[12][0-9]|3[01])",
            "|(?:0[469]|11)-(?:0[1-9]|[12][0-9]|30)",
            "|02-(?:0[1-9]|1[0-9]|2[0-8]))",
            "|(?:[0-9]{2}(?:0[48]|[2468][048]|[13579][26])|(?:0[48]|[2468][048]|[13579][26])00)-02-29)",
        )
    };
}

const TIME: &str = concat!("^", clock!(), "(?:\\.[0-9]{1,9})?", zone!(), "$");
const HOST: &str = concat!("^", host!(), "$");
const EMAIL: &str = concat!("^", local!(), "@", host!(), "$");
const SHORT_HOST: &str = concat!("^", short_host!(30), "$");
const SHORT_EMAIL: &str = concat!("^", atom!(15), "(?:\\.", atom!(15), "){0,3}@", short_host!(20), "$");

/// A string with `format` `date`.
pub const DATE: &str = concat!("^", day!(), "$");
/// A string with `format` `date-time`, to the microsecond.
pub const DATE_TIME: &str = concat!("^", day!(), "T", clock!(), "(?:\\.[0-9]{1,6})?", zone!(), "$");

/// The longest text of a format, `None` for a format that we cannot enforce.
pub fn longest_of(format: &str) -> Option<u64> {
    FORMATS.iter().find(|(name, ..)| *name == format).map(|(_, longest, _)| *longest)
}

/// Our own expression for a format. Its texts are to be counted besides.
pub fn pattern_of(format: &str) -> Option<&'static str> {
    FORMATS.iter().find(|(name, ..)| *name == format).and_then(|(.., pattern)| *pattern)
}

/// Our own expression for a format where the schema has a `pattern` too. To follow both and to count is more than the
/// grammar can do (`@example` beside an address takes more than its lexer may have), so these have an end of their own.
pub fn pattern_beside_another(format: &str) -> Option<&'static str> {
    match format {
        "email" => Some(SHORT_EMAIL),
        "hostname" => Some(SHORT_HOST),
        other => pattern_of(other),
    }
}

/// The expression for a format that answers of all kinds are held to, dates among them.
pub fn expression_of(format: &str) -> Option<&'static str> {
    match format {
        "date" => Some(DATE),
        "date-time" => Some(DATE_TIME),
        other => pattern_of(other),
    }
}

/// The formats that a schema may name, for messages.
pub fn known_formats() -> String {
    let others = FORMATS.iter().map(|(name, ..)| format!("`{name}`")).collect::<Vec<_>>().join(", ");
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
