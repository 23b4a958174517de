//! The output folder: made, tried and locked before any work starts; what it holds is gone on with, never written over.

use std::{
    fs::{self, File},
    io::{self, Write},
    path::{Path, PathBuf},
};

use serde::Serialize;

use super::{lock, read};
use crate::base::{
    Fatal,
    dataset::{EXTRACTIONS, FAILURES, OURS, REPORT},
    lock::Lock,
};

/// What a folder that is not ours may hold under our names.
const OCCUPIED_BY: [&str; 3] = [EXTRACTIONS, FAILURES, REPORT];

/// The places inside an output folder.
#[derive(Debug, Clone)]
pub struct Folder {
    /// `OUT/extractions`.
    pub extractions: PathBuf,
    /// `OUT/failures`.
    pub failures: PathBuf,
    /// `OUT/_lapidary/tmp`, where parts grow.
    pub aside: PathBuf,
    /// `OUT/_lapidary/lock`, held by the run that writes.
    pub lock: PathBuf,
    /// `OUT/_lapidary/ledger.jsonl`, the documents that are through.
    pub ledger: PathBuf,
    /// `OUT/_lapidary/manifest.json`, there when the dataset is finished.
    pub seal: PathBuf,
    /// `OUT/_lapidary/asked`, the settings of all runs.
    pub asked: PathBuf,
}

/// An output folder that no other run can write to.
#[derive(Debug)]
pub struct Claim {
    pub(super) folder: Folder,
    /// Given back when the claim is dropped.
    _lock: Lock,
}

impl Claim {
    /// Makes the folders of a dataset, new or not, and takes its lock. What a killed run has left aside goes.
    ///
    /// # Errors
    /// When another run holds it, when `out` holds something that only looks like a dataset, cannot be made or cannot be
    /// written to.
    pub fn take(out: &Path) -> Result<Self, Fatal> {
        refuse_bucket(out)?;
        refuse_foreign(out)?;
        make(out)?;
        let folder = Folder::at(out);
        make(&out.join(OURS))?;
        let lock = lock::take(&folder.lock)?;
        for path in [&folder.extractions, &folder.failures, &folder.asked, &folder.aside] {
            make(path)?;
        }
        clear(&folder.aside)?;
        Ok(Self { folder, _lock: lock })
    }
}

impl Folder {
    /// The places of an existing or future dataset.
    pub fn at(out: &Path) -> Self {
        let ours = out.join(OURS);
        Self {
            extractions: out.join(EXTRACTIONS),
            failures: out.join(FAILURES),
            aside: ours.join("tmp"),
            lock: ours.join("lock"),
            ledger: ours.join("ledger.jsonl"),
            seal: ours.join("manifest.json"),
            asked: ours.join("asked"),
        }
    }

    /// The parts of both tables that are there.
    ///
    /// # Errors
    /// When a folder cannot be listed.
    pub fn parts(&self) -> Result<(Vec<PathBuf>, Vec<PathBuf>), Fatal> {
        let list = |folder: &Path| read::listed(folder).map_err(|error| cannot_make(folder, &error));
        Ok((list(&self.extractions)?, list(&self.failures)?))
    }
}

/// An address of a bucket would become a folder called `s3:`.
fn refuse_bucket(out: &Path) -> Result<(), Fatal> {
    if !out.to_string_lossy().contains("://") {
        return Ok(());
    }
    let message = format!("write: `{}` is no folder, and a dataset grows in a folder", out.display());
    Err(Fatal::new(
        message,
        "choose a folder as `--output`; `lapidary publish` puts the finished dataset into a bucket",
    ))
}

fn refuse_foreign(out: &Path) -> Result<(), Fatal> {
    let ours = out.join(OURS).is_dir();
    let Some(name) = OCCUPIED_BY.iter().find(|name| !ours && out.join(name).exists()) else { return Ok(()) };
    let message = format!(
        "write: `{}` holds `{name}`, but no `{OURS}`: it is no dataset that can be gone on with",
        out.display()
    );
    Err(Fatal::new(message, "choose another `--output`, or move that folder away"))
}

fn clear(folder: &Path) -> Result<(), Fatal> {
    let cannot = |error: io::Error| cannot_write(folder, &error);
    for entry in fs::read_dir(folder).map_err(cannot)? {
        let path = entry.map_err(cannot)?.path();
        fs::remove_file(&path).map_err(|error| cannot_clear(&path, &error))?;
    }
    Ok(())
}

fn cannot_clear(path: &Path, error: &io::Error) -> Fatal {
    let message = format!("write: `{}` is in the way and cannot be removed: {error}", path.display());
    Fatal::new(message, "move it away; only parts that grow lie there, and those of a killed run are removed")
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

/// What a file that is put in place may replace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Over {
    /// An earlier one of that name.
    Earlier,
    /// Nothing: where there is a file already, there is an error. Disks without links replace it all the same.
    Nothing,
}

/// Writes `value` as JSON to `aside`, makes it last and puts it at `place`.
///
/// # Errors
/// When it cannot be written, or there is what must not be replaced.
pub fn put_json<T: Serialize>(value: &T, aside: &Path, place: &Path, over: Over) -> io::Result<()> {
    let mut file = File::create(aside)?;
    serde_json::to_writer_pretty(&mut file, value)?;
    file.write_all(b"\n")?;
    file.sync_all()?;
    put(aside, place, over, || Ok(()))
}

/// Puts a file that lies aside and is synced at `place`, whole or not at all, and makes that last. `placed` is passed in
/// between.
pub(super) fn put(aside: &Path, place: &Path, over: Over, placed: impl FnOnce() -> io::Result<()>) -> io::Result<()> {
    match over {
        Over::Earlier => fs::rename(aside, place)?,
        Over::Nothing => link(aside, place)?,
    }
    placed()?;
    place.parent().map_or(Ok(()), sync)
}

/// A link fails where there is a file already, and is there at once or not at all. Where there are no links it is a rename.
fn link(aside: &Path, place: &Path) -> io::Result<()> {
    match fs::hard_link(aside, place) {
        Err(error) if matches!(error.kind(), io::ErrorKind::Unsupported | io::ErrorKind::PermissionDenied) => {
            fs::rename(aside, place)
        }
        linked => linked.and_then(|()| fs::remove_file(aside)),
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_among_the_growing_parts_is_named() {
        let out = tempfile::tempdir().unwrap();
        drop(Claim::take(out.path()).unwrap());
        let (left, strange) = (Folder::at(out.path()).aside.join("left"), Folder::at(out.path()).aside.join("strange"));
        fs::write(&left, "of a killed run").unwrap();
        drop(Claim::take(out.path()).unwrap());
        assert!(!left.exists());
        fs::create_dir(&strange).unwrap();
        let wrong = Claim::take(out.path()).unwrap_err();
        assert!(wrong.message.contains(&format!("`{}`", strange.display())), "{wrong}");
    }
}
