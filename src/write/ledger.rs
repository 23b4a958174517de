//! The ledger: one line for each document that is through and whose rows and failures are published. What has no line is
//! looked at again, and what is in the parts is not asked again; so a lost line costs time and nothing else.

use std::{
    collections::HashMap,
    fs::File,
    io::{self, BufRead, BufReader, Seek, Write},
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

use super::{
    asked::RunIdentity,
    failpoint::{Point, pass},
    folder,
    keys::DocumentKey,
};
use crate::base::{Fatal, Kind};

/// What is known of a document that is through.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// Its content.
    pub document: DocumentKey,
    /// What it was asked: the model, and the settings that decide its answers and its units.
    pub asked: String,
    /// The settings that decide whether there are answers.
    pub chances: String,
    /// Its units.
    pub units: u64,
    /// Its rows, under one name.
    pub rows: u64,
    /// Its failures.
    pub failures: u64,
}

impl Entry {
    /// True when nothing new would come of the document in this run.
    pub fn holds(&self, run: &RunIdentity, kind: Kind, retry_failures: bool) -> bool {
        let as_before = self.chances == chances(run, kind) && !retry_failures;
        self.asked == asked(run, kind) && (self.failures == 0 || as_before)
    }
}

/// What a document of this kind is asked in this run.
pub fn asked(run: &RunIdentity, kind: Kind) -> String {
    let config = run.config(Some(kind));
    short(&[&run.model, &config.answers, &config.units])
}

/// What decides in this run whether a document of this kind is answered.
pub fn chances(run: &RunIdentity, kind: Kind) -> String {
    short(&[&run.config(Some(kind)).failures])
}

fn short(texts: &[&str]) -> String {
    blake3::hash(texts.join("\n").as_bytes()).to_hex()[..16].to_owned()
}

/// The file, open for more lines.
#[derive(Debug)]
pub struct Ledger {
    file: File,
    path: PathBuf,
}

impl Ledger {
    /// Opens the ledger at `path` and gives what it holds: of each document the last line. A line that a kill has cut is
    /// cut off.
    ///
    /// # Errors
    /// When the file cannot be read or written.
    pub fn open(path: &Path) -> Result<(Self, HashMap<DocumentKey, Entry>), Fatal> {
        let cannot = |error: io::Error| folder::cannot_write(path, &error);
        let mut file =
            File::options().read(true).write(true).create(true).truncate(false).open(path).map_err(cannot)?;
        let (entries, whole) = read(&file).map_err(cannot)?;
        file.set_len(whole).and_then(|()| file.seek(io::SeekFrom::End(0))).map_err(cannot)?;
        Ok((Self { file, path: path.to_owned() }, entries))
    }

    /// Adds lines and makes them last.
    ///
    /// # Errors
    /// When they cannot be written.
    pub fn append(&mut self, entries: &[Entry]) -> Result<(), Fatal> {
        let cannot = |error: io::Error| folder::cannot_write(&self.path, &error);
        let lines = entries.iter().map(serde_json::to_string).collect::<Result<Vec<String>, _>>();
        let text = lines.map_err(|error| cannot(error.into()))?.join("\n") + "\n";
        if entries.is_empty() {
            return Ok(());
        }
        let (begin, end) = text.split_at(text.len() / 2);
        self.file.write_all(begin.as_bytes()).and_then(|()| pass(Point::LedgerTorn)).map_err(cannot)?;
        self.file.write_all(end.as_bytes()).and_then(|()| self.file.sync_data()).map_err(cannot)?;
        pass(Point::LedgerWritten).map_err(cannot)
    }
}

/// The entries, and the bytes of all whole lines. A line that cannot be read says nothing: its document is looked at again.
fn read(file: &File) -> io::Result<(HashMap<DocumentKey, Entry>, u64)> {
    let (mut entries, mut whole) = (HashMap::new(), 0);
    let mut lines = BufReader::new(file);
    let mut line = Vec::new();
    while lines.read_until(b'\n', &mut line)? > 0 {
        if line.ends_with(b"\n") {
            whole += line.len() as u64;
            let entry: Option<Entry> = serde_json::from_slice(&line).ok();
            entries.extend(entry.map(|entry| (entry.document, entry)));
        }
        line.clear();
    }
    Ok((entries, whole))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(document: u128, units: u64) -> Entry {
        let (asked, chances) = ("a".to_owned(), "b".to_owned());
        Entry { document: DocumentKey(document), asked, chances, units, rows: units, failures: 0 }
    }

    #[test]
    fn the_last_line_of_a_document_counts_and_a_cut_line_is_cut_off() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ledger.jsonl");
        let (mut ledger, entries) = Ledger::open(&path).unwrap();
        assert!(entries.is_empty());
        ledger.append(&[entry(1, 2), entry(u128::MAX, 3), entry(1, 4)]).unwrap();
        drop(ledger);
        let whole = std::fs::read(&path).unwrap();
        let cut: Vec<u8> = whole.iter().chain(&whole[..20]).copied().collect();
        std::fs::write(&path, cut).unwrap();
        let (mut ledger, entries) = Ledger::open(&path).unwrap();
        assert_eq!(
            (&entries[&DocumentKey(1)], &entries[&DocumentKey(u128::MAX)]),
            (&entry(1, 4), &entry(u128::MAX, 3))
        );
        assert_eq!(std::fs::read(&path).unwrap(), whole);
        ledger.append(&[entry(7, 1)]).unwrap();
        assert_eq!(Ledger::open(&path).unwrap().1.len(), 3);
    }
}
