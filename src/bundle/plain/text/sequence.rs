//! The prompt's ids: what is looked up, where features go, and who sees whom.

use std::ops::Range;

use super::super::unfit;
use crate::{
    base::{
        Fatal,
        model::{ImageAttention, TokenIds},
    },
    bundle::{Config, TextConfig},
};

/// What stands at a position.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Text,
    Picture,
    Sound,
}

/// A prompt's positions.
pub struct Sequence {
    /// The row of the embedding tables: padding at soft tokens.
    pub rows: Vec<usize>,
    /// What stands there.
    pub kinds: Vec<Kind>,
    /// Where the keys end that a sliding layer's query may see.
    sliding_ends: Vec<usize>,
}

impl Sequence {
    /// # Errors
    /// When there are no ids, more than the model has positions, or some beyond its vocabulary.
    pub fn new(config: &Config, ids: &[u32]) -> Result<Self, Fatal> {
        let (most, rows) = (config.text.max_positions, config.text.vocab_size);
        if ids.is_empty() || ids.len() > most {
            return Err(unfit(format!("the prompt has {} ids, the model was made for 1 to {most}", ids.len())));
        }
        if let Some(id) = ids.iter().find(|&&id| id as usize >= rows) {
            return Err(unfit(format!("the id {id} is beyond the vocabulary of {rows}")));
        }
        let kinds: Vec<Kind> = ids.iter().map(|&id| kind(&config.tokens, id)).collect();
        let pad = config.tokens.pad;
        let looked_up = ids.iter().zip(&kinds).map(|(&id, &kind)| if kind == Kind::Text { id } else { pad } as usize);
        let sliding_ends = sliding_ends(&kinds, config.text.image_attention);
        Ok(Self { rows: looked_up.collect(), kinds, sliding_ends })
    }

    /// How many positions there are.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// The keys that the query at a place sees.
    pub fn seen(&self, config: &TextConfig, sliding: bool, place: usize) -> Range<usize> {
        match sliding {
            true => (place + 1).saturating_sub(config.sliding_window)..self.sliding_ends[place],
            false => 0..place + 1,
        }
    }
}

fn kind(tokens: &TokenIds, id: u32) -> Kind {
    match id {
        id if id == tokens.image || id == tokens.video => Kind::Picture,
        id if id == tokens.audio => Kind::Sound,
        _ => Kind::Text,
    }
}

/// Where pictures are seen in both directions, every soft token of an unbroken run of them sees its end.
fn sliding_ends(kinds: &[Kind], image_attention: ImageAttention) -> Vec<usize> {
    let mut ends: Vec<usize> = (1..=kinds.len()).collect();
    if image_attention == ImageAttention::Bidirectional {
        for place in (1..kinds.len()).rev() {
            if (kinds[place - 1], kinds[place]) == (Kind::Picture, Kind::Picture) {
                ends[place - 1] = ends[place];
            }
        }
    }
    ends
}

#[cfg(test)]
mod tests {
    use super::{Kind::*, *};

    #[test]
    fn a_run_of_soft_tokens_sees_its_own_end_where_pictures_are_seen_in_both_directions() {
        let kinds = [Text, Picture, Picture, Picture, Text, Picture, Picture, Sound, Sound];
        assert_eq!(sliding_ends(&kinds, ImageAttention::Bidirectional), [1, 4, 4, 4, 5, 7, 7, 8, 9]);
        assert_eq!(sliding_ends(&kinds, ImageAttention::Causal), [1, 2, 3, 4, 5, 6, 7, 8, 9]);
    }
}
