//! 5: `Generation` -> `Extraction`. The answer's text becomes a record that has passed the schema, or a fault that
//! shows where it did not.

mod answer;
mod boxes;
mod call;
mod parser;
mod settings;
mod twice;

pub use parser::Parser;
pub use settings::{Settings, read_schema};
