//! `prepared.json`: says that a folder of engines is whole, and what they were built on and for. It is written last and in
//! one step, and holds the hash of each file; so a folder that is half built, or has changed since, counts as not prepared.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::{self, Write},
    path::Path,
};

use chrono::{SecondsFormat, Utc};
use serde::{Deserialize, Serialize};

use super::{facts::Facts, machine::hash, profile::Taken};
use crate::base::Fatal;

/// Its name beside the engines.
pub(super) const FILE: &str = "prepared.json";

/// Its name while it is written.
const ASIDE: &str = "prepared.json.new";

/// How the names of engines end.
const ENGINE: &str = ".engine";

/// The files of a folder, by name.
pub(super) type Files = BTreeMap<String, Sum>;

/// What a file must be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Sum {
    /// Its length.
    pub(super) bytes: u64,
    /// Its BLAKE3 in hexadecimal.
    pub(super) blake3: String,
}

/// What a folder holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Marker {
    /// What the engines were built on and for.
    pub(super) facts: Facts,
    /// How much of the graph is in one engine.
    pub(super) taken: Taken,
    /// The engines, and what ONNX Runtime has put beside them.
    pub(super) files: Files,
    /// The version of this program.
    pub(super) lapidary: String,
    /// When it was finished.
    pub(super) finished: String,
}

/// What is found where engines ought to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum State {
    /// They are there and whole.
    Whole(Box<Marker>),
    /// Nothing is there.
    Missing,
    /// Something is there that cannot be used: why.
    Damaged(String),
}

impl Marker {
    /// The marker of engines that were finished just now.
    pub(super) fn new(facts: Facts, taken: Taken, files: Files) -> Self {
        let finished = Utc::now().to_rfc3339_opts(SecondsFormat::Secs, true);
        Self { facts, taken, files, lapidary: env!("CARGO_PKG_VERSION").to_owned(), finished }
    }

    /// Looks for the engines of these facts.
    pub(super) fn look(folder: &Path, facts: &Facts) -> State {
        let text = match fs::read(folder.join(FILE)) {
            Ok(text) => text,
            Err(_) if is_empty(folder) => return State::Missing,
            Err(_) => return State::Damaged("a build was not finished".to_owned()),
        };
        let Ok(marker) = serde_json::from_slice::<Self>(&text) else {
            return State::Damaged(format!("`{FILE}` cannot be read"));
        };
        if marker.facts != *facts {
            return State::Damaged(format!("`{FILE}` tells of other engines"));
        }
        let mut names = marker.files.iter().filter(|(name, sum)| Sum::of(&folder.join(name)).as_ref() != Some(*sum));
        let changed = names.next().map(|(name, _)| name.clone());
        match changed {
            Some(name) => State::Damaged(format!("`{name}` is not what was built")),
            None if marker.engines() == 0 => State::Damaged(format!("`{FILE}` names no engine")),
            None => State::Whole(Box::new(marker)),
        }
    }

    /// How many engines there are.
    pub(super) fn engines(&self) -> usize {
        engines(&self.files)
    }

    /// Bytes of all files.
    pub(super) fn bytes(&self) -> u64 {
        self.files.values().map(|file| file.bytes).sum()
    }

    /// Writes it aside, makes it durable and renames it.
    ///
    /// # Errors
    /// When the folder cannot be written.
    pub(super) fn write(&self, folder: &Path) -> Result<(), Fatal> {
        let write = || -> io::Result<()> {
            let aside = folder.join(ASIDE);
            let mut file = File::create(&aside)?;
            file.write_all(&serde_json::to_vec_pretty(self)?)?;
            file.sync_all()?;
            fs::rename(aside, folder.join(FILE))
        };
        write().map_err(|error| unwritable(&folder.join(FILE), &error))
    }
}

impl Sum {
    fn of(path: &Path) -> Option<Self> {
        let bytes = fs::metadata(path).ok().filter(fs::Metadata::is_file)?.len();
        Some(Self { bytes, blake3: hash(path).ok()? })
    }
}

/// Engines among files.
pub(super) fn engines(files: &Files) -> usize {
    files.keys().filter(|name| name.ends_with(ENGINE)).count()
}

/// What lies in a folder beside a marker.
///
/// # Errors
/// When it cannot be read.
pub(super) fn files(folder: &Path) -> Result<Files, Fatal> {
    let mut files = Files::new();
    for entry in fs::read_dir(folder).map_err(|error| unreadable(folder, &error))? {
        let path = entry.map_err(|error| unreadable(folder, &error))?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if path.is_file() && ![FILE, ASIDE].contains(&&*name) {
            let sum = Sum::of(&path).ok_or_else(|| unreadable(&path, &io::Error::other("it is no file any more")))?;
            files.insert(name, sum);
        }
    }
    Ok(files)
}

