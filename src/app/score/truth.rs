//! What is known: JSON lines, each with the end of a file's path, the record that belongs to it and, where a file has
//! several, its page.

use std::{
    cmp::Reverse,
    collections::HashMap,
    fs::File,
    io::{BufRead, BufReader},
    path::{Component, Path},
};

use serde::Deserialize;
use serde_json::{Map, Value};

use super::composed;
use crate::base::Fatal;

const SHAPE: &str = "one JSON object a line: {\"file\": \"scans/7.pdf\", \"page\": 2, \"record\": {...}}, `page` only where a file has several records";

/// What is known of one row: one line.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Truth {
    /// The end of the file's path: any number of its folders, and its name.
    pub file: String,
    /// From 1, as `_page` has it; absent: the first row of the file that no line which names as much of its path, and its
    /// page, is for. One that names less of the path may be about another file, whatever page it names.
    page: Option<i64>,
    /// What a row ought to hold. Columns that it does not name are not looked at.
    pub record: Map<String, Value>,
}

/// How well a line fits a row: parts of the path that it names, and whether it names the page.
type Fit = (usize, bool);

impl Truth {
    fn composed(self) -> Self {
        Self { file: composed::text(self.file), record: composed::object(self.record), ..self }
    }

    /// `None` where it is about another file or page.
    fn fit(&self, source: &str, page: Option<i64>) -> Option<Fit> {
        let (named, whole) = (components(&self.file), components(source));
        let parts = named.clone().count();
        let ends = parts <= whole.clone().count() && whole.rev().zip(named.rev()).all(|(one, other)| one == other);
        let on_page = self.page.is_none() || self.page == page;
        (ends && on_page).then_some((parts, self.page.is_some()))
    }
}

/// All lines of a file, each of which belongs to one row at most.
#[derive(Debug)]
pub(super) struct Truths {
    truths: Vec<(Truth, bool)>,
    /// Lines by the file's name.
    by_name: HashMap<String, Vec<usize>>,
}

impl Truths {
    /// Reads the file.
    ///
    /// # Errors
    /// When it cannot be read or a line is not of that shape.
    pub fn read(path: &Path) -> Result<Self, Fatal> {
        let cannot = |why: String| Fatal::new(format!("`{}`: {why}", path.display()), SHAPE);
        let file = File::open(path).map_err(|error| cannot(error.to_string()))?;
        let mut truths = Vec::new();
        for (number, line) in BufReader::new(file).lines().enumerate() {
            let line = line.map_err(|error| cannot(error.to_string()))?;
            if line.trim().is_empty() {
                continue;
            }
            let truth: Truth =
                serde_json::from_str(&line).map_err(|error| cannot(format!("line {}: {error}", number + 1)))?;
            truths.push((truth.composed(), false));
        }
        let mut by_name: HashMap<String, Vec<usize>> = HashMap::new();
        for (place, (truth, _)) in truths.iter().enumerate() {
            by_name.entry(name(&truth.file)).or_default().push(place);
        }
        Ok(Self { truths, by_name })
    }

    /// What is known of a composed row, once: the line that fits best, the first of equals. `None` where nothing is known
    /// of the row, or another row has had it.
    pub fn take(&mut self, row: &Value) -> Option<&Truth> {
        let (source, page) = (row["_source"].as_str()?, row["_page"].as_i64());
        let lines = self.by_name.get(&name(source))?;
        let open = lines.iter().copied().filter(|place| !self.truths[*place].1);
        let fitting = open.filter_map(|place| Some((self.truths[place].0.fit(source, page)?, Reverse(place))));
        let (_, Reverse(best)) = fitting.max()?;
        let (truth, taken) = &mut self.truths[best];
        *taken = true;
        Some(truth)
    }

    /// What no row has had.
    pub fn left(&self) -> impl Iterator<Item = &Truth> {
        self.truths.iter().filter(|(_, taken)| !taken).map(|(truth, _)| truth)
    }
}

fn components(path: &str) -> impl DoubleEndedIterator<Item = Component<'_>> + Clone {
    Path::new(path).components().filter(|part| !matches!(part, Component::CurDir))
}

