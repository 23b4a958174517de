//! The `[collect]` table of a pipeline.

use serde::{Deserialize, Serialize};

/// What a walk through folders takes along.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// Whether files and folders whose names start with a dot are walked. Those named outright always are.
    pub hidden: bool,
}

impl Settings {
    /// Everything that is wrong, one line each: nothing can be.
    pub fn validate(&self) -> Vec<String> {
        Vec::new()
    }
}
