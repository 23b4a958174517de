//! The self-test of a bundle: inputs, and what the plain evaluation makes of them with the weights as the bundle stores
//! them, so that anyone who has the bundle can tell whether its graphs compute what they should.
//!
//! It is a safetensors file whose inputs have the names of `lapidary model eval`.

mod file;
mod inputs;
mod random;

pub use file::{Expectation, SELF_TEST, read};
pub use inputs::inputs;

use super::{
    Checkpoint, Config, Precision, TextConfig,
    output::Output,
    plain::{Storage, evaluate},
};
use crate::base::{Fatal, Prompt};

/// Positions whose logits are kept: the last of the prompt, which are text.
pub const KEPT: usize = 4;

/// Tokens of a prompt that need not reach beyond the sliding window.
const SHORT: usize = 48;

/// Tokens beyond the sliding window.
const BEYOND: usize = 32;

/// Multiplications and additions up to which the prompt reaches beyond the window: half a minute of two cores.
const AFFORDABLE: f64 = 2.5e12;

/// What was put into a bundle.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SelfTest {
    /// Tokens of the prompt.
    pub tokens: usize,
    /// True when it is longer than the sliding window.
    pub beyond_window: bool,
    /// What rounding the weights costs: the norm of the change of the logits over their norm.
    pub cost: f64,
    /// Positions, of [`KEPT`], whose best token is still the one that the checkpoint's own weights give.
    pub agreeing: usize,
}

impl SelfTest {
    /// For people.
    pub fn summary(self) -> String {
        let window = if self.beyond_window { "longer" } else { "not longer" };
        format!(
            "self-test: {} tokens, {window} than the sliding window; storing the weights changes the logits by {:.4} of \
             their size, {} of {KEPT} best tokens stay",
            self.tokens, self.cost, self.agreeing
        )
    }
}

/// Writes the self-test of a bundle of this precision into `output`.
///
/// # Errors
/// When the checkpoint cannot be evaluated or the file cannot be written.
pub fn write(
    checkpoint: &Checkpoint,
    config: &Config,
    precision: Precision,
    output: &Output,
) -> Result<SelfTest, Fatal> {
    let tokens = length(&config.text);
    let prompt = inputs(config, tokens)?;
    let expectation = match output.only_counts() {
        true => Expectation::blank(config, &prompt),
        false => expect(checkpoint, config, precision, &prompt)?,
    };
    file::write(output, &prompt, &expectation)?;
    let beyond_window = tokens > config.text.sliding_window;
    Ok(SelfTest { tokens, beyond_window, cost: expectation.cost(), agreeing: expectation.agreeing() })
}

/// Evaluates a prompt with the weights as a bundle of this precision stores them, and as the checkpoint holds them.
///
/// # Errors
/// Those of [`evaluate`].
pub fn expect(
    checkpoint: &Checkpoint,
    config: &Config,
    precision: Precision,
    prompt: &Prompt,
) -> Result<Expectation, Fatal> {
    let stored = evaluate(checkpoint, config, Storage::Bundle(precision), prompt, KEPT)?;
    let original_logits = match precision == Precision::default() {
        true => stored.logits.clone(),
        false => evaluate(checkpoint, config, Storage::Original, prompt, KEPT)?.logits,
    };
    Ok(Expectation { stored, original_logits })
}

/// A prompt that reaches beyond the window, unless that is more work than an export should be.
pub fn length(config: &TextConfig) -> usize {
    let long = config.sliding_window + BEYOND;
    let affordable = 2.0 * weights_per_token(config) * long as f64 <= AFFORDABLE;
    if affordable && long.max(SHORT) < config.max_positions { long.max(SHORT) } else { SHORT }
}

/// Weights of the layers that a token of a long prompt meets; layers that share keys meet the last tokens alone.
fn weights_per_token(config: &TextConfig) -> f64 {
    let experts = config.experts.map_or(0, |experts| experts.active * experts.intermediate_size);
    let own = config.layers.iter().filter(|layer| layer.donor.is_none());
    let widths = own.map(|layer| {
        let attention = 2 * (config.heads + layer.kv_heads) * layer.head_dim;
        attention + 3 * (layer.intermediate_size + experts) + 2 * config.per_layer_size
    });
    widths.sum::<usize>() as f64 * config.hidden_size as f64
}
