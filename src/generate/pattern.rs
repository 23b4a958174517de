//! Patterns and formats of strings as whole regular expressions, for grammars in Lark.

use llguidance::regex_to_lark;

/// Two bytes of an IP address in hexadecimal, and one in decimal.
const PAIR: &str = "[0-9a-fA-F]{1,4}";
const BYTE: &str = "(?:25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])";

/// A name between the dots of a domain.
const LABEL: &str = "[a-zA-Z0-9](?:[a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?";

/// Hours, minutes, seconds, and the zone that must follow.
const CLOCK: &str = r"(?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](?:\.[0-9]{1,9})?";
const ZONE: &str = "(?:Z|[+-](?:[01][0-9]|2[0-3]):[0-5][0-9])";

/// A day of the calendar, the 29th of February in leap years alone.
const DAY: &str = "(?:[0-9]{4}-(?:(?:0[13578]|1[02])-(?:0[1-9]|[12][0-9]|3[01])|\
                   (?:0[469]|11)-(?:0[1-9]|[12][0-9]|30)|02-(?:0[1-9]|1[0-9]|2[0-8]))|\
                   (?:[0-9]{2}(?:0[48]|[2468][048]|[13579][26])|(?:[02468][048]|[13579][26])00)-02-29)";

/// What a text of a format looks like; the more outlandish forms of addresses are left out.
///
/// # Errors
/// When there is no such expression.
pub(super) fn of_format(format: &str) -> Result<String, String> {
    let expression = match format {
        "date" => DAY.to_owned(),
        "time" => format!("{CLOCK}{ZONE}"),
        "date-time" => format!("{DAY}T{CLOCK}{ZONE}"),
        "duration" => duration(),
        "email" => {
            let name = "[a-zA-Z0-9_+%&'-]";
            format!(r"{name}{{1,16}}(?:\.{name}{{1,11}}){{0,4}}@{LABEL}(?:\.{LABEL}){{1,5}}")
        }
        "hostname" => format!(r"{LABEL}(?:\.{LABEL}){{0,9}}"),
        "ipv4" => format!(r"{BYTE}(?:\.{BYTE}){{3}}"),
        "ipv6" => ipv6(),
        "uuid" => "[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}".to_owned(),
        "uri" => {
            let part = "(?:[a-zA-Z0-9_~.!$&'()*+,;=:@-]|%[0-9a-fA-F]{2})*";
            let host = format!(r"{LABEL}(?:\.{LABEL}){{0,9}}(?::[1-9][0-9]{{0,3}})?");
            format!(r"[a-zA-Z][a-zA-Z0-9+.-]{{1,15}}://{host}(?:/{part})*(?:\?{part})?(?:#{part})?")
        }
        _ => return Err(format!("a call cannot be held to the format `{format}`")),
    };
    Ok(regex_to_lark(&expression, ""))
}

fn duration() -> String {
    let clock = "T(?:[0-9]{1,4}H(?:[0-9]{1,4}M(?:[0-9]{1,4}S)?)?|[0-9]{1,4}M(?:[0-9]{1,4}S)?|[0-9]{1,4}S)";
    let days = "(?:[0-9]{1,4}Y(?:[0-9]{1,4}M(?:[0-9]{1,4}D)?)?|[0-9]{1,4}M(?:[0-9]{1,4}D)?|[0-9]{1,4}D)";
    format!("P(?:{days}(?:{clock})?|{clock}|[0-9]{{1,4}}W)")
}

/// Eight groups, or fewer around one `::`.
fn ipv6() -> String {
    let groups = |least: usize, most: usize| format!("{PAIR}(?::{PAIR}){{{},{}}}", least - 1, most - 1);
    let around = (0..8).map(|left: usize| {
        let before = if left == 0 { String::new() } else { groups(left, left) };
        let after = if left == 7 { String::new() } else { format!("(?:{})?", groups(1, 7 - left)) };
        format!("{before}::{after}")
    });
    [groups(8, 8)].into_iter().chain(around).map(|form| format!("(?:{form})")).collect::<Vec<_>>().join("|")
}

/// A pattern of JSON Schema, which may match anywhere, as an expression for the whole string.
///
/// # Errors
/// When an anchor belongs to one alternative alone.
pub(super) fn whole(pattern: &str) -> Result<String, String> {
    let (begins, rest) = pattern.strip_prefix('^').map_or((false, pattern), |rest| (true, rest));
    let escaped = rest.len() - rest.trim_end_matches('$').trim_end_matches('\\').len();
    let ends = rest.ends_with('$') && escaped % 2 == 1;
    let inner = if ends { &rest[..rest.len() - 1] } else { rest };
    if (begins || ends) && has_alternatives(inner) {
        return Err(format!("its pattern `{pattern}` has an anchor in one alternative; put them into a group"));
    }
    let any = |bound: bool| if bound { "" } else { "(?s:.*)" };
    Ok(format!("{}(?:{}){}", any(begins), regex_to_lark(inner, "dw"), any(ends)))
}

/// True when a `|` stands outside of groups and classes.
fn has_alternatives(pattern: &str) -> bool {
    let (mut depth, mut class, mut escaped) = (0, false, false);
    for c in pattern.chars() {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '[' | ']' => class = c == '[',
            _ if class => {}
            '(' => depth += 1,
            ')' => depth -= 1,
            '|' if depth == 0 => return true,
            _ => {}
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_reaches_over_the_whole_string() {
        assert_eq!(whole("^[a-z]{2}$").unwrap(), "(?:[a-z]{2})");
        assert_eq!(whole(r"a/\d\$").unwrap(), r"(?s:.*)(?:a\/[0-9]\$)(?s:.*)");
        assert_eq!(whole(r"^x\\$").unwrap(), r"(?:x\\)");
        assert_eq!(whole("^(a|b)[|]$").unwrap(), "(?:(a|b)[|])");
        assert_eq!(whole("a|b").unwrap(), "(?s:.*)(?:a|b)(?s:.*)");
        assert!(whole("^a|b$").is_err_and(|problem| problem.contains("one alternative")));
    }
}
