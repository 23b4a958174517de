//! Stage 4: engines, grammar, sampling and slots.

mod closing;
pub mod desk;
mod engine;
pub mod models;
mod parity;
mod replay;
