//! What a run asks of the encoders, parted into buckets: each has an engine of its own, for a fixed range of shapes.
//!
//! A picture under a budget has at most 9 patches for each of its soft tokens. Each side is cut down to whole soft tokens
//! for itself, so most have some fewer: 90 % and more on A4, half where a picture is a strip one token wide.
//! Every bucket takes all there are from one soft token on; a picture goes to the smallest bucket that holds it, so none is
//! outside. One engine for all budgets would have to make room for as many pictures as go together of the smallest, each as
//! large as the largest: shapes that never occur, and sixteen times the patches.

use std::fmt;

use crate::{
    base::{
        Model,
        grid::{BUDGETS, POOL},
    },
    generate::encoders::PATCHES_PER_RUN,
};

/// Patches of one soft token.
const PATCHES: usize = (POOL * POOL) as usize;

/// Seconds of the longest clip (`encode` cuts off what is beyond).
const LONGEST_CLIP: usize = 30;

/// Frames of a second of sound.
const FRAMES: usize = 100;

/// Values of one position: column and row.
const AXES: usize = 2;

/// The buckets that a run needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Buckets {
    /// Which of [`BUDGETS`] there are pictures of.
    budgets: [bool; BUDGETS.len()],
    sound: bool,
}

/// One encoder, and the shapes that one engine of it takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bucket {
    /// The vision encoder: pictures of one to so many soft tokens.
    Pictures(u32),
    /// The audio encoder: one clip of up to 30 s.
    Sound,
}

impl Buckets {
    /// Pictures under each of these budgets, and sound where there is any.
    pub fn new(budgets: impl IntoIterator<Item = u32>, sound: bool) -> Self {
        let mut buckets = Self { sound, ..Self::default() };
        for budget in budgets {
            if let Some(place) = BUDGETS.iter().position(|known| *known == budget) {
                buckets.budgets[place] = true;
            }
        }
        buckets
    }

    /// All that a model can be asked.
    pub fn all(model: &Model) -> Self {
        let budgets = model.manifest.vision.as_ref().map(|vision| vision.budgets.clone());
        Self::new(budgets.unwrap_or_default(), model.manifest.audio.is_some())
    }

    /// The budgets, smallest first.
    pub fn budgets(self) -> impl Iterator<Item = u32> {
        BUDGETS.into_iter().zip(self.budgets).filter(|(_, wanted)| *wanted).map(|(budget, _)| budget)
    }

    /// Those for which the model has an encoder, smallest first.
    pub fn of(self, model: &Model) -> Vec<Bucket> {
        let sound = self.sound.then_some(Bucket::Sound);
        let all = self.budgets().map(Bucket::Pictures).chain(sound);
        all.filter(|bucket| bucket.graph(model).is_some()).collect()
    }
}

impl Bucket {
    /// The graph of its encoder, by its name in the bundle.
    pub(super) fn graph(self, model: &Model) -> Option<&String> {
        let graphs = &model.manifest.graphs;
        match self {
            Self::Pictures(_) => graphs.vision_encoder.as_ref(),
            Self::Sound => graphs.audio_encoder.as_ref(),
        }
    }

    /// What the names of its engines begin with.
    pub(super) fn prefix(self) -> String {
        match self {
            Self::Pictures(budget) => format!("pictures-{budget}"),
            Self::Sound => "sound".to_owned(),
        }
    }

    /// Pictures, or clips, that go through in one run.
    pub(in crate::generate) fn most_together(self) -> usize {
        match self {
            Self::Pictures(_) => (PATCHES_PER_RUN / self.longest()).max(1),
            Self::Sound => 1,
        }
    }

    /// Patches of the largest picture, or frames of the longest clip.
    pub(in crate::generate) fn longest(self) -> usize {
        match self {
            Self::Pictures(budget) => PATCHES * budget as usize,
            Self::Sound => FRAMES * LONGEST_CLIP,
        }
    }

    /// Patches of the smallest picture, or frames of the shortest clip.
    fn shortest(self) -> usize {
        match self {
            Self::Pictures(_) => PATCHES,
            Self::Sound => 1,
        }
    }

    /// The shapes of its graph's inputs. Kernels are picked for the largest: pages come near it, and as many as go together
    /// come where the encoder is what a run waits for.
    pub(super) fn shapes(self, model: &Model) -> Shapes {
        let (least, most) = ([1, self.shortest()], [self.most_together(), self.longest()]);
        let inputs = self.inputs(model);
        Shapes { least: spelled(&inputs, least), usual: spelled(&inputs, most), most: spelled(&inputs, most) }
    }

