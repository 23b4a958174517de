//! The wiring: a pipeline file and flags become a [`plan::Plan`], a plan becomes a [`line::Line`] of threads and
//! channels, and what the line did becomes a [`report::Report`] whose totals must balance.

pub mod again;
pub mod allowance;
pub mod captions;
pub mod check;
pub mod collate;
pub mod configs;
pub mod digest;
pub mod encode;
pub mod engines;
pub mod eval;
pub mod gauge;
pub mod ladder;
pub mod lane;
pub mod letters;
pub mod line;
pub mod make;
mod memory;
mod one;
pub mod pipeline;
pub mod plan;
pub mod prepare;
pub mod proof;
pub mod recorded;
pub mod replay;
pub mod report;
pub mod run;
pub mod schema;
pub mod score;
pub mod threads;
pub mod timeline;
pub mod verify;
