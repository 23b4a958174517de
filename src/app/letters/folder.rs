//! The folder that letters go to, and the names in it.

use std::{fs, io, path::Path};

use super::Failed;
use crate::base::{Fatal, Part};

/// Longest piece of a name that comes from the document's own.
const LONGEST: usize = 40;

/// Makes the folder.
///
/// # Errors
/// When it holds anything, or cannot be made.
pub fn create(out: &Path) -> Result<(), Fatal> {
    fs::create_dir_all(out).map_err(|error| cannot_write(out, &error))?;
    let mut entries = fs::read_dir(out).map_err(|error| cannot_write(out, &error))?;
    match entries.next() {
        None => Ok(()),
        Some(_) => {
            Err(Fatal::new(format!("`{}` is not empty", out.display()), "name a new folder, or move that one away"))
        }
    }
}

/// Why a write did not work.
pub fn cannot_write(path: &Path, error: &io::Error) -> Fatal {
    let message = format!("`{}` cannot be written: {error}", path.display());
    Fatal::new(message, "name a folder that can be written to, on a disk with room")
}

/// The name of a letter's folder: what happened to whom, in characters that every system and shell takes.
pub fn name(number: usize, row: &Failed) -> String {
    let stem = Path::new(row.text("_source")).file_stem().unwrap_or_default().to_string_lossy().into_owned();
    let part = match row.part() {
        Part::Whole => String::new(),
        Part::Page { number, .. } => format!("-page-{number}"),
        Part::Pages { first, last, .. } => format!("-pages-{first}-{last}"),
        Part::Time { start, .. } => format!("-from-{start:.0}s"),
        Part::Frames { start, .. } => format!("-frames-from-{start:.0}s"),
        Part::Text { start, .. } => format!("-from-character-{start}"),
    };
    format!("{number:05}-{}-{}-{}{part}", plain(row.text("stage")), plain(row.text("kind")), plain(&stem))
}

/// The end of a document's name where it is an ordinary one, else what fits its kind.
pub fn extension(row: &Failed) -> String {
    let own = Path::new(row.text("_source")).extension().map(|end| end.to_string_lossy().into_owned());
    let ordinary = |end: &String| (1..=8).contains(&end.len()) && end.bytes().all(|one| one.is_ascii_alphanumeric());
    own.filter(ordinary).unwrap_or_else(|| "bin".to_owned())
}

fn plain(text: &str) -> String {
    let plain = |one: char| if one.is_ascii_alphanumeric() || one == '_' { one } else { '-' };
    text.chars().take(LONGEST).map(plain).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn no_name_of_a_document_leads_out_of_the_folder() {
        let row = |source: &str| {
            Failed::new(json!({ "_source": source, "_part": "page", "_page": 3, "stage": "decode", "kind": "corrupt" }))
        };
        assert_eq!(name(7, &row("a/../b c.pdf")), "00007-decode-corrupt-b-c-page-3");
        assert_eq!(name(7, &row("..")), "00007-decode-corrupt--page-3");
        assert_eq!(name(1, &row("$(x)\n\u{1b}.pdf")), "00001-decode-corrupt---x----page-3");
        assert_eq!(
            ["a.PDF", "a.p/f", "a.$(x)", "a"].map(|source| extension(&row(source))),
            ["PDF", "bin", "bin", "bin"]
        );
    }
}
