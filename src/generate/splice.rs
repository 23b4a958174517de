//! Features of pictures and clips, and the places in the prompt where they stand in for embeddings.

use std::ops::Range;

use half::f16;

use super::raw::{Element, Fetched};
use crate::base::{Fault, FaultKind, Features, StageName, model::TokenIds};

/// `[n, width]` f32 features with `n` places in the prompt, both in prompt order.
#[derive(Debug, Default)]
pub(super) struct Splice {
    places: Vec<usize>,
    media: Vec<Medium>,
    rows: Vec<f32>,
    width: usize,
}

/// What a feature is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Medium {
    /// A picture, or a frame of a film.
    Picture,
    /// A clip of sound.
    Sound,
}

impl Splice {
    /// Assigns the features of pictures to image and video tokens, and those of clips to audio tokens.
    ///
    /// # Errors
    /// When there are more or fewer features than places.
    pub(super) fn new(tokens: &[u32], ids: &TokenIds, width: usize, features: &Features) -> Result<Self, Fault> {
        let mut splice = Self { width, ..Self::default() };
        let (mut pictures, mut clips) = (features.pictures.chunks_exact(width), features.sound.chunks_exact(width));
        for (place, token) in tokens.iter().enumerate() {
            let (source, medium) = match *token {
                token if token == ids.image || token == ids.video => (&mut pictures, Medium::Picture),
                token if token == ids.audio => (&mut clips, Medium::Sound),
                _ => continue,
            };
            let row = source.next().ok_or_else(|| unequal("more soft tokens than features"))?;
            splice.places.push(place);
            splice.media.push(medium);
            splice.rows.extend_from_slice(row);
        }
        if pictures.next().or(clips.next()).is_some() {
            return Err(unequal("fewer soft tokens than features"));
        }
        Ok(splice)
    }

    /// Where the first features stand; what comes before is text alone.
    pub(super) fn first_place(&self) -> Option<usize> {
        self.places.first().copied()
    }

    /// The features of one medium whose places are in a range, `[n, width]`.
    pub(super) fn rows(&self, places: Range<usize>, medium: Medium) -> Vec<f32> {
        let wanted = |index: &usize| self.media[*index] == medium;
        let row = |index: usize| &self.rows[index * self.width..(index + 1) * self.width];
        self.within(places).filter(wanted).flat_map(row).copied().collect()
    }

    fn within(&self, places: Range<usize>) -> Range<usize> {
        let first = self.places.partition_point(|place| *place < places.start);
        first..self.places.partition_point(|place| *place < places.end)
    }

    /// Overwrites rows of `embeddings`, `[1, n, width]`, of which row `first` is that of the first of these places.
    pub(super) fn write(&self, embeddings: &mut Fetched, places: Range<usize>, first: usize) {
        for index in self.within(places.clone()) {
            let row = &self.rows[index * self.width..(index + 1) * self.width];
            let at = (first + self.places[index] - places.start) * self.width;
            match embeddings.element() {
                Element::F16 => {
                    let target = embeddings.data_mut::<f16>().iter_mut().skip(at);
                    target.zip(row).for_each(|(target, value)| *target = f16::from_f32(*value));
                }
                _ => {
                    let target = embeddings.data_mut::<f32>().iter_mut().skip(at);
                    target.zip(row).for_each(|(target, value)| *target = *value);
                }
            }
        }
    }
}

fn unequal(what: &str) -> Fault {
    let hint = "the prompt and its pictures or clips do not belong together; please report this";
    Fault::new(StageName::Generate, FaultKind::Internal, format!("the prompt has {what}"), hint)
}

#[cfg(test)]
mod tests {
    use super::*;

    const IDS: TokenIds = TokenIds {
        pad: 0,
        bos: 2,
        eos: Vec::new(),
        image: 10,
        begin_image: 11,
        end_image: 12,
        video: 13,
        audio: 20,
        begin_audio: 21,
        end_audio: 22,
    };

    fn features(pictures: &[f32], sound: &[f32]) -> Features {
        Features { pictures: pictures.to_vec(), sound: sound.to_vec(), ..Features::default() }
    }

    #[test]
    fn features_find_their_places_in_prompt_order() {
        let tokens = [2, 11, 10, 10, 12, 20, 13];
        let splice = Splice::new(&tokens, &IDS, 2, &features(&[1., 1., 2., 2., 3., 3.], &[9., 9.])).unwrap();
        assert_eq!(splice.places, [2, 3, 5, 6]);
        assert_eq!(splice.rows, [1., 1., 2., 2., 9., 9., 3., 3.]);
        assert_eq!(splice.rows(3..6, Medium::Picture), [2., 2.]);
        assert_eq!(splice.rows(3..6, Medium::Sound), [9., 9.]);
    }

    #[test]
    fn counts_that_differ_are_a_fault() {
        assert!(Splice::new(&[10, 10], &IDS, 1, &features(&[1.], &[])).is_err());
        assert!(Splice::new(&[10], &IDS, 1, &features(&[1., 2.], &[])).is_err());
        assert!(Splice::new(&[20], &IDS, 1, &features(&[1.], &[])).is_err());
    }
}
