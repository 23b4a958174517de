//! What those who compare models ask of the engine: logits of many positions, and features alone.

use super::OrtEngine;
use crate::{
    base::Prompt,
    generate::engine::{Engine, EngineError, Slot},
};

impl OrtEngine {
    /// Feeds a whole prompt and gives the logits of every position, `[positions, vocabulary]`. The slot then
    /// stands as after its prefill.
    pub fn score(&mut self, slot: Slot, prompt: &mut Prompt) -> Result<Vec<f32>, EngineError> {
        self.score_last(slot, prompt, usize::MAX)
    }

    /// As [`Self::score`], with the logits of the last `count` positions alone.
    pub fn score_last(&mut self, slot: Slot, prompt: &mut Prompt, count: usize) -> Result<Vec<f32>, EngineError> {
        self.seat_at(slot, prompt)?;
        let most = count.saturating_mul(self.model.manifest.text.vocab_size);
        let mut kept: Vec<f32> = Vec::new();
        while self.remaining(slot) > 0 {
            let chunk = self.chunk(slot, Some(count))?;
            self.run(&[chunk])?;
            let seat = self.seat(slot)?;
            let rows = std::mem::take(&mut seat.latest);
            seat.latest.extend(rows.last());
            rows.iter().for_each(|(run, row)| kept.extend(self.runs[*run].row(*row).unwrap_or_default()));
            kept.drain(..kept.len().saturating_sub(most));
        }
        Ok(kept)
    }

    /// Features of the prompt's pictures and of its clips, each `[soft tokens, hidden]` row-major; fills no slot.
    pub fn features(&mut self, prompt: &Prompt) -> Result<(Vec<f32>, Vec<f32>), EngineError> {
        let features = self.features_of(&mut prompt.clone())?;
        Ok((features.pictures, features.sound))
    }

    /// Feeds prompts in chunks of so many tokens from now on.
    pub fn set_prefill_chunk(&mut self, tokens: usize) {
        self.prefill_chunk = tokens.max(1);
    }
}
