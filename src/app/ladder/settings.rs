//! The `[ladder]` table of a pipeline: when a unit is tried again, and how.

use serde::Deserialize;

use crate::{
    app::pipeline::Idle,
    base::{
        Budget, RecordOf,
        grid::BUDGETS,
        ladder::{Rung, Rungs},
    },
    decode, encode, generate, parse,
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
    /// A check of `[[parse.checks]]` failed.
    Check,
    /// The page's own text says too little of it: less than `least_agreement`.
    Agreement,
}

impl Reason {
    /// All of them, in the order in which they are told.
    pub const ALL: [Self; 6] = [Self::Invalid, Self::Loop, Self::Closed, Self::Empty, Self::Check, Self::Agreement];

    /// Those that every pipeline can tell.
    const PLAIN: [Self; 4] = [Self::Invalid, Self::Loop, Self::Closed, Self::Empty];

    /// What it means, in words.
    pub fn told(self) -> &'static str {
        match self {
            Self::Invalid => "the answer did not pass the schema",
            Self::Loop => "the answer went round in circles",
            Self::Closed => "the answer was cut when its tokens ran out",
            Self::Empty => "a required text or list was empty",
            Self::Check => "a check of the pipeline failed",
            Self::Agreement => "the page's own text said too little of it",
        }
    }

    /// The word in the table and in the dataset.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Invalid => "invalid",
            Self::Loop => "loop",
            Self::Closed => "closed",
            Self::Empty => "empty",
            Self::Check => "check",
            Self::Agreement => "agreement",
        }
    }
}

/// What a pipeline may say about it. Without steps nothing is tried again.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// What makes a unit climb.
    pub climb_on: Vec<Reason>,
    /// The `_agreement` below which `agreement` makes a unit climb, 0 to 1.
    pub least_agreement: Option<f32>,
    /// A unit that has taken so many new tokens in all its tries climbs no further.
    pub allowance: u64,
    /// How it is tried again, one after the other; each starts from the pipeline's own settings.
    pub steps: Vec<Rung>,
    /// A unit whose best answer still has one of these reasons when nothing is left to try is a failure, not a row.
    pub give_up_on: Vec<Reason>,
}

impl Default for Settings {
    fn default() -> Self {
        let (climb_on, steps, give_up_on) = (Reason::PLAIN.to_vec(), Vec::new(), Vec::new());
        Self { climb_on, least_agreement: None, allowance: 8192, steps, give_up_on }
    }
}

impl Settings {
    /// The rungs for the stages.
    pub fn rungs(&self) -> Rungs {
        Rungs::new(self.steps.clone())
    }

    /// True where some try of a unit draws its tokens.
    pub fn draws(&self, generate: &generate::Settings) -> bool {
        let steps = self.steps.iter().filter_map(|step| step.temperature);
        steps.chain([generate.temperature]).any(|temperature| temperature > 0.0)
    }

    /// All problems at once, one line each. What a step says must differ from what the stages do anyhow.
    pub fn validate(
        &self,
        decode: &decode::Settings,
        encode: &encode::Settings,
        generate: &generate::Settings,
        parse: &parse::Settings,
    ) -> Vec<String> {
        let mut problems = Vec::new();
        if self.steps.len() > MOST_STEPS {
            problems.push(format!("it has {} steps; {MOST_STEPS} are the most", self.steps.len()));
        }
        if self.climb_on.is_empty() {
            problems
                .push("`climb_on` is empty, so no unit would climb; name reasons or leave the table out".to_owned());
        }
        problems.extend(self.untold(parse));
        if self.allowance == 0 {
            problems.push("`allowance` is 0, so no unit would climb; leave the table out".to_owned());
        }
        for (place, step) in self.steps.iter().enumerate() {
            let problem = wrong(step, decode, encode, generate);
            problems.extend(problem.map(|problem| format!("step {}: {problem}", place + 1)));
        }
        problems
    }

