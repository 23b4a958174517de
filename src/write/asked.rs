//! What decides what a dataset says about a document: hashes, equal where the same would come of it.

use serde::Serialize;

use crate::base::Kind;

/// The settings that concern documents of one kind.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Config {
    /// What decides an answer: the `_config` of rows.
    pub answers: String,
    /// The same, and what decides whether there is an answer at all: the `_config` of failures.
    pub failures: String,
    /// What decides which of a document's units are asked about.
    pub units: String,
}

/// What made the rows of a run.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RunIdentity {
    /// Hash of the model bundle.
    pub model: String,
    configs: [Config; Kind::ALL.len()],
}

impl RunIdentity {
    /// A run of this model, with these settings for each kind.
    pub fn new(model: impl Into<String>, config: impl FnMut(Kind) -> Config) -> Self {
        Self { model: model.into(), configs: Kind::ALL.map(config) }
    }

    /// What concerns documents of this kind. Content of no known kind has failures alone, to which all kinds' settings
    /// are equal.
    pub fn config(&self, kind: Option<Kind>) -> &Config {
        &self.configs[kind.unwrap_or(Kind::Text) as usize]
    }
}
