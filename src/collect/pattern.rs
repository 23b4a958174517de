//! A pattern among the inputs, such as `scans/**/*.pdf`: the folder that it begins in, and what it takes of that folder.

use std::path::{Path, PathBuf, is_separator};

use glob::MatchOptions;

use crate::base::name::{name_of, path_of, plain};

/// The signs that make a pattern of a path.
const SIGNS: [char; 3] = ['*', '?', '['];

/// What now, where a name has no meaning as a pattern.
const SYNTAX: &str = "a `[` wants its `]` in the same name (`[[]` is the sign itself), and `**` is a name of its own";

/// A pattern, parted where its first sign stands. Names are matched as the dataset has them, whatever bytes they are of.
#[derive(Debug)]
pub struct Pattern {
    typed: String,
    /// The folder before the first sign.
    root: PathBuf,
    /// What the names below it must be, one after the other.
    steps: Vec<glob::Pattern>,
    hidden: bool,
    /// It ends with a separator: files are not meant.
    folders_alone: bool,
}

/// True for what is a pattern, unless a file has that very name.
pub fn is_pattern(typed: &str) -> bool {
    typed.contains(SIGNS)
}

impl Pattern {
    /// What was typed, name by name. A name with a dot in front takes a dot in front, unless `hidden` is true.
    ///
    /// # Errors
    /// When a name is no pattern by itself, as where a sign spans two names: what is wrong and what to write.
    pub fn new(typed: &str, hidden: bool) -> Result<Self, String> {
        let (before, behind) = typed.split_at(first_name(typed));
        let names = behind.split(is_separator).filter(|name| !matches!(*name, "" | "."));
        let step = |name: &str| {
            let problem = |error: glob::PatternError| format!("pattern `{typed}`: `{name}`: {}; {SYNTAX}", error.msg);
            glob::Pattern::new(name).map_err(problem)
        };
        let steps = names.map(step).collect::<Result<Vec<_>, String>>()?;
        let folders_alone = typed.ends_with(is_separator);
        Ok(Self { typed: typed.to_owned(), root: folder(before), steps, hidden, folders_alone })
    }

    /// As it was typed.
    pub fn typed(&self) -> &str {
        &self.typed
    }

    /// The folder to look through.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// True when it takes what lies at a path, the root or below it; of a folder all that is in it.
    pub fn takes(&self, path: &Path, is_folder: bool) -> bool {
        let names = self.names(path);
        let meant = is_folder || !(self.folders_alone || names.is_empty());
        meant && self.fits(&self.steps, &names, false)
    }

    /// True when it may take something in the folder at a path, the root or below it.
    pub fn leads_into(&self, path: &Path) -> bool {
        self.fits(&self.steps, &self.names(path), true)
    }

    fn names(&self, path: &Path) -> Vec<String> {
        let below = path.strip_prefix(&self.root).unwrap_or(path);
        below.components().map(|name| name_of(name.as_ref())).collect()
    }

    /// After which of its steps a folder, the root or below it, may stand: what it takes of a folder follows from that.
    pub fn steps_at(&self, folder: &Path) -> Vec<usize> {
        let names = self.names(folder);
        (0..=self.steps.len()).filter(|&steps| self.fits(&self.steps[..steps], &names, false)).collect()
    }

    /// True when the names are what all steps ask for or, `partly`, what the first of them do.
    fn fits(&self, steps: &[glob::Pattern], names: &[String], partly: bool) -> bool {
        let (Some((step, later)), Some((name, deeper))) = (steps.split_first(), names.split_first()) else {
            return names.is_empty() && (partly || steps.iter().all(is_any_depth));
        };
        if is_any_depth(step) {
            return self.fits(later, names, partly) || (self.sees(name) && self.fits(steps, deeper, partly));
        }
        self.is_met(step, name) && self.fits(later, deeper, partly)
    }

