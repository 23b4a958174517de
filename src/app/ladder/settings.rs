//! The `[ladder]` table of a pipeline: when a unit is tried again, and how.

use serde::Deserialize;

use crate::{
    base::{
        Budget,
        grid::BUDGETS,
        ladder::{Rung, Rungs},
    },
    encode, generate,
};

/// Most steps of a ladder.
const MOST_STEPS: usize = 16;

/// Why an answer is not good enough.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Reason {
    /// It does not pass the schema.
    Invalid,
    /// It said the same again and again, and was cut.
    Loop,
    /// It was closed because its allowance of tokens ran short.
    Closed,
    /// A required text or list is empty.
    Empty,
}

impl Reason {
    /// All of them, in the order in which they are told.
    pub const ALL: [Self; 4] = [Self::Invalid, Self::Loop, Self::Closed, Self::Empty];

    /// The word in the table and in the dataset.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Invalid => "invalid",
            Self::Loop => "loop",
            Self::Closed => "closed",
            Self::Empty => "empty",
        }
    }
}

/// What a pipeline may say about it. Without steps nothing is tried again.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// What makes a unit climb.
    pub climb_on: Vec<Reason>,
    /// A unit that has taken so many new tokens in all its tries climbs no further.
    pub allowance: u64,
    /// How it is tried again, one after the other; each starts from the pipeline's own settings.
    pub steps: Vec<Rung>,
}

impl Default for Settings {
    fn default() -> Self {
        Self { climb_on: Reason::ALL.to_vec(), allowance: 8192, steps: Vec::new() }
    }
}

impl Settings {
    /// The rungs for the stages.
    pub fn rungs(&self) -> Rungs {
        Rungs::new(self.steps.clone())
    }

    /// All problems at once, one line each. What a step says must differ from what the stages do anyhow.
    pub fn validate(&self, encode: &encode::Settings, generate: &generate::Settings) -> Vec<String> {
        let mut problems = Vec::new();
        if self.steps.len() > MOST_STEPS {
            problems.push(format!("it has {} steps; {MOST_STEPS} are the most", self.steps.len()));
        }
        if self.climb_on.is_empty() {
            problems
                .push("`climb_on` is empty, so no unit would climb; name reasons or leave the table out".to_owned());
        }
        if self.allowance == 0 {
            problems.push("`allowance` is 0, so no unit would climb; leave the table out".to_owned());
        }
        for (place, step) in self.steps.iter().enumerate() {
            let problem = wrong(step, encode, generate);
            problems.extend(problem.map(|problem| format!("step {}: {problem}", place + 1)));
        }
        problems
    }
}

fn wrong(step: &Rung, encode: &encode::Settings, generate: &generate::Settings) -> Option<String> {
    if let Some(budget) = step.budget.filter(|budget| !BUDGETS.contains(budget)) {
        return Some(format!("`budget` is {budget}, but must be one of {BUDGETS:?}"));
    }
    if let Some(degrees) = step.rotate.filter(|degrees| ![90, 180, 270].contains(degrees)) {
        return Some(format!("`rotate` is {degrees}, but must be 90, 180 or 270"));
    }
    let warm = |temperature: f32| temperature.is_finite() && (0.0..=4.0).contains(&temperature);
    if let Some(temperature) = step.temperature.filter(|temperature| !warm(*temperature)) {
        return Some(format!("`temperature` is {temperature}, but must be 0 to 4"));
    }
    let other_budget = step.budget.is_some_and(|budget| Budget::Tokens(budget) != encode.budget);
    let other_temperature = step.temperature.is_some_and(|temperature| temperature != generate.temperature);
    // Drawn tokens differ with each attempt.
    let draws = step.temperature.unwrap_or(generate.temperature) > 0.0;
    let same = !(other_budget || other_temperature || draws || step.rotate.is_some());
    same.then(|| "it says nothing that the pipeline does not do anyhow; change it or take it out".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problems(text: &str) -> Vec<String> {
        let settings: Settings = toml::from_str(text).unwrap();
        settings.validate(&encode::Settings::default(), &generate::Settings::default())
    }

    #[test]
    fn steps_that_cannot_be_or_change_nothing_are_named() {
        assert!(problems("").is_empty());
        assert!(problems("steps = [{ budget = 560, rotate = 90 }, { temperature = 0.4 }]").is_empty());
        let wrong =
            problems("steps = [{ budget = 99 }, { rotate = 45 }, { temperature = -1.0 }, { budget = 1120 }, {}]");
        assert_eq!(wrong.len(), 5, "{wrong:?}");
        assert!(wrong[0].starts_with("step 1: `budget` is 99"), "{wrong:?}");
        assert!(wrong[3].contains("nothing"), "1120 is the pipeline's own: {wrong:?}");
        assert_eq!(problems("climb_on = []\nallowance = 0\nsteps = [{ rotate = 180 }]").len(), 2);
        assert!(toml::from_str::<Settings>("steps = [{ tiles = 3 }]").is_err());
        assert!(toml::from_str::<Settings>("climb_on = [\"ugly\"]").is_err());
    }
}
