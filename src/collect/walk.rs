//! From what the user typed to paths of files, one after the other in a stable order.

use std::{
    collections::VecDeque,
    fs::File,
    io::{self, BufRead, BufReader},
    path::{Path, PathBuf},
};

use walkdir::{DirEntry, IntoIter, WalkDir};

use super::{Inputs, Settings};
use crate::base::{dataset, name::path_of};

/// What the walk comes upon.
#[derive(Debug)]
pub enum Step {
    /// Something that may be a file.
    File(PathBuf),
    /// A name that leads nowhere, and why.
    Dead(PathBuf, Dead),
}

/// Why a name leads nowhere.
#[derive(Debug)]
pub enum Dead {
    /// There is no such file or folder.
    Missing,
    /// No file matches the pattern.
    NoMatch,
    /// The system said no.
    Unreadable(String),
}

/// The walk; call [`Iterator::next`] until it ends.
pub struct Walk {
    hidden: bool,
    typed: VecDeque<String>,
    list: Option<Box<dyn BufRead + Send>>,
    matched: Option<glob::Paths>,
    folder: Option<IntoIter>,
}

impl Walk {
    /// Prepares the walk.
    ///
    /// # Errors
    /// Every input that can never work, one line each: a broken pattern, a list that cannot be opened, no input.
    pub fn new(settings: &Settings, inputs: &Inputs) -> Result<Self, Vec<String>> {
        let mut problems = Vec::new();
        for typed in inputs.paths.iter().filter(|typed| is_pattern(typed)) {
            problems.extend(glob::Pattern::new(typed).err().map(|error| format!("pattern `{typed}`: {error}")));
        }
        if inputs.paths.is_empty() && inputs.list.is_none() {
            problems.push("no input is named".to_owned());
        }
        let list = inputs.list.as_deref().map(open_list).transpose().unwrap_or_else(|problem| {
            problems.push(problem);
            None
        });
        if !problems.is_empty() {
            return Err(problems);
        }
        let typed = inputs.paths.iter().cloned().collect();
        Ok(Self { hidden: settings.hidden, typed, list, matched: None, folder: None })
    }

    fn enter(&mut self, path: PathBuf) -> Option<Step> {
        match path.metadata() {
            Ok(facts) if facts.is_dir() => {
                self.folder = Some(WalkDir::new(path).follow_links(true).sort_by_file_name().into_iter());
                None
            }
            Ok(_) => Some(Step::File(path)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Some(Step::Dead(path, Dead::Missing)),
            Err(error) => Some(Step::Dead(path, Dead::Unreadable(error.to_string()))),
        }
    }

    fn in_folder(&mut self) -> Option<Step> {
        let walk = self.folder.as_mut()?;
        while let Some(entry) = walk.next() {
            match entry {
                Ok(entry) if (!self.hidden && is_hidden(&entry)) || is_of_dataset(&entry) => {
                    if entry.file_type().is_dir() {
                        walk.skip_current_dir();
                    }
                }
                Ok(entry) if entry.file_type().is_dir() => {}
                Ok(entry) => return Some(Step::File(entry.into_path())),
                Err(error) => {
                    if let Some(step) = dead_end(&error) {
                        return Some(step);
                    }
                }
            }
        }
        self.folder = None;
        None
    }

    /// The next path from the inputs, not yet entered.
    fn path(&mut self) -> Option<Result<PathBuf, Step>> {
        self.matched().or_else(|| self.typed()).or_else(|| self.listed())
    }

    fn matched(&mut self) -> Option<Result<PathBuf, Step>> {
        let found = self.matched.as_mut()?.next()?;
        let unreadable =
            |error: glob::GlobError| Step::Dead(error.path().to_owned(), Dead::Unreadable(error.error().to_string()));
        Some(found.map_err(unreadable))
    }

    fn typed(&mut self) -> Option<Result<PathBuf, Step>> {
        let typed = self.typed.pop_front()?;
        let path = path_of(&typed);
        if !is_pattern(&typed) || path.symlink_metadata().is_ok() {
            return Some(Ok(path));
        }
        let options = glob::MatchOptions { require_literal_leading_dot: !self.hidden, ..Default::default() };
        self.matched = glob::glob_with(&typed, options).ok();
        self.matched().or_else(|| Some(Err(Step::Dead(PathBuf::from(typed), Dead::NoMatch))))
    }

    fn listed(&mut self) -> Option<Result<PathBuf, Step>> {
        loop {
            let mut line = Vec::new();
            match self.list.as_mut()?.read_until(b'\n', &mut line) {
                Ok(0) => return None,
                Ok(_) => {}
                Err(error) => {
                    self.list = None;
                    return Some(Err(Step::Dead(PathBuf::from("the list"), Dead::Unreadable(error.to_string()))));
                }
            }
            let path = line.strip_suffix(b"\n").unwrap_or(&line);
            let path = path.strip_suffix(b"\r").unwrap_or(path);
            if !path.is_empty() {
                return Some(Ok(path_of_bytes(path)));
            }
        }
    }
}

impl Iterator for Walk {
    type Item = Step;

    fn next(&mut self) -> Option<Step> {
        loop {
            if let Some(step) = self.in_folder() {
                return Some(step);
            }
            match self.path()? {
                Err(step) => return Some(step),
                Ok(path) => {
                    if let Some(step) = self.enter(path) {
                        return Some(step);
                    }
                }
            }
        }
    }
}

fn is_pattern(typed: &str) -> bool {
    typed.contains(['*', '?', '['])
}

fn is_hidden(entry: &DirEntry) -> bool {
    entry.depth() > 0 && entry.file_name().to_string_lossy().starts_with('.')
}

/// What a run has written is no input of the next one, where the output lies among the inputs.
fn is_of_dataset(entry: &DirEntry) -> bool {
    let named = || dataset::ALL.iter().any(|name| entry.file_name() == *name);
    let beside = || entry.path().parent().is_some_and(|folder| folder.join(dataset::OURS).is_dir());
    entry.depth() > 0 && named() && beside()
}

/// A link that leads back to a folder above it holds nothing new; everything else that cannot be read is told.
fn dead_end(error: &walkdir::Error) -> Option<Step> {
    let path = error.path().unwrap_or(Path::new("")).to_owned();
    if let Some(above) = error.loop_ancestor() {
        tracing::warn!(target: "collect", "`{}` leads back to `{}`: passed over", path.display(), above.display());
        return None;
    }
    let missing = error.io_error().is_some_and(|error| error.kind() == io::ErrorKind::NotFound);
    let dead = if missing { Dead::Missing } else { Dead::Unreadable(error.to_string()) };
    Some(Step::Dead(path, dead))
}

fn open_list(path: &Path) -> Result<Box<dyn BufRead + Send>, String> {
    if path == Path::new("-") {
        return Ok(Box::new(BufReader::new(io::stdin())));
    }
    let opened =
        File::open(path).map_err(|error| format!("the list `{}` cannot be opened: {error}", path.display()))?;
    Ok(Box::new(BufReader::new(opened)))
}

#[cfg(unix)]
fn path_of_bytes(bytes: &[u8]) -> PathBuf {
    use std::os::unix::ffi::OsStrExt;
    PathBuf::from(std::ffi::OsStr::from_bytes(bytes))
}

#[cfg(not(unix))]
fn path_of_bytes(bytes: &[u8]) -> PathBuf {
    PathBuf::from(String::from_utf8_lossy(bytes).into_owned())
}
