//! The output folder: made and tried before any work starts, and never written over.

use std::{
    fs::{self, File},
    io,
    path::{Path, PathBuf},
};

use crate::base::Fatal;

const EXTRACTIONS: &str = "extractions";
const FAILURES: &str = "failures";
const OURS: &str = "_lapidary";
const OCCUPIED_BY: [&str; 4] = [EXTRACTIONS, FAILURES, OURS, "run.json"];

/// The places inside an output folder.
#[derive(Debug, Clone)]
pub struct Folder {
    /// `OUT/extractions`.
    pub extractions: PathBuf,
    /// `OUT/failures`.
    pub failures: PathBuf,
    /// `OUT/_lapidary/tmp`, where parts grow.
    pub aside: PathBuf,
}

impl Folder {
    /// The places of an existing or future dataset.
    pub fn at(out: &Path) -> Self {
        Self { extractions: out.join(EXTRACTIONS), failures: out.join(FAILURES), aside: out.join(OURS).join("tmp") }
    }

    /// Makes the folders of a new dataset.
    ///
    /// # Errors
    /// When `out` holds a dataset already, cannot be made or cannot be written to.
    pub fn create(out: &Path) -> Result<Self, Fatal> {
        refuse_occupied(out)?;
        make(out)?;
        let folder = Self::at(out);
        for path in [&folder.extractions, &folder.failures, &out.join(OURS), &folder.aside] {
            make(path)?;
        }
        Ok(folder)
    }
}

fn refuse_occupied(out: &Path) -> Result<(), Fatal> {
    let Some(name) = OCCUPIED_BY.iter().find(|name| out.join(name).exists()) else { return Ok(()) };
    let message =
        format!("write: `{}` already holds a dataset, or what is left of a run: `{name}` is there", out.display());
    Err(Fatal::new(message, "choose another `--output`, or move that folder away"))
}

fn make(path: &Path) -> Result<(), Fatal> {
    fs::create_dir_all(path).map_err(|error| cannot_make(path, &error))
}

fn cannot_make(path: &Path, error: &io::Error) -> Fatal {
    let parent = path.parent().unwrap_or(path);
    let message = format!("write: the output folder `{}` cannot be made: {error}", path.display());
    let hint = match error.kind() {
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
            format!("`{}` cannot be written to; choose another `--output`, or change its permissions", parent.display())
        }
        io::ErrorKind::StorageFull => "free some space, or choose an `--output` on another disk".to_owned(),
        _ => "choose another `--output`".to_owned(),
    };
    Fatal::new(message, hint)
}

/// Makes renames inside `folder` last through a power cut.
pub fn sync(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

/// Why a write did not work.
pub fn cannot_write(path: &Path, error: &io::Error) -> Fatal {
    let path = path.display();
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Fatal::new(
            format!("write: the disk is full: `{path}` cannot grow ({error})"),
            "free some space, or choose an `--output` on another disk; the parts already written are whole",
        ),
        _ => Fatal::new(
            format!("write: `{path}` cannot be written: {error}"),
            "see that the output folder is still there and can be written to; the parts already written are whole",
        ),
    }
}
