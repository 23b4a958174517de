//! Folders among the inputs in which there is no file, as where a disk is not mounted: no failure, and worth a word.

use std::path::Path;

use walkdir::{DirEntry, WalkDir};

use crate::{
    base::name::path_of,
    collect::{Inputs, Settings},
};

/// Those of the folders that were named, as they were.
pub fn vacant(inputs: &Inputs, settings: &Settings) -> Vec<String> {
    let vacant = |name: &&String| {
        let path = path_of(name);
        path.is_dir() && !holds_file(&path, settings.hidden)
    };
    inputs.paths.iter().filter(vacant).cloned().collect()
}

/// What cannot be looked into counts as a file: `collect` says what is wrong with it.
fn holds_file(folder: &Path, hidden: bool) -> bool {
    let shown =
        |entry: &DirEntry| hidden || entry.depth() == 0 || !entry.file_name().as_encoded_bytes().starts_with(b".");
    let mut entries = WalkDir::new(folder).follow_links(true).into_iter().filter_entry(shown);
    entries.any(|entry| !entry.is_ok_and(|entry| entry.file_type().is_dir()))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn folders_of_folders_and_of_hidden_files_are_vacant() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["none", "deep/deeper", "dot", "some/deep"] {
            fs::create_dir_all(folder.path().join(name)).unwrap();
        }
        for file in ["dot/.hidden", "some/deep/file", "lone"] {
            fs::write(folder.path().join(file), "").unwrap();
        }
        let named = ["none", "deep", "dot", "some", "lone", "missing"];
        let paths = named.map(|name| folder.path().join(name).to_str().unwrap().to_owned()).to_vec();
        let inputs = Inputs { paths, ..Inputs::default() };
        let told = |hidden| {
            let vacant = vacant(&inputs, &Settings { hidden });
            vacant.iter().map(|path| path.rsplit('/').next().unwrap().to_owned()).collect::<Vec<_>>()
        };
        assert_eq!(told(false), ["none", "deep", "dot"]);
        assert_eq!(told(true), ["none", "deep"]);
    }
}
