//! What those who compare models ask of the engine: logits of many positions, and features alone.

use super::{Latest, OrtEngine};
use crate::{
    base::Prompt,
    generate::{
        decoder::Keep,
        engine::{EngineError, Slot},
        floats::floats,
        scores::Scores,
    },
};

impl OrtEngine {
    /// Feeds a whole prompt and gives the logits of every position, `[positions, vocabulary]`. The slot then
    /// stands as after its prefill.
    pub fn score(&mut self, slot: Slot, prompt: &mut Prompt) -> Result<Vec<f32>, EngineError> {
        self.score_kept(slot, prompt, Keep::All, usize::MAX)
    }

    /// As [`Self::score`], with the logits of the last `count` positions alone.
    pub fn score_last(&mut self, slot: Slot, prompt: &mut Prompt, count: usize) -> Result<Vec<f32>, EngineError> {
        self.score_kept(slot, prompt, Keep::Tail(count), count)
    }

    fn score_kept(
        &mut self,
        slot: Slot,
        prompt: &mut Prompt,
        keep: Keep,
        count: usize,
    ) -> Result<Vec<f32>, EngineError> {
        self.seat_at(slot, prompt)?;
        let most = count.saturating_mul(self.model.manifest.text.vocab_size);
        let mut kept: Vec<f32> = Vec::new();
        while self.remaining(slot)? > 0 {
            let logits = self.next_chunk(slot, keep)?;
            kept.extend(floats(&logits));
            kept.drain(..kept.len().saturating_sub(most));
            self.seat(slot)?.latest = Latest::Prefilled(Scores::of_last(logits));
        }
        Ok(kept)
    }

    /// Features of the prompt's pictures and of its clips, each `[soft tokens, hidden]` row-major; fills no slot.
    pub fn features(&mut self, prompt: &Prompt) -> Result<(Vec<f32>, Vec<f32>), EngineError> {
        let (pictures, sound, _) = self.encode(&mut prompt.clone())?;
        Ok((pictures.rows, sound.rows))
    }

    /// Feeds prompts in chunks of so many tokens from now on.
    pub fn set_prefill_chunk(&mut self, tokens: usize) {
        self.prefill_chunk = tokens.max(1);
    }
}
