//! Pictures that were encoded before, with their features: letterheads, blank pages and copies are encoded once.

use std::collections::HashMap;

use pulp::bytemuck::cast_slice;

use crate::base::ImagePatches;

/// Bytes of features that are kept: a hundred pictures or so.
const ROOM: usize = 128 << 20;

/// What a picture looks like to the model.
pub(super) type Likeness = [u8; 32];

/// The kept features.
#[derive(Default)]
pub(super) struct Album {
    kept: HashMap<Likeness, Kept>,
    bytes: usize,
    /// Counts what was kept or found, to tell what has not been of use for longest.
    clock: u64,
}

struct Kept {
    features: Vec<f32>,
    used: u64,
}

/// The hash of all that goes into the encoder.
pub(super) fn likeness(picture: &ImagePatches) -> Likeness {
    let mut hasher = blake3::Hasher::new();
    hasher.update(&(picture.pixels.nrows() as u64).to_le_bytes());
    for row in picture.pixels.rows() {
        match row.as_slice() {
            Some(row) => hasher.update(cast_slice(row)),
            None => hasher.update(cast_slice(&row.to_vec())),
        };
    }
    let positions: Vec<i64> = picture.positions.iter().copied().collect();
    hasher.update(cast_slice(&positions));
    *hasher.finalize().as_bytes()
}

impl Album {
    /// The features of a picture that looks like this.
    pub(super) fn find(&mut self, likeness: &Likeness) -> Option<&[f32]> {
        self.clock += 1;
        let kept = self.kept.get_mut(likeness)?;
        kept.used = self.clock;
        Some(&kept.features)
    }

    /// Keeps features, in the place of those that have not been of use for longest.
    pub(super) fn keep(&mut self, likeness: Likeness, features: Vec<f32>) {
        self.clock += 1;
        self.bytes += size_of_val(&features[..]);
        let kept = Kept { features, used: self.clock };
        if let Some(before) = self.kept.insert(likeness, kept) {
            self.bytes -= size_of_val(&before.features[..]);
        }
        while self.bytes > ROOM {
            let Some(oldest) = self.kept.iter().min_by_key(|(_, kept)| kept.used).map(|(likeness, _)| *likeness) else {
                return;
            };
            self.bytes -= self.kept.remove(&oldest).map_or(0, |kept| size_of_val(&kept.features[..]));
        }
    }
}

#[cfg(test)]
mod tests {
    use ndarray::Array2;

    use super::*;

    fn picture(shade: f32, column: i64) -> ImagePatches {
        let mut positions = Array2::zeros((9, 2));
        positions[[8, 0]] = column;
        ImagePatches { pixels: Array2::from_elem((9, 768), shade), positions, soft_tokens: 1 }
    }

    #[test]
    fn pictures_differ_by_their_pixels_and_by_their_places() {
        assert_eq!(likeness(&picture(0.5, 2)), likeness(&picture(0.5, 2)));
        assert_ne!(likeness(&picture(0.5, 2)), likeness(&picture(0.25, 2)));
        assert_ne!(likeness(&picture(0.5, 2)), likeness(&picture(0.5, 3)));
    }

    #[test]
    fn what_is_not_of_use_makes_room() {
        let mut album = Album::default();
        let third = || vec![0.0; ROOM / 12];
        (0..3).for_each(|number| album.keep([number; 32], third()));
        assert!(album.find(&[0; 32]).is_some());
        album.keep([3; 32], third());
        let there = [0, 1, 2, 3].map(|number| album.find(&[number; 32]).is_some());
        assert_eq!(there, [true, false, true, true]);
        album.keep([4; 32], vec![0.0; ROOM]);
        assert!(album.kept.is_empty() && album.bytes == 0, "what is larger than the room is not kept");
    }
}
