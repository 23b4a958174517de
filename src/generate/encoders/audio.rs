//! The audio encoder: log-mel frames in, features for the soft tokens out.

use ndarray::Array2;

use super::{features, first};
use crate::{
    base::{Fatal, Fault, FaultKind, LogMel, Model, StageName},
    generate::{
        engine::EngineError,
        floats::{FLOATS, Floats},
        network::{Expected, Input, Network, Opening, Output},
        raw::{Call, Element, Fetched},
        runtime::Runtime,
        tensorrt::Ready,
    },
};

/// Clips to features.
pub(super) struct AudioEncoder {
    graph: SoundGraph,
    /// Frames of the longest clip.
    most: usize,
}

/// A session of the graph.
pub(in crate::generate) struct SoundGraph {
    network: Network,
    frames: Input,
    mask: Input,
    features: Output,
    width: usize,
}

impl AudioEncoder {
    /// `None` for a model without one.
    pub(super) fn open(
        runtime: &Runtime,
        model: &Model,
        opening: Opening,
        engine: Option<&Ready>,
    ) -> Result<Option<Self>, Fatal> {
        let Some(name) = &model.manifest.graphs.audio_encoder else { return Ok(None) };
        let opening = Opening { engines: engine.map(|ready| &ready.profile), ..opening };
        let most = engine.map_or(usize::MAX, |ready| ready.bucket.longest());
        Ok(Some(Self { graph: SoundGraph::open(runtime, model, name, opening)?, most }))
    }

    /// Features of all clips, in order.
    pub(super) fn encode(&mut self, clips: &[LogMel]) -> Result<Vec<f32>, EngineError> {
        let mut rows = Vec::new();
        for clip in clips {
            if clip.features.nrows() > self.most {
                return Err(too_long(clip.features.nrows(), self.most));
            }
            rows.extend(self.graph.encode(clip)?);
        }
        Ok(rows)
    }
}

impl SoundGraph {
    /// # Errors
    /// When the graph cannot be opened, or takes or gives something else than its model says.
    pub(in crate::generate) fn open(
        runtime: &Runtime,
        model: &Model,
        name: &str,
        opening: Opening,
    ) -> Result<Self, Fatal> {
        let network = Network::open(runtime, &model.file(name), opening)?;
        let (frames, mask) = (network.input("input_features")?, network.input("input_features_mask")?);
        let bins = model.manifest.audio.as_ref().map_or(0, |audio| audio.mel_bins);
        let (count, length) = (Expected::Open("clips"), Expected::Open("frames"));
        network.check_input(frames, &FLOATS, &[count, length, Expected::Fixed(bins)])?;
        network.check_input(mask, &[Element::Bool], &[count, length])?;
        network.takes_only(&[frames, mask])?;
        let (features, width) = (network.output("audio_features")?, model.manifest.text.hidden_size);
        Ok(Self { network, frames, mask, features, width })
    }

    /// Features of one clip.
    pub(in crate::generate) fn encode(&mut self, clip: &LogMel) -> Result<Vec<f32>, EngineError> {
        let fetched =
            self.run(&clip.features, &clip.mask).map_err(|error| EngineError::failed("audio encoder", &error))?;
        features(&fetched, clip.soft_tokens, self.width, "audio encoder")
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

/// Cannot be, since no clip is longer than what models hear at once.
fn too_long(frames: usize, most: usize) -> EngineError {
    let message = format!("a clip of {frames} frames: TensorRT's engine takes {most}, and has no budget for more");
    let hint = "cut recordings shorter with `longest` of `[decode.sound]`, or choose `--device cuda`";
    Fault::new(StageName::Generate, FaultKind::TooLarge, message, hint).into()
}
