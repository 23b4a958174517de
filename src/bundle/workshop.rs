//! The folder in which something large is made, beside its final place: renamed when it is whole, removed when it is not.
//!
//! The folder is locked as long as its maker lives, so that what a killed process has left can be told from what
//! a living one is at.

use std::{
    fs::{self, File},
    io,
    path::{Path, PathBuf},
};

use super::draft::write_fatal;
use crate::base::Fatal;

/// A folder `.NAME.PID.part` beside `NAME`.
pub struct Workshop {
    folder: PathBuf,
    /// Holds the lock.
    _handle: File,
    published: bool,
}

/// Refuses a place that is taken.
pub fn refuse_existing(out: &Path) -> Result<(), Fatal> {
    if fs::symlink_metadata(out).is_err() {
        return Ok(());
    }
    Err(Fatal::new(format!("`{}` exists already", out.display()), "name a new folder, or remove this one first"))
}

/// Removes what dead processes have left beside a place, so that it takes no room any more.
pub fn clear_remains(out: &Path) {
    if let Some(name) = out.file_name() {
        clear(parent(out), &name.to_string_lossy());
    }
}

impl Workshop {
    /// Makes the folder, and removes those that dead processes have left for the same place.
    pub fn create(out: &Path) -> Result<Self, Fatal> {
        refuse_existing(out)?;
        let Some(name) = out.file_name().map(|name| name.to_string_lossy().into_owned()) else {
            return Err(Fatal::new(format!("`{}` is no name for a folder", out.display()), "name a new folder"));
        };
        clear_remains(out);
        let folder = parent(out).join(format!(".{name}.{}.part", std::process::id()));
        let made = fs::create_dir_all(&folder).and_then(|()| File::open(&folder));
        let handle = made.map_err(|error| write_fatal(&folder, error))?;
        // A file system without locks has no remains cleared.
        handle.lock().ok();
        Ok(Self { folder, _handle: handle, published: false })
    }

    /// Where to write.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Makes the folder durable and gives it its name.
    pub fn publish(mut self, out: &Path) -> Result<(), Fatal> {
        let renamed =
            sync_all(&self.folder).and_then(|()| fs::rename(&self.folder, out)).and_then(|()| sync(parent(out)));
        renamed.map_err(|error| write_fatal(out, error))?;
        self.published = true;
        Ok(())
    }
}

impl Drop for Workshop {
    fn drop(&mut self) {
        if !self.published {
            // Nothing can be done about what cannot be removed; the name says what it is.
            fs::remove_dir_all(&self.folder).ok();
        }
    }
}

/// Removes the workshops of that name whose makers are gone. What cannot be removed is in nobody's way.
fn clear(parent: &Path, name: &str) {
    let entries = fs::read_dir(parent).into_iter().flatten().flatten();
    for folder in entries.filter(|entry| is_workshop(&entry.file_name().to_string_lossy(), name)) {
        let path = folder.path();
        if File::open(&path).is_ok_and(|handle| handle.try_lock().is_ok()) {
            fs::remove_dir_all(path).ok();
        }
    }
}

fn is_workshop(entry: &str, name: &str) -> bool {
    let process = entry.strip_prefix('.').and_then(|rest| rest.strip_prefix(name)?.strip_prefix('.'));
    process.and_then(|rest| rest.strip_suffix(".part")).is_some_and(|process| process.parse::<u32>().is_ok())
}

fn parent(path: &Path) -> &Path {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Makes the entries of a folder and of those in it durable.
fn sync_all(folder: &Path) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            sync(&entry.path())?;
        }
    }
    sync(folder)
}

/// Makes a folder's entries durable.
fn sync(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}
