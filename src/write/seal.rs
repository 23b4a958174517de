//! The seal of a finished dataset: a manifest of its parts, which exists from the end of a complete run until the next run
//! on the same dataset begins. It is put there whole or not at all, and never over another.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use chrono::{SecondsFormat, Utc};
use serde::{Deserialize, Serialize};

use super::{
    failpoint::{Point, pass},
    folder::{self, Folder, Over},
    read,
};
use crate::base::Fatal;

/// What a manifest says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// The program and its version.
    pub program: String,
    /// When the dataset was finished, in UTC.
    pub sealed_at: String,
    /// The parts of the rows.
    pub extractions: Vec<Listed>,
    /// The parts of the failures.
    pub failures: Vec<Listed>,
}

/// One part.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Listed {
    /// Its path in the dataset, with slashes.
    pub path: String,
    /// Its length.
    pub bytes: u64,
    /// Its rows.
    pub rows: u64,
}

/// The manifest of the dataset at `out`; none while it is being written, or when a run on it has not come to its end.
///
/// # Errors
/// When there is one that cannot be read.
pub fn sealed(out: &Path) -> Result<Option<Manifest>, Fatal> {
    let path = Folder::at(out).seal;
    let wrong = |why: String| {
        let message = format!("`{}` is no manifest: {why}", path.display());
        Fatal::new(message, "run the pipeline on this output once more: what is there is kept")
    };
    match fs::read(&path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(wrong(error.to_string())),
        Ok(text) => serde_json::from_slice(&text).map(Some).map_err(|error| wrong(error.to_string())),
    }
}

/// Takes the seal off, before anything changes.
pub(super) fn break_seal(folder: &Folder) -> Result<(), Fatal> {
    match fs::remove_file(&folder.seal) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(folder::cannot_write(&folder.seal, &error)),
        _ => Ok(()),
    }
}

/// Seals the parts that are there.
pub(super) fn seal(folder: &Folder, extractions: &[PathBuf], failures: &[PathBuf]) -> Result<(), Fatal> {
    let cannot = |error: io::Error| folder::cannot_write(&folder.seal, &error);
    pass(Point::Unsealed).map_err(cannot)?;
    let manifest = Manifest {
        program: concat!("lapidary ", env!("CARGO_PKG_VERSION")).to_owned(),
        sealed_at: Utc::now().to_rfc3339_opts(SecondsFormat::Secs, true),
        extractions: listed(extractions)?,
        failures: listed(failures)?,
    };
    folder::put_json(&manifest, &folder.aside.join("manifest.json"), &folder.seal, Over::Nothing).map_err(cannot)?;
    pass(Point::Sealed).map_err(cannot)
}

fn listed(parts: &[PathBuf]) -> Result<Vec<Listed>, Fatal> {
    let one = |part: &PathBuf| {
        let (bytes, rows) = read::extent(part)?;
        let mut names = part.iter().rev().take(2).map(|name| name.to_string_lossy().into_owned());
        let (file, table) = (names.next().unwrap_or_default(), names.next().unwrap_or_default());
        Ok(Listed { path: format!("{table}/{file}"), bytes, rows })
    };
    parts.iter().map(one).collect()
}
