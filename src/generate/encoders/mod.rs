//! The vision and audio encoders: prompts with pictures and clips in, prompts with features in their place out.

mod audio;
mod vision;

use std::time::Instant;

use self::{audio::AudioEncoder, vision::VisionEncoder};
use super::{
    engine::EngineError, floats::floats, network::Opening, raw::Fetched, runtime::Runtime, seat::micros,
    tensorrt::Engines,
};
use crate::base::{Fatal, Fault, FaultKind, Features, ImagePatches, Model, Prompt, StageName};

pub(super) use audio::SoundGraph;
pub(super) use vision::{PictureGraph, Takes};

/// Patches that go through the vision encoder in one run, where several pictures do: attention over them is quadratic per
/// picture, so this bounds memory.
pub(super) const PATCHES_PER_RUN: usize = 5040;

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
    /// With `engines` an encoder runs through those that it has there; one without engines runs on the place of `opening`
    /// as it is.
    ///
    /// # Errors
    /// When a graph cannot be opened, or takes or gives something else than its model says.
    pub(super) fn open(
        runtime: &Runtime,
        model: &Model,
        opening: Opening,
        together: bool,
        engines: Option<&Engines>,
    ) -> Result<Self, Fatal> {
        let patches = if together { PATCHES_PER_RUN } else { 0 };
        let pictures = engines.map(Engines::pictures).unwrap_or_default();
        Ok(Self {
            vision: VisionEncoder::open(runtime, model, opening, patches, pictures)?,
            audio: AudioEncoder::open(runtime, model, opening, engines.and_then(Engines::sound))?,
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

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::{
        base::LogMel,
        generate::{
            runtime::{Device, Place},
            tensorrt::{
                Bucket,
                fixture::{clip, picture, tiny},
            },
            watchdog::Watchdog,
        },
    };

    /// The encoders of the tiny model on the processor, parted as for these engines.
    fn encoders(buckets: Option<&[Bucket]>, together: bool) -> OrtEncoders {
        let (runtime, watchdog) = (Runtime::load().unwrap(), Watchdog::new(Duration::ZERO).unwrap());
        let place = Place::first(Device::Cpu);
        let opening = Opening { watchdog: &watchdog, place, threads: 1, spinning: false, engines: None };
        let engines = buckets.map(|buckets| Engines::unproved(&tiny(), buckets));
        OrtEncoders::open(&runtime, &tiny(), opening, together, engines.as_ref()).unwrap()
    }

    fn shown(tokens: usize) -> Prompt {
        Prompt { images: vec![picture(1, tokens)], ..Prompt::default() }
    }

    fn heard(clip: LogMel) -> Prompt {
        Prompt { clips: vec![clip], ..Prompt::default() }
    }

    fn features_of(encoders: &mut OrtEncoders, prompts: &mut [Prompt]) -> Vec<Result<Features, EngineError>> {
        let mut prompts: Vec<&mut Prompt> = prompts.iter_mut().collect();
        let results = encoders.encode(&mut prompts);
        let features = |(prompt, result): (&mut &mut Prompt, Result<(), EngineError>)| {
            result.map(|()| prompt.features.take().unwrap_or_default())
        };
        prompts.iter_mut().zip(results).map(features).collect()
    }

    #[test]
    fn pictures_of_all_sizes_find_the_engine_that_takes_them() {
        let buckets = [Bucket::Pictures(70), Bucket::Pictures(140)];
        let prompts = || [1, 35, 70, 71, 140, 12, 12].map(shown);
        let parted = features_of(&mut encoders(Some(&buckets), true), &mut prompts());
        let alone = features_of(&mut encoders(None, false), &mut prompts());
        for (parted, alone) in parted.into_iter().zip(alone) {
            let (parted, alone) = (parted.unwrap(), alone.unwrap());
            assert_eq!((parted.image_tokens, parted.pictures.len()), (alone.image_tokens, alone.pictures.len()));
            let furthest = parted.pictures.iter().zip(&alone.pictures).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
            assert!(furthest < 1e-4, "{} tokens differ by {furthest}", parted.image_tokens);
        }
    }

    #[test]
    fn a_picture_that_no_engine_takes_fails_alone_and_names_the_budget() {
        let mut prompts = [70, 71, 20].map(shown);
        let results = features_of(&mut encoders(Some(&[Bucket::Pictures(70)]), true), &mut prompts);
        assert!(results[0].is_ok() && results[2].is_ok());
        let Err(EngineError::Unit(fault)) = &results[1] else { panic!("{:?}", results[1]) };
        assert_eq!(fault.kind, FaultKind::TooLarge);
        assert!(fault.message.contains("71 soft tokens") && fault.message.contains("the budget 70"), "{fault}");
        assert!(fault.hint.contains("lapidary model prepare"), "{}", fault.hint);
    }

    #[test]
    fn no_more_pictures_go_together_than_an_engine_takes() {
        let mut encoders = encoders(Some(&[Bucket::Pictures(70), Bucket::Pictures(1120)]), true);
        let at_once =
            |encoders: &OrtEncoders, tokens| encoders.vision.as_ref().map(|vision| vision.at_once(&picture(1, tokens)));
        // Without the bound 5040 patches are 560 pictures of one token.
        assert_eq!([1, 35, 70].map(|tokens| at_once(&encoders, tokens)), [Some(8); 3]);
        assert_eq!([71, 280, 1120].map(|tokens| at_once(&encoders, tokens)), [Some(1); 3]);
        let different = |seed| Prompt { images: vec![picture(seed, 1)], ..Prompt::default() };
        let results = features_of(&mut encoders, &mut [1, 2, 3, 4, 5, 6, 7, 8, 9].map(different));
        assert!(results.iter().all(Result::is_ok));
    }

    #[test]
    fn a_clip_that_is_longer_than_any_can_be_fails() {
        let mut encoders = encoders(Some(&[Bucket::Sound]), true);
        let results = features_of(&mut encoders, &mut [heard(clip(3001)), heard(clip(1)), heard(clip(300))]);
        let Err(EngineError::Unit(fault)) = &results[0] else { panic!("{:?}", results[0]) };
        assert!(fault.message.contains("3001 frames") && fault.message.contains("3000"), "{fault}");
        let tokens = |result: &Result<Features, EngineError>| result.as_ref().unwrap().audio_tokens;
        assert_eq!([tokens(&results[1]), tokens(&results[2])], [1, 75]);
    }
}
