//! A folder, walked in a stable order: all that is in it, or what a pattern takes.

use std::{
    collections::HashSet,
    io,
    path::{Path, PathBuf},
};

use walkdir::{DirEntry, IntoIter, WalkDir};

use super::{
    pattern::Pattern,
    walk::{Dead, Step},
};
use crate::base::{
    dataset,
    name::{path_of, plain},
};

/// The walk through one folder.
pub struct Folder {
    entries: IntoIter,
    hidden: bool,
    sieve: Option<Sieve>,
    /// The folders that were looked into, and what for.
    entered: HashSet<(Identity, Aim)>,
}

/// What a folder is looked into for: all that is in it, or what is left of a pattern there, by its steps.
type Aim = Option<Vec<usize>>;

/// What a pattern lets through.
struct Sieve {
    pattern: Pattern,
    /// The folder that was taken last, with all that is in it.
    taken: Option<PathBuf>,
    /// Something was taken.
    found: bool,
}

/// What becomes of an entry.
enum Fate {
    /// It is taken, if it is a file.
    Taken,
    /// A folder that is looked into.
    Entered,
    /// It is left, with all that is in it.
    Left,
}

impl Folder {
    /// All that is in the folder at `path`.
    pub fn whole(path: &Path, hidden: bool) -> Self {
        Self { entries: entries(path), hidden, sieve: None, entered: HashSet::new() }
    }

    /// What a pattern takes.
    pub fn matching(pattern: Pattern, hidden: bool) -> Self {
        let entries = entries(pattern.root());
        let sieve = Some(Sieve { pattern, taken: None, found: false });
        Self { entries, hidden, sieve, entered: HashSet::new() }
    }

    fn come_upon(&mut self, entry: &DirEntry) -> Option<Step> {
        let fate = self.fate(entry);
        if !entry.file_type().is_dir() {
            return matches!(fate, Fate::Taken).then(|| Step::File(plain(entry.path())));
        }
        if matches!(fate, Fate::Left) || self.leads_to_nothing_new(entry) {
            self.entries.skip_current_dir();
        }
        None
    }

    /// True of a link to a folder that was looked into already: what is there has been found under another name. Folders
    /// that link to each other have more paths than anyone can walk. The folder itself is walked all the same, so that what
    /// is in it has that name too.
    fn leads_to_nothing_new(&mut self, entry: &DirEntry) -> bool {
        let Some(folder) = identity(entry) else { return false };
        let aim = self.aim(entry.path());
        let is_first = self.entered.insert((folder, aim));
        let passed_over = !is_first && entry.depth() > 0 && entry.path_is_symlink();
        if passed_over {
            let path = entry.path().display();
            tracing::warn!(target: "collect", "`{path}` leads to a folder that was walked already: passed over");
        }
        passed_over
    }

    /// The same folder is looked into for other files where a pattern asks for its name.
    fn aim(&self, folder: &Path) -> Aim {
        let sieve = self.sieve.as_ref().filter(|sieve| !sieve.is_within(folder))?;
        Some(sieve.pattern.steps_at(folder))
    }

    fn fate(&mut self, entry: &DirEntry) -> Fate {
        let shown = self.hidden || !is_hidden(entry);
        match &mut self.sieve {
            _ if is_of_dataset(entry) => Fate::Left,
            Some(sieve) if !sieve.is_within(entry.path()) => sieve.fate(entry),
            _ if shown => Fate::Taken,
            _ => Fate::Left,
        }
    }

    /// What cannot be read, where it is wanted.
    fn come_upon_trouble(&mut self, error: &walkdir::Error) -> Option<Step> {
        let (dead, path) = (dead_end(error)?, path_in(error));
        let wanted = self.sieve.as_mut().is_none_or(|sieve| sieve.wants(path));
        wanted.then(|| Step::Dead(plain(path), dead))
    }
}

impl Iterator for Folder {
    type Item = Step;

    fn next(&mut self) -> Option<Step> {
        while let Some(entry) = self.entries.next() {
            let step = match entry {
                Ok(entry) => self.come_upon(&entry),
                Err(error) => self.come_upon_trouble(&error),
            };
            if step.is_some() {
                return step;
            }
        }
        let sieve = self.sieve.take().filter(|sieve| !sieve.found)?;
        Some(Step::Dead(path_of(sieve.pattern.typed()), Dead::NoMatch))
    }
}

impl Sieve {
    /// True within a folder that was taken.
    fn is_within(&self, path: &Path) -> bool {
        self.taken.as_deref().is_some_and(|taken| path.starts_with(taken))
    }

    fn fate(&mut self, entry: &DirEntry) -> Fate {
        let (path, is_folder) = (entry.path(), entry.file_type().is_dir());
        if self.pattern.takes(path, is_folder) {
            (self.found, self.taken) = (true, is_folder.then(|| path.to_owned()));
            return Fate::Taken;
        }
        if is_folder && self.pattern.leads_into(path) { Fate::Entered } else { Fate::Left }
    }

    /// True for what the pattern takes and for folders that it leads into.
    fn wants(&mut self, path: &Path) -> bool {
        let is_folder = path.is_dir();
        let led = is_folder && self.pattern.leads_into(path);
        let wanted = led || self.is_within(path) || self.pattern.takes(path, is_folder);
        self.found |= wanted;
        wanted
    }
}

fn entries(path: &Path) -> IntoIter {
    WalkDir::new(path).follow_links(true).sort_by_file_name().into_iter()
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

/// What tells a folder from all others, whatever name leads to it: its device and its number there.
#[cfg(unix)]
type Identity = (u64, u64);

#[cfg(unix)]
fn identity(folder: &DirEntry) -> Option<Identity> {
    use std::os::unix::fs::MetadataExt;
    folder.metadata().ok().map(|facts| (facts.dev(), facts.ino()))
}

/// What tells a folder from all others, whatever name leads to it: the path without links.
#[cfg(not(unix))]
type Identity = PathBuf;

#[cfg(not(unix))]
fn identity(folder: &DirEntry) -> Option<Identity> {
    folder.path().canonicalize().ok()
}

/// A link that leads back to a folder above it holds nothing new; everything else that cannot be read is told.
fn dead_end(error: &walkdir::Error) -> Option<Dead> {
    if let Some(above) = error.loop_ancestor() {
        let path = path_in(error).display();
        tracing::warn!(target: "collect", "`{path}` leads back to `{}`: passed over", above.display());
        return None;
    }
    let missing = error.io_error().is_some_and(|error| error.kind() == io::ErrorKind::NotFound);
    Some(if missing { Dead::Missing } else { Dead::Unreadable(error.to_string()) })
}

fn path_in(error: &walkdir::Error) -> &Path {
    error.path().unwrap_or(Path::new(""))
}
