//! The table `[encode]` of a pipeline.

use serde::Deserialize;

use crate::base::{Budget, grid::BUDGETS};

/// How units become prompts.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// Most soft tokens of one page or picture: 70, 140, 280, 560 or 1120, large ones for reading, small ones for looking; or
    /// `"auto"`, which takes as few of them as its print allows.
    pub budget: Budget,
    /// Most soft tokens of one frame of a film.
    pub frame_budget: u32,
    /// The system turn; none when empty. What stands in it is the same for all units and prefilled once.
    pub system: String,
    /// The task, in the user's turn. `{schema}` stands for the JSON Schema; where neither this nor `system` names it,
    /// a sentence with the schema is added to the end of `system`.
    pub prompt: String,
}

impl Default for Settings {
    fn default() -> Self {
        Self { budget: Budget::Tokens(1120), frame_budget: 70, system: String::new(), prompt: String::new() }
    }
}

impl Settings {
    /// All that is wrong with the settings, one line each.
    pub fn validate(&self) -> Vec<String> {
        let budgets = [("budget", self.budget.most()), ("frame_budget", self.frame_budget)];
        let unknown = budgets.into_iter().filter(|(_, budget)| !BUDGETS.contains(budget));
        unknown.map(|(name, budget)| format!("encode.{name} is {budget}, but must be one of {BUDGETS:?}")).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_budget_that_the_model_does_not_know_is_named() {
        let settings = Settings { budget: 100.into(), frame_budget: 0, ..Settings::default() };
        let problems = settings.validate();
        assert_eq!(problems.len(), 2);
        assert!(problems[0].contains("encode.budget is 100"), "{problems:?}");
        assert!(Settings::default().validate().is_empty());
    }
}
