//! What a repository holds: the commit behind a revision and the files with their sizes and hashes, as the hub's
//! `/api/models/NAME/revision/REV?blobs=true` tells, or as a snapshot in the cache shows.

use std::{io::Read, path::Path};

use serde::Deserialize;

use super::{
    Hub, Repository, Step,
    address::escaped,
    client::{Client, Method, Trouble, header},
    repository::{is_commit, is_hex, is_inside},
    retry::{About, patiently},
};
use crate::base::Fatal;

/// The longest list that is read.
const LARGEST: u64 = 32 << 20;

/// The files of one commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listing {
    /// 40 hexadecimal digits.
    pub commit: String,
    /// In the hub's order.
    pub files: Vec<Entry>,
}

/// One file of a repository.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Inside the repository, checked to stay there.
    pub path: String,
    /// Bytes; unknown from mirrors that do not list them.
    pub size: Option<u64>,
    /// The name of the blob in the cache, which the hub also sends as the ETag: SHA-256 of large files, git's SHA-1 of
    /// small ones.
    pub blob: Option<String>,
    /// Of the content, for large files.
    pub sha256: Option<String>,
}

#[derive(Deserialize)]
struct Info {
    sha: String,
    siblings: Vec<Sibling>,
}

#[derive(Deserialize)]
struct Sibling {
    rfilename: String,
    size: Option<u64>,
    #[serde(rename = "blobId")]
    blob: Option<String>,
    lfs: Option<Large>,
}

#[derive(Deserialize)]
struct Large {
    sha256: Option<String>,
    size: Option<u64>,
}

impl Listing {
    /// Asks the hub.
    pub fn ask(
        hub: &Hub,
        client: &Client,
        repository: &Repository,
        watch: &mut dyn FnMut(Step<'_>),
    ) -> Result<Self, Fatal> {
        let revision = escaped(&repository.revision, false);
        let path = format!("/api/models/{}/revision/{revision}?blobs=true", escaped(&repository.name, true));
        let about = About { repository, file: None, token: hub.token.is_some() };
        let text = patiently(&hub.patience, &about, watch, |_, _| {
            let answer = client.ask(Method::Get(0), &path)?;
            let mut text = Vec::new();
            let read = answer.body.into_reader().take(LARGEST + 1).read_to_end(&mut text);
            read.map_err(|error| Trouble::Passing(format!("the list of files breaks off: {error}"), None))?;
            Ok(text)
        })?;
        Self::parse(&text, repository)
    }

    fn parse(text: &[u8], repository: &Repository) -> Result<Self, Fatal> {
        let bad = |what: &str| {
            Fatal::new(format!("`{repository}`: the hub's list of files is not usable: {what}"), "check HF_ENDPOINT")
        };
        if text.len() as u64 > LARGEST {
            return Err(bad(&format!("it is longer than {LARGEST} bytes")));
        }
        let info: Info = serde_json::from_slice(text).map_err(|error| bad(&error.to_string()))?;
        if !is_commit(&info.sha) {
            return Err(bad(&format!("`{}` is no commit", info.sha.escape_debug())));
        }
        if let Some(evil) = info.siblings.iter().find(|file| !is_inside(&file.rfilename)) {
            let what = format!("the path `{}` leads out of the repository", evil.rfilename.escape_debug());
            return Err(Fatal::new(format!("`{repository}`: {what}"), "do not use this repository or this hub"));
        }
        let files = info.siblings.into_iter().map(Entry::from).collect();
        Ok(Self { commit: info.sha, files })
    }

    /// What a snapshot in the cache holds.
    pub fn of_snapshot(commit: &str, snapshot: &Path) -> Self {
        let entries = walkdir::WalkDir::new(snapshot).follow_links(true).sort_by_file_name();
        let files = entries.into_iter().filter_map(Result::ok).filter(|entry| entry.file_type().is_file());
        let entry = |file: walkdir::DirEntry| {
            let path = file.path().strip_prefix(snapshot).ok()?.to_str()?.to_owned();
            Some(Entry { path, size: file.metadata().ok().map(|metadata| metadata.len()), blob: None, sha256: None })
        };
        Self { commit: commit.to_owned(), files: files.filter_map(entry).collect() }
    }

    /// The file at that path.
    pub fn get(&self, path: &str) -> Option<&Entry> {
        self.files.iter().find(|file| file.path == path)
    }
}

impl From<Sibling> for Entry {
    fn from(file: Sibling) -> Self {
        let hex = |digits: usize| move |text: &String| text.len() == digits && is_hex(text);
        let sha256 = file.lfs.as_ref().and_then(|large| large.sha256.clone()).filter(hex(64));
        let size = file.lfs.and_then(|large| large.size).or(file.size);
        Self { path: file.rfilename, size, blob: sha256.clone().or(file.blob.filter(hex(40))), sha256 }
    }
}

impl Entry {
    /// Asks the file itself for what the list did not say.
    pub fn complete(
        self,
        hub: &Hub,
        client: &Client,
        repository: &Repository,
        commit: &str,
        watch: &mut dyn FnMut(Step<'_>),
    ) -> Result<Self, Fatal> {
        if self.size.is_some() && self.blob.is_some() {
            return Ok(self);
        }
        let about = About { repository, file: Some(&self.path), token: hub.token.is_some() };
        let path = resolve(repository, commit, &self.path);
        let headers = patiently(&hub.patience, &about, watch, |_, _| Ok(client.ask(Method::Head, &path)?.headers))?;
        let size = header(&headers, "x-linked-size").or(header(&headers, "content-length"));
        let tag = header(&headers, "x-linked-etag").or(header(&headers, "etag")).map(bare);
        let blob = tag.filter(|tag| [40, 64].contains(&tag.len()) && is_hex(tag)).map(str::to_owned);
        let sha256 = blob.clone().filter(|blob| blob.len() == 64);
        match (size.and_then(|size| size.parse().ok()), blob) {
            (Some(size), Some(blob)) => Ok(Self { size: Some(size), blob: Some(blob), sha256, ..self }),
            _ => Err(Fatal::new(
                format!("`{}` of `{repository}`: the hub tells no size or no hash", self.path),
                "use a hub that sends X-Linked-Size and X-Linked-Etag, or ETag and Content-Length",
            )),
        }
    }
}

/// Where a file is downloaded from.
pub fn resolve(repository: &Repository, commit: &str, path: &str) -> String {
    format!("/{}/resolve/{commit}/{}", escaped(&repository.name, true), escaped(path, true))
}

/// An ETag without its quotes and without the mark of weakness.
pub fn bare(tag: &str) -> &str {
    tag.trim().trim_start_matches("W/").trim_matches('"')
}
