//! What a bucket says when it does not do as asked, as an error for people. No secret comes through: signed addresses lose
//! their queries.

use object_store::Error;

use super::Address;
use crate::base::Fatal;

/// `doing` is what was tried, as `read`.
pub fn trouble(address: &Address, doing: &str, error: &Error) -> Fatal {
    let message = |why: &str| format!("publish: `{address}`: cannot {doing}: {why}");
    let said = shown(&chain(error));
    let who = || format!("set {} to those of an account that may write there", address.variables());
    match error {
        Error::Unauthenticated { .. } | Error::PermissionDenied { .. } => Fatal::new(message(&said), who()),
        Error::NotFound { .. } => Fatal::new(message(&said), "make the bucket first, or correct its name or region"),
        Error::NotImplemented { .. } | Error::NotSupported { .. } => Fatal::new(
            message(&format!("the service does not know how: {said}")),
            "use a service that puts an object only where there is none (`If-None-Match: *`)",
        ),
        _ => Fatal::new(
            message(&said),
            format!("give the same command again: what is there is kept. If it fails again, {}", who()),
        ),
    }
}

/// The error and what is below it, where the error itself does not say so.
fn chain(error: &Error) -> String {
    let mut text = error.to_string();
    let mut below = std::error::Error::source(error);
    while let Some(cause) = below {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text = format!("{text}: {cause_text}");
        }
        below = cause.source();
    }
    text
}

/// Without the queries of addresses and what stands before an `@` in one: both may be secrets.
pub fn shown(text: &str) -> String {
    text.split_inclusive(char::is_whitespace).map(without_secrets).collect()
}

fn without_secrets(word: &str) -> String {
    let Some((scheme, rest)) = word.split_once("://") else { return word.to_owned() };
    let (place, query) = rest.split_once(['?', '#']).map_or((rest, ""), |(place, query)| (place, query));
    let end: String =
        if query.is_empty() { String::new() } else { query.chars().filter(|c| ")\"',: \n".contains(*c)).collect() };
    let host = place.split('/').next().unwrap_or_default();
    let place = match host.split_once('@') {
        Some((user, _)) if user.contains(':') => &place[user.len() + 1..],
        _ => place,
    };
    format!("{scheme}://{place}{end}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signatures_and_passwords_are_not_shown() {
        let said =
            "GET https://a.blob.core.windows.net/c/d?sv=1&sig=hunter2) failed: (https://k:hunter2@host/a), s3://b/c?";
        let shown = shown(said);
        assert_eq!(shown, "GET https://a.blob.core.windows.net/c/d) failed: (https://host/a), s3://b/c");
        assert_eq!(super::shown("az://container@account/path, and a:b@c"), "az://container@account/path, and a:b@c");
    }
}