fn name(path: &str) -> String {
    Path::new(path).file_name().unwrap_or_default().to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use std::fs;

    use serde_json::json;

    use super::*;

    fn truths(text: &str) -> Result<Truths, Fatal> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("truth.jsonl");
        fs::write(&path, text).unwrap();
        Truths::read(&path)
    }

    fn row(source: &str, page: Option<i64>) -> Value {
        json!({ "_source": source, "_page": page })
    }

    #[test]
    fn a_file_is_known_by_the_end_of_its_path_and_once() {
        let mut known = truths(
            "{\"file\": \"7.pdf\", \"record\": {\"of\": \"any\"}}\n\n{\"file\": \"b/7.pdf\", \"record\": {\"of\": \"b\"}}\n",
        )
        .unwrap();
        assert!(known.take(&row("/data/b/17.pdf", None)).is_none());
        assert_eq!(known.take(&row("/data/b/7.pdf", None)).unwrap().record["of"], "b");
        assert_eq!(known.take(&row("/data/c/7.pdf", None)).unwrap().record["of"], "any");
        assert!(known.take(&row("/data/c/7.pdf", None)).is_none());
        assert_eq!(known.left().count(), 0);
    }

    #[test]
    fn pages_have_records_of_their_own() {
        let line = |page| format!("{{\"file\": \"a.pdf\", \"page\": {page}, \"record\": {{\"page\": {page}}}}}\n");
        let mut known = truths(&(line(1) + &line(2) + &line(3))).unwrap();
        assert_eq!(known.take(&row("x/a.pdf", Some(2))).unwrap().record["page"], 2);
        assert!(known.take(&row("x/a.pdf", None)).is_none());
        assert_eq!(known.left().map(|truth| truth.record["page"].as_i64().unwrap()).collect::<Vec<_>>(), [1, 3]);
    }

    #[test]
    fn records_of_one_page_are_taken_in_their_order_and_a_line_without_a_page_leaves_the_others_theirs() {
        let line = |page: &str, of: u8| format!("{{\"file\": \"a.pdf\", {page}\"record\": {{\"of\": {of}}}}}\n");
        let mut known = truths(&[1, 2, 3].map(|of| line("\"page\": 1, ", of)).concat()).unwrap();
        let taken = [(); 3].map(|()| known.take(&row("x/a.pdf", Some(1))).unwrap().record["of"].clone());
        assert_eq!(taken, [1, 2, 3]);
        let mut known = truths(&(line("\"page\": 2, ", 2) + &line("", 1))).unwrap();
        let taken = [2, 1].map(|page| known.take(&row("x/a.pdf", Some(page))).unwrap().record["of"].clone());
        assert_eq!(taken, [2, 1]);
    }

    #[test]
    fn a_line_that_names_more_of_the_path_goes_before_one_that_names_the_page() {
        let mut known = truths(
            "{\"file\": \"a.pdf\", \"page\": 1, \"record\": {\"of\": \"other\"}}\n{\"file\": \"scans/a.pdf\", \"record\": {\"of\": \"scans\"}}\n",
        )
        .unwrap();
        let taken = ["scans/a.pdf", "other/a.pdf"]
            .map(|source| known.take(&row(source, Some(1))).unwrap().record["of"].clone());
        assert_eq!(taken, ["scans", "other"]);
    }

    #[test]
    fn accents_may_be_composed_or_not() {
        let mut known =
            truths("{\"file\": \"Mu\\u0308ller.pdf\", \"record\": {\"cafe\u{301}\": \"e\u{301}\"}}\n").unwrap();
        assert_eq!(known.take(&row("x/M\u{fc}ller.pdf", None)).unwrap().record["caf\u{e9}"], "\u{e9}");
    }

    #[test]
    fn a_line_of_another_shape_is_named() {
        let error = truths("{\"file\": \"a.pdf\", \"record\": {}}\n{\"path\": \"a.pdf\"}\n").unwrap_err();
        assert!(error.message.contains("line 2: unknown field `path`"), "{error:?}");
    }
}
