//! A folder of small documents, a pipeline over it, and datasets to compare.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
};

use serde_json::Value;
use tempfile::TempDir;

use crate::cli::{code, errors, shown, text};

/// What is in the folder: fixtures by another name, and texts.
const FIXTURES: [(&str, &str); 5] = [
    ("documents/form.pdf", "a.pdf"),
    ("documents/invoice.pdf", "b.pdf"),
    ("pictures/receipt.jpg", "c.jpg"),
    ("broken/one-bad-page.pdf", "d.pdf"),
    ("broken/truncated.jpg", "e.jpg"),
];
const TEXTS: usize = 6;

/// Columns that tell of the run and not of the document. Drafts come from answers of before, so steps differ too.
const FLEETING: [&str; 13] = [
    "_written_at",
    "at",
    "_encode_ms",
    "_prefill_ms",
    "_decode_ms",
    "_steps",
    "_forced_tokens",
    "_drafted_tokens",
    "_accepted_tokens",
    "_mean_logprob",
    "mean_logprob",
    "_config",
    "_tries",
];

pub struct Archive {
    folder: TempDir,
}

impl Archive {
    pub fn new() -> Self {
        let archive = Self::of(&FIXTURES);
        for number in 0..TEXTS {
            fs::write(archive.input(&format!("t{number}.txt")), format!("Text number {number}.")).unwrap();
        }
        fs::copy(archive.input("t0.txt"), archive.input("t9.txt")).unwrap();
        fs::write(archive.input("unknown.bin"), [7, 1, 0, 255]).unwrap();
        archive
    }

    /// One with nothing but these fixtures, by these names.
    pub fn of(fixtures: &[(&str, &str)]) -> Self {
        let archive = Self { folder: tempfile::tempdir().unwrap() };
        fs::create_dir(archive.inputs()).unwrap();
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures");
        for (from, to) in fixtures {
            fs::copy(root.join(from), archive.input(to)).unwrap();
        }
        archive.pipeline("");
        archive
    }

    pub fn inputs(&self) -> PathBuf {
        self.folder.path().join("in")
    }

    pub fn input(&self, name: &str) -> PathBuf {
        self.inputs().join(name)
    }

    pub fn out(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Writes the pipeline anew, with more settings in it.
    pub fn pipeline(&self, more: &str) {
        self.pipeline_asking("Describe.", "", more);
    }

    pub fn pipeline_asking(&self, prompt: &str, parse: &str, more: &str) {
        let root = env!("CARGO_MANIFEST_DIR");
        let text = format!(
            "name = \"continuing\"\nmodel = \"{root}/onnx/tiny\"\nallowed_failures = 1.0\n[encode]\nbudget = 70\nprompt = \
             \"{prompt}\"\n[generate]\nmax_tokens = 160\nslots = 2\ndecoder = \"sequences\"\n[parse]\nschema = \"{root}/schemas/demo.json\"\n{parse}\n\
             [write]\nrows_per_part = 3\n{more}\n"
        );
        fs::write(self.folder.path().join("pipeline.toml"), text).unwrap();
    }

    /// The pipeline over the same schema, but for what it says of the title and of what is in a list.
    pub fn pipeline_describing(&self, words: &str) {
        let usual = Path::new(env!("CARGO_MANIFEST_DIR")).join("schemas/demo.json");
        let mut schema: Value = serde_json::from_slice(&fs::read(&usual).unwrap()).unwrap();
        schema["properties"]["title"]["description"] = words.into();
        schema["properties"]["keywords"]["items"]["description"] = words.into();
        let (own, pipeline) = (self.out("schema.json"), self.out("pipeline.toml"));
        fs::write(&own, schema.to_string()).unwrap();
        self.pipeline("");
        let text_of_pipeline = fs::read_to_string(&pipeline).unwrap();
        fs::write(pipeline, text_of_pipeline.replace(text(&usual), text(&own))).unwrap();
    }

    pub fn command(&self, out: &Path, more: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_lapidary"));
        let pipeline = self.folder.path().join("pipeline.toml");
        command.args(["run", text(&pipeline), text(&self.inputs()), "--device", "cpu", "--output", text(out)]);
        command.args(more).current_dir(env!("CARGO_MANIFEST_DIR")).stdin(Stdio::null());
        command
    }

    /// Runs to the end.
    pub fn run(&self, out: &Path, more: &[&str]) -> (Output, Value) {
        let output = self.command(out, more).output().unwrap();
        assert_eq!(code(&output), 0, "{}", errors(&output));
        let report = serde_json::from_slice(&fs::read(out.join("run.json")).unwrap()).unwrap();
        (output, report)
    }
}

/// What a dataset says of its documents, in an order of its own.
pub fn content(out: &Path) -> Vec<String> {
    let rows = shown(out, &[]).into_iter().chain(shown(out, &["--failures"]));
    let mut lines: Vec<String> = rows
        .map(|mut row| {
            let parts = row["_parts"].as_array().cloned().unwrap_or_default().len();
            let rows = std::iter::once(String::new()).chain((0..parts).map(|part| format!("/_parts/{part}")));
            for place in rows {
                let columns = row.pointer_mut(&place).and_then(Value::as_object_mut).unwrap();
                columns.retain(|name, _| !FLEETING.contains(&name.as_str()));
            }
            row.to_string()
        })
        .collect();
    lines.sort();
    lines
}

/// The parts of a dataset with their bytes.
pub fn parts(out: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let tables = ["extractions", "failures"];
    let entries = tables.iter().flat_map(|table| fs::read_dir(out.join(table)).unwrap());
    let mut parts: Vec<_> =
        entries.map(|entry| entry.unwrap().path()).map(|path| (path.clone(), fs::read(path).unwrap())).collect();
    parts.sort();
    parts
}

pub fn total(report: &Value, name: &str) -> u64 {
    report["totals"][name].as_u64().unwrap_or_else(|| panic!("no {name} in {report}"))
}

/// The names of all files with rows, and with failures.
pub fn sources(out: &Path, more: &[&str]) -> Vec<String> {
    let mut names: Vec<String> = shown(out, more)
        .iter()
        .map(|row| Path::new(row["_source"].as_str().unwrap()).file_name().unwrap().to_string_lossy().into_owned())
        .collect();
    names.sort();
    names
}
