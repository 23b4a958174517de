//! Patterns and formats of strings as whole regular expressions, for grammars in Lark.

use llguidance::regex_to_lark;

use crate::base::shape::expression_of;

/// Two bytes of an IP address in hexadecimal, and one in decimal.
const PAIR: &str = "[0-9a-fA-F]{1,4}";
const BYTE: &str = "(?:25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])";

/// A name between the dots of a URI's host.
const LABEL: &str = "[a-zA-Z0-9](?:[a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?";

/// What a text of a format looks like: as in JSON, where the shape has an expression for it. The more outlandish forms
/// of URIs are left out.
///
/// # Errors
/// When there is no such expression.
pub(super) fn of_format(format: &str) -> Result<String, String> {
    if let Some(expression) = expression_of(format) {
        return whole(expression);
    }
    let expression = match format {
        "duration" => duration(),
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

    #[test]
    fn a_call_is_held_to_the_formats_of_json() {
        for format in ["date", "time", "date-time", "email", "hostname"] {
            assert_eq!(of_format(format), whole(expression_of(format).unwrap()), "{format}");
        }
        assert!(of_format("uri").is_ok() && of_format("regex").is_err());
    }
}
