//! Bundles: what is exported computes what transformers computes, and what is broken is refused with three facts.

mod checkpoints;
mod manifest;
mod model;
mod operators;
mod parity;
mod quantized;
mod refusals;
mod safety;
mod sharing;
mod sizes;
mod weights;
