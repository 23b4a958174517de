//! A plan: pipeline file, schema and bundle, read and checked together. A plan holds nothing unresolved.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use super::{
    pipeline::{Overrides, Pipeline},
    recorded::Recorded,
};
use crate::{
    base::{Fatal, Model, Shape, grid::BUDGETS},
    bundle::{self, Check},
    decode::Sandbox,
    parse,
};

/// A pipeline whose parts fit together.
#[derive(Debug, Clone)]
pub struct Plan {
    /// The file.
    pub pipeline: Pipeline,
    /// The schema of a record.
    pub shape: Arc<Shape>,
    /// What an answer looks like, which is a record or lists them.
    pub answer: Arc<Shape>,
    /// How the records of a document are merged, where the pipeline asks for it.
    pub merging: parse::Merging,
    /// Checks across its fields.
    pub checks: Arc<[parse::Check]>,
    /// The bundle, its files' hashes checked.
    pub model: Option<Arc<Model>>,
    /// BLAKE3 over the effective pipeline and the schema: two runs with the same hash and bundle ask the same questions.
    pub config_hash: String,
    /// What is wanted of the walls around the decoder children; it concerns the machine, not what is asked.
    pub sandbox: Sandbox,
}

/// What to plan for.
#[derive(Debug, Clone, Default)]
pub struct Request {
    /// The pipeline file.
    pub pipeline: PathBuf,
    /// The bundle, instead of the pipeline's own.
    pub model: Option<PathBuf>,
    /// Flags that stand for values in the file.
    pub overrides: Overrides,
    /// What is wanted of the walls around the decoder children.
    pub sandbox: Sandbox,
}

impl Plan {
    /// Reads everything that the request names. All problems come at once.
    pub fn new(request: &Request) -> Result<Self, Fatal> {
        let read = Pipeline::read(&request.pipeline, &request.overrides)?;
        let folder = request.pipeline.parent().unwrap_or(Path::new(""));
        let plan = Self::of(read, &request.pipeline, request.model.clone(), |pipeline| pipeline.parse.shape(folder))?;
        Ok(Self { sandbox: request.sandbox, ..plan })
    }

    /// The plan that a row of a dataset was made by, with the schema and the settings of then; `model` where the bundle has
    /// moved.
    pub fn recorded(recorded: &Recorded, model: Option<PathBuf>) -> Result<Self, Fatal> {
        let read = Pipeline::recorded(&recorded.made.settings);
        let model = model.or_else(|| recorded.made.model.clone());
        Self::of(read, &recorded.made.file, model, |pipeline| {
            Shape::compile_within(&recorded.made.schema, pipeline.parse.bounds())
        })
    }

    fn of(
        (pipeline, mut problems): (Option<Pipeline>, Vec<String>),
        file: &Path,
        model: Option<PathBuf>,
        shape: impl FnOnce(&Pipeline) -> Result<Shape, Vec<String>>,
    ) -> Result<Self, Fatal> {
        let shape = pipeline.as_ref().and_then(|pipeline| keep(shape(pipeline), &mut problems)).map(Arc::new);
        let fitted = pipeline
            .as_ref()
            .zip(shape.as_ref())
            .and_then(|(pipeline, shape)| Fitted::to(&pipeline.parse, shape, &mut problems));
        let model_path = model.or_else(|| {
            let named = pipeline.as_ref()?.model.as_ref()?;
            Some(beside(file, named))
        });
        let model = model_path.and_then(|path| keep(open_model(&path), &mut problems));
        if let (Some(pipeline), Some(shape)) = (&pipeline, &shape) {
            problems.extend(boxes_without_a_page(pipeline, shape));
        }
        if let (Some(pipeline), Some(model)) = (&pipeline, &model) {
            problems.extend(contradictions(pipeline, model));
        }
        match (pipeline, shape, fitted) {
            (Some(pipeline), Some(shape), Some(fitted)) if problems.is_empty() => {
                let config_hash = config_hash(&pipeline, &shape);
                let model = model.map(Arc::new);
                let (Fitted { checks, answer, merging }, sandbox) = (fitted, Sandbox::AUTO);
                Ok(Self { pipeline, shape, answer, merging, checks, model, config_hash, sandbox })
            }
            _ => Err(as_fatal(file, &problems)),
        }
    }

