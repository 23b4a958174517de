//! The `[generate]` table of a pipeline: how many tokens, how they are chosen, and how the engine is laid out.

use serde::Deserialize;

/// What a pipeline may say about this stage.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// Most new tokens of one answer; a JSON answer is closed within it.
    pub max_tokens: usize,
    /// True lets the model think before it answers. Thoughts are text without a grammar, and no part of the answer.
    pub thinking: bool,
    /// Most tokens of the thoughts before one answer, beside `max_tokens`; 1024 when absent.
    pub thinking_tokens: Option<usize>,
    /// Whether rows keep the thoughts; they do when absent.
    pub thoughts: Option<Thoughts>,
    /// 0 takes the likeliest token (greedy); above, tokens are drawn.
    pub temperature: f32,
    /// Draw among this many likeliest tokens; all when absent.
    pub top_k: Option<usize>,
    /// Draw among the likeliest tokens that together hold this share of the probability; all when absent.
    pub top_p: Option<f32>,
    /// An answer that repeats itself over so many tokens in a row is a loop: it is cut and closed. 0 is never.
    pub loop_tokens: usize,
    /// Mixed with each unit's content, so that a draw depends on the unit and not on its neighbours.
    pub seed: u64,
    /// Units that are decoded together; when absent as many as `kv_memory_mb` holds, 8 at most and 64 on a card. Where they
    /// are named a card must hold as many.
    pub slots: Option<usize>,
    /// Most tokens of a prompt and its answer together; when absent what the pipeline's longest prompt and `max_tokens`
    /// need, 4096 at least.
    pub context: Option<usize>,
    /// Most memory that keys and values may take, in megabytes (10^6 bytes); a share of what is free when absent.
    pub kv_memory_mb: Option<u64>,
    /// Prompt tokens that are prefilled between two decoding steps.
    pub prefill_chunk: usize,
    /// Threads of the decoder; what the machine's cores leave it when absent.
    pub threads: Option<usize>,
    /// True lets tokens be guessed from the prompt and from earlier answers, for the model to check several in one step.
    /// Answers are the same with and without.
    pub drafts: bool,
    /// Which form of the decoder is run.
    pub decoder: Form,
    /// Threads of the vision and audio encoders, which work beside the decoder; what the machine's cores leave them when absent.
    pub encoder_threads: Option<usize>,
    /// True lets idle threads of ONNX Runtime spin without end; else they spin for 200 microseconds and then sleep.
    pub spinning: bool,
    /// A run of a graph that takes longer than this, and many times longer than those before it, is ended; 0 is never.
    pub step_timeout_s: f64,
}

/// What becomes of the thoughts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Thoughts {
    /// They have a column of their own.
    #[default]
    Keep,
    /// They are forgotten.
    Drop,
}

/// The forms of a bundle's decoder.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Form {
    /// `slots` where the bundle has it and it runs well on the device, else `sequences`.
    #[default]
    Auto,
    /// Any tokens of any units in one run, with attention of our own; on the CPU.
    Slots,
    /// One unit or one token of each in a run, as the public exports have it; on any device.
    Sequences,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            max_tokens: 1024,
            thinking: false,
            thinking_tokens: None,
            thoughts: None,
            temperature: 0.0,
            top_k: None,
            top_p: None,
            loop_tokens: 200,
            seed: 0,
            slots: None,
            context: None,
            kv_memory_mb: None,
            prefill_chunk: 256,
            threads: None,
            drafts: true,
            decoder: Form::Auto,
            encoder_threads: None,
            spinning: false,
            step_timeout_s: 60.0,
        }
    }
}

/// Tokens of the thoughts where the pipeline says nothing of them.
const THINKING_TOKENS: usize = 1024;

impl Settings {
    /// Most tokens of the thoughts before one answer; 0 without thinking.
    pub fn most_thinking(&self) -> usize {
        if self.thinking { self.thinking_tokens.unwrap_or(THINKING_TOKENS) } else { 0 }
    }

    /// Most tokens of an answer and the thoughts before it.
    pub fn most_new_tokens(&self) -> usize {
        self.max_tokens.saturating_add(self.most_thinking())
    }

