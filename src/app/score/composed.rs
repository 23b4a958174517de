//! Texts in one way of writing accents, the composed one (Unicode NFC), in which `é` is one character: macOS gives the names
//! of files in the other, and what is typed there may come in either.

use serde_json::{Map, Value};
use unicode_normalization::UnicodeNormalization;

/// A text, composed.
pub(super) fn text(text: String) -> String {
    if text.is_ascii() { text } else { text.nfc().collect() }
}

/// An object with all its texts and names composed.
pub(super) fn object(object: Map<String, Value>) -> Map<String, Value> {
    object.into_iter().map(|(name, held)| (text(name), value(held))).collect()
}

/// A value with all its texts and names composed.
pub(super) fn value(value: Value) -> Value {
    match value {
        Value::String(held) => Value::String(text(held)),
        Value::Array(items) => items.into_iter().map(self::value).collect(),
        Value::Object(held) => Value::Object(object(held)),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn texts_and_names_are_composed_at_any_depth() {
        let decomposed = json!({ "cafe\u{301}": ["u\u{308}", 7, null, { "a": "plain e\u{301}" }] });
        assert_eq!(value(decomposed), json!({ "caf\u{e9}": ["\u{fc}", 7, null, { "a": "plain \u{e9}" }] }));
    }
}