    /// The bundle, or an error that says how to name one.
    pub fn model(&self) -> Result<&Arc<Model>, Fatal> {
        self.model.as_ref().ok_or_else(|| {
            Fatal::new(
                format!("pipeline `{}` names no model", self.pipeline.name),
                "give `--model BUNDLE`; `lapidary model export CHECKPOINT_DIR OUT_DIR` makes one",
            )
        })
    }
}

/// What the pipeline makes of its schema.
struct Fitted {
    checks: Arc<[parse::Check]>,
    answer: Arc<Shape>,
    merging: parse::Merging,
}

impl Fitted {
    fn to(settings: &parse::Settings, shape: &Arc<Shape>, problems: &mut Vec<String>) -> Option<Self> {
        let checks = keep(settings.fitted_checks(shape), problems);
        let answer = keep(settings.answer(shape), problems);
        let merging = keep(settings.merging(shape), problems);
        let (checks, answer) = (Arc::<[parse::Check]>::from(checks?), answer?);
        let merging = merging?.with_checks(checks.clone());
        Some(Self { checks, answer, merging })
    }
}

fn keep<T>(result: Result<T, Vec<String>>, problems: &mut Vec<String>) -> Option<T> {
    result.map_err(|found| problems.extend(found)).ok()
}

/// A path in a pipeline file is relative to the file.
fn beside(file: &Path, path: &Path) -> PathBuf {
    file.parent().unwrap_or(Path::new("")).join(path)
}

fn open_model(path: &Path) -> Result<Model, Vec<String>> {
    bundle::open(path, Check::Full).map_err(|error| vec![format!("{} ({})", error.message, error.hint)])
}

fn contradictions(pipeline: &Pipeline, model: &Model) -> Vec<String> {
    let mut problems = Vec::new();
    let name = &model.manifest.name;
    if let Some(vision) = &model.manifest.vision {
        let own = [
            ("[encode] `budget`", pipeline.encode.budget.most()),
            ("[encode] `frame_budget`", pipeline.encode.frame_budget),
        ];
        let steps = pipeline.ladder.steps.iter().filter_map(|step| step.budget);
        for (key, budget) in own.into_iter().chain(steps.map(|budget| ("[ladder] a step's `budget`", budget))) {
            if BUDGETS.contains(&budget) && !vision.budgets.contains(&budget) {
                problems.push(format!("{key} is {budget}; bundle `{name}` supports {:?}", vision.budgets));
            }
        }
    }
    problems
}

/// A box says nothing of which picture it is on.
fn boxes_without_a_page(pipeline: &Pipeline, shape: &Shape) -> Option<String> {
    if !parse::asks_for_boxes(shape) {
        return None;
    }
    if pipeline.reduce.is_some() {
        let problem = "[reduce] makes one record of those of all pages, but the schema asks for `box_2d`, which does not tell on which";
        return Some(format!("{problem} page it is: leave out one of them"));
    }
    (pipeline.decode.pages_per_unit > 1).then(|| {
        "[decode] `pages_per_unit` shows several pages at once, but the schema asks for `box_2d`, which does not tell on which \
         page it is: leave out one of them"
            .to_owned()
    })
}

fn config_hash(pipeline: &Pipeline, shape: &Shape) -> String {
    let mut hasher = blake3::Hasher::new();
    for part in [pipeline.canonical.as_str(), &shape.schema().to_string()] {
        hasher.update(&(part.len() as u64).to_le_bytes());
        hasher.update(part.as_bytes());
    }
    hasher.finalize().to_hex().to_string()
}

fn as_fatal(pipeline: &Path, problems: &[String]) -> Fatal {
    let path = pipeline.display();
    match problems {
        [] => Fatal::new(format!("`{path}` cannot be used"), ""),
        [problem] => Fatal::new(format!("`{path}`: {problem}"), "correct it and run `lapidary check` again"),
        _ => Fatal::new(
            format!("`{path}` has {} problems:\n  - {}", problems.len(), problems.join("\n  - ")),
            "correct them and run `lapidary check` again",
        ),
    }
}