    /// True when the text of thoughts is kept.
    pub fn keeps_thoughts(&self) -> bool {
        self.thoughts.unwrap_or_default() == Thoughts::Keep
    }

    /// All problems at once, one line each; empty when there are none.
    pub fn validate(&self) -> Vec<String> {
        let mut problems = Vec::new();
        let mut demand = |holds: bool, problem: &str| {
            if !holds {
                problems.push(format!("generate.{problem}"));
            }
        };
        demand((1..=1 << 20).contains(&self.max_tokens), "max_tokens must be 1 to 1048576");
        demand(self.temperature.is_finite() && self.temperature >= 0.0, "temperature must be 0 or more");
        demand(self.top_k != Some(0), "top_k must be 1 or more; leave it out to draw among all tokens");
        demand(self.top_p.is_none_or(|share| share > 0.0 && share <= 1.0), "top_p must be above 0 and at most 1");
        demand(self.slots.is_none_or(|slots| (1..=256).contains(&slots)), "slots must be 1 to 256");
        demand(self.context.is_none_or(|tokens| (2..=1 << 20).contains(&tokens)), "context must be 2 to 1048576");
        let thoughts = self.thinking_tokens.is_none_or(|tokens| (16..=1 << 20).contains(&tokens));
        demand(thoughts, "thinking_tokens must be 16 to 1048576");
        let idle = !self.thinking;
        demand(!(idle && self.thinking_tokens.is_some()), "thinking_tokens has no effect without thinking = true");
        demand(!(idle && self.thoughts.is_some()), "thoughts has no effect without thinking = true");
        let new_tokens = self.most_new_tokens();
        let shorter = self.context.is_none_or(|context| new_tokens < context);
        demand(
            shorter,
            "max_tokens and thinking_tokens must be below context, which holds prompt, thoughts and answer",
        );
        demand(self.kv_memory_mb.is_none_or(|mb| (1..=1 << 24).contains(&mb)), "kv_memory_mb must be 1 to 16777216");
        demand(self.loop_tokens == 0 || self.loop_tokens >= 16, "loop_tokens must be 0 or at least 16");
        demand((1..=1 << 16).contains(&self.prefill_chunk), "prefill_chunk must be 1 to 65536");
        for (count, name) in [(self.threads, "threads"), (self.encoder_threads, "encoder_threads")] {
            demand(count.is_none_or(|count| (1..=1024).contains(&count)), &format!("{name} must be 1 to 1024"));
        }
        demand((0.0..=86_400.0).contains(&self.step_timeout_s), "step_timeout_s must be 0 to 86400");
        problems
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_have_no_problem() {
        assert_eq!(Settings::default().validate(), Vec::<String>::new());
    }

    #[test]
    fn values_out_of_range_are_problems() {
        let settings = Settings { top_k: Some(0), top_p: Some(1.5), slots: Some(0), ..Settings::default() };
        assert_eq!(settings.validate().len(), 3, "{:?}", settings.validate());
    }

    #[test]
    fn what_concerns_thoughts_needs_thinking() {
        let idle = Settings { thinking_tokens: Some(64), thoughts: Some(Thoughts::Drop), ..Settings::default() };
        assert_eq!(idle.validate().len(), 2, "{:?}", idle.validate());
        let thinking = Settings { thinking: true, ..idle };
        assert_eq!((thinking.validate(), thinking.most_thinking()), (Vec::new(), 64));
        assert!(!thinking.keeps_thoughts());
        assert_eq!(Settings::default().most_thinking(), 0);
    }

    #[test]
    fn numbers_without_sense_are_problems() {
        let nonsense = Settings { kv_memory_mb: Some(0), step_timeout_s: f64::NAN, ..Settings::default() };
        assert_eq!(nonsense.validate().len(), 2, "{:?}", nonsense.validate());
        let tight = Settings { context: Some(1024), ..Settings::default() };
        assert_eq!(tight.validate().len(), 1, "{:?}", tight.validate());
    }
}