    /// The inputs, each with the length of its third axis where it has one.
    fn inputs(self, model: &Model) -> [(&'static str, Option<usize>); 2] {
        match self {
            Self::Pictures(_) => {
                let side = model.manifest.vision.as_ref().map_or(0, |vision| vision.patch_size);
                [("pixel_values", Some(3 * side * side)), ("pixel_position_ids", Some(AXES))]
            }
            Self::Sound => {
                let bins = model.manifest.audio.as_ref().map_or(0, |audio| audio.mel_bins);
                [("input_features", Some(bins)), ("input_features_mask", None)]
            }
        }
    }
}

impl fmt::Display for Bucket {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Pictures(budget) => write!(out, "pictures of up to {budget} soft tokens"),
            Self::Sound => write!(out, "sound of up to {LONGEST_CLIP} s"),
        }
    }
}

/// The range of shapes of an engine, as ONNX Runtime wants it told: `input:1x9x768,other:1x9x2`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Shapes {
    pub(super) least: String,
    /// What kernels are picked for.
    pub(super) usual: String,
    pub(super) most: String,
}

impl fmt::Display for Shapes {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{} to {}, best at {}", self.least, self.most, self.usual)
    }
}

fn spelled(inputs: &[(&str, Option<usize>)], [count, length]: [usize; 2]) -> String {
    let one = |(name, width): &(&str, Option<usize>)| {
        let lengths = [Some(count), Some(length), *width];
        let lengths: Vec<String> = lengths.into_iter().flatten().map(|length| length.to_string()).collect();
        format!("{name}:{}", lengths.join("x"))
    };
    inputs.iter().map(one).collect::<Vec<_>>().join(",")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{base::grid::Grid, generate::tensorrt::fixture::tiny};

    #[test]
    fn a_pipeline_s_budgets_become_buckets_smallest_first_and_each_once() {
        let buckets = Buckets::new([1120, 70, 280, 70], true);
        let expected = [Bucket::Pictures(70), Bucket::Pictures(280), Bucket::Pictures(1120), Bucket::Sound];
        assert_eq!(buckets.of(&tiny()), expected);
        assert_eq!(buckets.budgets().collect::<Vec<_>>(), [70, 280, 1120]);
        assert_eq!(Buckets::all(&tiny()).of(&tiny()).len(), BUDGETS.len() + 1);
        assert_eq!(Buckets::new([100], false), Buckets::default(), "no picture is ever made under other budgets");
    }

    #[test]
    fn a_model_that_lacks_an_encoder_needs_no_engine_for_it() {
        let mut deaf = tiny();
        deaf.manifest.graphs.audio_encoder = None;
        assert_eq!(Buckets::all(&deaf).of(&deaf).len(), BUDGETS.len());
        deaf.manifest.graphs.vision_encoder = None;
        assert_eq!(Buckets::all(&deaf).of(&deaf), []);
    }

    #[test]
    fn shapes_are_told_as_onnx_runtime_wants_them() {
        let pictures = Bucket::Pictures(70).shapes(&tiny());
        assert_eq!(pictures.least, "pixel_values:1x9x768,pixel_position_ids:1x9x2");
        assert_eq!(pictures.most, "pixel_values:8x630x768,pixel_position_ids:8x630x2");
        assert_eq!(pictures.usual, pictures.most);
        let sound = Bucket::Sound.shapes(&tiny());
        assert_eq!(sound.least, "input_features:1x1x128,input_features_mask:1x1");
        assert_eq!(sound.most, "input_features:1x3000x128,input_features_mask:1x3000");
    }

    #[test]
    fn as_many_go_together_as_the_encoder_takes_and_a_large_picture_goes_alone() {
        let together = BUDGETS.map(|budget| Bucket::Pictures(budget).most_together());
        assert_eq!(together, [8, 4, 2, 1, 1]);
        for budget in BUDGETS {
            let bucket = Bucket::Pictures(budget);
            let patches = bucket.most_together() * bucket.longest();
            assert!(patches <= PATCHES_PER_RUN.max(bucket.longest()), "{bucket}");
        }
    }

    #[test]
    fn no_picture_of_any_shape_is_outside_of_its_bucket() {
        let sides = [1, 2, 3, 10, 47, 48, 100, 595, 842, 1000, 4000, 100_000];
        for (width, height) in sides.iter().flat_map(|width| sides.map(|height| (*width, height))) {
            for budget in BUDGETS {
                let Some(grid) = Grid::fit(width, height, budget) else { continue };
                let (patches, bucket) = (PATCHES * grid.soft_tokens() as usize, Bucket::Pictures(budget));
                assert!((bucket.shortest()..=bucket.longest()).contains(&patches), "{width} x {height}, {bucket}");
            }
        }
    }
}
