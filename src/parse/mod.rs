//! 5: `Generation` -> `Extraction`. The answer's text becomes a record that has passed the schema, or a fault that
//! shows where it did not. Where the pipeline asks, evidence is gathered for each value and checks are made across fields.

mod answer;
mod boxes;
mod call;
mod checks;
mod decimal;
mod evidence;
mod leaves;
mod merge;
mod parser;
mod pointer;
mod settings;
mod silence;
mod split;
mod twice;

pub use answer::reread;
pub use boxes::asks_for_boxes;
pub use checks::{Check, Settings as CheckSettings};
pub use merge::{Merging, Seam, seam};
pub use parser::Parser;
pub use settings::{Settings, read_schema};
pub use split::{records, split};
