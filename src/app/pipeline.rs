//! The pipeline file: TOML with one table per stage. Reading it finds every problem, not only the first.

use std::{
    fs,
    path::{Path, PathBuf},
};

use serde::de::DeserializeOwned;
use toml::{Table, Value};

use super::{digest, ladder};
use crate::{
    base::{Budget, Fatal, Output, RecordOf},
    collect, decode, encode, generate, parse, write,
};

/// A pipeline file as read: every value has its type, nothing is resolved yet.
#[derive(Debug, Clone)]
pub struct Pipeline {
    /// A name for people.
    pub name: String,
    /// What it extracts.
    pub description: String,
    /// The model bundle, relative to the file.
    pub model: Option<PathBuf>,
    /// The share of units that may fail before the run counts as failed (exit code 1), from 0 to 1.
    pub allowed_failures: f64,
    /// Bytes of decoded media that may be in flight, in megabytes.
    pub memory_mb: u64,
    /// Stage 1.
    pub collect: collect::Settings,
    /// Stage 2.
    pub decode: decode::Settings,
    /// Stage 3.
    pub encode: encode::Settings,
    /// Stage 4.
    pub generate: generate::Settings,
    /// Stage 5.
    pub parse: parse::Settings,
    /// Stage 6.
    pub write: write::Settings,
    /// When and how units are tried again.
    pub ladder: ladder::Settings,
    /// How what is said of a document's parts becomes one record, where the model is to do it.
    pub reduce: Option<digest::Settings>,
    /// The effective file, flags included, in a canonical order: what the config hash is taken of.
    pub canonical: String,
}

/// What a file is refused for that versions of before took: a key that changes no answer. Datasets hold settings with such keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Idle {
    /// The table that it stands in.
    pub table: &'static str,
    /// The key.
    pub key: &'static str,
    /// The item that is wrong with it, where it is a list of which the rest has an effect.
    pub item: Option<&'static str>,
    /// What is said of it.
    pub problem: &'static str,
}

/// What is said of a key that tells how tokens are drawn.
macro_rules! cold {
    ($key:literal) => {
        concat!($key, " has no effect at temperature 0; set temperature too, there or in a step of the [ladder]")
    };
}

impl Idle {
    fn leave_out(self, table: &mut Table) {
        let Some(Value::Table(settings)) = table.get_mut(self.table) else { return };
        match (self.item, settings.get_mut(self.key)) {
            (Some(item), Some(Value::Array(items))) => items.retain(|one| one.as_str() != Some(item)),
            _ => drop(settings.remove(self.key)),
        }
    }
}

/// Flags that stand for a value in the file.
#[derive(Debug, Clone, Default)]
pub struct Overrides {
    /// `[encode] budget`
    pub budget: Option<Budget>,
    /// `[decode] pages`
    pub pages: Option<String>,
}

impl Pipeline {
    /// Reads a file and lays the flags over it. The problems come all at once, one line each; beside them stands what
    /// could be read, with defaults in place of what could not, so that the search may go on. No pipeline comes of a
    /// text that is not TOML.
    pub fn read(path: &Path, overrides: &Overrides) -> Result<(Option<Self>, Vec<String>), Fatal> {
        let text = fs::read_to_string(path).map_err(|error| {
            Fatal::new(
                format!("cannot read pipeline `{}`: {error}", path.display()),
                "give the path of a pipeline file; pipelines/ holds examples",
            )
        })?;
        Ok(Self::from_text(&text, overrides))
    }

    /// The same of a text that has been read.
    pub fn from_text(text: &str, overrides: &Overrides) -> (Option<Self>, Vec<String>) {
        let (pipeline, mut problems) = Self::taken(text, overrides);
        let idle = pipeline.iter().flat_map(Self::idle);
        problems.extend(idle.map(|idle| format!("[{}] {}", idle.table, idle.problem)));
        (pipeline, problems)
    }

    /// The same of settings that a dataset holds: keys without effect are none of the problems, since the dataset may be older
    /// than their refusal.
    pub fn recorded(text: &str) -> (Option<Self>, Vec<String>) {
        Self::taken(text, &Overrides::default())
    }

    /// Takes the keys without effect out of this pipeline's file, so that it is not refused.
    pub fn leave_out_idle(&self, table: &mut Table) {
        self.idle().into_iter().for_each(|idle| idle.leave_out(table));
    }

    fn taken(text: &str, overrides: &Overrides) -> (Option<Self>, Vec<String>) {
        match text.parse::<Table>() {
            Err(error) => (None, vec![error.to_string()]),
            Ok(table) => {
                let (pipeline, problems) = Self::from_table(table, overrides);
                (Some(pipeline), problems)
            }
        }
    }

