//! Stage 4: engines, grammar, sampling and slots.

mod closing;
mod desk;
mod engine;
mod models;
mod parity;
mod replay;
