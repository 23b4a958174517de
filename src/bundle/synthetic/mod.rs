//! Models of full size with random weights: for measuring what size costs, where no trained weights are at hand.

mod drawing;
mod folder;
mod inventory;
mod law;
mod request;

pub use drawing::Drawing;
pub use inventory::inventory;
pub use request::{SynthesizeRequest, Synthesized, shape, synthesize};

use super::{Checkpoint, Config};

/// Weights that are made as they are read, the same for the same seed.
pub fn checkpoint(config: &Config, seed: u64) -> Checkpoint {
    Checkpoint::drawn(inventory(config).into_iter().map(|(name, shape)| {
        let drawing = law::law(seed, &name, &shape);
        (name, shape, drawing)
    }))
}
