//! Checks across the fields of a record, as the pipeline names them under `[[parse.checks]]`.

mod path;
mod rule;
mod settings;

use serde_json::Value;

pub use self::settings::Settings;
use self::{path::Path, rule::Rule};
use crate::base::{Shape, Verdict};

/// A check that fits the schema.
#[derive(Debug, Clone)]
pub struct Check {
    name: String,
    rule: Rule,
}

impl Check {
    /// All checks of a pipeline.
    ///
    /// # Errors
    /// Every problem, one line each, beginning with the check's name.
    pub fn all(settings: &[Settings], shape: &Shape) -> Result<Vec<Self>, Vec<String>> {
        let (mut checks, mut problems) = (Vec::<Self>::new(), Vec::new());
        for (index, own) in settings.iter().enumerate() {
            let named = |problem: String| format!("parse.checks: `{}`: {problem}", own.name);
            if own.name.is_empty() || settings[..index].iter().any(|other| other.name == own.name) {
                problems.push(named("each check needs a name of its own".to_owned()));
            }
            match own.rule(shape) {
                Ok(rule) => checks.push(Self { name: own.name.clone(), rule }),
                Err(found) => problems.extend(found.into_iter().map(named)),
            }
        }
        if problems.is_empty() { Ok(checks) } else { Err(problems) }
    }

    /// What the check makes of a record.
    pub fn judge(&self, record: &Value) -> Verdict {
        let (passed, detail) = self.rule.judge(record);
        Verdict { name: self.name.clone(), passed, detail }
    }
}
