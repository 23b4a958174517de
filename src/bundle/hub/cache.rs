//! The cache on disk, in huggingface_hub's layout, so that either finds what the other has fetched:
//!
//!     models--ORG--NAME/blobs/HASH                    a file by the hash of its content
//!     models--ORG--NAME/blobs/HASH.incomplete         a file on its way
//!     models--ORG--NAME/refs/main                     the commit of a branch or tag
//!     models--ORG--NAME/snapshots/COMMIT/PATH         a relative link to the blob
//!     .locks/models--ORG--NAME/HASH.lock              held (`flock`) by whoever writes the blob

use std::{
    fs::{self, File},
    io::{self, Write},
    os::unix::fs::symlink,
    path::{Path, PathBuf},
};

use super::{
    Repository,
    repository::{is_commit, is_inside},
};
use crate::base::Fatal;

/// The cache of one repository.
pub struct Cache {
    folder: PathBuf,
    locks: PathBuf,
}

impl Cache {
    /// Makes nothing yet.
    pub fn of(root: &Path, repository: &Repository) -> Self {
        let name = format!("models--{}", repository.name.replace('/', "--"));
        Self { folder: root.join(&name), locks: root.join(".locks").join(name) }
    }

    /// The repository's folder, made if it is not there.
    pub fn create(&self) -> Result<&Path, Fatal> {
        for folder in [&self.folder.join("blobs"), &self.folder.join("refs"), &self.locks] {
            fs::create_dir_all(folder).map_err(|error| unwritable(folder, &error))?;
        }
        Ok(&self.folder)
    }

    /// The commit that a revision stood for when it was last asked.
    pub fn commit(&self, revision: &str) -> Option<String> {
        if is_commit(revision) {
            return Some(revision.to_owned());
        }
        let text = fs::read_to_string(self.folder.join("refs").join(revision)).ok()?;
        Some(text.trim().to_owned()).filter(|commit| is_commit(commit))
    }

    /// Writes down which commit a revision stands for.
    pub fn remember(&self, revision: &str, commit: &str) -> Result<(), Fatal> {
        if is_commit(revision) {
            return Ok(());
        }
        let path = self.folder.join("refs").join(revision);
        replace(&path, |aside| File::create(aside)?.write_all(commit.as_bytes()))
    }

    /// The folder of a commit.
    pub fn snapshot(&self, commit: &str) -> PathBuf {
        self.folder.join("snapshots").join(commit)
    }

    /// The place of a blob.
    pub fn blob(&self, name: &str) -> PathBuf {
        self.folder.join("blobs").join(name)
    }

    /// Waits until nobody else writes this blob; the lock ends with the value.
    pub fn lock(&self, blob: &str) -> Result<File, Fatal> {
        let path = self.locks.join(format!("{blob}.lock"));
        let file = File::options().write(true).create(true).truncate(false).open(&path);
        file.and_then(|file| file.lock().map(|()| file)).map_err(|error| unwritable(&path, &error))
    }

    /// Makes a snapshot's file a relative link to its blob.
    pub fn link(&self, commit: &str, path: &str, blob: &str) -> Result<(), Fatal> {
        debug_assert!(is_inside(path));
        let up = "../".repeat(path.split('/').count() + 1);
        let target = format!("{up}blobs/{blob}");
        replace(&self.snapshot(commit).join(path), |aside| symlink(&target, aside))
    }
}

/// `ORG/NAME` and the commit, if `folder` is a snapshot in a cache.
pub fn origin(folder: &Path) -> Option<(String, String)> {
    let name = |path: &Path| Some(path.file_name()?.to_str()?.to_owned());
    let (commit, snapshots) = (name(folder)?, folder.parent()?);
    let repository = name(snapshots.parent()?)?.strip_prefix("models--")?.replace("--", "/");
    (name(snapshots)? == "snapshots" && is_commit(&commit)).then_some((repository, commit))
}

/// Makes something beside its place and moves it there in one step.
fn replace(path: &Path, make: impl FnOnce(&Path) -> io::Result<()>) -> Result<(), Fatal> {
    let folder = path.parent().unwrap_or(Path::new("."));
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let aside = folder.join(format!(".{name}.{}", std::process::id()));
    let made = fs::create_dir_all(folder).and_then(|()| {
        fs::remove_file(&aside).ok();
        make(&aside)
    });
    made.and_then(|()| fs::rename(&aside, path)).map_err(|error| unwritable(path, &error))
}

/// The cache cannot be written.
pub fn unwritable(path: &Path, error: &io::Error) -> Fatal {
    let hint = match error.kind() {
        io::ErrorKind::StorageFull => "make room and start again, what was downloaded is kept; or set HF_HUB_CACHE",
        _ => "check the permissions, or set HF_HUB_CACHE to a folder of yours",
    };
    Fatal::new(format!("cannot write `{}`: {error}", path.display()), hint)
}
