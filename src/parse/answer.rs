//! The text of an answer as JSON. Guided answers are JSON already; others may come wrapped in a Markdown fence.

use serde_json::Value;

use super::{call, twice};

/// Characters of an answer, or of a problem in it, that a message shows.
const SHOWN: usize = 200;

/// Reads the text as JSON, and counts the values that a later one of the same name has replaced.
///
/// # Errors
/// One line that says why it is none.
pub fn read(text: &str) -> Result<(Value, usize), String> {
    let bare = unfenced(text.trim());
    if bare.is_empty() {
        return Err("the answer is empty".to_owned());
    }
    twice::read(bare).map_err(|error| format!("the answer is not JSON: {error}"))
}

/// Reads an answer of which only the text was kept, as JSON or as a call.
///
/// # Errors
/// One line that says why it is neither.
pub fn reread(text: &str) -> Result<Value, String> {
    let json = read(text).map(|(answer, _)| answer);
    json.or_else(|no_json| call::reread(text).map_err(|no_call| format!("{no_json}; {no_call}")))
}

fn unfenced(text: &str) -> &str {
    let inside = text.strip_prefix("```").and_then(|rest| rest.strip_suffix("```"));
    inside.map_or(text, |inside| inside.strip_prefix("json").unwrap_or(inside).trim())
}

/// The beginning of an answer or a problem, on one line, for messages.
pub fn beginning(text: &str) -> String {
    let mut shown: String = text.chars().take(SHOWN).map(|one| if one.is_control() { ' ' } else { one }).collect();
    if text.chars().nth(SHOWN).is_some() {
        shown.push_str("...");
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fence_around_the_answer_is_taken_off() {
        assert_eq!(read("```json\n{\"a\":1}\n```\n").unwrap().0["a"], 1);
        assert_eq!(read(" {\"a\":1} ").unwrap().0["a"], 1);
        assert!(read("```json\n```").unwrap_err().contains("empty"));
    }

    #[test]
    fn a_message_shows_a_bounded_beginning_on_one_line() {
        let shown = beginning(&"é\n".repeat(300));
        assert_eq!(shown.chars().count(), SHOWN + 3);
        assert!(!shown.contains('\n'));
    }
}
