//! The graphs of a foreign folder by role, and all files that belong to them.

use std::{
    collections::BTreeMap,
    fs,
    path::{Component, Path},
};

use rayon::prelude::*;
use sha2::{Digest, Sha256};

use super::outline::Outline;
use crate::{
    base::{Fatal, model::FileFact},
    bundle::{Check, manifest},
};

/// The graphs that were chosen, relative to the folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Files {
    pub(super) embed_tokens: String,
    pub(super) decoder: String,
    pub(super) vision_encoder: Option<String>,
    pub(super) audio_encoder: Option<String>,
    /// The way of storing numbers, where the layout has several.
    pub(super) variant: Option<String>,
    /// What is worth knowing of the choice.
    pub(super) notes: Vec<String>,
}

impl Files {
    /// The graphs.
    pub(super) fn graphs(&self) -> impl Iterator<Item = &String> {
        [&self.embed_tokens, &self.decoder].into_iter().chain(&self.vision_encoder).chain(&self.audio_encoder)
    }
}

/// The files that hold the weights of the graph `name`, relative to `folder`.
///
/// # Errors
/// When one is missing, shorter than the graph needs, or outside the graph's folder.
pub(super) fn data(folder: &Path, name: &str, outline: &Outline) -> Result<Vec<String>, Fatal> {
    let within = |location: &str| Path::new(name).with_file_name(location).to_string_lossy().into_owned();
    for (location, needed) in &outline.data {
        check_data(folder, name, location, *needed)?;
    }
    Ok(outline.data.keys().map(|location| within(location)).collect())
}

fn check_data(folder: &Path, name: &str, location: &str, needed: u64) -> Result<(), Fatal> {
    let graph = folder.join(name);
    let wrong = |what: String, hint: &str| Err(Fatal::new(format!("`{}` {what}", graph.display()), hint));
    if !Path::new(location).components().all(|part| matches!(part, Component::Normal(_))) {
        return wrong(format!("keeps weights in `{location}`, which is outside its folder"), "do not use it");
    }
    match fs::metadata(graph.with_file_name(location)) {
        Ok(there) if there.is_file() && there.len() >= needed => Ok(()),
        Ok(there) => {
            let bytes = there.len();
            let what = format!("needs {needed} bytes of weights in `{location}`, which has {bytes}");
            wrong(what, "the file is not whole: download or export it again")
        }
        Err(error) => wrong(
            format!("keeps weights in `{location}`, which cannot be read: {error}"),
            "download that file too, into the same folder",
        ),
    }
}

/// Size and hash of each file; without a hash when only sizes are asked for.
pub(super) fn facts(folder: &Path, names: &[String], check: Check) -> Result<BTreeMap<String, FileFact>, Fatal> {
    let fact = |name: &String| {
        let path = folder.join(name);
        let fact = match check {
            Check::Full => manifest::fact(&path),
            Check::Sizes => fs::metadata(&path).map(|there| FileFact { bytes: there.len(), sha256: String::new() }),
        };
        let fact = fact.map_err(|error| {
            Fatal::new(format!("cannot read `{}`: {error}", path.display()), "check its permissions")
        })?;
        Ok((name.clone(), fact))
    };
    names.par_iter().map(fact).collect()
}

/// SHA-256 over names, sizes and hashes.
pub(super) fn hash(facts: &BTreeMap<String, FileFact>) -> String {
    let mut hasher = Sha256::new();
    for (name, fact) in facts {
        hasher.update(format!("{}:{name} {} {}\n", name.len(), fact.bytes, fact.sha256));
    }
    manifest::hex(hasher)
}
