//! A finished dataset put into a bucket, so that readers there can rely on it as they can on a disk: its manifest is there
//! only when all parts are, and is never put over another.
//!
//! ```text
//! URL/extractions/part-00000.parquet   as in the folder
//! URL/failures/part-00000.parquet
//! URL/run.json
//! URL/_lapidary/publishing.json        while it is being put there: which dataset, and by whom
//! URL/_lapidary/manifest.json          put last, if it is not there yet
//! ```

mod address;
mod bucket;
mod claim;
mod dataset;
mod trouble;

use std::{collections::BTreeSet, path::Path};

use crate::base::{
    Fatal,
    dataset::{EXTRACTIONS, FAILURES, REPORT},
};

pub use address::Address;
use bucket::Bucket;
use dataset::{Dataset, Source};

/// Where readers look for the manifest.
const MANIFEST: &str = "_lapidary/manifest.json";

const ANOTHER: &str = "another dataset";

/// What to publish, and where to.
#[derive(Debug)]
pub struct PublishRequest<'a> {
    /// The folder of the dataset.
    pub out: &'a Path,
    /// The place in the bucket.
    pub address: &'a Address,
    /// Instead of what is there.
    pub replace: bool,
}

/// What publishing has done.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Published {
    /// This very dataset was there already, finished.
    pub before: bool,
    /// Files that were sent: parts, and the report.
    pub sent: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Files that were there already, with the same content.
    pub kept: u64,
    /// Parts of an earlier dataset that were taken away.
    pub removed: u64,
}

/// How far publishing is.
#[derive(Debug)]
pub enum Step<'a> {
    /// What there is to look at.
    Planned {
        /// Parts and the report.
        files: usize,
        /// All of them.
        bytes: u64,
    },
    /// The turn of the file with this path in the dataset has come.
    Sending(&'a str),
    /// So many bytes more are there, sent or found there.
    There(u64),
}

/// Puts the dataset there. It can be stopped anywhere: the same command goes on.
///
/// # Errors
/// When the dataset is not finished or being written; when the bucket cannot be reached or refuses; when it holds another
/// dataset, or one that another process is putting there, and `replace` is not said.
pub fn publish(request: &PublishRequest<'_>, progress: &mut dyn FnMut(Step<'_>)) -> Result<Published, Fatal> {
    let dataset = Dataset::open(request.out)?;
    let bucket = Bucket::open(request.address)?;
    let there = bucket.read(MANIFEST)?;
    if there.as_deref() == Some(&dataset.manifest) {
        claim::give_back(&bucket, &dataset)?;
        return Ok(Published { before: true, ..Published::default() });
    }
    if there.is_some() && !request.replace {
        return Err(occupied(&bucket, ANOTHER));
    }
    let fresh = claim::take(&bucket, &dataset, request.replace)?;
    clear_the_way(&bucket, &dataset, fresh, request.replace)?;
    let mut published = send_all(&bucket, &dataset, progress)?;
    claim::still_ours(&bucket, &dataset)?;
    published.removed = sweep(&bucket, &dataset)?;
    seal(&bucket, &dataset)?;
    claim::give_back(&bucket, &dataset)?;
    Ok(published)
}

/// Looks again, now that nobody else may write there, and takes an earlier manifest away.
fn clear_the_way(bucket: &Bucket, dataset: &Dataset, fresh: bool, replace: bool) -> Result<(), Fatal> {
    let sealed = bucket.read(MANIFEST)?.is_some();
    let occupant = match (sealed, replace) {
        (true, true) => return bucket.remove(MANIFEST),
        (false, true) => return Ok(()),
        (true, false) => ANOTHER,
        (false, false) if fresh && !parts(bucket)?.is_empty() => "Parquet files that belong to no finished dataset",
        (false, false) => return Ok(()),
    };
    claim::give_back(bucket, dataset)?;
    Err(occupied(bucket, occupant))
}

fn send_all(bucket: &Bucket, dataset: &Dataset, progress: &mut dyn FnMut(Step<'_>)) -> Result<Published, Fatal> {
    let mut published = Published::default();
    progress(Step::Planned { files: dataset.files.len(), bytes: dataset.files.iter().map(|file| file.bytes).sum() });
    for file in &dataset.files {
        progress(Step::Sending(&file.path));
        let hash = file.hash()?;
        if bucket.hash(&file.path)?.as_deref() == Some(&hash) {
            published.kept += 1;
            progress(Step::There(file.bytes));
        } else {
            claim::still_ours(bucket, dataset)?;
            bucket.send(file, &hash, &mut |bytes| progress(Step::There(bytes)))?;
            published.sent += 1;
            published.bytes += file.bytes;
        }
    }
    Ok(published)
}

/// Takes away what readers of the folders would read too, and sees that all the rest is there in full.
fn sweep(bucket: &Bucket, dataset: &Dataset) -> Result<u64, Fatal> {
    let there = parts(bucket)?;
    let missing = |file: &&Source| file.path != REPORT && !there.contains(&(file.path.clone(), file.bytes));
    if let Some(file) = dataset.files.iter().find(missing) {
        return Err(Fatal::new(
            format!("publish: `{}` is not at `{bucket}` as it was sent", file.path),
            "see that nothing else writes there, and give the same command again",
        ));
    }
    let ours: BTreeSet<_> = dataset.files.iter().map(|file| file.path.as_str()).collect();
    let strangers: Vec<_> = there.iter().filter(|(path, _)| !ours.contains(path.as_str())).collect();
    strangers.iter().try_for_each(|(path, _)| bucket.remove(path))?;
    Ok(strangers.len() as u64)
}

/// What lies where readers look for parts, with its length.
fn parts(bucket: &Bucket) -> Result<BTreeSet<(String, u64)>, Fatal> {
    let mut found = bucket.list(EXTRACTIONS)?;
    found.extend(bucket.list(FAILURES)?);
    Ok(found.into_iter().filter(|(path, _)| path.ends_with(".parquet")).collect())
}

fn seal(bucket: &Bucket, dataset: &Dataset) -> Result<(), Fatal> {
    claim::still_ours(bucket, dataset)?;
    let sealed =
        bucket.create(MANIFEST, &dataset.manifest)? || bucket.read(MANIFEST)?.as_ref() == Some(&dataset.manifest);
    if sealed { Ok(()) } else { Err(occupied(bucket, "another dataset, finished meanwhile")) }
}

fn occupied(bucket: &Bucket, by: &str) -> Fatal {
    Fatal::new(
        format!("publish: `{bucket}` holds {by}"),
        "choose another place, or say `--replace` to have this dataset there instead",
    )
}
