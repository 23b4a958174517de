//! The table `[encode]` of a pipeline.

use serde::Deserialize;

use super::wording::PLACE;
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
    /// Whether the model is told the schema. A model that was trained for one task knows it, and is spared the tokens; its
    /// answers follow the schema all the same.
    pub schema_in_prompt: bool,
    /// The task where what was said of the parts of a document is to become one record: `[reduce] prompt`.
    #[serde(skip)]
    pub reduce: Option<String>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            budget: Budget::Tokens(1120),
            frame_budget: 70,
            system: String::new(),
            prompt: String::new(),
            schema_in_prompt: true,
            reduce: None,
        }
    }
}

impl Settings {
    /// All that is wrong with the settings, one line each.
    pub fn validate(&self) -> Vec<String> {
        let budgets = [("budget", self.budget.most()), ("frame_budget", self.frame_budget)];
        let unknown = budgets.into_iter().filter(|(_, budget)| !BUDGETS.contains(budget));
        let mut problems: Vec<String> = unknown
            .map(|(name, budget)| format!("encode.{name} is {budget}, but must be one of {BUDGETS:?}"))
            .collect();
        if !self.schema_in_prompt {
            let texts = [("encode.system", &self.system), ("encode.prompt", &self.prompt)];
            let placed = texts.into_iter().filter(|(_, text)| text.contains(PLACE));
            problems.extend(placed.map(|(name, _)| {
                format!(
                    "{name} has a place for {{schema}}, but encode.schema_in_prompt is false: leave out one of them"
                )
            }));
        }
        problems
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

    #[test]
    fn a_place_for_a_schema_that_is_not_told_is_named() {
        let silent = Settings { prompt: "Use {schema}.".to_owned(), schema_in_prompt: false, ..Settings::default() };
        assert_eq!(silent.validate().len(), 1);
        assert!(silent.validate()[0].starts_with("encode.prompt has a place"), "{:?}", silent.validate());
        assert!(Settings { schema_in_prompt: true, ..silent }.validate().is_empty());
    }
}
