//! The audio encoder: log-mel frames in, features for the soft tokens out.

use ndarray::Array2;

use super::{features, first};
use crate::{
    base::{Fatal, LogMel, Model},
    generate::{
        engine::EngineError,
        floats::{FLOATS, Floats},
        network::{Expected, Input, Network, Opening, Output},
        raw::{Call, Element, Fetched},
        runtime::Runtime,
    },
};

/// Clips to features.
pub(super) struct AudioEncoder {
    network: Network,
    frames: Input,
    mask: Input,
    features: Output,
    width: usize,
}

impl AudioEncoder {
    /// `None` for a model without one.
    pub(super) fn open(runtime: &Runtime, model: &Model, opening: Opening) -> Result<Option<Self>, Fatal> {
        let Some(name) = &model.manifest.graphs.audio_encoder else { return Ok(None) };
        let network = Network::open(runtime, &model.file(name), opening)?;
        let (frames, mask) = (network.input("input_features")?, network.input("input_features_mask")?);
        let bins = model.manifest.audio.as_ref().map_or(0, |audio| audio.mel_bins);
        let (count, length) = (Expected::Open("clips"), Expected::Open("frames"));
        network.check_input(frames, &FLOATS, &[count, length, Expected::Fixed(bins)])?;
        network.check_input(mask, &[Element::Bool], &[count, length])?;
        network.takes_only(&[frames, mask])?;
        Ok(Some(Self {
            frames,
            mask,
            features: network.output("audio_features")?,
            width: model.manifest.text.hidden_size,
            network,
        }))
    }

    /// Features of all clips, in order.
    pub(super) fn encode(&mut self, clips: &[LogMel]) -> Result<Vec<f32>, EngineError> {
        let mut rows = Vec::new();
        for clip in clips {
            let fetched =
                self.run(&clip.features, &clip.mask).map_err(|error| EngineError::failed("audio encoder", &error))?;
            rows.extend(features(&fetched, clip.soft_tokens, self.width, "audio encoder")?);
        }
        Ok(rows)
    }

    fn run(&mut self, frames: &Array2<f32>, mask: &[bool]) -> ort::Result<Fetched> {
        let (input, output) = ((self.frames, self.mask), self.features);
        let values = Floats::suiting(frames.iter().copied().collect(), &self.network, input.0);
        let mut call = Call::new(&mut self.network)?;
        values.feed(&mut call, input.0, &[1, frames.nrows(), frames.ncols()])?;
        call.feed(input.1, mask, &[1, mask.len()])?;
        call.fetch(output);
        first(call.run()?)
    }
}
