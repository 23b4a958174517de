//! Runs of an encoder on made-up inputs: at the edges of a bucket and between them, which builds what is not built yet and
//! proves what is; and one whose features are compared with the processor's.

use std::fmt;

use ndarray::Array2;

use super::buckets::Bucket;
use crate::{
    base::{Fatal, ImagePatches, LogMel, Model, grid::POOL},
    generate::{
        encoders::{PictureGraph, SoundGraph, Takes},
        engine::EngineError,
        network::Opening,
        runtime::Runtime,
    },
};

/// Soft tokens of the picture that is compared, at most: the processor takes seconds for it.
const COMPARED_TOKENS: usize = 70;

/// Frames of the clip that is compared.
const COMPARED_FRAMES: usize = 300;

/// The cosine of the angle between features of an engine and of the processor is at least this. It leaves room for half
/// precision, and none for sums that overflow or for operations that TensorRT takes for others.
const LEAST_LIKENESS: f64 = 0.98;

/// One run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Trial {
    /// So many pictures of so many soft tokens.
    Pictures { count: usize, tokens: usize },
    /// A clip of so many frames.
    Sound { frames: usize },
}

impl fmt::Display for Trial {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Pictures { count, tokens } => write!(out, "{count} pictures of {tokens} soft tokens"),
            Self::Sound { frames } => write!(out, "a clip of {frames} frames"),
        }
    }
}

/// An encoder's graph, opened.
pub(super) enum Encoder {
    /// The vision encoder.
    Pictures(PictureGraph),
    /// The audio encoder.
    Sound(SoundGraph),
}

/// The largest first: where the graph falls to pieces each is built for the shapes that it has seen, and once more when
/// there come smaller ones; the others must then need nothing new. Attention to sound goes by blocks of twelve steps, of four
/// frames each, so between them is a clip that fills its blocks: all others lack some of the last.
pub(super) fn trials(bucket: Bucket) -> Vec<Trial> {
    match bucket {
        Bucket::Pictures(budget) => {
            let (count, budget) = (bucket.most_together(), budget as usize);
            let shown = |(count, tokens)| Trial::Pictures { count, tokens };
            let shapes = [(count, budget), (1, 1), (1, budget), (count, budget - budget / 20)];
            shapes.into_iter().map(shown).collect()
        }
        Bucket::Sound => {
            let lengths = [bucket.longest(), 1, 48, bucket.longest() / 2 + 5];
            lengths.into_iter().map(|frames| Trial::Sound { frames }).collect()
        }
    }
}

/// The run that is compared with the processor's.
pub(super) fn compared(bucket: Bucket) -> Trial {
    match bucket {
        Bucket::Pictures(budget) => Trial::Pictures { count: 1, tokens: COMPARED_TOKENS.min(budget as usize) },
        Bucket::Sound => Trial::Sound { frames: COMPARED_FRAMES },
    }
}

impl Encoder {
    /// # Errors
    /// When the model has no such graph, or it cannot be opened.
    pub(super) fn open(runtime: &Runtime, model: &Model, bucket: Bucket, opening: Opening) -> Result<Self, Fatal> {
        let lacks = || format!("`{}` has no encoder for {bucket}", model.manifest.name);
        let name = bucket.graph(model).ok_or_else(|| Fatal::new(lacks(), "take another bundle"))?;
        Ok(match bucket {
            Bucket::Pictures(_) => Self::Pictures(PictureGraph::open(runtime, model, name, opening, Takes::ANY)?),
            Bucket::Sound => Self::Sound(SoundGraph::open(runtime, model, name, opening)?),
        })
    }