    /// Reasons of which nothing would be known.
    fn untold(&self, parse: &parse::Settings) -> Vec<String> {
        let on = |reason| self.climb_on.contains(&reason) || self.give_up_on.contains(&reason);
        let share = self.least_agreement.is_none_or(|share| (0.0..=1.0).contains(&share));
        let problems = [
            (
                on(Reason::Check) && parse.checks.is_empty(),
                "`climb_on` or `give_up_on` names `check`, but there are no [[parse.checks]]",
            ),
            (
                on(Reason::Check) && parse.record == RecordOf::Document,
                "`climb_on` or `give_up_on` names `check`, but the checks are made of a document's merged record; leave it out",
            ),
            (
                on(Reason::Agreement) && !parse.evidence,
                "`climb_on` or `give_up_on` names `agreement`; set `evidence = true` under [parse]",
            ),
            (
                on(Reason::Agreement) != self.least_agreement.is_some(),
                "`agreement` and `least_agreement` need each other",
            ),
            (!share, "`least_agreement` must be 0 to 1"),
        ];
        those(&problems)
    }

    /// Options without effect; a file with one is refused.
    pub fn idle(&self) -> Vec<Idle> {
        let (flat, usual) = (self.steps.is_empty(), Self::default());
        let agreement = self.least_agreement.is_some() && !self.give_up_on.contains(&Reason::Agreement);
        let problems = [
            (
                flat && self.climb_on != usual.climb_on,
                "climb_on",
                None,
                "`climb_on` has no effect without `steps`; leave it out",
            ),
            (
                flat && agreement,
                "least_agreement",
                None,
                "`least_agreement` has no effect without `steps`; leave it out",
            ),
            (
                flat && self.allowance != usual.allowance,
                "allowance",
                None,
                "`allowance` has no effect without `steps`; leave it out",
            ),
            (
                self.give_up_on.contains(&Reason::Invalid),
                "give_up_on",
                Some(Reason::Invalid.as_str()),
                "`give_up_on` names `invalid`, but an answer that does not pass the schema is a failure anyhow; leave it out",
            ),
        ];
        let idle = problems.into_iter().filter(|(idle, ..)| *idle);
        idle.map(|(_, key, item, problem)| Idle { table: "ladder", key, item, problem }).collect()
    }
}

/// The problems that there are.
fn those(problems: &[(bool, &str)]) -> Vec<String> {
    problems.iter().filter(|(wrong, _)| *wrong).map(|(_, problem)| (*problem).to_owned()).collect()
}

