//! The two ways in which an answer is written, as far as tokens go: JSON, all of it text, and the model's own syntax of
//! calls, in which special tokens stand around the call and around each string.

use super::vocabulary::Vocabulary;
use crate::base::Output;

/// Stands before and behind every string of a call. Nothing is escaped inside.
pub(super) const QUOTE: &str = "<|\"|>";

/// Stand around a call.
pub(super) const CALL: (&str, &str) = ("<|tool_call>", "<tool_call|>");

/// How an answer is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Syntax {
    /// JSON.
    Json,
    /// A call.
    Call {
        /// The token of [`QUOTE`].
        quote: u32,
        /// The tokens of [`CALL`].
        ends: (u32, u32),
    },
}

impl Syntax {
    /// The syntax in the tokens of a vocabulary.
    ///
    /// # Errors
    /// When the vocabulary lacks one.
    pub fn of(output: Output, vocabulary: &Vocabulary) -> Result<Self, String> {
        let special = |spelling| vocabulary.special(spelling).map_err(|fatal| fatal.message);
        Ok(match output {
            Output::Json => Self::Json,
            Output::ToolCall => Self::Call { quote: special(QUOTE)?, ends: (special(CALL.0)?, special(CALL.1)?) },
        })
    }

    /// The special tokens that are part of an answer.
    pub fn controls(self) -> Vec<u32> {
        match self {
            Self::Json => Vec::new(),
            Self::Call { quote, ends } => vec![quote, ends.0, ends.1],
        }
    }

    /// True for the special token around strings.
    pub(super) fn is_mark(self, token: u32) -> bool {
        matches!(self, Self::Call { quote, .. } if quote == token)
    }

    /// The token that ends a string, and begins one.
    pub(super) fn quote(self, vocabulary: &Vocabulary) -> Option<u32> {
        match self {
            Self::Json => vocabulary.token_of_byte(b'"'),
            Self::Call { quote, .. } => Some(quote),
        }
    }
}
