//! The budget of soft tokens of a page or picture: a number, or chosen for each by how small its print is.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use super::{
    grid::{BUDGETS, Grid},
    media::TextLayer,
};

/// The largest of [`BUDGETS`].
const MOST: u32 = BUDGETS[BUDGETS.len() - 1];

/// Pixels that the small letters of a page are high at least, from the base line to the top of an x. Recognisers of print
/// are commonly asked for ten and begin to fail below six; no trained Gemma was at hand to find its own bound.
const SMALL_LETTERS: f64 = 6.0;

/// Words that one soft token can be asked to hold.
const WORDS_A_TOKEN: f64 = 1.25;

/// The share of words that may be smaller still, such as footnote signs.
const SMALLER: usize = 10;

/// How many soft tokens a page or picture may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Budget {
    /// So many: one of [`BUDGETS`].
    Tokens(u32),
    /// As few of [`BUDGETS`] as its print allows.
    Auto,
}

impl Budget {
    /// The number, or the largest that may be chosen.
    pub fn most(self) -> u32 {
        match self {
            Self::Tokens(tokens) => tokens,
            Self::Auto => MOST,
        }
    }
}

impl From<u32> for Budget {
    fn from(tokens: u32) -> Self {
        Self::Tokens(tokens)
    }
}

impl fmt::Display for Budget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tokens(tokens) => tokens.fmt(f),
            Self::Auto => f.write_str("auto"),
        }
    }
}

impl FromStr for Budget {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "auto" => Ok(Self::Auto),
            _ => text.parse().map(Self::Tokens).map_err(|_| format!("`{text}` is neither a number nor `auto`")),
        }
    }
}

impl Serialize for Budget {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Tokens(tokens) => serializer.serialize_u32(*tokens),
            Self::Auto => serializer.serialize_str("auto"),
        }
    }
}

impl<'de> Deserialize<'de> for Budget {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl de::Visitor<'_> for Visitor {
            type Value = Budget;

            fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
                f.write_str("a number of soft tokens, or \"auto\"")
            }

            fn visit_u64<E: de::Error>(self, tokens: u64) -> Result<Budget, E> {
                u32::try_from(tokens).map(Budget::Tokens).map_err(E::custom)
            }

            fn visit_i64<E: de::Error>(self, tokens: i64) -> Result<Budget, E> {
                u32::try_from(tokens).map(Budget::Tokens).map_err(E::custom)
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Budget, E> {
                if text == "auto" { Ok(Budget::Auto) } else { Err(E::invalid_value(de::Unexpected::Str(text), &self)) }
            }
        }
        deserializer.deserialize_any(Visitor)
    }
}

/// The smallest budget at which the print of a page of this shape can be read, by its own text layer.
pub fn for_print(layer: &TextLayer, width: u32, height: u32) -> u32 {
    let Some(smallest) = smallest_print(layer) else { return MOST };
    let fits = |budget: &u32| {
        let Some(grid) = Grid::fit(width, height, *budget) else { return false };
        let room = f64::from(*budget) * WORDS_A_TOKEN;
        f64::from(grid.height) * smallest >= SMALL_LETTERS && layer.words.len() as f64 <= room
    };
    BUDGETS.into_iter().find(fits).unwrap_or(MOST)
}

/// The height of the smaller print as a fraction of the page: words of small letters alone are as high as an x.
fn smallest_print(layer: &TextLayer) -> Option<f64> {
    let words = layer.words.iter().filter(|word| word.text.chars().filter(|c| c.is_alphanumeric()).count() > 1);
    // Words that run from bottom to top are as high as they are long.
    let height = |[left, top, right, bottom]: [f32; 4]| f64::from((bottom - top).min(right - left));
    let mut heights: Vec<f64> = words.map(|word| height(word.bounds)).filter(|height| *height > 0.0).collect();
    heights.sort_by(f64::total_cmp);
    heights.get(heights.len() / SMALLER).copied()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::Word;

    /// A page of `count` words whose small letters are `points` high on A4.
    fn page(count: usize, points: f32) -> TextLayer {
        let word = |_| Word { text: "some".to_owned(), bounds: [0.1, 0.2, 0.2, 0.2 + points / 842.0] };
        TextLayer { text: String::new(), words: (0..count).map(word).collect() }
    }

    #[test]
    fn small_print_and_many_words_take_more_tokens() {
        let of = |count, points| for_print(&page(count, points), 595, 842);
        assert_eq!(of(30, 20.0), 70, "a title page");
        // 10 point type has small letters of about 4.6 points; A4 is 672 x 912 pixels at 280, 912 x 1344 at 560.
        assert_eq!(of(100, 4.6), 560);
        assert_eq!(of(100, 5.6), 280, "12 points");
        assert_eq!(of(100, 3.0), 1120, "6 points");
        assert_eq!(of(900, 5.6), 1120, "a page full of words");
        assert_eq!(of(0, 1.0), 1120, "nothing is known of it");
    }

    #[test]
    fn a_budget_is_a_number_or_auto() {
        #[derive(Deserialize)]
        struct Table {
            budget: Budget,
        }
        let read = |text: &str| toml::from_str::<Table>(text).map(|table| table.budget);
        assert_eq!(read("budget = 280").unwrap(), Budget::Tokens(280));
        assert_eq!(read("budget = \"auto\"").unwrap(), Budget::Auto);
        assert!(read("budget = \"large\"").unwrap_err().to_string().contains("auto"));
        assert!(read("budget = -1").is_err());
        assert_eq!("auto".parse(), Ok(Budget::Auto));
    }
}
