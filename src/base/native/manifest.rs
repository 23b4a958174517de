//! `installed.json` beside the native libraries: what was installed from which wheel, and the hashes to check it by.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::{self, Read},
    path::Path,
};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::claim::ASIDE;

const FILE: &str = "installed.json";

/// What is installed, by package name.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Manifest(BTreeMap<String, Entry>);

/// One installed package.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Entry {
    /// Its version.
    pub version: String,
    /// SHA-256 of the wheel it came in; empty where it came from a folder of the user's.
    pub wheel: String,
    /// SHA-256 of each file, by name relative to the folder.
    pub files: BTreeMap<String, String>,
}

impl Manifest {
    /// Reads the manifest of `folder`. A missing or unreadable one is empty: everything is installed anew.
    pub fn read(folder: &Path) -> Self {
        let text = fs::read(folder.join(FILE)).unwrap_or_default();
        serde_json::from_slice(&text).unwrap_or_default()
    }

    /// Writes it aside and renames it.
    pub fn write(&self, folder: &Path) -> io::Result<()> {
        let aside = folder.join(format!("{ASIDE}{FILE}-{}", std::process::id()));
        fs::write(&aside, serde_json::to_vec_pretty(self)?)?;
        fs::rename(aside, folder.join(FILE))
    }

    /// The entry of `package` when it came from that wheel and each of its files is still what it was.
    pub fn intact(&self, folder: &Path, package: &str, wheel: &str) -> Option<&Entry> {
        let entry = self.0.get(package).filter(|entry| entry.wheel == wheel)?;
        let whole = |(name, hash): (&String, &String)| sha256(&folder.join(name)).is_ok_and(|found| found == *hash);
        entry.files.iter().all(whole).then_some(entry)
    }

    /// The entry of `package`, in whatever version and state.
    pub fn entry(&self, package: &str) -> Option<&Entry> {
        self.0.get(package)
    }

    /// True of a package that is installed, in whatever version and state.
    pub fn holds(&self, package: &str) -> bool {
        self.0.contains_key(package)
    }

    /// Package, version and SHA-256 of the file of that name.
    pub fn file(&self, name: &str) -> Option<(&str, &str, &str)> {
        self.0.iter().find_map(|(package, entry)| {
            let hash = entry.files.get(name)?;
            Some((package.as_str(), entry.version.as_str(), hash.as_str()))
        })
    }

    /// Records a package, and forgets every other one that held a file of the same name.
    pub fn record(&mut self, package: &str, entry: Entry) {
        self.0.retain(|_, other| !other.files.keys().any(|name| entry.files.contains_key(name)));
        self.0.insert(package.to_owned(), entry);
    }
}

/// SHA-256 of a file in hexadecimal.
pub fn sha256(path: &Path) -> io::Result<String> {
    let mut file = File::open(path)?;
    let (mut hasher, mut buffer) = (Sha256::new(), vec![0; 1 << 20]);
    loop {
        match file.read(&mut buffer)? {
            0 => break,
            count => hasher.update(&buffer[..count]),
        }
    }
    Ok(hasher.finalize().iter().map(|byte| format!("{byte:02x}")).collect())
}
