//! What a dataset remembers of one of its rows: enough to explain it, and to ask again. Rows of several runs may stand in
//! one dataset, so the settings of each are kept.

use std::{
    cmp::Reverse,
    fs::{self, DirEntry},
    path::{Path, PathBuf},
    time::SystemTime,
};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{plan::Plan, run::Request};
use crate::{
    base::{Fatal, Kind, Part},
    write::{Folder, RunIdentity, read},
};

/// What a run was asked, as it is kept in the dataset.
#[derive(Debug, Serialize, Deserialize)]
struct Asked {
    /// The `_model` of its rows.
    model: String,
    /// The `_config` of its rows and failures, for each kind of document.
    configs: Vec<String>,
    /// Where the pipeline file lay.
    file: PathBuf,
    /// Where the model lay.
    model_folder: Option<PathBuf>,
    /// The schema.
    schema: Value,
    /// The effective pipeline file.
    settings: String,
    /// The program and its version.
    program: String,
    /// The device that was asked for.
    device: String,
}

/// Keeps what a run is asked in its dataset. Where an earlier run was asked the same the file is written anew: its time
/// tells when that was asked last.
///
/// # Errors
/// When it cannot be written.
pub fn remember(plan: &Plan, request: &Request, run: &RunIdentity) -> Result<(), Fatal> {
    let asked = Asked {
        model: run.model.clone(),
        configs: configs(run),
        file: request.plan.pipeline.clone(),
        model_folder: plan.model.as_ref().and_then(|model| std::path::absolute(&model.folder).ok()),
        schema: plan.shape.schema().clone(),
        settings: plan.pipeline.canonical.clone(),
        program: concat!("lapidary ", env!("CARGO_PKG_VERSION")).to_owned(),
        device: request.answers.device().as_str().to_owned(),
    };
    let folder = Folder::at(&request.output).asked;
    let cannot = |why: String| {
        Fatal::new(format!("write: `{}` cannot be written to: {why}", folder.display()), "choose another `--output`")
    };
    let text = serde_json::to_string_pretty(&asked).map_err(|error| cannot(error.to_string()))?;
    let name = format!("{}.json", &blake3::hash(text.as_bytes()).to_hex()[..16]);
    fs::write(folder.join(name), text + "\n").map_err(|error| cannot(error.to_string()))
}

/// What the rows and failures of a run have as `_config`.
fn configs(run: &RunIdentity) -> Vec<String> {
    let kinds = Kind::ALL.into_iter().map(|kind| run.config(Some(kind)));
    kinds.flat_map(|config| [config.answers.clone(), config.failures.clone()]).collect()
}

/// What could be read of all runs, the latest first, those of one time by name.
fn all_asked(folder: &Path) -> impl Iterator<Item = Asked> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let mut files: Vec<_> = entries.map(|entry| (Reverse(written_at(&entry)), entry.path())).collect();
    files.sort();
    files.into_iter().filter_map(|(_, path)| serde_json::from_str(&fs::read_to_string(path).ok()?).ok())
}

fn written_at(entry: &DirEntry) -> Option<SystemTime> {
    entry.metadata().and_then(|facts| facts.modified()).ok()
}

/// How a row, or a failure, was made.
#[derive(Debug, Clone, PartialEq)]
pub struct Made {
    /// The effective pipeline file.
    pub settings: String,
    /// Where it lay: paths in it are relative to its folder.
    pub file: PathBuf,
    /// The schema.
    pub schema: Value,
    /// Where the model lay.
    pub model: Option<PathBuf>,
    /// The program and its version.
    pub program: String,
    /// The device that was asked for.
    pub device: String,
}

impl Made {
    /// How a row of one of the tables of the dataset at `out` was made; `what` names it for people. Of several runs
    /// that make such rows the latest tells.
    ///
    /// # Errors
    /// When the dataset does not tell.
    pub fn of(out: &Path, row: &Value, what: &str) -> Result<Self, Fatal> {
        let (model, config) = (row["_model"].as_str(), row["_config"].as_str());
        let made =
            |asked: &Asked| Some(&*asked.model) == model && asked.configs.iter().any(|known| Some(&**known) == config);
        let folder = Folder::at(out).asked;
        let asked = all_asked(&folder).find(made).ok_or_else(|| {
            let message = format!("`{}` does not tell how {what} was made", folder.display());
            Fatal::new(message, "the settings of each run are kept there; bring the folder back if it was moved")
        })?;
        let Asked { file, model_folder: model, schema, settings, program, device, .. } = asked;
        Ok(Self { settings, file, schema, model, program, device })
    }
}