fn wrong(
    step: &Rung,
    decode: &decode::Settings,
    encode: &encode::Settings,
    generate: &generate::Settings,
) -> Option<String> {
    if let Some(budget) = step.budget.filter(|budget| !BUDGETS.contains(budget)) {
        return Some(format!("`budget` is {budget}, but must be one of {BUDGETS:?}"));
    }
    if let Some(degrees) = step.rotate.filter(|degrees| ![90, 180, 270].contains(degrees)) {
        return Some(format!("`rotate` is {degrees}, but must be 90, 180 or 270"));
    }
    if let Some(tiles) = step.tiles.filter(|tiles| ![2, 3].contains(tiles)) {
        return Some(format!("`tiles` is {tiles}, but must be 2 or 3"));
    }
    let warm = |temperature: f32| temperature.is_finite() && (0.0..=4.0).contains(&temperature);
    if let Some(temperature) = step.temperature.filter(|temperature| !warm(*temperature)) {
        return Some(format!("`temperature` is {temperature}, but must be 0 to 4"));
    }
    if let Some(shift) = step.shift {
        if !(0.1..=10.0).contains(&shift) {
            return Some(format!("`shift` is {shift}, but must be 0.1 to 10 seconds"));
        }
        let room = decode::LONGEST_CLIP - decode.sound.longest;
        if shift > room + 1e-6 {
            let longest = decode::LONGEST_CLIP - shift;
            return Some(format!(
                "`shift` is {shift}, and clips may be {} s long: the model hears {} at once; lower `longest` of `[decode] sound` \
                 to {longest}",
                decode.sound.longest,
                decode::LONGEST_CLIP,
            ));
        }
    }
    let other_budget = step.budget.is_some_and(|budget| Budget::Tokens(budget) != encode.budget);
    let other_temperature = step.temperature.is_some_and(|temperature| temperature != generate.temperature);
    // Drawn tokens differ with each attempt.
    let draws = step.temperature.unwrap_or(generate.temperature) > 0.0;
    let elsewhere = step.rotate.is_some() || step.tiles.is_some() || step.shift.is_some();
    let same = !(other_budget || other_temperature || draws || elsewhere);
    same.then(|| "it says nothing that the pipeline does not do anyhow; change it or take it out".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problems(text: &str) -> Vec<String> {
        let settings: Settings = toml::from_str(text).unwrap();
        let sound = decode::SoundSettings { longest: 28.0, ..Default::default() };
        let decode = decode::Settings { sound, ..Default::default() };
        settings.validate(&decode, &Default::default(), &Default::default(), &Default::default())
    }

    #[test]
    fn steps_that_cannot_be_or_change_nothing_are_named() {
        assert!(problems("").is_empty());
        assert!(problems("steps = [{ budget = 560, rotate = 90 }, { tiles = 2 }, { temperature = 0.4 }]").is_empty());
        let wrong = problems(
            "steps = [{ budget = 99 }, { rotate = 45 }, { temperature = -1.0 }, { budget = 1120 }, {}, { tiles = 9 }]",
        );
        assert_eq!(wrong.len(), 6, "{wrong:?}");
        assert!(wrong[0].starts_with("step 1: `budget` is 99"), "{wrong:?}");
        assert!(wrong[3].contains("nothing"), "1120 is the pipeline's own: {wrong:?}");
        assert!(problems("steps = [{ shift = 2.0 }]\ngive_up_on = [\"loop\"]").is_empty());
        let long = problems("steps = [{ shift = 2.5 }, { shift = 0.0 }]");
        assert!(long.len() == 2 && long[0].contains("lower `longest` of `[decode] sound` to 27.5"), "{long:?}");
        assert_eq!(problems("climb_on = []\nallowance = 0\nsteps = [{ rotate = 180 }]").len(), 2);
        let untold = problems("climb_on = [\"check\", \"agreement\"]\nsteps = [{ rotate = 180 }]");
        assert_eq!(untold.len(), 3, "no checks, no evidence, no share: {untold:?}");
        assert!(toml::from_str::<Settings>("steps = [{ zoom = 3 }]").is_err());
        assert!(toml::from_str::<Settings>("climb_on = [\"ugly\"]").is_err());
    }

    #[test]
    fn what_has_no_effect_is_named() {
        let problems = |text: &str| {
            let idle = toml::from_str::<Settings>(text).unwrap().idle();
            idle.iter().map(|idle| idle.problem).collect::<Vec<_>>()
        };
        for key in ["climb_on = [\"loop\"]", "allowance = 3072"] {
            let idle = problems(key);
            assert!(idle.len() == 1 && idle[0].contains("no effect without `steps`"), "{key}: {idle:?}");
            assert!(problems(&format!("{key}\nsteps = [{{ rotate = 180 }}]")).is_empty(), "{key}");
        }
        let invalid = problems("steps = [{ rotate = 180 }]\ngive_up_on = [\"loop\", \"invalid\"]");
        assert!(invalid.len() == 1 && invalid[0].contains("is a failure anyhow"), "{invalid:?}");
        assert!(problems("give_up_on = [\"loop\", \"empty\"]").is_empty(), "this needs no steps");
    }

    #[test]
    fn some_try_draws_where_the_pipeline_or_a_step_is_warm() {
        let draws = |steps: &str, temperature| {
            let settings: Settings = toml::from_str(steps).unwrap();
            settings.draws(&generate::Settings { temperature, ..Default::default() })
        };
        assert!(!draws("", 0.0) && !draws("steps = [{ rotate = 90 }, { temperature = 0.0 }]", 0.0));
        assert!(draws("", 0.5) && draws("steps = [{ temperature = 0.4 }]", 0.0));
        assert!(draws("steps = [{ temperature = 0.0 }]", 0.5), "the first try");
    }
}
