//! Stage 4: engines, grammar, sampling and slots.

mod ahead;
mod closing;
pub mod desk;
mod drafts;
mod engine;
mod finished;
mod forced;
mod manners;
mod memory;
pub mod models;
mod modes;
mod parity;
mod replay;
