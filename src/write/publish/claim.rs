//! The claim to a place in a bucket: an object that says which dataset is being put there and by whom, from before the first
//! change to after the last. A process that was stopped leaves it; whoever puts the same dataset there goes on with it.

use serde::{Deserialize, Serialize};

use super::{bucket::Bucket, dataset::Dataset};
use crate::base::{Fatal, lock};

const CLAIM: &str = "_lapidary/publishing.json";

/// How often a claim may vanish between two looks at it.
const LOOKS: usize = 3;

#[derive(Serialize, Deserialize)]
struct Claim {
    /// The hash of the manifest.
    dataset: String,
    by: String,
}

/// Claims the place: true where nobody had, false where a dataset has been on its way there, this one or one that is replaced.
///
/// # Errors
/// When another dataset is on its way there and `replace` is not said.
pub fn take(bucket: &Bucket, dataset: &Dataset, replace: bool) -> Result<bool, Fatal> {
    let ours = Claim { dataset: dataset.hash(), by: lock::us() };
    let text = serde_json::to_vec_pretty(&ours).unwrap_or_default();
    for _ in 0..LOOKS {
        if bucket.create(CLAIM, &text)? {
            return Ok(true);
        }
        match read(bucket)? {
            None => {}
            Some(theirs) if theirs.dataset == ours.dataset => return Ok(false),
            Some(_) if replace => return bucket.put(CLAIM, &text).map(|()| false),
            Some(theirs) => return Err(taken(bucket, &theirs)),
        }
    }
    Err(Fatal::new(format!("publish: others write to `{bucket}`"), "give the same command again when they have ended"))
}

/// Is the place still claimed for this dataset?
///
/// # Errors
/// When it is not.
pub fn still_ours(bucket: &Bucket, dataset: &Dataset) -> Result<(), Fatal> {
    match read(bucket)? {
        Some(claim) if claim.dataset == dataset.hash() => Ok(()),
        Some(theirs) => Err(taken(bucket, &theirs)),
        None => Err(Fatal::new(
            format!("publish: the claim to `{bucket}` has been taken away"),
            "see that nothing else writes there, and give the same command again",
        )),
    }
}

/// Gives up a claim that is this dataset's.
pub fn give_back(bucket: &Bucket, dataset: &Dataset) -> Result<(), Fatal> {
    match read(bucket)? {
        Some(claim) if claim.dataset == dataset.hash() => bucket.remove(CLAIM),
        _ => Ok(()),
    }
}

/// What cannot be read is a claim of somebody all the same.
fn read(bucket: &Bucket) -> Result<Option<Claim>, Fatal> {
    let unknown = || Claim { dataset: String::new(), by: "somebody".to_owned() };
    Ok(bucket.read(CLAIM)?.map(|text| serde_json::from_slice(&text).unwrap_or_else(|_| unknown())))
}

fn taken(bucket: &Bucket, theirs: &Claim) -> Fatal {
    Fatal::new(
        format!("publish: another dataset is being put at `{bucket}` by {}", theirs.by),
        "wait until it is there. If that process was stopped, publish its dataset again, or say `--replace` to have this one \
         there instead",
    )
}
