//! What a dataset remembers of one of its rows: enough to explain it, and to ask again.

use std::{
    fs,
    path::{Path, PathBuf},
};

use serde_json::Value;

use super::run;
use crate::{
    base::{Fatal, Part},
    write::read,
};

/// A row and how it came about.
#[derive(Debug, Clone)]
pub struct Recorded {
    /// All columns of the row.
    pub row: Value,
    /// The effective pipeline file.
    pub settings: String,
    /// Where it lay: paths in it are relative to its folder.
    pub file: PathBuf,
    /// The schema.
    pub schema: Value,
    /// Where the model lay.
    pub model: Option<PathBuf>,
}

impl Recorded {
    /// Row `number`, from 1, of the dataset at `out`.
    ///
    /// # Errors
    /// When there is no such row, or the dataset has no whole `run.json`.
    pub fn read(out: &Path, number: usize) -> Result<Self, Fatal> {
        let row = read::row(out, number)?;
        let path = run::report_path(out);
        let lacking = |why: String| {
            let message = format!("`{}` does not tell how the dataset was made: {why}", path.display());
            Fatal::new(message, "run.json is written when a run ends; run again if it was lost")
        };
        let text = fs::read_to_string(&path).map_err(|error| lacking(error.to_string()))?;
        let report: Value = serde_json::from_str(&text).map_err(|error| lacking(error.to_string()))?;
        let told = |pointer: &str| report.pointer(pointer).and_then(Value::as_str).map(str::to_owned);
        let needed = |pointer: &str| told(pointer).ok_or_else(|| lacking(format!("it has no `{pointer}`")));
        Ok(Self {
            row,
            settings: needed("/pipeline/settings")?,
            file: needed("/pipeline/file")?.into(),
            schema: read::schema(out)?,
            model: told("/engine/model_folder").map(PathBuf::from),
        })
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
        let number = |column| self.number(column).and_then(|number| u32::try_from(number).ok()).unwrap_or(0);
        let seconds = |column: &str| self.row[column].as_f64().unwrap_or(0.0);
        let (start, end) = (seconds("_start"), seconds("_end"));
        match self.text("_part") {
            "page" => Part::Page { number: number("_page"), of: number("_pages") },
            "time" => Part::Time { start, end },
            "frames" => Part::Frames { start, end },
            _ => Part::Whole,
        }
    }

    /// The record alone: the columns that the schema names.
    pub fn record(&self) -> Value {
        let columns = self.row.as_object().into_iter().flatten();
        let record = columns.filter(|(name, _)| !name.starts_with('_'));
        Value::Object(record.map(|(name, value)| (name.clone(), value.clone())).collect())
    }
}
