//! What stands at each position of a prompt, and where the prompt may be cut into chunks.
//!
//! A model that sees pictures in both directions must be given each in one piece: what comes with a later chunk cannot
//! be seen from an earlier one.

use crate::base::model::{ImageAttention, TextFacts, TokenIds};

/// The kinds of positions, and the rule for cuts.
pub(super) struct Cuts {
    image: u32,
    video: u32,
    audio: u32,
    attention: ImageAttention,
}

impl Cuts {
    pub(super) fn new(ids: &TokenIds, facts: &TextFacts) -> Self {
        Self { image: ids.image, video: ids.video, audio: ids.audio, attention: facts.image_attention }
    }

    /// `mm_token_type_ids` of these tokens: 0 for text, 1 for images, 2 for video, 3 for audio (transformers'
    /// `processing_gemma4.py`).
    pub(super) fn kinds(&self, tokens: &[u32]) -> Vec<i64> {
        tokens.iter().map(|token| self.kind(*token)).collect()
    }

    /// For each token of a chunk the place, within the chunk, of the last one that it sees on sliding layers: its own, or
    /// that of the last token of its picture where pictures are seen in both directions.
    pub(super) fn visible_ends(&self, tokens: &[u32]) -> Vec<usize> {
        let mut ends: Vec<usize> = (0..tokens.len()).collect();
        if self.attention == ImageAttention::Bidirectional {
            for place in (1..tokens.len()).rev().filter(|place| self.is_inside(tokens, *place)) {
                ends[place - 1] = ends[place];
            }
        }
        ends
    }

    fn kind(&self, token: u32) -> i64 {
        match token {
            token if token == self.image => 1,
            token if token == self.video => 2,
            token if token == self.audio => 3,
            _ => 0,
        }
    }

    /// Where the chunk that begins at `start` ends: `most` tokens on, but never inside a picture that must stay whole.
    /// Such a picture waits for the next chunk, or is a chunk of its own however long it is.
    pub(super) fn end(&self, tokens: &[u32], start: usize, most: usize) -> usize {
        let end = tokens.len().min(start + most.max(1));
        if self.attention == ImageAttention::Causal || !self.is_inside(tokens, end) {
            return end;
        }
        let seen = |token: &&u32| self.is_seen(**token);
        let before = tokens[start..end].iter().rev().take_while(seen).count();
        match end - before {
            begin if begin > start => begin,
            _ => end + tokens[end..].iter().take_while(seen).count(),
        }
    }

    /// Do the tokens before and after this place belong to one picture?
    fn is_inside(&self, tokens: &[u32], place: usize) -> bool {
        place > 0 && place < tokens.len() && self.is_seen(tokens[place - 1]) && self.is_seen(tokens[place])
    }

    fn is_seen(&self, token: u32) -> bool {
        token == self.image || token == self.video
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const IMAGE: u32 = 10;

    fn ends(attention: ImageAttention, tokens: &[u32], most: usize) -> Vec<usize> {
        let cuts = Cuts { image: IMAGE, video: 11, audio: 12, attention };
        let next = |start: &usize| (*start < tokens.len()).then(|| cuts.end(tokens, *start, most));
        std::iter::successors(Some(0), next).skip(1).collect()
    }

    #[test]
    fn a_picture_that_is_seen_in_both_directions_is_never_cut() {
        let tokens = [1, 2, 3, IMAGE, IMAGE, IMAGE, IMAGE, 4, IMAGE, 5, 6];
        assert_eq!(ends(ImageAttention::Bidirectional, &tokens, 5), [3, 8, 11]);
        assert_eq!(ends(ImageAttention::Bidirectional, &tokens, 2), [2, 3, 7, 9, 11]);
        assert_eq!(ends(ImageAttention::Bidirectional, &tokens, 1), [1, 2, 3, 7, 8, 9, 10, 11]);
        assert_eq!(ends(ImageAttention::Causal, &tokens, 5), [5, 10, 11]);
    }

    #[test]
    fn tokens_of_a_picture_see_to_its_end() {
        let cuts = |attention| Cuts { image: IMAGE, video: 11, audio: 12, attention };
        let tokens = [IMAGE, IMAGE, 3, IMAGE, 11, IMAGE, 12, 12];
        let seen = cuts(ImageAttention::Bidirectional).visible_ends(&tokens);
        assert_eq!(seen, [1, 1, 2, 5, 5, 5, 6, 7]);
        assert_eq!(cuts(ImageAttention::Causal).visible_ends(&tokens), (0..8).collect::<Vec<_>>());
    }

    #[test]
    fn a_prompt_that_ends_with_a_picture_ends() {
        assert_eq!(ends(ImageAttention::Bidirectional, &[1, IMAGE, IMAGE, IMAGE], 2), [1, 4]);
        assert_eq!(ends(ImageAttention::Bidirectional, &[IMAGE, IMAGE, IMAGE], 1), [3]);
    }
}