    fn from_table(mut table: Table, overrides: &Overrides) -> (Self, Vec<String>) {
        lay_over(&mut table, overrides);
        let canonical = table.to_string();
        let mut reader = Reader { table, problems: Vec::new() };
        let mut pipeline = Self {
            name: reader.value("name", String::new()),
            description: reader.value("description", String::new()),
            model: reader.optional("model"),
            allowed_failures: reader.value("allowed_failures", 0.0),
            memory_mb: reader.value("memory_mb", 512),
            collect: reader.stage("collect", |_: &collect::Settings| Vec::new()),
            decode: reader.stage("decode", decode::Settings::validate),
            encode: reader.stage("encode", encode::Settings::validate),
            generate: reader.stage("generate", generate::Settings::validate),
            parse: reader.stage("parse", parse::Settings::validate),
            write: reader.stage("write", write::Settings::validate),
            ladder: reader.stage("ladder", |_: &ladder::Settings| Vec::new()),
            reduce: reader.optional("reduce"),
            canonical,
        };
        pipeline.encode.reduce = pipeline.reduce.as_ref().map(|reduce| reduce.prompt.clone());
        let mut problems = reader.finish();
        problems.extend(pipeline.contradictions());
        (pipeline, problems)
    }

    /// True when answers hold special tokens: around thoughts, or in calls.
    pub fn speaks_in_marks(&self) -> bool {
        self.generate.thinking || self.parse.output == Output::ToolCall
    }

    fn contradictions(&self) -> Vec<String> {
        let mut problems = Vec::new();
        if self.name.is_empty() {
            problems.push("`name` is missing: give the pipeline a name".to_owned());
        }
        if !(0.0..=1.0).contains(&self.allowed_failures) {
            problems.push(format!("`allowed_failures` is {}; it is a share from 0 to 1", self.allowed_failures));
        }
        let ladder = self.ladder.validate(&self.decode, &self.encode, &self.generate, &self.parse);
        problems.extend(ladder.into_iter().map(|problem| format!("[ladder] {problem}")));
        if !self.encode.schema_in_prompt && self.parse.output == Output::ToolCall {
            problems.push(
                "[encode] `schema_in_prompt` is false, but [parse] `output` is `tool_call`, which declares the schema"
                    .to_owned(),
            );
        }
        if self.decode.pages_per_unit > 1 && self.ladder.steps.iter().any(|step| step.tiles.is_some()) {
            problems.push(
                "[ladder] a step has `tiles`, but [decode] `pages_per_unit` shows several pages at once: leave out one of them"
                    .to_owned(),
            );
        }
        problems.extend(self.reduce.iter().flat_map(digest::Settings::validate));
        problems.extend(self.unreducible().map(str::to_owned));
        if self.memory_mb == 0 {
            problems.push("`memory_mb` is 0; nothing could be decoded".to_owned());
        }
        problems
    }

    /// What changes no answer.
    fn idle(&self) -> Vec<Idle> {
        let mut idle = self.ladder.idle();
        idle.extend(self.idle_draws());
        idle.extend(self.idle_seconds());
        idle
    }

    /// What says how tokens are drawn, where none is: every unit would be asked again when it changes, and answer the same.
    fn idle_draws(&self) -> impl Iterator<Item = Idle> {
        let generate = &self.generate;
        let keys = [
            (generate.seed != 0, "seed", cold!("seed")),
            (generate.top_k.is_some(), "top_k", cold!("top_k")),
            (generate.top_p.is_some(), "top_p", cold!("top_p")),
        ];
        let draws = self.ladder.draws(generate);
        keys.into_iter().filter_map(move |(is_set, key, problem)| {
            (is_set && !draws).then_some(Idle { table: "generate", key, item: None, problem })
        })
    }

    /// A part of each row, which only costs.
    fn idle_seconds(&self) -> Option<Idle> {
        let problem = "seconds_per_part: 0 would make a part of each row; write 1 or more";
        let idle = Idle { table: "write", key: "seconds_per_part", item: None, problem };
        (self.write.seconds_per_part == 0).then_some(idle)
    }

    /// What does not go together with `[reduce]`.
    fn unreducible(&self) -> impl Iterator<Item = &'static str> {
        let with = |holds: bool, problem| (self.reduce.is_some() && holds).then_some(problem);
        let schema = |prompt: &str| prompt.contains("{schema}");
        let told = self.reduce.as_ref().is_some_and(|reduce| schema(&reduce.prompt));
        let problems = [
            with(
                told != schema(&self.encode.prompt),
                "`{schema}` stands in one of the prompts of [encode] and [reduce]: put it in both or in none",
            ),
            with(
                self.parse.record != RecordOf::Document,
                "[reduce] makes one record of what is said of a document's parts: set `record = \"document\"` under [parse]",
            ),
            with(
                !self.parse.merge.is_empty(),
                "[parse.merge] has no effect where [reduce] merges: leave out one of them",
            ),
            with(
                self.parse.evidence,
                "[reduce] leaves no trace of where a value stands: leave out `evidence` under [parse]",
            ),
        ];
        problems.into_iter().flatten()
    }
}

