//! The vision and audio encoders: prompts with pictures and clips in, prompts with features in their place out.

mod audio;
mod vision;

use std::time::Instant;

use self::{audio::AudioEncoder, vision::VisionEncoder};
use super::{engine::EngineError, floats::floats, network::Opening, raw::Fetched, runtime::Runtime, seat::micros};
use crate::base::{Fatal, Fault, FaultKind, Features, ImagePatches, Model, Prompt, StageName};

/// Patches that go through the vision encoder in one run, where several pictures do: attention over them is quadratic per
/// picture, so this bounds memory.
const PATCHES_PER_RUN: usize = 5040;

/// Something that makes features of pictures and clips, on a thread of its own, ahead of admission.
pub trait Encoders: Send {
    /// Patches of several pictures that had better go together; 0 where every picture goes alone, and nothing is won by
    /// waiting for others.
    fn patches_together(&self) -> usize;

    /// Puts features in the place of each prompt's pictures and clips. What goes wrong with one prompt is its own result
    /// and leaves the others alone.
    fn encode(&mut self, prompts: &mut [&mut Prompt]) -> Vec<Result<(), EngineError>>;
}

/// The encoders of a model, with sessions of their own.
pub(super) struct OrtEncoders {
    vision: Option<VisionEncoder>,
    audio: Option<AudioEncoder>,
    model: String,
}

/// What the vision encoder has made of the pictures of one prompt.
#[derive(Default)]
struct Pictures {
    rows: Vec<f32>,
    known: usize,
    micros: u64,
}

impl OrtEncoders {
    /// # Errors
    /// When a graph cannot be opened, or takes or gives something else than its model says.
    pub(super) fn open(runtime: &Runtime, model: &Model, opening: Opening, together: bool) -> Result<Self, Fatal> {
        let patches = if together { PATCHES_PER_RUN } else { 0 };
        Ok(Self {
            vision: VisionEncoder::open(runtime, model, opening, patches)?,
            audio: AudioEncoder::open(runtime, model, opening)?,
            model: model.manifest.name.clone(),
        })
    }

    /// The pictures of all prompts go through the encoder together.
    fn pictures(&mut self, prompts: &[&Prompt]) -> Vec<Result<Pictures, EngineError>> {
        let all: Vec<&ImagePatches> = prompts.iter().flat_map(|prompt| &prompt.images).collect();
        let Some(encoder) = self.vision.as_mut().filter(|_| !all.is_empty()) else {
            return prompts.iter().map(|prompt| self.without_vision(prompt)).collect();
        };
        let start = Instant::now();
        let mut seen = encoder.encode(&all).into_iter();
        let each = micros(start.elapsed()) / all.len() as u64;
        let of_prompt = |prompt: &&Prompt| {
            let mut pictures = Pictures { micros: each * prompt.images.len() as u64, ..Pictures::default() };
            // All are taken, also behind one that failed, so that the next prompt gets its own.
            let seen: Vec<_> = seen.by_ref().take(prompt.images.len()).collect();
            for picture in seen {
                let picture = picture?;
                pictures.rows.extend(picture.rows);
                pictures.known += usize::from(picture.known);
            }
            Ok(pictures)
        };
        prompts.iter().map(of_prompt).collect()
    }

    fn without_vision(&self, prompt: &Prompt) -> Result<Pictures, EngineError> {
        if prompt.images.is_empty() { Ok(Pictures::default()) } else { Err(self.lacks("pictures", "a vision encoder")) }
    }

    fn with_sound(&mut self, prompt: &Prompt, pictures: Pictures) -> Result<Features, EngineError> {
        let start = Instant::now();
        let sound = match &mut self.audio {
            _ if prompt.clips.is_empty() => Vec::new(),
            Some(encoder) => encoder.encode(&prompt.clips)?,
            None => return Err(self.lacks("sound", "an audio encoder")),
        };
        Ok(Features {
            pictures: pictures.rows,
            sound,
            image_tokens: prompt.image_tokens(),
            audio_tokens: prompt.audio_tokens(),
            known_pictures: pictures.known,
            micros: pictures.micros + micros(start.elapsed()),
        })
    }

    fn lacks(&self, what: &str, lacking: &str) -> EngineError {
        let message = format!("the prompt holds {what}, but the model `{}` has no {lacking}", self.model);
        let hint = format!("use a bundle with {lacking}, or leave such files out");
        Fault::new(StageName::Generate, FaultKind::Unsupported, message, hint).into()
    }
}

impl Encoders for OrtEncoders {
    fn patches_together(&self) -> usize {
        self.vision.as_ref().map_or(0, VisionEncoder::together)
    }

    fn encode(&mut self, prompts: &mut [&mut Prompt]) -> Vec<Result<(), EngineError>> {
        let shown: Vec<&Prompt> = prompts.iter().map(|prompt| &**prompt).collect();
        let pictures = self.pictures(&shown);
        let finish = |(prompt, pictures): (&mut &mut Prompt, Result<Pictures, EngineError>)| {
            let features = self.with_sound(prompt, pictures?)?;
            (prompt.images, prompt.clips, prompt.features) = (Vec::new(), Vec::new(), Some(features));
            Ok(())
        };
        prompts.iter_mut().zip(pictures).map(finish).collect()
    }
}

fn first(fetched: Vec<Fetched>) -> ort::Result<Fetched> {
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