/// A row and how it came about.
#[derive(Debug, Clone)]
pub struct Recorded {
    /// All columns of the row.
    pub row: Value,
    /// How its dataset was made.
    pub made: Made,
}

impl Recorded {
    /// Row `number`, from 1, of the dataset at `out`.
    ///
    /// # Errors
    /// When there is no such row, or the dataset does not tell what it was asked.
    pub fn read(out: &Path, number: usize) -> Result<Self, Fatal> {
        let row = read::row(out, number)?;
        Ok(Self { made: Made::of(out, &row, &format!("row {number}"))?, row })
    }

    /// A column that holds text; empty where it does not.
    pub fn text(&self, column: &str) -> &str {
        self.row[column].as_str().unwrap_or_default()
    }

    /// A column that holds a number.
    pub fn number(&self, column: &str) -> Option<u64> {
        self.row[column].as_u64()
    }

    /// Which part of its document the row is about.
    pub fn part(&self) -> Part {
        part(&self.row)
    }

    /// The record alone: the columns that the schema names.
    pub fn record(&self) -> Value {
        record(&self.row)
    }
}

/// The record of a row alone: the columns that the schema names.
pub fn record(row: &Value) -> Value {
    let columns = row.as_object().into_iter().flatten();
    let record = columns.filter(|(name, _)| !name.starts_with('_'));
    Value::Object(record.map(|(name, value)| (name.clone(), value.clone())).collect())
}

/// Which part of its document a row of either table is about.
pub fn part(row: &Value) -> Part {
    place(row, "_")
}

/// Which part of its document one of the `_parts` of a merged row is; of pages it does not say of how many.
pub fn merged_part(part: &Value) -> Part {
    place(part, "")
}

fn place(columns: &Value, prefix: &str) -> Part {
    let column = |name: &str| &columns[format!("{prefix}{name}")];
    let number = |name: &str| column(name).as_u64().and_then(|number| u32::try_from(number).ok()).unwrap_or(0);
    let seconds = |name: &str| column(name).as_f64().unwrap_or(0.0);
    let (start, end) = (seconds("start"), seconds("end"));
    match column("part").as_str() {
        Some("page") => Part::Page { number: number("page"), of: number("pages") },
        Some("pages") => Part::Pages { first: number("page"), last: number("last_page"), of: number("pages") },
        Some("time") => Part::Time { start, end },
        Some("frames") => Part::Frames { start, end },
        Some("text") => Part::Text { start: start as u64, end: end as u64 },
        _ => Part::Whole,
    }
}

#[cfg(test)]
mod tests {
    use std::{
        fs::File,
        time::{Duration, UNIX_EPOCH},
    };

    use serde_json::json;

    use super::*;

    /// Keeps the settings of a run that makes rows of `m` and `c`, as of so many seconds.
    fn keep(folder: &Path, name: &str, settings: &str, seconds: u64) {
        let asked = Asked {
            model: "m".to_owned(),
            configs: vec!["c".to_owned()],
            file: PathBuf::new(),
            model_folder: None,
            schema: Value::Null,
            settings: settings.to_owned(),
            program: String::new(),
            device: String::new(),
        };
        fs::write(folder.join(name), serde_json::to_string(&asked).unwrap()).unwrap();
        let file = File::options().write(true).open(folder.join(name)).unwrap();
        file.set_modified(UNIX_EPOCH + Duration::from_secs(seconds)).unwrap();
    }

    #[test]
    fn of_several_runs_that_make_such_rows_the_latest_tells_how() {
        let out = tempfile::tempdir().unwrap();
        let folder = Folder::at(out.path()).asked;
        fs::create_dir_all(&folder).unwrap();
        let told = || Made::of(out.path(), &json!({ "_model": "m", "_config": "c" }), "row 1").unwrap().settings;
        keep(&folder, "a.json", "first", 1_000);
        keep(&folder, "b.json", "third", 3_000);
        keep(&folder, "c.json", "second", 2_000);
        assert_eq!(told(), "third");
        keep(&folder, "c.json", "of the same time", 3_000);
        assert_eq!(told(), "third", "the name decides");
        keep(&folder, "a.json", "first, and again", 4_000);
        assert_eq!(told(), "first, and again");
    }
}
