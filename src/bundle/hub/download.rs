//! One file from the hub into the cache: at most the promised bytes, checked by size and SHA-256, then made durable.
//!
//! The hub promises SHA-256 for large files only. Small ones (texts in git) are checked by size, and not by git's SHA-1;
//! they are never continued, always fetched whole.

use std::{fs, io::Read};

use super::{
    Hub, Repository, Step,
    cache::Cache,
    client::{Answer, Client, Method, Trouble, header},
    listing::{Entry, bare, resolve},
    part::Part,
    retry::{About, patiently},
};
use crate::base::Fatal;

/// Bytes between two reports.
const CHUNK: usize = 256 << 10;

/// Brings files of one commit into the cache.
pub struct Downloader<'a> {
    /// Settings.
    pub hub: &'a Hub,
    /// The connection.
    pub client: &'a Client,
    /// The repository.
    pub repository: &'a Repository,
    /// Its cache.
    pub cache: &'a Cache,
    /// The commit.
    pub commit: &'a str,
}

/// What is known of a file once the hub has promised it.
struct Promise<'a> {
    path: &'a str,
    size: u64,
    blob: &'a str,
    sha256: Option<&'a str>,
}

impl Downloader<'_> {
    /// Is the file in the snapshot, whole?
    pub fn holds(&self, entry: &Entry) -> bool {
        let path = self.cache.snapshot(self.commit).join(&entry.path);
        fs::metadata(path).is_ok_and(|metadata| metadata.is_file() && entry.size == Some(metadata.len()))
    }

    /// Bytes that are still to come.
    pub fn missing(&self, entry: &Entry) -> u64 {
        let (size, blob) = (entry.size.unwrap_or_default(), entry.blob.as_deref().unwrap_or_default());
        let length = |path| fs::metadata(path).ok().map(|metadata| metadata.len());
        if self.holds(entry) || length(self.cache.blob(blob)) == Some(size) {
            return 0;
        }
        let part = length(self.cache.blob(&format!("{blob}.incomplete")));
        size - part.filter(|have| entry.sha256.is_some() && *have <= size).unwrap_or_default()
    }

    /// Brings one file, unless it is there. `entry` is complete.
    pub fn fetch(&self, entry: &Entry, watch: &mut dyn FnMut(Step<'_>)) -> Result<(), Fatal> {
        let (Some(size), Some(blob)) = (entry.size, entry.blob.as_deref()) else {
            return Err(Fatal::new(format!("`{}` has no known size", entry.path), "please report this"));
        };
        if self.holds(entry) {
            return Ok(());
        }
        let promise = Promise { path: &entry.path, size, blob, sha256: entry.sha256.as_deref() };
        let lock = self.cache.lock(blob)?;
        let place = self.cache.blob(blob);
        if fs::metadata(&place).is_err() || fs::metadata(&place).is_ok_and(|metadata| metadata.len() != size) {
            self.receive(&promise, watch)?.publish(&place)?;
        }
        drop(lock);
        self.cache.link(self.commit, &entry.path, blob)
    }

    /// The whole file, checked; what an earlier run left damaged is fetched once more.
    fn receive(&self, promise: &Promise<'_>, watch: &mut dyn FnMut(Step<'_>)) -> Result<Part, Fatal> {
        let path = self.cache.blob(&format!("{}.incomplete", promise.blob));
        let mut part = Part::open(&path, promise.size, promise.sha256.is_some())?;
        watch(Step::Fetching { path: promise.path, bytes: promise.size, have: part.have });
        loop {
            if let Err(fatal) = self.fill(&mut part, promise, watch) {
                return Err(keep_if_useful(part, promise, fatal));
            }
            let found = part.sha256();
            match promise.sha256 {
                Some(expected) if *expected != found && part.inherited => {
                    watch(Step::Lost(part.have));
                    part.restart()?;
                }
                Some(expected) if *expected != found => {
                    part.discard();
                    return Err(self.differs(promise, &format!("SHA-256 is {found}, promised was {expected}")));
                }
                _ => return Ok(part),
            }
        }
    }

    fn fill(&self, part: &mut Part, promise: &Promise<'_>, watch: &mut dyn FnMut(Step<'_>)) -> Result<(), Fatal> {
        let about = About { repository: self.repository, file: Some(promise.path), token: self.hub.token.is_some() };
        patiently(&self.hub.patience, &about, watch, |progress, watch| {
            if promise.sha256.is_none() && part.have > 0 {
                watch(Step::Lost(part.have));
                part.restart().map_err(Trouble::Final)?;
            }
            match part.have == promise.size && part.have > 0 {
                true => Ok(()),
                false => self.attempt(part, promise, progress, watch),
            }
        })
    }

    fn attempt(
        &self,
        part: &mut Part,
        promise: &Promise<'_>,
        progress: &mut bool,
        watch: &mut dyn FnMut(Step<'_>),
    ) -> Result<(), Trouble> {
        let from = part.have;
        let path = resolve(self.repository, self.commit, promise.path);
        let answer = self.client.ask(Method::Get(from), &path)?;
        self.same_file(&answer, promise).map_err(Trouble::Final)?;
        if from > 0 && !continues(&answer, from, promise.size) {
            watch(Step::Lost(from));
            part.restart().map_err(Trouble::Final)?;
            if answer.status != 200 {
                return Err(Trouble::Passing(format!("`{}`: the hub sent another range", promise.path), None));
            }
        }
        self.pour(answer, part, promise, progress, watch)
    }

    /// Does the answer belong to the commit and the content that were promised?
    fn same_file(&self, answer: &Answer, promise: &Promise<'_>) -> Result<(), Fatal> {
        let differs = |name: &str, expected: &str| match header(&answer.headers, name).map(bare) {
            Some(found) if found != expected => Some(format!("{name} is `{}`", found.escape_debug())),
            _ => None,
        };
        let size = promise.size.to_string();
        let wrong = differs("x-repo-commit", self.commit)
            .or_else(|| differs("x-linked-etag", promise.blob))
            .or_else(|| differs("x-linked-size", &size));
        wrong.map_or(Ok(()), |what| Err(self.differs(promise, &what)))
    }

    fn pour(
        &self,
        answer: Answer,
        part: &mut Part,
        promise: &Promise<'_>,
        progress: &mut bool,
        watch: &mut dyn FnMut(Step<'_>),
    ) -> Result<(), Trouble> {
        let mut body = answer.body.into_reader().take(promise.size - part.have + 1);
        let mut buffer = vec![0; CHUNK];
        loop {
            let read = body.read(&mut buffer);
            let read = read.map_err(|error| Trouble::Passing(format!("`{}`: {error}", promise.path), None))?;
            if part.have + read as u64 > promise.size {
                part.spoiled = true;
                let what = format!("more comes than the {} bytes that were promised", promise.size);
                return Err(Trouble::Final(self.differs(promise, &what)));
            }
            if read == 0 {
                break;
            }
            part.write(&buffer[..read]).map_err(Trouble::Final)?;
            *progress = true;
            watch(Step::Received(read as u64));
        }
        match part.have == promise.size {
            true => Ok(()),
            false => Err(Trouble::Passing(
                format!("`{}` breaks off after {} of {} bytes", promise.path, part.have, promise.size),
                None,
            )),
        }
    }

    fn differs(&self, promise: &Promise<'_>, what: &str) -> Fatal {
        Fatal::new(
            format!("`{}` of `{}` is not the file that the hub's list promises: {what}", promise.path, self.repository),
            "nothing of it is kept as good; try again, and if it happens again do not trust this hub",
        )
    }
}

/// A part without a hash to check it by, or without a byte, is no use to a later run.
fn keep_if_useful(part: Part, promise: &Promise<'_>, fatal: Fatal) -> Fatal {
    if promise.sha256.is_none() || part.have == 0 || part.spoiled {
        part.discard();
    }
    fatal
}

/// `Content-Range: bytes FROM-END/SIZE`
fn continues(answer: &Answer, from: u64, size: u64) -> bool {
    let range = header(&answer.headers, "content-range").unwrap_or_default();
    let told = range.strip_prefix("bytes ").and_then(|range| range.split_once('/'));
    answer.status == 206
        && told.is_some_and(|(span, total)| {
            span.split('-').next() == Some(from.to_string().as_str())
                && (total == "*" || total == size.to_string().as_str())
        })
}
