//! From what the user typed to paths of files, one after the other in a stable order.

use std::{
    collections::VecDeque,
    fs::File,
    io::{self, BufRead, BufReader},
    path::{Path, PathBuf},
};

use super::{
    Inputs, Settings,
    folder::Folder,
    pattern::{Pattern, is_pattern},
};
use crate::base::name::{path_of, plain};

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

/// What a name that was typed stands for.
enum Typed {
    Path(PathBuf),
    Pattern(Pattern),
}

/// The walk; call [`Iterator::next`] until it ends.
pub struct Walk {
    hidden: bool,
    typed: VecDeque<Typed>,
    list: Option<Box<dyn BufRead + Send>>,
    folder: Option<Folder>,
    /// The folder that was entered last, where it was named itself, until a step in it is taken.
    entered: Option<PathBuf>,
    vacant: Vec<PathBuf>,
}

impl Walk {
    /// Prepares the walk.
    ///
    /// # Errors
    /// Every input that can never work, one line each: a broken pattern, a list that cannot be opened, no input.
    pub fn new(settings: &Settings, inputs: &Inputs) -> Result<Self, Vec<String>> {
        let (mut typed, mut problems) = (VecDeque::new(), Vec::new());
        for name in &inputs.paths {
            match Typed::new(name, settings.hidden) {
                Ok(name) => typed.push_back(name),
                Err(problem) => problems.push(problem),
            }
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
        Ok(Self { hidden: settings.hidden, typed, list, folder: None, entered: None, vacant: Vec::new() })
    }

    /// The folders that were named and walked to their end, and gave no step. No failures, since an empty folder is no mistake.
    pub fn into_vacant(self) -> Vec<PathBuf> {
        self.vacant
    }

    fn enter(&mut self, path: &Path) -> Option<Step> {
        let path = plain(path);
        match path.metadata() {
            Ok(facts) if facts.is_dir() => {
                self.folder = Some(Folder::whole(&path, self.hidden));
                self.entered = Some(path);
                None
            }
            Ok(_) => Some(Step::File(path)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Some(Step::Dead(path, Dead::Missing)),
            Err(error) => Some(Step::Dead(path, Dead::Unreadable(error.to_string()))),
        }
    }

    fn in_folder(&mut self) -> Option<Step> {
        let step = self.folder.as_mut()?.next();
        let untouched = self.entered.take();
        if step.is_none() {
            self.folder = None;
            self.vacant.extend(untouched);
        }
        step
    }

    fn enter_typed(&mut self, typed: Typed) -> Option<Step> {
        match typed {
            Typed::Path(path) => self.enter(&path),
            Typed::Pattern(pattern) => {
                self.folder = Some(Folder::matching(pattern, self.hidden));
                None
            }
        }
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
            let step = match self.typed.pop_front() {
                Some(typed) => self.enter_typed(typed),
                None => self.listed()?.map_or_else(Some, |path| self.enter(&path)),
            };
            if step.is_some() {
                return step;
            }
        }
    }
}

impl Typed {
    /// A file or folder of that name, else a pattern where it has signs of one.
    fn new(typed: &str, hidden: bool) -> Result<Self, String> {
        let path = path_of(typed);
        if !is_pattern(typed) || path.symlink_metadata().is_ok() {
            return Ok(Self::Path(path));
        }
        Pattern::new(typed, hidden).map(Self::Pattern)
    }
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