    /// The features of a run: as many as there ought to be, and all of them numbers.
    ///
    /// # Errors
    /// When the run fails or gives something else.
    pub(super) fn run(&mut self, model: &Model, trial: Trial) -> Result<Vec<f32>, Fatal> {
        let features = match (self, trial) {
            (Self::Pictures(graph), Trial::Pictures { count, tokens }) => {
                let pictures: Vec<ImagePatches> = (0..count).map(|seed| picture(model, seed, tokens)).collect();
                graph.encode(&pictures.iter().collect::<Vec<_>>())
            }
            (Self::Sound(graph), Trial::Sound { frames }) => graph.encode(&clip(model, frames)),
            _ => return Err(Fatal::new("a trial of another encoder", "please report this")),
        };
        let features = features.map_err(|error| failed(trial, error))?;
        match features.iter().all(|value| value.is_finite()) {
            true => Ok(features),
            false => Err(wrong(trial, "it gives values that are no numbers, as where sums overflow half precision")),
        }
    }
}

/// # Errors
/// When features are not those of the processor.
pub(super) fn agree(trial: Trial, found: &[f32], expected: &[f32]) -> Result<(), Fatal> {
    let likeness = likeness(found, expected);
    match found.len() == expected.len() && likeness >= LEAST_LIKENESS {
        true => Ok(()),
        false => Err(wrong(trial, &format!("its features are not the processor's (likeness {likeness:.3} of 1)"))),
    }
}

/// The cosine of the angle between them.
fn likeness(a: &[f32], b: &[f32]) -> f64 {
    let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum::<f64>();
    dot(a, b) / (dot(a, a) * dot(b, b)).sqrt().max(f64::MIN_POSITIVE)
}

fn failed(trial: Trial, error: EngineError) -> Fatal {
    let (message, hint) = match error {
        EngineError::Unit(fault) => (fault.message, fault.hint),
        EngineError::Session(fatal) => (fatal.message, fatal.hint),
    };
    Fatal::new(format!("{trial} cannot be encoded: {message}"), hint)
}

fn wrong(trial: Trial, what: &str) -> Fatal {
    Fatal::new(
        format!("TensorRT's engine is of no use: for {trial} {what}"),
        "choose `--device cuda` for this bundle, and report this with the versions that `lapidary doctor` prints",
    )
}

/// A strip of noise, three patches high.
fn picture(model: &Model, seed: usize, tokens: usize) -> ImagePatches {
    let side = model.manifest.vision.as_ref().map_or(0, |vision| vision.patch_size);
    let pool = POOL as usize;
    let (columns, patches) = (pool * tokens, pool * pool * tokens);
    let mut noise = Noise(seed as u64 + 1);
    ImagePatches {
        pixels: Array2::from_shape_simple_fn((patches, 3 * side * side), || noise.number()),
        positions: Array2::from_shape_fn((patches, 2), |(patch, axis)| match axis {
            0 => (patch % columns) as i64,
            _ => (patch / columns) as i64,
        }),
        soft_tokens: tokens,
    }
}

/// Noise as a log-mel spectrogram has it, from silence upwards.
fn clip(model: &Model, frames: usize) -> LogMel {
    let bins = model.manifest.audio.as_ref().map_or(0, |audio| audio.mel_bins);
    let mut noise = Noise(frames as u64);
    let halved = |length: usize| length.div_ceil(2);
    LogMel {
        features: Array2::from_shape_simple_fn((frames, bins), || 8.0 * noise.number() - 6.9),
        mask: vec![true; frames],
        soft_tokens: halved(halved(frames)),
    }
}

/// Numbers from 0 to 1, the same in every run (`splitmix64`).
struct Noise(u64);

impl Noise {
    fn number(&mut self) -> f32 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((mixed ^ (mixed >> 31)) >> 40) as f32 / (1_u32 << 24) as f32
    }
}

#[cfg(test)]
pub(super) mod fixture {
    use super::*;

    /// A picture of noise of the tiny model.
    pub(in crate::generate) fn tiny_picture(seed: usize, tokens: usize) -> ImagePatches {
        picture(&crate::generate::tensorrt::fixture::tiny(), seed, tokens)
    }

