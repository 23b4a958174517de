//! Two arrays held against each other, and how far they may differ.

use std::fmt;

use ndarray::{Array2, ArrayView1};

use crate::{base::Model, bundle::plain::Evaluated};

/// How far two arrays may differ.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Tolerance {
    /// No value by more than this.
    Absolute(f32),
    /// The norm of the difference by no more than this share of the norm of what is expected.
    Relative(f64),
}

/// Tolerances of a bundle.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Tolerances {
    /// Features of pictures.
    pub pictures: Tolerance,
    /// Features of sound.
    pub sound: Tolerance,
    /// Logits.
    pub logits: Tolerance,
}

/// The result of one comparison.
#[derive(Debug, Clone, PartialEq)]
pub struct Comparison {
    /// What is held against what.
    pub what: String,
    /// The largest absolute difference; infinite when a number is none or the shapes differ.
    pub largest: f32,
    /// The norm of the difference over the norm of what is expected.
    pub relative: f64,
    /// Rows whose largest value is at the same place.
    pub agreeing: usize,
    /// Rows.
    pub rows: usize,
    /// How far they may differ.
    pub tolerance: Tolerance,
}

impl Tolerances {
    /// By how the bundle stores its numbers. Measured on the small random models of the whole family
    /// (`tests/it/verify.rs`), right graphs against graphs with one window, scale or weight that is wrong:
    ///
    /// | | right | wrong |
    /// |---|---|---|
    /// | features, f32 | 2e-6 absolute | 3e-4 (exact Gelu) and more |
    /// | features, f16 | 1e-4 relative | 0.6 |
    /// | features, 8 bits | 2e-3 relative | 0.4 |
    /// | logits, f32 | 3e-5 absolute | 2.4e-3 (exact Gelu), else 2.6 and more |
    /// | logits, f16 | 3e-3 relative | 0.3 |
    /// | logits, 8 and 4 bits under f32 | 3e-3 relative | 0.25 |
    /// | logits, 4 bits under f16 | 0.05 relative | 0.25 |
    ///
    /// With 8 and 4 bits activations are rounded too, and one that lies between two steps may go either way; a deep
    /// model makes much of that, up to what the rounding costs as a whole: 0.053 in a random model of the size of E2B in 8
    /// bits, 0.031 and 0.048 in the features of vision and audio encoders of E2B's size in 8 bits, 0.075 in the logits that a
    /// small decoder makes of them. So a subtle error, such as another
    /// Gelu, shows in f32 alone: that is the precision in which to verify a new kind of graph.
    pub fn of(model: &Model) -> Self {
        let precision = &model.manifest.precision;
        let rounds = |encoder: &str| precision.parts.get(encoder).is_some_and(|format| format == "int8");
        let features = |encoder: &str| match precision.dtype.as_str() {
            _ if rounds(encoder) => Tolerance::Relative(0.1),
            "f32" => Tolerance::Absolute(1e-4),
            _ => Tolerance::Relative(5e-3),
        };
        let (pictures, sound) = (features("vision"), features("audio"));
        let logits = match (precision.dtype.as_str(), precision.quantize.as_str()) {
            _ if rounds("vision") || rounds("audio") => Tolerance::Relative(0.2),
            ("f32", "none") => Tolerance::Absolute(2e-3),
            (_, "none") => Tolerance::Relative(0.02),
            _ => Tolerance::Relative(0.1),
        };
        Self { pictures, sound, logits }
    }
}

impl Comparison {
    /// Holds what was found against what is expected.
    pub fn new(what: impl Into<String>, found: &Array2<f32>, expected: &Array2<f32>, tolerance: Tolerance) -> Self {
        let comparable = found.dim() == expected.dim();
        let pairs = || found.iter().zip(expected).map(|(found, expected)| found - expected);
        let largest = pairs()
            .map(f32::abs)
            .fold(0.0, |largest: f32, next| if next > largest || next.is_nan() { next } else { largest });
        let squares = |values: &mut dyn Iterator<Item = f32>| values.map(|value| f64::from(value).powi(2)).sum::<f64>();
        let relative = (squares(&mut pairs()) / squares(&mut expected.iter().copied()).max(f64::MIN_POSITIVE)).sqrt();
        let rows = found.rows().into_iter().zip(expected.rows());
        let agreeing = rows.filter(|(found, expected)| best(*found) == best(*expected)).count();
        Self {
            what: what.into(),
            largest: if comparable && largest.is_finite() { largest } else { f32::INFINITY },
            relative: if comparable && relative.is_finite() { relative } else { f64::INFINITY },
            agreeing,
            rows: expected.nrows(),
            tolerance,
        }
    }

    /// Is the difference within the tolerance?
    pub fn holds(&self) -> bool {
        match self.tolerance {
            Tolerance::Absolute(most) => self.largest <= most,
            Tolerance::Relative(most) => self.relative <= most,
        }
    }
}

fn best(row: ArrayView1<f32>) -> Option<usize> {
    (0..row.len()).max_by(|&a, &b| row[a].total_cmp(&row[b]))
}

/// A stored self-test against a new evaluation of its prompt: the same code, so only other processors' rounding is
/// allowed for.
pub(super) fn evaluations(stored: &Evaluated, anew: &Evaluated) -> Vec<Comparison> {
    let against = |what: &str, stored: &Array2<f32>, anew: &Array2<f32>| {
        Comparison::new(
            format!("{what} of the self-test against the checkpoint"),
            stored,
            anew,
            Tolerance::Absolute(2e-3),
        )
    };
    let parts = [
        ("image features", &stored.image_features, &anew.image_features),
        ("audio features", &stored.audio_features, &anew.audio_features),
        ("logits", &stored.logits, &anew.logits),
    ];
    let some = parts.into_iter().filter(|(_, stored, anew)| stored.nrows() + anew.nrows() > 0);
    some.map(|(what, stored, anew)| against(what, stored, anew)).collect()
}

impl fmt::Display for Comparison {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { what, largest, relative, agreeing, rows, .. } = self;
        write!(f, "{what}: largest difference {largest:.2e}, relative {relative:.2e}, ")?;
        write!(f, "highest place equal in {agreeing} of {rows} rows; ")?;
        match self.tolerance {
            Tolerance::Absolute(most) => write!(f, "tolerance {most:.0e} absolute")?,
            Tolerance::Relative(most) => write!(f, "tolerance {most:.0e} relative")?,
        }
        write!(f, ": {}", if self.holds() { "ok" } else { "WRONG" })
    }
}

#[cfg(test)]
mod tests {
    use ndarray::array;

    use super::*;

    #[test]
    fn what_differs_in_shape_or_is_no_number_never_holds() {
        let expected = array![[1.0, 2.0]];
        for found in [array![[1.0, f32::NAN]], array![[1.0]], Array2::zeros((0, 2))] {
            assert!(!Comparison::new("", &found, &expected, Tolerance::Absolute(1e9)).holds());
            assert!(!Comparison::new("", &found, &expected, Tolerance::Relative(1e9)).holds());
        }
    }

    #[test]
    fn a_line_says_how_far_apart_and_how_far_is_allowed() {
        let one = Comparison::new("x", &array![[3.0, 4.0]], &array![[3.0, 4.5]], Tolerance::Absolute(0.1));
        assert!(!one.holds());
        let text = one.to_string();
        assert!(text.contains("5.00e-1") && text.contains("1 of 1 rows") && text.ends_with("WRONG"), "{text}");
    }
}
