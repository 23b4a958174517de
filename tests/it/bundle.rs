//! Bundles: what is exported computes what transformers computes, and what is broken is refused with three facts.

mod checkpoints;
mod manifest;
mod model;
mod parity;
mod quantized;
mod refusals;
mod weights;