fn is_empty(folder: &Path) -> bool {
    fs::read_dir(folder).map_or(true, |mut entries| entries.next().is_none())
}

fn unreadable(path: &Path, error: &io::Error) -> Fatal {
    Fatal::new(format!("`{}` cannot be read: {error}", path.display()), "check its permissions")
}

/// What cannot be written, and what to do about it.
pub(super) fn unwritable(path: &Path, error: &io::Error) -> Fatal {
    Fatal::new(
        format!("`{}` cannot be written: {error}", path.display()),
        format!("check its permissions and the free space, or name another folder in `{}`", super::FOLDER_VARIABLE),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::generate::tensorrt::{
        buckets::Bucket,
        fixture::{h200, tiny},
    };

    const NAME: &str = "pictures-280_1_sm90.engine";

    fn facts() -> Facts {
        Facts::of(&h200(), &tiny(), Bucket::Pictures(280)).unwrap()
    }

    /// A folder with an engine and its marker.
    fn prepared() -> (tempfile::TempDir, Marker) {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join(NAME), "an engine").unwrap();
        fs::write(folder.path().join("pictures-280_1_sm90.profile"), "its shapes").unwrap();
        let marker = Marker::new(facts(), Taken::Whole, files(folder.path()).unwrap());
        marker.write(folder.path()).unwrap();
        (folder, marker)
    }

    fn why(state: State) -> String {
        match state {
            State::Damaged(why) => why,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn what_was_written_is_found_whole_with_all_facts_in_the_clear() {
        let (folder, marker) = prepared();
        assert_eq!(Marker::look(folder.path(), &facts()), State::Whole(Box::new(marker.clone())));
        assert_eq!((marker.engines(), marker.files.len(), marker.bytes()), (1, 2, 9 + 10));
        let text = fs::read_to_string(folder.path().join(FILE)).unwrap();
        for word in ["NVIDIA H200", "9.0", "onnx/vision_encoder.onnx", "pixel_values:1x9x768", "\"whole\"", NAME] {
            assert!(text.contains(word), "{word} is not in {text}");
        }
        assert!(!folder.path().join(ASIDE).exists());
    }

    #[test]
    fn an_engine_that_has_changed_is_gone_or_is_cut_is_named() {
        for damage in ["An engine", "an eng", ""] {
            let (folder, _) = prepared();
            fs::write(folder.path().join(NAME), damage).unwrap();
            assert!(why(Marker::look(folder.path(), &facts())).contains(NAME), "{damage:?}");
        }
        let (folder, _) = prepared();
        fs::remove_file(folder.path().join(NAME)).unwrap();
        assert!(why(Marker::look(folder.path(), &facts())).contains(NAME));
    }

    #[test]
    fn a_build_that_was_not_finished_is_no_build() {
        let nowhere = Path::new("/nowhere/at/all");
        assert_eq!(Marker::look(nowhere, &facts()), State::Missing);
        let (folder, _) = prepared();
        fs::remove_file(folder.path().join(FILE)).unwrap();
        assert!(why(Marker::look(folder.path(), &facts())).contains("not finished"));
        fs::rename(folder.path().join(NAME), folder.path().join(ASIDE)).unwrap();
        assert!(why(Marker::look(folder.path(), &facts())).contains("not finished"));
        assert_eq!(Marker::look(tempfile::tempdir().unwrap().path(), &facts()), State::Missing);
    }

    #[test]
    fn a_marker_that_is_half_written_tells_of_others_or_names_no_engine_does_not_count() {
        let (folder, marker) = prepared();
        let path = folder.path().join(FILE);
        let text = fs::read(&path).unwrap();
        fs::write(&path, &text[..text.len() / 2]).unwrap();
        assert!(why(Marker::look(folder.path(), &facts())).contains("cannot be read"));
        fs::write(&path, &text).unwrap();
        let other = Facts { driver: "590.1".to_owned(), ..facts() };
        assert!(why(Marker::look(folder.path(), &other)).contains("other engines"));
        Marker { files: Files::new(), ..marker }.write(folder.path()).unwrap();
        assert!(why(Marker::look(folder.path(), &facts())).contains("no engine"));
    }

    #[test]
    fn the_marker_is_not_among_the_files_that_it_tells_of() {
        let (folder, marker) = prepared();
        fs::write(folder.path().join(ASIDE), "half").unwrap();
        assert_eq!(files(folder.path()).unwrap(), marker.files);
        assert!(files(Path::new("/nowhere/at/all")).unwrap_err().message.contains("/nowhere/at/all"));
    }
}
