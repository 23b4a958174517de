//! The settings that failures were made with, as files that can be run where the letters lie. A dataset may be the work of
//! several runs, so there may be several.

use std::{fs, path::Path};

use serde_json::Value as Json;
use toml::{Table, Value};

use super::{Failed, Request, cutter::Cutter, folder::cannot_write};
use crate::{
    app::{pipeline::Pipeline, recorded::Made},
    base::Fatal,
};

/// The pipeline file in a folder of settings.
pub const PIPELINE: &str = "pipeline.toml";

const SCHEMA: &str = "schema.json";

/// What the failures of a run were made with.
pub struct Asked {
    /// The settings.
    pub made: Made,
    /// The folder that they stand in.
    pub folder: String,
    /// Cuts and tries under their limits.
    pub cutter: Cutter,
    /// `_model` and `_config` of failures that are known to be theirs.
    marks: Vec<[Json; 2]>,
}

/// All settings so far.
#[derive(Default)]
pub struct Shelf(Vec<Asked>);

impl Shelf {
    /// The settings of a failure, whose folder is written when they come for the first time.
    ///
    /// # Errors
    /// When the dataset does not tell, or the folder cannot be written.
    pub fn of(&mut self, row: &Failed, request: &Request) -> Result<&mut Asked, Fatal> {
        let place = match self.0.iter().position(|asked| asked.marks.contains(&marks(row))) {
            Some(place) => place,
            None => self.add(row, request)?,
        };
        Ok(&mut self.0[place])
    }

    fn add(&mut self, row: &Failed, request: &Request) -> Result<usize, Fatal> {
        let made = Made::of(&request.dataset, &row.columns, &format!("the failure of {}", row.origin()))?;
        let place = match self.0.iter().position(|asked| asked.made == made) {
            Some(place) => place,
            None => {
                self.0.push(Asked::open(made, self.0.len() + 1, request)?);
                self.0.len() - 1
            }
        };
        self.0[place].marks.push(marks(row));
        Ok(place)
    }
}

impl Asked {
    fn open(made: Made, number: usize, request: &Request) -> Result<Self, Fatal> {
        let folder = format!("settings-{number}");
        let pipeline = pipeline(&made)?;
        save(&request.out.join(&folder), &made, &pipeline)?;
        let cutter = Cutter::new(&pipeline, request.sandbox, request.largest);
        Ok(Self { made, folder, cutter, marks: Vec::new() })
    }
}

fn marks(row: &Failed) -> [Json; 2] {
    ["_model", "_config"].map(|column| row.columns[column].clone())
}

fn pipeline(made: &Made) -> Result<Pipeline, Fatal> {
    match Pipeline::recorded(&made.settings) {
        (Some(pipeline), problems) if problems.is_empty() => Ok(pipeline),
        (_, problems) => Err(unread(made, &problems.join("; "))),
    }
}

fn unread(made: &Made, why: &str) -> Fatal {
    Fatal::new(
        format!("the settings of the run cannot be read any more: {why}"),
        format!("export with the version that made the dataset, {}", made.program),
    )
}

/// Writes pipeline and schema into the folder `out`.
fn save(out: &Path, made: &Made, pipeline: &Pipeline) -> Result<(), Fatal> {
    fs::create_dir(out).map_err(|error| cannot_write(out, &error))?;
    let schema = serde_json::to_string_pretty(&made.schema).unwrap_or_default();
    for (name, text) in [(PIPELINE, settings(made, pipeline)?), (SCHEMA, schema + "\n")] {
        let path = out.join(name);
        fs::write(&path, text).map_err(|error| cannot_write(&path, &error))?;
    }
    Ok(())
}

/// The settings of then, without what a file is refused for today, with the model where it lay and the schema beside them; a
/// single failure is one too many.
fn settings(made: &Made, pipeline: &Pipeline) -> Result<String, Fatal> {
    let mut table: Table = made.settings.parse().map_err(|error: toml::de::Error| unread(made, &error.to_string()))?;
    pipeline.leave_out_idle(&mut table);
    table.insert("allowed_failures".to_owned(), Value::from(0.0));
    if let Some(model) = &made.model {
        table.insert("model".to_owned(), Value::from(model.display().to_string()));
    }
    match table.entry("parse").or_insert_with(|| Value::Table(Table::new())) {
        Value::Table(parse) => parse.insert("schema".to_owned(), Value::from(SCHEMA)),
        _ => return Err(unread(made, "`parse` is no table")),
    };
    Ok(table.to_string())
}
