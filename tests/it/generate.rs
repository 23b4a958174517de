//! Stage 4: engines, grammar, sampling and slots.

mod closing;
pub mod desk;
mod engine;
mod layouts;
mod loader;
pub mod models;
mod parity;
mod refusals;
mod replay;
