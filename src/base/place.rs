//! A place for one file that the user names, and the file on its way there: it grows beside its place under a name that
//! no other file has, and is there whole or not at all.

use std::{
    fs::{self, File},
    io::{self, Write},
    path::{Path, PathBuf},
    process,
};

use super::Fatal;

/// Names that are tried for a file that grows; kills may have left some.
const NAMES: u32 = 1000;

/// Where a file goes: in a folder that is there, where nothing is yet, or a regular file that is replaced. Links are
/// followed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place(PathBuf);

impl Place {
    /// The place at `path`.
    ///
    /// # Errors
    /// When its folder is not there, when what lies there is no regular file, as a folder or a device, or when a link
    /// leads nowhere.
    pub fn at(path: &Path) -> Result<Self, Fatal> {
        let typed = Self(std::path::absolute(path).unwrap_or_else(|_| path.to_owned()));
        let place = typed.followed().map_err(|error| typed.cannot_write(&error))?;
        fs::metadata(place.folder()).map_err(|error| place.cannot_write(&error))?;
        match fs::metadata(place.path()) {
            Ok(found) if !found.is_file() => Err(place.is_taken(found.is_dir())),
            _ => Ok(place),
        }
    }

    /// The place at `path`, whose folder is made where it is not there.
    ///
    /// # Errors
    /// As [`Self::at`], and when the folder cannot be made.
    pub fn made_at(path: &Path) -> Result<Self, Fatal> {
        let typed = Self(path.to_owned());
        fs::create_dir_all(typed.folder()).map_err(|error| typed.cannot_write(&error))?;
        Self::at(path)
    }

    /// The path.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// Why the file cannot be written.
    pub fn cannot_write(&self, error: &io::Error) -> Fatal {
        let hint = match error.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
                "free some space, or name a file on another disk"
            }
            io::ErrorKind::NotFound => "make its folder first, or name a file in another",
            _ => "name a file with a short path in a folder that can be written to",
        };
        Fatal::new(format!("`{}` cannot be written: {error}", self.0.display()), hint)
    }

    /// Where a link leads: a rename would take its own place.
    fn followed(&self) -> io::Result<Self> {
        let is_link = fs::symlink_metadata(&self.0).is_ok_and(|found| found.is_symlink());
        if is_link { fs::canonicalize(&self.0).map(Self) } else { Ok(self.clone()) }
    }

    fn folder(&self) -> &Path {
        self.0.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
    }

    fn is_taken(&self, by_folder: bool) -> Fatal {
        let what = if by_folder { "a folder" } else { "no regular file" };
        Fatal::new(format!("`{}` is {what}", self.0.display()), "name a file, new or to be replaced")
    }
}

/// A file that grows beside its place, and goes where it does not get there.
#[derive(Debug)]
pub struct Draft {
    place: Place,
    aside: PathBuf,
    file: File,
    placed: bool,
}

impl Draft {
    /// Begins the file of a place.
    ///
    /// # Errors
    /// When its folder cannot be written to.
    pub fn of(place: &Place) -> Result<Self, Fatal> {
        let (aside, file) = begun(place.folder()).map_err(|error| place.cannot_write(&error))?;
        Ok(Self { place: place.clone(), aside, file, placed: false })
    }

    /// Puts these bytes at a place.
    ///
    /// # Errors
    /// When they cannot be written; then nothing is left of them.
    pub fn write(place: &Place, bytes: &[u8]) -> Result<(), Fatal> {
        let draft = Self::of(place)?;
        draft.file().write_all(bytes).map_err(|error| place.cannot_write(&error))?;
        draft.publish()
    }

    /// The file, to be written to.
    pub fn file(&self) -> &File {
        &self.file
    }