    /// A clip of noise of the tiny model.
    pub(in crate::generate) fn tiny_clip(frames: usize) -> LogMel {
        clip(&crate::generate::tensorrt::fixture::tiny(), frames)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::{
        base::grid::BUDGETS,
        generate::{
            runtime::{Device, Place},
            tensorrt::{buckets::Buckets, fixture::tiny},
            watchdog::Watchdog,
        },
    };

    fn on_the_processor(bucket: Bucket) -> Encoder {
        let (runtime, watchdog) = (Runtime::load().unwrap(), Watchdog::new(Duration::ZERO).unwrap());
        let place = Place::first(Device::Cpu);
        let opening = Opening { watchdog: &watchdog, place, threads: 1, spinning: false, engines: None };
        Encoder::open(&runtime, &tiny(), bucket, opening).unwrap()
    }

    #[test]
    fn trials_go_to_the_edges_of_a_bucket_and_between_and_never_beyond() {
        for bucket in Buckets::new(BUDGETS, true).of(&tiny()) {
            let lengths = trials(bucket).into_iter().map(|trial| match trial {
                Trial::Pictures { count, tokens } => (count, 9 * tokens),
                Trial::Sound { frames } => (1, frames),
            });
            let lengths: Vec<(usize, usize)> = lengths.collect();
            assert_eq!(lengths[0], (bucket.most_together(), bucket.longest()), "{bucket}");
            let most = (bucket.most_together(), bucket.longest());
            assert!(lengths.iter().all(|(count, length)| *count <= most.0 && *length <= most.1), "{bucket}");
            assert!(lengths[1].0 == 1 && lengths[1].1 <= 9, "{bucket}");
            assert_ne!(lengths[3], lengths[0], "{bucket}");
        }
        // Twelve steps of four frames: the last block lacks none. After one frame it lacks eleven.
        assert!(trials(Bucket::Sound).contains(&Trial::Sound { frames: 48 }));
    }

    #[test]
    fn trials_run_and_the_processor_agrees_with_itself() {
        for bucket in [Bucket::Pictures(70), Bucket::Sound] {
            let mut encoder = on_the_processor(bucket);
            for trial in trials(bucket) {
                encoder.run(&tiny(), trial).unwrap();
            }
            let once = encoder.run(&tiny(), compared(bucket)).unwrap();
            let again = on_the_processor(bucket).run(&tiny(), compared(bucket)).unwrap();
            agree(compared(bucket), &once, &again).unwrap();
        }
        let crossed = on_the_processor(Bucket::Sound).run(&tiny(), compared(Bucket::Pictures(70)));
        assert!(crossed.is_err(), "the audio encoder takes no pictures");
    }

    #[test]
    fn features_that_are_others_are_refused() {
        let trial = compared(Bucket::Pictures(70));
        let features: Vec<f32> = (0..640).map(|place| (place as f32 * 0.7).sin()).collect();
        let rounded: Vec<f32> = features.iter().map(|value| half::f16::from_f32(*value * 1.001).to_f32()).collect();
        agree(trial, &rounded, &features).unwrap();
        let turned: Vec<f32> = features.iter().rev().copied().collect();
        assert!(agree(trial, &turned, &features).unwrap_err().hint.contains("--device cuda"));
        assert!(agree(trial, &features[1..], &features).is_err());
        assert!(agree(trial, &[0.0; 640], &features).is_err());
        assert!(agree(trial, &[], &[]).is_err(), "nothing proves nothing");
    }

    #[test]
    fn noise_is_from_nought_to_one_and_the_same_each_time() {
        let (mut first, mut second) = (Noise(7), Noise(7));
        let numbers: Vec<f32> = (0..1000).map(|_| first.number()).collect();
        assert!(numbers.iter().all(|number| (0.0..1.0).contains(number) && *number == second.number()));
        let mean = numbers.iter().sum::<f32>() / 1000.0;
        assert!((0.45..0.55).contains(&mean), "{mean}");
    }
}
