//! One dead letter: the folder of one failure.

use std::{
    collections::HashMap,
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

use serde_json::{Value, json};

use super::{
    Failed, Request,
    folder::{self, cannot_write},
    script::{self, Subject},
    settings::{Asked, Shelf},
    source::{self, Document, State},
};
use crate::{
    app::recorded::Made,
    base::{Fatal, Part, Source, name::name_of},
};

/// What a letter holds of what failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Enclosed {
    /// The part alone, in this file.
    Part(String),
    /// The whole document, in this file.
    Document(String),
    /// Nothing: it is named only.
    Nothing,
}

/// A folder that was written.
#[derive(Debug, Clone)]
pub struct Letter {
    /// Where.
    pub folder: PathBuf,
    /// The document and the part.
    pub origin: String,
    /// What it holds of them.
    pub enclosed: Enclosed,
    /// The source is not what it was then.
    pub changed: bool,
    /// What is worth knowing about it, one line each.
    pub remarks: Vec<String>,
}

impl Letter {
    /// True when what failed is there, as it was.
    pub fn is_whole(&self) -> bool {
        self.enclosed != Enclosed::Nothing && !self.changed
    }
}

/// Writes letter after letter.
pub struct Office<'a> {
    request: &'a Request,
    shelf: Shelf,
    /// The document of the last letter: failures of one document mostly come in a row.
    last: Option<([String; 2], Document)>,
    /// Where whole documents were copied to, by their path: no document is copied twice.
    copies: HashMap<PathBuf, PathBuf>,
}

impl<'a> Office<'a> {
    /// For the letters of one export.
    pub fn open(request: &'a Request) -> Self {
        Self { request, shelf: Shelf::default(), last: None, copies: HashMap::new() }
    }

    /// Writes the letter of a failure.
    ///
    /// # Errors
    /// When the folder cannot be written.
    pub fn write(&mut self, number: usize, row: Failed) -> Result<Letter, Fatal> {
        let folder = self.request.out.join(folder::name(number, &row));
        fs::create_dir(&folder).map_err(|error| cannot_write(&folder, &error))?;
        let document = self.document(&row);
        let mut letter = Letter {
            folder,
            origin: row.origin(),
            enclosed: Enclosed::Nothing,
            changed: matches!(document.state, State::Changed(_)),
            remarks: not_as_it_was(&document),
        };
        let asked = self.shelf.of(&row, self.request)?;
        let alone = enclose_part(&row, &document, asked, &mut letter);
        letter.enclosed = alone.or_else(|| self.copy(&row, &document, &mut letter)).unwrap_or(Enclosed::Nothing);
        self.describe(&row, &document, &letter)?;
        Ok(letter)
    }

    fn document(&mut self, row: &Failed) -> Document {
        let named = ["_source", "_hash"].map(|column| row.text(column).to_owned());
        let known = self.last.take().filter(|(name, _)| *name == named).map(|(_, document)| document);
        let document = known.unwrap_or_else(|| Document::of(row));
        self.last = Some((named, document.clone()));
        document
    }

    /// The whole document where it is not too large.
    fn copy(&mut self, row: &Failed, document: &Document, letter: &mut Letter) -> Option<Enclosed> {
        let bytes = document.bytes()?;
        if bytes > self.request.largest {
            letter.remarks.push(format!("the document is not copied: it has {bytes} bytes"));
            return None;
        }
        let name = format!("document.{}", folder::extension(row));
        let path = letter.folder.join(&name);
        let linked = self.copies.get(&document.path).is_some_and(|copy| fs::hard_link(copy, &path).is_ok());
        let copied = if linked { Ok(()) } else { source::copy(&document.path, &path) };
        match copied {
            Ok(()) => {
                self.copies.insert(document.path.clone(), path);
                Some(Enclosed::Document(name))
            }
            Err(why) => {
                let _ = fs::remove_file(&path);
                letter.remarks.push(format!("the document is not copied: {why}"));
                None
            }
        }
    }