    /// Makes the file last and puts it at its place.
    ///
    /// # Errors
    /// When that does not work; then nothing is left of it.
    pub fn publish(mut self) -> Result<(), Fatal> {
        let renamed = self.file.sync_all().and_then(|()| fs::rename(&self.aside, self.place.path()));
        self.placed = renamed.is_ok();
        let kept = renamed.and_then(|()| File::open(self.place.folder())?.sync_all());
        kept.map_err(|error| self.place.cannot_write(&error))
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        if !self.placed {
            // Nothing can be done about what cannot be removed; the name says what it is.
            fs::remove_file(&self.aside).ok();
        }
    }
}

/// A new file in a folder: one that is there is another's.
fn begun(folder: &Path) -> io::Result<(PathBuf, File)> {
    let path = |number: u32| folder.join(format!(".lapidary.{}.{number}.part", process::id()));
    let new = |path: PathBuf| match File::create_new(&path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => None,
        made => Some(made.map(|file| (path, file))),
    };
    (0..NAMES).map(path).find_map(new).unwrap_or_else(|| Err(io::ErrorKind::AlreadyExists.into()))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn names(folder: &Path) -> BTreeSet<String> {
        let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name());
        entries.map(|name| name.into_string().unwrap()).collect()
    }

    #[test]
    fn a_file_is_replaced_and_its_neighbours_are_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        let ours = format!(".lapidary.{}.0.part", process::id());
        let others = ["a.part", "a.csv.part", ours.as_str()];
        others.iter().for_each(|name| fs::write(path(name), name).unwrap());
        fs::write(path("a.csv"), "old").unwrap();
        Draft::write(&Place::at(&path("a.csv")).unwrap(), b"new").unwrap();
        assert_eq!(fs::read_to_string(path("a.csv")).unwrap(), "new");
        assert_eq!(others.map(|name| fs::read_to_string(path(name)).unwrap()), others);
        assert_eq!(names(folder.path()).len(), 4, "nothing is left aside");
    }

    #[test]
    fn what_cannot_get_to_its_place_leaves_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.csv");
        let place = Place::at(&path).unwrap();
        drop(Draft::of(&place).unwrap());
        assert_eq!(names(folder.path()).len(), 0, "given up");
        // Since it was looked at.
        fs::create_dir(&path).unwrap();
        let error = Draft::write(&place, b"new").unwrap_err();
        assert!(error.message.contains("a.csv` cannot be written"), "{error}");
        assert!(error.hint.contains("folder that can be written to"), "{}", error.hint);
        assert_eq!(names(folder.path()), BTreeSet::from(["a.csv".to_owned()]));
    }

    #[test]
    fn a_folder_is_no_place_for_a_file() {
        let folder = tempfile::tempdir().unwrap();
        let error = Place::at(folder.path()).unwrap_err();
        assert!(error.message.ends_with("is a folder"), "{error}");
        let error = Place::at(&folder.path().join("no/a.csv")).unwrap_err();
        assert!(error.message.contains("cannot be written") && error.hint.contains("make its folder"), "{error}");
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_device_is_no_place_for_a_file() {
        for device in ["/dev/full", "/dev/null"] {
            let error = Place::at(Path::new(device)).unwrap_err();
            assert_eq!(error.message, format!("`{device}` is no regular file"));
        }
    }

    #[cfg(unix)]
    #[test]
    fn a_link_stays_a_link_and_its_file_is_replaced() {
        use std::os::unix::fs::symlink;

        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        fs::create_dir(path("far")).unwrap();
        fs::write(path("far/a.csv"), "old").unwrap();
        symlink("far/a.csv", path("a.csv")).unwrap();
        Draft::write(&Place::at(&path("a.csv")).unwrap(), b"new").unwrap();
        assert_eq!(fs::read_to_string(path("far/a.csv")).unwrap(), "new");
        assert!(fs::symlink_metadata(path("a.csv")).unwrap().is_symlink());
        symlink("nobody", path("b.csv")).unwrap();
        assert!(Place::at(&path("b.csv")).unwrap_err().message.contains("cannot be written"));
    }
}
