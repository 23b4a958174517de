//! The vision and audio encoders: patches and log-mel frames in, features for the soft tokens out.

use std::collections::HashMap;

use ndarray::Array2;

use super::{
    album::{self, Album, Likeness},
    engine::EngineError,
    floats::{FLOATS, Floats, floats},
    network::{Expected, Input, Network, Opening, Output},
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
    album: Album,
}

impl VisionEncoder {
    /// `None` for a model without one.
    pub(super) fn open(runtime: &Runtime, model: &Model, opening: Opening) -> Result<Option<Self>, Fatal> {
        let Some(name) = &model.manifest.graphs.vision_encoder else { return Ok(None) };
        let network = Network::open(runtime, &model.file(name), opening)?;
        let (pixels, positions) = (network.input("pixel_values")?, network.input("pixel_position_ids")?);
        let (count, patches) = (Expected::Open("pictures"), Expected::Open("patches"));
        network.check_input(pixels, &FLOATS, &[count, patches, Expected::Fixed(channels(model))])?;
        network.check_input(positions, &[Element::I64], &[count, patches, Expected::Fixed(2)])?;
        network.takes_only(&[pixels, positions])?;
        Ok(Some(Self {
            pixels,
            positions,
            features: network.output("image_features")?,
            width: model.manifest.text.hidden_size,
            network,
            album: Album::default(),
        }))
    }

    /// Features of all pictures, in order, and how many needed no run, since one that looks alike had gone before.
    pub(super) fn encode(&mut self, pictures: &[ImagePatches]) -> Result<(Features, usize), EngineError> {
        let likenesses: Vec<Likeness> = pictures.iter().map(album::likeness).collect();
        let mut found: HashMap<Likeness, Vec<f32>> = HashMap::new();
        for likeness in &likenesses {
            found.extend(self.album.find(likeness).map(|features| (*likeness, features.to_vec())));
        }
        let mut new: Vec<(Likeness, &ImagePatches)> = Vec::new();
        for (likeness, picture) in likenesses.iter().zip(pictures) {
            if !found.contains_key(likeness) && new.iter().all(|(other, _)| other != likeness) {
                new.push((*likeness, picture));
            }
        }
        found.extend(self.encode_new(&new)?);
        let rows = likenesses.iter().filter_map(|likeness| found.get(likeness)).flatten().copied().collect();
        Ok((Features { rows }, pictures.len() - new.len()))
    }

    /// Features of pictures that were not seen before. Neighbours with as many patches go through together.
    fn encode_new(&mut self, new: &[(Likeness, &ImagePatches)]) -> Result<Vec<(Likeness, Vec<f32>)>, EngineError> {
        let mut encoded = Vec::new();
        for alike in new.chunk_by(|a, b| a.1.pixels.dim() == b.1.pixels.dim()) {
            let together = (PATCHES_PER_RUN / alike[0].1.pixels.nrows().max(1)).max(1);
            for batch in alike.chunks(together) {
                let pictures: Vec<&ImagePatches> = batch.iter().map(|(_, picture)| *picture).collect();
                let mut rows = self.encode_alike(&pictures)?.into_iter();
                for (likeness, picture) in batch {
                    let features: Vec<f32> = rows.by_ref().take(picture.soft_tokens * self.width).collect();
                    self.album.keep(*likeness, features.clone());
                    encoded.push((*likeness, features));
                }
            }
        }
        Ok(encoded)
    }

    fn encode_alike(&mut self, batch: &[&ImagePatches]) -> Result<Vec<f32>, EngineError> {
        let [patches, channels] = [batch[0].pixels.nrows(), batch[0].pixels.ncols()];
        let pixels = batch.iter().flat_map(|picture| picture.pixels.iter().copied()).collect();
        let pixels = Floats::suiting(pixels, &self.network, self.pixels);
        let positions: Vec<i64> = batch.iter().flat_map(|picture| picture.positions.iter().copied()).collect();
        let expected = batch.iter().map(|picture| picture.soft_tokens).sum();
        let shapes = ([batch.len(), patches, channels], [batch.len(), patches, 2]);
        let fetched =
            self.run(&pixels, &positions, shapes).map_err(|error| EngineError::failed("vision encoder", &error))?;
        features(&fetched, expected, self.width, "vision encoder")
    }

    fn run(&mut self, pixels: &Floats, positions: &[i64], shapes: ([usize; 3], [usize; 3])) -> ort::Result<Fetched> {
        let (input, output) = ((self.pixels, self.positions), self.features);
        let mut call = Call::new(&mut self.network)?;
        pixels.feed(&mut call, input.0, &shapes.0)?;
        call.feed(input.1, positions, &shapes.1)?;
        call.fetch(output);
        first(call.run()?)
    }
}

/// Values of one patch: red, green and blue of its pixels.
fn channels(model: &Model) -> usize {
    model.manifest.vision.as_ref().map_or(0, |vision| 3 * vision.patch_size * vision.patch_size)
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
        let (input, output) = ((self.frames, self.mask), self.features);
        let values = Floats::suiting(frames.iter().copied().collect(), &self.network, input.0);
        let mut call = Call::new(&mut self.network)?;
        values.feed(&mut call, input.0, &[1, frames.nrows(), frames.ncols()])?;
        call.feed(input.1, mask, &[1, mask.len()])?;
        call.fetch(output);
        first(call.run()?)
    }
}

pub(super) fn first(fetched: Vec<Fetched>) -> ort::Result<Fetched> {
    fetched.into_iter().next().ok_or_else(|| ort::Error::new("the run gave nothing"))
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