    fn describe(&mut self, row: &Failed, document: &Document, letter: &Letter) -> Result<(), Fatal> {
        let Asked { made, folder, .. } = self.shelf.of(row, self.request)?;
        let facts = serde_json::to_string_pretty(&facts(row, document, letter, made)).unwrap_or_default();
        let outside = name_of(&document.path);
        let subject = match &letter.enclosed {
            Enclosed::Part(file) => Subject { file, pages: script::pages(row.part()).map(|_| "1".to_owned()) },
            Enclosed::Document(file) => Subject { file, pages: script::pages(row.part()) },
            Enclosed::Nothing => Subject { file: &outside, pages: script::pages(row.part()) },
        };
        let script = script::script(row, &subject, (made, folder), &self.request.program);
        put(&letter.folder.join("failure.json"), &(facts + "\n"))?;
        put(&letter.folder.join("log.txt"), &log(row, letter))?;
        let path = letter.folder.join("reproduce.sh");
        put(&path, &script)?;
        make_runnable(&path)
    }
}

fn not_as_it_was(document: &Document) -> Vec<String> {
    match &document.state {
        State::Same(_) => Vec::new(),
        state => vec![format!("the document: {}", state.words())],
    }
}

/// The part alone, where it is one and that can be had.
fn enclose_part(row: &Failed, document: &Document, asked: &mut Asked, letter: &mut Letter) -> Option<Enclosed> {
    let source = document.source(row).filter(|_| row.part() != Part::Whole)?;
    match cut(row, &source, asked, &letter.folder) {
        Ok((name, said)) => {
            letter.remarks.push(format!("the part is here alone: {said}"));
            Some(Enclosed::Part(name))
        }
        Err(why) => {
            letter.remarks.push(format!("the part is not here alone: {why}"));
            None
        }
    }
}

/// The name of the part's file, and how it behaves; or why there is none.
fn cut(row: &Failed, source: &Arc<Source>, asked: &mut Asked, folder: &Path) -> Result<(String, String), String> {
    let cut = asked.cutter.cut(row, source)?;
    let name = format!("part.{}", cut.slice.extension);
    let path = folder.join(&name);
    let written = fs::write(&path, &cut.slice.bytes).map_err(|error| error.to_string());
    let tried = written.and_then(|()| asked.cutter.try_alone(row, &cut, &path));
    if tried.is_err() {
        // A file that would mislead, or one that is not whole.
        let _ = fs::remove_file(&path);
    }
    tried.map(|said| (name, said))
}

fn facts(row: &Failed, document: &Document, letter: &Letter, made: &Made) -> Value {
    let (what, file) = match &letter.enclosed {
        Enclosed::Part(file) => ("part", Some(file)),
        Enclosed::Document(file) => ("document", Some(file)),
        Enclosed::Nothing => ("nothing", None),
    };
    json!({
        "failure": row.columns,
        "enclosed": { "what": what, "file": file },
        "source": { "path": name_of(&document.path), "state": document.state.words() },
        "remarks": letter.remarks,
        "made_by": made.program,
        "exported_by": concat!("lapidary ", env!("CARGO_PKG_VERSION")),
    })
}

/// What was said then, and what was said now.
fn log(row: &Failed, letter: &Letter) -> String {
    let mut lines = vec![
        format!("{} {}/{}: {}", row.line("at"), row.line("stage"), row.line("kind"), row.origin()),
        row.line("message"),
        format!("hint: {}", row.line("hint")),
    ];
    if !row.text("limit").is_empty() {
        lines.push(format!("limit: {}", row.line("limit")));
    }
    lines.extend(letter.remarks.iter().map(|remark| format!("at the export: {remark}")));
    lines.join("\n") + "\n"
}

fn put(path: &Path, text: &str) -> Result<(), Fatal> {
    fs::write(path, text).map_err(|error| cannot_write(path, &error))
}

#[cfg(unix)]
fn make_runnable(path: &Path) -> Result<(), Fatal> {
    use std::os::unix::fs::PermissionsExt;
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).map_err(|error| cannot_write(path, &error))
}

#[cfg(not(unix))]
fn make_runnable(_path: &Path) -> Result<(), Fatal> {
    Ok(())
}
