//! One hostile file: its name, what it is made of, and what must become of it.

use std::{fs, path::Path};

use lapidary::base::{FaultKind, name::path_of};

/// What stands under a name.
pub enum Made {
    /// A file with these bytes.
    File(Vec<u8>),
    /// A symbolic link to this.
    Link(&'static str),
    /// A named pipe that nobody writes to.
    Pipe,
}

/// What must become of it.
#[derive(Debug, Clone, Copy)]
pub enum Becomes {
    /// Rows and no failure.
    Rows,
    /// Failures, each of one of these kinds, and no row.
    Failures(&'static [FaultKind]),
    /// Both: some parts come through, the others fail with one of these kinds.
    Both(&'static [FaultKind]),
    /// At least one of the two: how much a parser forgives is its own affair, but it may fail with these kinds only.
    Either(&'static [FaultKind]),
}

/// A member of the catalogue. Its name is that of a path below the folder of the corpus.
pub struct Case {
    pub name: String,
    pub made: Made,
    pub becomes: Becomes,
}

impl Case {
    pub fn new(name: impl Into<String>, made: Made, becomes: Becomes) -> Self {
        Self { name: name.into(), made, becomes }
    }

    /// Puts it where it belongs below `folder`.
    pub fn lay(&self, folder: &Path) {
        let path = folder.join(path_of(&self.name));
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        match &self.made {
            Made::File(bytes) => fs::write(path, bytes).unwrap(),
            Made::Link(target) => std::os::unix::fs::symlink(target, path).unwrap(),
            Made::Pipe => rustix::fs::mkfifoat(rustix::fs::CWD, &path, rustix::fs::Mode::RWXU).unwrap(),
        }
    }

    /// What is wrong with its fate: so many rows, and failures of these kinds.
    pub fn judge(&self, rows: usize, kinds: &[&str]) -> Option<String> {
        let only = |allowed: &[FaultKind]| kinds.iter().all(|kind| allowed.iter().any(|one| one.as_str() == *kind));
        let holds = match self.becomes {
            Becomes::Rows => rows > 0 && kinds.is_empty(),
            Becomes::Failures(allowed) => rows == 0 && !kinds.is_empty() && only(allowed),
            Becomes::Both(allowed) => rows > 0 && !kinds.is_empty() && only(allowed),
            Becomes::Either(allowed) => rows + kinds.len() > 0 && only(allowed),
        };
        (!holds).then(|| format!("{}: {rows} rows and {kinds:?}, where it must be {:?}", self.name, self.becomes))
    }
}

/// The cases of one folder, whose files are given one by one.
pub struct Family {
    folder: &'static str,
    pub cases: Vec<Case>,
}

impl Family {
    pub fn new(folder: &'static str) -> Self {
        Self { folder, cases: Vec::new() }
    }

    pub fn rows(&mut self, name: &str, bytes: impl Into<Vec<u8>>) {
        self.add(name, bytes, Becomes::Rows);
    }

    pub fn fails(&mut self, name: &str, bytes: impl Into<Vec<u8>>, kinds: &'static [FaultKind]) {
        self.add(name, bytes, Becomes::Failures(kinds));
    }

    pub fn both(&mut self, name: &str, bytes: impl Into<Vec<u8>>, kinds: &'static [FaultKind]) {
        self.add(name, bytes, Becomes::Both(kinds));
    }

    pub fn either(&mut self, name: &str, bytes: impl Into<Vec<u8>>, kinds: &'static [FaultKind]) {
        self.add(name, bytes, Becomes::Either(kinds));
    }

    fn add(&mut self, name: &str, bytes: impl Into<Vec<u8>>, becomes: Becomes) {
        self.cases.push(Case::new(format!("{}/{name}", self.folder), Made::File(bytes.into()), becomes));
    }
}
