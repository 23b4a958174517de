//! The names of what lies in the folder of a dataset.

/// The parts of the rows.
pub const EXTRACTIONS: &str = "extractions";
/// The parts of the failures.
pub const FAILURES: &str = "failures";
/// The report of the latest run.
pub const REPORT: &str = "run.json";
/// What only the program reads.
pub const OURS: &str = "_lapidary";

/// All of them.
pub const ALL: [&str; 4] = [EXTRACTIONS, FAILURES, REPORT, OURS];
