//! What quantisation cost, by kind of tensor.

use std::collections::BTreeMap;

/// Squared error and squared size of the weights of one kind.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Loss {
    error: f64,
    size: f64,
}

impl Loss {
    /// Of sums of squares.
    pub fn of(error: f32, size: f32) -> Self {
        Self { error: f64::from(error), size: f64::from(size) }
    }

    /// The norm of the error over the norm of the weights.
    pub fn relative(self) -> f64 {
        if self.size > 0.0 { (self.error / self.size).sqrt() } else { 0.0 }
    }

    /// Both together.
    pub fn plus(self, other: Self) -> Self {
        Self { error: self.error + other.error, size: self.size + other.size }
    }
}

/// What quantisation cost, by kind of tensor.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Losses(pub BTreeMap<&'static str, Loss>);

impl Losses {
    /// Counts one tensor, or a part of one.
    pub fn add(&mut self, kind: &'static str, loss: Loss) {
        let entry = self.0.entry(kind).or_default();
        *entry = entry.plus(loss);
    }

    /// Counts all of another tally.
    pub fn merge(&mut self, other: Self) {
        other.0.into_iter().for_each(|(kind, loss)| self.add(kind, loss));
    }
}