fn lay_over(table: &mut Table, overrides: &Overrides) {
    let budget = overrides.budget.map(|budget| ("encode", "budget", written(budget)));
    let pages = overrides.pages.as_ref().map(|pages| ("decode", "pages", Value::from(pages.as_str())));
    for (stage, key, value) in budget.into_iter().chain(pages) {
        let settings = table.entry(stage).or_insert_with(|| Value::Table(Table::new()));
        if let Value::Table(settings) = settings {
            settings.insert(key.to_owned(), value);
        }
    }
}

fn written(budget: Budget) -> Value {
    match budget {
        Budget::Tokens(tokens) => i64::from(tokens).into(),
        Budget::Auto => "auto".into(),
    }
}

/// Takes keys out of the file one by one and remembers what was wrong with each.
struct Reader {
    table: Table,
    problems: Vec<String>,
}

impl Reader {
    fn optional<T: DeserializeOwned>(&mut self, key: &str) -> Option<T> {
        let read = self.table.remove(key)?.try_into();
        read.map_err(|error| self.problems.push(format!("`{key}`: {}", first_line(&error)))).ok()
    }

    fn value<T: DeserializeOwned>(&mut self, key: &str, default: T) -> T {
        self.optional(key).unwrap_or(default)
    }

    fn stage<T: DeserializeOwned + Default>(&mut self, name: &str, validate: impl Fn(&T) -> Vec<String>) -> T {
        let settings = match self.table.remove(name) {
            None => T::default(),
            Some(Value::Table(table)) => self.settings(name, table),
            Some(_) => {
                self.problems.push(format!("`{name}` is not a table; write [{name}]"));
                return T::default();
            }
        };
        let own_name = format!("{name}.");
        let named = |problem: String| format!("[{name}] {}", problem.strip_prefix(&own_name).unwrap_or(&problem));
        self.problems.extend(validate(&settings).into_iter().map(named));
        settings
    }

    /// Tries each key alone first, since a whole table stops at its first error.
    fn settings<T: DeserializeOwned + Default>(&mut self, name: &str, table: Table) -> T {
        let before = self.problems.len();
        for (key, value) in &table {
            let alone = Table::from_iter([(key.clone(), value.clone())]);
            if let Err(error) = alone.try_into::<T>() {
                self.problems.push(format!("[{name}] `{key}`: {}", first_line(&error)));
            }
        }
        if self.problems.len() > before {
            return T::default();
        }
        table.try_into().unwrap_or_else(|error| {
            self.problems.push(format!("[{name}] {}", first_line(&error)));
            T::default()
        })
    }

    fn finish(self) -> Vec<String> {
        let mut problems = self.problems;
        problems.extend(self.table.keys().map(|key| {
            format!(
                "unknown key `{key}`; known are name, description, model, allowed_failures, memory_mb, and the tables \
                [collect], [decode], [encode], [generate], [parse], [ladder], [reduce], [write]"
            )
        }));
        problems
    }
}

fn first_line(error: &toml::de::Error) -> String {
    error.message().lines().next().unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn recorded_settings_are_read_with_keys_that_a_file_is_refused_for_today() {
        let text = "name = \"x\"\n[generate]\nseed = 7\n[ladder]\nallowance = 3072\n\
                    give_up_on = [\"invalid\", \"loop\"]\n[write]\nseconds_per_part = 0\n";
        let (_, refused) = Pipeline::from_text(text, &Overrides::default());
        assert_eq!(refused.len(), 4, "{refused:?}");
        let (pipeline, problems) = Pipeline::recorded(text);
        let (pipeline, mut table) = (pipeline.unwrap(), text.parse::<Table>().unwrap());
        assert_eq!((problems, pipeline.generate.seed), (Vec::new(), 7), "what it holds is told as it stands");
        pipeline.leave_out_idle(&mut table);
        let (left, problems) = Pipeline::from_text(&table.to_string(), &Overrides::default());
        let left = left.unwrap();
        assert_eq!((problems, left.generate.seed), (Vec::new(), 0));
        assert_eq!(left.ladder.give_up_on, [ladder::Reason::Loop], "the other reason has an effect");
        let (_, wrong) = Pipeline::recorded(&(text.to_owned() + "rows_per_part = 0\n"));
        assert_eq!(wrong.len(), 1, "contradictions stay: {wrong:?}");
    }

    #[test]
    fn what_says_how_tokens_are_drawn_needs_a_try_that_draws() {
        let problems = |generate: &str, ladder: &str| {
            let text = format!("name = \"x\"\n[generate]\n{generate}{ladder}");
            Pipeline::from_text(&text, &Overrides::default()).1
        };
        let keys = "seed = 7\ntop_k = 40\ntop_p = 0.9\n";
        assert_eq!(problems(keys, "").len(), 3, "{:?}", problems(keys, ""));
        assert!(problems(keys, "").iter().all(|problem| problem.contains("no effect at temperature 0")));
        assert_eq!(problems(&format!("{keys}temperature = 0.5\n"), ""), Vec::<String>::new());
        assert_eq!(problems(keys, "[ladder]\nsteps = [{ temperature = 0.4 }]\n"), Vec::<String>::new());
    }
}
