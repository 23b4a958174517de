//! The dataset that is published: finished, whole, and held so that no run changes it meanwhile.

use std::{
    fs::{self, File},
    io,
    path::{Path, PathBuf},
};

use crate::{
    base::{
        Fatal,
        dataset::{OURS, REPORT},
        lock::Lock,
    },
    write::{folder::Folder, lock, seal::sealed},
};

/// A finished dataset on a disk.
pub struct Dataset {
    /// Its manifest, byte by byte.
    pub manifest: Vec<u8>,
    /// Its parts and the report of its latest run.
    pub files: Vec<Source>,
    /// Given back when the dataset is dropped.
    _lock: Lock,
}

/// One of its files.
pub struct Source {
    /// Its path in the dataset, with slashes.
    pub path: String,
    /// Where it lies.
    pub place: PathBuf,
    /// Its length.
    pub bytes: u64,
}

impl Dataset {
    /// Holds the dataset at `out`.
    ///
    /// # Errors
    /// When there is none, when it is being written or not finished, or when its parts are not those of its manifest.
    pub fn open(out: &Path) -> Result<Self, Fatal> {
        if !out.join(OURS).is_dir() {
            let message = format!("publish: `{}` is no dataset", out.display());
            return Err(Fatal::new(message, "give the folder that was `--output` of `lapidary run`"));
        }
        let folder = Folder::at(out);
        let lock = lock::take(&folder.lock)?;
        let Some(manifest) = sealed(out)? else {
            let message = format!("publish: the dataset `{}` is not finished", out.display());
            return Err(Fatal::new(message, "run its pipeline on it to the end first"));
        };
        let listed = manifest.extractions.iter().chain(&manifest.failures);
        let mut files: Vec<_> = listed
            .map(|part| Source { path: part.path.clone(), place: out.join(&part.path), bytes: part.bytes })
            .collect();
        files.iter().try_for_each(Source::check)?;
        let report = out.join(REPORT);
        let bytes = length(&report)?;
        files.push(Source { path: REPORT.to_owned(), place: report, bytes });
        let manifest = fs::read(&folder.seal).map_err(|error| unreadable(&folder.seal, &error))?;
        Ok(Self { manifest, files, _lock: lock })
    }

    /// What tells this dataset, as it is now, from all others.
    pub fn hash(&self) -> String {
        blake3::hash(&self.manifest).to_hex().to_string()
    }
}

impl Source {
    fn check(&self) -> Result<(), Fatal> {
        let bytes = length(&self.place)?;
        if bytes == self.bytes {
            return Ok(());
        }
        let message =
            format!("publish: `{}` has {bytes} bytes, its manifest says {}", self.place.display(), self.bytes);
        Err(Fatal::new(message, "the dataset was changed from outside: run its pipeline anew on another output"))
    }

    /// Of its content.
    pub fn hash(&self) -> Result<String, Fatal> {
        let mut hasher = blake3::Hasher::new();
        let mut file = File::open(&self.place).map_err(|error| unreadable(&self.place, &error))?;
        hasher.update_reader(&mut file).map_err(|error| unreadable(&self.place, &error))?;
        Ok(hasher.finalize().to_hex().to_string())
    }
}

fn length(path: &Path) -> Result<u64, Fatal> {
    fs::metadata(path).map(|about| about.len()).map_err(|error| unreadable(path, &error))
}

/// A file of the dataset that cannot be read.
pub fn unreadable(path: &Path, error: &io::Error) -> Fatal {
    Fatal::new(
        format!("publish: `{}` cannot be read: {error}", path.display()),
        "see that the dataset is whole and may be read",
    )
}
