//! The vision and audio encoders: patches and log-mel frames in, features for the soft tokens out.

use half::f16;
use ndarray::Array2;

use super::{
    engine::EngineError,
    network::{Input, Network, Opening, Output},
    raw::{Call, Element, Fetched},
    runtime::Runtime,
    splice::Features,
};
use crate::base::{Fatal, Fault, FaultKind, ImagePatches, LogMel, Model, StageName};

/// Patches that the vision encoder sees in one run: attention over them is quadratic per picture, so this bounds memory.
const PATCHES_PER_RUN: usize = 5040;

/// Pictures to features.
pub(super) struct VisionEncoder {
    network: Network,
    pixels: Input,
    positions: Input,
    features: Output,
    width: usize,
}

impl VisionEncoder {
    /// `None` for a model without one.
    pub(super) fn open(runtime: &Runtime, model: &Model, opening: Opening) -> Result<Option<Self>, Fatal> {
        let Some(name) = &model.manifest.graphs.vision_encoder else { return Ok(None) };
        let network = Network::open(runtime, &model.file(name), opening)?;
        Ok(Some(Self {
            pixels: network.input("pixel_values")?,
            positions: network.input("pixel_position_ids")?,
            features: network.output("image_features")?,
            width: model.manifest.text.hidden_size,
            network,
        }))
    }

    /// Features of all pictures, in order. Neighbours with as many patches go through together.
    pub(super) fn encode(&mut self, pictures: &[ImagePatches]) -> Result<Features, EngineError> {
        let mut rows = Vec::new();
        for alike in pictures.chunk_by(|a, b| a.pixels.dim() == b.pixels.dim()) {
            let together = (PATCHES_PER_RUN / alike[0].pixels.nrows().max(1)).max(1);
            for batch in alike.chunks(together) {
                rows.extend(self.encode_alike(batch)?);
            }
        }
        Ok(Features { rows })
    }

    fn encode_alike(&mut self, batch: &[ImagePatches]) -> Result<Vec<f32>, EngineError> {
        let [patches, channels] = [batch[0].pixels.nrows(), batch[0].pixels.ncols()];
        let pixels: Vec<f32> = batch.iter().flat_map(|picture| picture.pixels.iter().copied()).collect();
        let positions: Vec<i64> = batch.iter().flat_map(|picture| picture.positions.iter().copied()).collect();
        let expected = batch.iter().map(|picture| picture.soft_tokens).sum();
        let shapes = ([batch.len(), patches, channels], [batch.len(), patches, 2]);
        let fetched =
            self.run(&pixels, &positions, shapes).map_err(|error| EngineError::failed("vision encoder", &error))?;
        features(&fetched, expected, self.width, "vision encoder")
    }

    fn run(&mut self, pixels: &[f32], positions: &[i64], shapes: ([usize; 3], [usize; 3])) -> ort::Result<Fetched> {
        let element = self.network.declared(self.pixels).0;
        let (input, output) = ((self.pixels, self.positions), self.features);
        let halves = as_halves(pixels, element);
        let mut call = Call::new(&mut self.network)?;
        match &halves {
            Some(halves) => call.feed(input.0, halves, &shapes.0)?,
            None => call.feed(input.0, pixels, &shapes.0)?,
        }
        call.feed(input.1, positions, &shapes.1)?;
        call.fetch(output);
        first(call.run()?)
    }
}

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
        Ok(Some(Self {
            frames: network.input("input_features")?,
            mask: network.input("input_features_mask")?,
            features: network.output("audio_features")?,
            width: model.manifest.text.hidden_size,
            network,
        }))
    }

    /// Features of all clips, in order.
    pub(super) fn encode(&mut self, clips: &[LogMel]) -> Result<Features, EngineError> {
        let mut rows = Vec::new();
        for clip in clips {
            let fetched =
                self.run(&clip.features, &clip.mask).map_err(|error| EngineError::failed("audio encoder", &error))?;
            rows.extend(features(&fetched, clip.soft_tokens, self.width, "audio encoder")?);
        }
        Ok(Features { rows })
    }

    fn run(&mut self, frames: &Array2<f32>, mask: &[bool]) -> ort::Result<Fetched> {
        let element = self.network.declared(self.frames).0;
        let (input, output) = ((self.frames, self.mask), self.features);
        let values: Vec<f32> = frames.iter().copied().collect();
        let halves = as_halves(&values, element);
        let shape = [1, frames.nrows(), frames.ncols()];
        let mut call = Call::new(&mut self.network)?;
        match &halves {
            Some(halves) => call.feed(input.0, halves, &shape)?,
            None => call.feed(input.0, &values, &shape)?,
        }
        call.feed(input.1, mask, &[1, mask.len()])?;
        call.fetch(output);
        first(call.run()?)
    }
}

pub(super) fn first(fetched: Vec<Fetched>) -> ort::Result<Fetched> {
    fetched.into_iter().next().ok_or_else(|| ort::Error::new("the run gave nothing"))
}

fn as_halves(values: &[f32], element: Option<Element>) -> Option<Vec<f16>> {
    (element == Some(Element::F16)).then(|| values.iter().map(|value| f16::from_f32(*value)).collect())
}

/// The values of a float tensor as f32.
pub(super) fn floats(fetched: &Fetched) -> Vec<f32> {
    match fetched.element() {
        Element::F16 => fetched.data::<f16>().iter().map(|value| value.to_f32()).collect(),
        _ => fetched.data::<f32>().to_vec(),
    }
}

fn features(fetched: &Fetched, expected: usize, width: usize, who: &str) -> Result<Vec<f32>, EngineError> {
    let values = floats(fetched);
    if values.len() == expected * width {
        return Ok(values);
    }
    let message =
        format!("the {who} gave features of shape {:?} for {expected} soft tokens of {width}", fetched.shape());
    Err(Fault::new(StageName::Generate, FaultKind::Engine, message, "compare the bundle with its checkpoint").into())
}
