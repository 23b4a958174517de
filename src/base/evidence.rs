//! What speaks for each value of a record: where its page says the same, how sure the model was, and what the pipeline's
//! own checks made of it.

use super::item::Part;

/// How a value and the page's own text agree.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Agreement {
    /// The page has these very characters, white space aside, between borders of words.
    Exact,
    /// The page writes the same otherwise: case, Unicode, hyphenation, separators of a number, form of a date.
    Normalised,
    /// The page has something like it; the score says how like.
    Fuzzy,
    /// The page has text, and nothing like the value.
    Absent,
    /// There is no text to compare with.
    NoTextLayer,
}

impl Agreement {
    /// All of them, in the order of the column's dictionary.
    pub const ALL: [Self; 5] = [Self::Exact, Self::Normalised, Self::Fuzzy, Self::Absent, Self::NoTextLayer];

    /// The value of the column.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Exact => "exact",
            Self::Normalised => "normalised",
            Self::Fuzzy => "fuzzy",
            Self::Absent => "absent",
            Self::NoTextLayer => "no-text-layer",
        }
    }

    /// True when the page says it, in whatever words.
    pub fn is_found(self) -> bool {
        matches!(self, Self::Exact | Self::Normalised | Self::Fuzzy)
    }
}

/// Where a page says a value.
#[derive(Debug, Clone, PartialEq)]
pub struct Passage {
    /// The words of the page.
    pub quote: String,
    /// On which of the unit's pages its first word stands, from 0.
    pub page: u32,
    /// The box around these words, as in [`super::Word::bounds`]; `None` where the text has no places.
    pub bounds: Option<[f32; 4]>,
    /// Places that would do as well, this one included.
    pub occurrences: u32,
}

/// How likely the tokens of a value were among those that the grammar allowed, at temperature 1. Tokens that the grammar
/// left no choice about count as certain.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Confidence {
    /// Geometric mean of the probabilities, 0 to 1.
    pub mean: f32,
    /// The lowest probability, 0 to 1.
    pub least: f32,
}

/// What speaks for one value.
#[derive(Debug, Clone, PartialEq)]
pub struct Grounds {
    /// JSON Pointer of the value in the record.
    pub path: String,
    /// Which part of the document says it.
    pub part: Part,
    /// The value as text; `None` for `null`.
    pub value: Option<String>,
    /// `None` for what no page spells out: `null`, true, false, and the empty string.
    pub agreement: Option<Agreement>,
    /// 1 when exact or normalised, the likeness when fuzzy, 0 when absent; `None` where nothing was compared.
    pub score: Option<f32>,
    /// Where the page says it.
    pub passage: Option<Passage>,
    /// `None` where the value was not chosen by the model but written to close the answer, or its tokens are not known.
    pub confidence: Option<Confidence>,
}

/// What speaks for a record.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Evidence {
    /// One for each value of the answer that is no object or array, in the order of the answer.
    pub values: Vec<Grounds>,
    /// Mean score of the values that were compared, 0 to 1. A choice of the schema counts only where the page has it,
    /// since its words are the schema's. `None` where nothing was compared.
    pub agreement: Option<f32>,
    /// True when the page's text seems to speak to the model; `None` without text.
    pub addresses_model: Option<bool>,
}

/// What a check of the pipeline made of a record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    /// The check's name.
    pub name: String,
    /// `None` where a value is missing, so that there was nothing to check.
    pub passed: Option<bool>,
    /// What was compared, for people.
    pub detail: String,
}
