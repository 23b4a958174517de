//! What decides what a dataset says about a document: hashes, equal where the same would come of it.

use serde::Serialize;

use crate::base::Kind;

/// The settings that concern documents of one kind.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Config {
    /// What decides an answer: the `_config` of rows, save those that the context has cut.
    pub answers: String,
    /// The same, and what decides whether there is an answer at all, or a whole one: the `_config` of failures, and of
    /// rows that the context has cut.
    pub failures: String,
    /// What decides which of a document's units are asked about.
    pub units: String,
}

impl Config {
    /// The `_config` of a row, whose answer the context may have cut.
    pub fn of_row(&self, confined: bool) -> &str {
        if confined { &self.failures } else { &self.answers }
    }

    /// True of the `_config` of rows that would come out the same.
    pub fn holds_row(&self, config: &str) -> bool {
        config == self.answers || config == self.failures
    }
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
