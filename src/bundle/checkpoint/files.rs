//! Which files of a folder hold the weights.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

use serde::Deserialize;

use super::shard::unreadable;
use crate::base::Fatal;

/// Which file holds which tensor.
pub const INDEX: &str = "model.safetensors.index.json";

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

/// The files that an index names.
pub fn named(index: &[u8]) -> serde_json::Result<BTreeSet<String>> {
    #[derive(Deserialize)]
    struct Index {
        weight_map: BTreeMap<String, String>,
    }
    let Index { weight_map } = serde_json::from_slice(index)?;
    Ok(weight_map.into_values().collect())
}

fn indexed(folder: &Path, index: &Path) -> Result<Vec<PathBuf>, Fatal> {
    let text = fs::read(index).map_err(|error| unreadable(index, &error))?;
    let names = named(&text).map_err(|error| {
        Fatal::new(format!("`{}` is not an index of weights: {error}", index.display()), "download it again")
    })?;
    let inside = |name: &String| match Path::new(name).file_name().is_some_and(|file| file == name.as_str()) {
        true => Ok(folder.join(name)),
        false => Err(Fatal::new(
            format!("`{}` names `{name}`, which is not a plain file name", index.display()),
            "download the index again",
        )),
    };
    names.iter().map(inside).collect()
}
