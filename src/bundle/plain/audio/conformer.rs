//! One conformer block: half a feed-forward, attention, a convolution over time, half a feed-forward.

use ndarray::{Array2, s};

use super::{
    super::{
        Part, Weights,
        elementary::{rms_norm, sigmoid, silu},
    },
    Clips,
    attention::attention,
};
use crate::{base::Fatal, bundle::AudioConfig};

/// `[rows, hidden]` in and out.
pub fn block(
    weights: &Weights,
    config: &AudioConfig,
    index: usize,
    x: Array2<f32>,
    clips: &Clips,
) -> Result<Array2<f32>, Fatal> {
    let block = Block { weights, config, prefix: format!("audio_tower.layers.{index}") };
    let x = block.feed_forward("feed_forward1", x)?;
    let x = block.attend(x, clips)?;
    let x = block.convolve(x, clips)?;
    let x = block.feed_forward("feed_forward2", x)?;
    block.norm("norm_out", &block.clamped(x))
}

struct Block<'a> {
    weights: &'a Weights<'a>,
    config: &'a AudioConfig,
    prefix: String,
}

impl Block<'_> {
    fn norm(&self, name: &str, x: &Array2<f32>) -> Result<Array2<f32>, Fatal> {
        let weight = self.weights.vector(&format!("{}.{name}.weight", self.prefix), x.ncols())?;
        Ok(rms_norm(x, Some(&weight), self.config.rms_norm_eps))
    }

    fn linear(&self, name: &str, x: &Array2<f32>, outputs: usize) -> Result<Array2<f32>, Fatal> {
        let name = format!("{}.{name}", self.prefix);
        self.weights.encoder_linear(Part::Audio, &name, x, outputs, self.config.clipped_linears)
    }

    fn clamped(&self, x: Array2<f32>) -> Array2<f32> {
        let most = self.config.gradient_clipping;
        x.mapv_into(|value| value.max(-most).min(most))
    }

    fn feed_forward(&self, part: &str, x: Array2<f32>) -> Result<Array2<f32>, Fatal> {
        let width = self.config.hidden_size;
        let normed = self.norm(&format!("{part}.pre_layer_norm"), &self.clamped(x.clone()))?;
        let inner = self.linear(&format!("{part}.ffw_layer_1"), &normed, 4 * width)?.mapv_into(silu);
        let outer = self.clamped(self.linear(&format!("{part}.ffw_layer_2"), &inner, width)?);
        Ok(x + self.norm(&format!("{part}.post_layer_norm"), &outer)? * self.config.residual_weight)
    }

    fn attend(&self, x: Array2<f32>, clips: &Clips) -> Result<Array2<f32>, Fatal> {
        let normed = self.norm("norm_pre_attn", &self.clamped(x.clone()))?;
        let linear = |name: &str, x: &Array2<f32>, outputs: usize| self.linear(name, x, outputs);
        let mixed = attention(self.weights, self.config, &self.prefix, &normed, clips, linear)?;
        Ok(x + self.norm("norm_post_attn", &self.clamped(mixed))?)
    }

    /// Half of what `linear_start` gives opens and shuts the other half.
    fn convolve(&self, x: Array2<f32>, clips: &Clips) -> Result<Array2<f32>, Fatal> {
        let width = self.config.hidden_size;
        let normed = self.norm("lconv1d.pre_layer_norm", &x)?;
        let both = self.linear("lconv1d.linear_start", &normed, 2 * width)?;
        let gated = both.slice(s![.., ..width]).to_owned() * both.slice(s![.., width..]).mapv(sigmoid);
        let mixed = self.clamped(self.over_time(&gated, clips)?);
        let active = self.norm("lconv1d.conv_norm", &mixed)?.mapv_into(silu);
        Ok(x + self.linear("lconv1d.linear_end", &active, width)?)
    }

    /// Every column by itself: a weighted sum of a row and the rows before it in its clip.
    fn over_time(&self, x: &Array2<f32>, clips: &Clips) -> Result<Array2<f32>, Fatal> {
        let taps = self.config.conv_kernel;
        let name = format!("{}.lconv1d.depthwise_conv1d.weight", self.prefix);
        let kernel = self.weights.small(Part::AroundAudio, &name, &[x.ncols(), 1, taps])?;
        let mut mixed = Array2::zeros(x.dim());
        for span in &clips.spans {
            for (row, back) in
                span.clone().flat_map(|row| (0..taps.min(row - span.start + 1)).map(move |back| (row, back)))
            {
                for column in 0..x.ncols() {
                    mixed[[row, column]] += kernel[column * taps + taps - 1 - back] * x[[row - back, column]];
                }
            }
        }
        Ok(mixed)
    }
}
