//! Which files of a folder hold the weights.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use serde::Deserialize;

use super::shard::unreadable;
use crate::base::Fatal;

const INDEX: &str = "model.safetensors.index.json";

/// The files that hold the weights, in a stable order.
pub(super) fn shards(folder: &Path) -> Result<Vec<PathBuf>, Fatal> {
    let index = folder.join(INDEX);
    let mut paths = if index.is_file() { indexed(folder, &index)? } else { every(folder)? };
    paths.sort();
    paths.dedup();
    if paths.is_empty() {
        return Err(Fatal::new(
            format!("`{}` holds no safetensors file", folder.display()),
            "name the folder of a Hugging Face checkpoint, the one that holds model.safetensors",
        ));
    }
    Ok(paths)
}

fn every(folder: &Path) -> Result<Vec<PathBuf>, Fatal> {
    let entries = fs::read_dir(folder).map_err(|error| unreadable(folder, &error))?;
    let paths = entries.map(|entry| entry.map(|entry| entry.path()).map_err(|error| unreadable(folder, &error)));
    let paths: Vec<PathBuf> = paths.collect::<Result<_, _>>()?;
    Ok(paths.into_iter().filter(|path| path.extension().is_some_and(|end| end == "safetensors")).collect())
}

/// `model.safetensors.index.json`.
#[derive(Deserialize)]
struct Index {
    weight_map: BTreeMap<String, String>,
}

fn indexed(folder: &Path, index: &Path) -> Result<Vec<PathBuf>, Fatal> {
    let text = fs::read_to_string(index).map_err(|error| unreadable(index, &error))?;
    let parsed: Index = serde_json::from_str(&text).map_err(|error| {
        Fatal::new(format!("`{}` is not an index of weights: {error}", index.display()), "download it again")
    })?;
    let inside = |name: &String| match Path::new(name).file_name().is_some_and(|file| file == name.as_str()) {
        true => Ok(folder.join(name)),
        false => Err(Fatal::new(
            format!("`{}` names `{name}`, which is not a plain file name", index.display()),
            "download the index again",
        )),
    };
    parsed.weight_map.values().map(inside).collect()
}
