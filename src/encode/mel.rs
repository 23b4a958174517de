//! The mel filter bank: 128 triangles over 257 frequencies, kept as the few weights that are not zero.
//!
//! Source: transformers' `mel_filter_bank` with `mel_scale="htk"` and `norm=None`.

/// Mel bins.
pub(super) const BINS: usize = 128;

/// Frequencies of a spectrum: 0 to 8000 Hz in steps of 31.25 Hz.
pub(super) const FREQUENCIES: usize = 257;

const NYQUIST: f64 = 8000.0;

/// Frames that are worked on at once, so that the compiler can use vectors.
pub(super) const LANES: usize = 8;

/// The magnitudes of several frames: `[frequency][lane]`.
pub(super) type Magnitudes = [[f32; LANES]; FREQUENCIES];

/// All triangles.
pub(super) struct FilterBank(Vec<Triangle>);

/// The weights of `first..first + weights.len()`; all others are zero.
struct Triangle {
    first: usize,
    weights: Vec<f32>,
}

impl FilterBank {
    /// The bank that the model was trained with.
    pub fn new() -> Self {
        let top = to_mel(NYQUIST);
        let edge = |number: usize| to_hertz(top * number as f64 / (BINS + 1) as f64);
        Self((0..BINS).map(|bin| Triangle::new(edge(bin), edge(bin + 1), edge(bin + 2))).collect())
    }

    /// The energy in each bin, for each lane. All summands are positive, so f32 loses nothing that counts.
    pub fn bins<'a>(&'a self, magnitudes: &'a Magnitudes) -> impl Iterator<Item = [f32; LANES]> + 'a {
        self.0.iter().map(|triangle| triangle.of(magnitudes))
    }
}

impl Triangle {
    /// Rises from `left` to `peak` and falls to `right`, all in hertz.
    fn new(left: f64, peak: f64, right: f64) -> Self {
        let hertz = |place: usize| NYQUIST * place as f64 / (FREQUENCIES - 1) as f64;
        let weight = |place: usize| {
            let (rise, fall) = ((hertz(place) - left) / (peak - left), (right - hertz(place)) / (right - peak));
            rise.min(fall).max(0.0) as f32
        };
        let weights: Vec<f32> = (0..FREQUENCIES).map(weight).collect();
        let first = weights.iter().position(|weight| *weight > 0.0).unwrap_or(0);
        let end = weights.iter().rposition(|weight| *weight > 0.0).map_or(first, |last| last + 1);
        Self { first, weights: weights[first..end].to_vec() }
    }

    fn of(&self, magnitudes: &Magnitudes) -> [f32; LANES] {
        let mut sums = [0.0; LANES];
        for (lanes, weight) in magnitudes[self.first..].iter().zip(&self.weights) {
            sums.iter_mut().zip(lanes).for_each(|(sum, magnitude)| *sum += magnitude * weight);
        }
        sums
    }
}

fn to_mel(hertz: f64) -> f64 {
    2595.0 * (1.0 + hertz / 700.0).log10()
}

fn to_hertz(mel: f64) -> f64 {
    700.0 * (10f64.powf(mel / 2595.0) - 1.0)
}
