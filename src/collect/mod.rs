//! Stage 1, paths -> `Document`: walks folders, patterns and lists in a stable order, tells kinds by content, hashes.
//!
//! Nothing is lost: whatever was named and cannot become a document becomes a failure that says why.

mod folder;
mod inputs;
mod kind;
mod mp4;
mod pattern;
mod settings;
mod sight;
mod walk;

use std::{collections::HashSet, path::PathBuf, sync::Arc};

use rayon::prelude::*;

use crate::base::{ContentHash, Document, Failure, Item, Lease, Origin, Part, Source, Stop, name::name_of};

pub use inputs::{Inputs, Shard};
pub use settings::Settings;
pub use sight::kind_of;
use sight::{Refusal, Sight};
use walk::{Step, Walk};

/// What `collect` hands on.
#[derive(Debug)]
pub enum Found {
    /// A file to decode.
    Document(Item<Document>),
    /// A file with the content of an earlier one of this run.
    Duplicate(Arc<Source>),
    /// Something that was named and is no document.
    Failure(Failure),
}

/// The task of the first stage.
pub struct Collect {
    walk: Walk,
    shard: Option<Shard>,
    /// Contents and paths so far, by half of their hashes: there may be millions.
    seen: HashSet<[u8; 16]>,
    named: HashSet<[u8; 16]>,
    ordinal: u64,
}

/// A path and what a look at it gave.
struct Looked {
    path: PathBuf,
    outcome: Result<Sight, Refusal>,
}

impl Collect {
    /// Prepares the walk; touches no document.
    ///
    /// # Errors
    /// Everything that is wrong with the inputs, one line each.
    pub fn new(settings: Settings, inputs: Inputs) -> Result<Self, Vec<String>> {
        let walk = Walk::new(&settings, &inputs)?;
        Ok(Self { walk, shard: inputs.shard, seen: HashSet::new(), named: HashSet::new(), ordinal: 0 })
    }

    /// Walks until the end, or until the run is asked to stop; files that are being read then are not found. Files are
    /// hashed in parallel and found in order. Gives the names of the folders, typed or listed, in which there was nothing, as where
    /// a disk is not mounted.
    pub fn run(mut self, stop: &Stop, sink: &mut dyn FnMut(Found)) -> Vec<String> {
        let batch = 4 * rayon::current_num_threads();
        while !stop.draining() {
            let steps: Vec<Step> = self.walk.by_ref().take(batch).collect();
            if steps.is_empty() {
                break;
            }
            let fresh: Vec<Step> = steps.into_iter().filter(|step| self.is_new(step)).collect();
            let looked: Vec<Looked> = fresh.into_par_iter().filter_map(|step| look(step, stop)).collect();
            looked.into_iter().filter_map(|looked| self.judge(looked)).for_each(&mut *sink);
        }
        self.walk.into_vacant().iter().map(|folder| name_of(folder)).collect()
    }

    /// The same file named twice (by itself and by its folder) is one input.
    fn is_new(&mut self, step: &Step) -> bool {
        let (Step::File(path) | Step::Dead(path, _)) = step;
        let path = std::path::absolute(path).unwrap_or_else(|_| path.clone());
        self.named.insert(half(blake3::hash(path.as_os_str().as_encoded_bytes()).as_bytes()))
    }

    fn judge(&mut self, looked: Looked) -> Option<Found> {
        let name = name_of(&looked.path);
        let sight = match looked.outcome {
            Ok(sight) => sight,
            Err(refusal) => return self.refuse(name, refusal).map(Found::Failure),
        };
        if !self.takes(sight.hash) {
            return None;
        }
        let Sight { kind, hash, bytes, modified } = sight;
        let (path, ordinal) = (looked.path, self.ordinal);
        let source = Arc::new(Source { name, path, hash, kind, bytes, modified, ordinal });
        self.ordinal += 1;
        if !self.seen.insert(half(&hash.0)) {
            return Some(Found::Duplicate(source));
        }
        let origin = Origin { source, part: Part::Whole };
        Some(Found::Document(Item { origin, attempt: 0, lease: Lease::none(), body: Document }))
    }

    /// A failure without content belongs to the shard of its name, so that one run of many reports it.
    fn refuse(&self, source: String, (fault, hash): Refusal) -> Option<Failure> {
        let place = hash.unwrap_or_else(|| ContentHash(*blake3::hash(source.as_bytes()).as_bytes()));
        self.takes(place).then_some(Failure {
            source,
            hash,
            kind: None,
            part: Part::Whole,
            fault,
            document: None,
            tries: Vec::new(),
        })
    }

    fn takes(&self, hash: ContentHash) -> bool {
        self.shard.is_none_or(|shard| shard.holds(hash))
    }
}

fn half(hash: &[u8; 32]) -> [u8; 16] {
    *hash.first_chunk().unwrap_or(&[0; 16])
}

/// None when the run is asked to stop before the file is read.
fn look(step: Step, stop: &Stop) -> Option<Looked> {
    let (outcome, path) = match step {
        Step::File(path) => (sight::look(&path, stop).transpose(), path),
        Step::Dead(path, dead) => (Some(Err((sight::fault_of(dead), None))), path),
    };
    outcome.map(|outcome| Looked { path, outcome })
}