    /// Where a step has signs, upper and lower case are the same.
    fn is_met(&self, step: &glob::Pattern, name: &str) -> bool {
        let shown = self.sees(name) || step.as_str().starts_with('.');
        let case_sensitive = !is_pattern(step.as_str());
        shown && step.matches_with(name, MatchOptions { case_sensitive, ..MatchOptions::default() })
    }

    fn sees(&self, name: &str) -> bool {
        self.hidden || !name.starts_with('.')
    }
}

fn is_any_depth(step: &glob::Pattern) -> bool {
    step.as_str() == "**"
}

/// Where the first name with a sign begins.
fn first_name(typed: &str) -> usize {
    let before = &typed[..typed.find(SIGNS).unwrap_or(typed.len())];
    before.rfind(is_separator).map_or(0, |place| place + 1)
}

/// The folder of that name; the present one where there is none.
fn folder(name: &str) -> PathBuf {
    let folder = plain(&path_of(name));
    if folder.as_os_str().is_empty() { PathBuf::from(".") } else { folder }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Of these files those that are taken by themselves, in folders that are looked into.
    fn taken<'a>(typed: &str, hidden: bool, files: &[&'a str]) -> Vec<&'a str> {
        let pattern = Pattern::new(typed, hidden).unwrap();
        let is_taken = |file: &&str| {
            let mut folders = Path::new(*file).ancestors().skip(1).take_while(|path| path.starts_with(pattern.root()));
            pattern.takes(Path::new(*file), false) && folders.all(|folder| pattern.leads_into(folder))
        };
        files.iter().copied().filter(is_taken).collect()
    }

    #[test]
    fn a_pattern_takes_what_it_matches_and_looks_nowhere_else() {
        let files = ["a/1.txt", "a/b/2.txt", "a/b/c/3.TXT", "a/b/c/4.md", "a/.h/5.txt", "a/b/.6.txt"];
        assert_eq!(taken("a/*.txt", false, &files), ["a/1.txt"]);
        assert_eq!(taken("a/?/*", false, &files), ["a/b/2.txt"]);
        assert_eq!(taken("a/**/*.txt", false, &files), files[..3]);
        assert_eq!(taken("a/**/c/*", false, &files), files[2..4]);
        assert_eq!(taken("a/**", false, &files), files[..4]);
        assert_eq!(taken("a//*/./*", false, &files), ["a/b/2.txt"]);
        assert_eq!(taken("a/*/2.TXT", false, &files), [] as [&str; 0], "a name is that name");
        assert_eq!(taken("a/*/", false, &files), [] as [&str; 0], "folders alone");
        let pattern = Pattern::new("a/b*/*.txt", false).unwrap();
        assert!(pattern.leads_into(Path::new("a")) && pattern.leads_into(Path::new("a/bc")));
        assert!(!pattern.leads_into(Path::new("a/c")) && !pattern.leads_into(Path::new("a/bc/d")));
        assert!(Pattern::new("a/**", false).unwrap().takes(Path::new("a"), true));
    }

    #[test]
    fn a_dot_in_front_takes_a_dot() {
        let files = ["a/.h/5.txt", "a/b/.6.txt"];
        assert_eq!(taken("a/**/*.*", false, &files), [] as [&str; 0]);
        assert_eq!(taken("a/**/*.*", true, &files), files);
        assert_eq!(taken("a/**/.*/*.*", false, &files), files[..1]);
        assert_eq!(taken("a/*/.*", false, &files), files[1..]);
    }

    #[test]
    fn a_pattern_begins_in_the_folder_before_its_first_sign() {
        let root = |typed: &str| Pattern::new(typed, false).unwrap().root;
        let roots = ["*.txt", "./*", "a/b/c*", "./a//b/*/c", "../?", "/*"].map(root);
        assert_eq!(roots, [".", ".", "a/b", "a/b", "..", "/"].map(PathBuf::from));
        assert!(Pattern::new("a/[b/c]", false).is_err(), "a sign over two names");
    }
}
