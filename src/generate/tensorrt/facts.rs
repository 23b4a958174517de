//! What engines are good for: everything that they were built on and for. An engine of another card, driver or graph is
//! another engine, so all of this together names the folder that it lies in.

use serde::{Deserialize, Serialize};

use super::{buckets::Bucket, machine::Machine};
use crate::base::{Model, model::Layout};

/// Raised whenever this program tells ONNX Runtime options of which engines depend otherwise than before.
const WAY: u32 = 1;

/// Characters of a key: 128 bits, so that no two folders meet and names stay short.
const KEY: usize = 32;

/// What the engines of one bucket depend on, in the clear.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Facts {
    /// The name of the card.
    pub(super) card: String,
    /// Its compute capability: `9.0`.
    pub(super) capability: String,
    /// The version of the NVIDIA driver.
    pub(super) driver: String,
    /// TensorRT's library, by its hash: no package says which version lies in a folder.
    pub(super) tensorrt: String,
    /// What ONNX Runtime says of its build.
    pub(super) onnxruntime: String,
    /// Name and SHA-256 of the graph and of its weights, as `bundle.toml` has them.
    pub(super) graph: String,
    /// `f16` or `f32`.
    pub(super) precision: String,
    /// The range of shapes.
    pub(super) profile: String,
    /// How this program has TensorRT called.
    pub(super) way: u32,
}

impl Facts {
    /// What holds for a bucket of a model on a machine; `None` where the model lacks the encoder.
    pub(super) fn of(machine: &Machine, model: &Model, bucket: Bucket) -> Option<Self> {
        let graph = graph(model, bucket.graph(model)?);
        Some(Self {
            card: machine.card.clone(),
            capability: machine.capability.clone(),
            driver: machine.driver.clone(),
            tensorrt: machine.tensorrt.clone(),
            onnxruntime: machine.onnxruntime.clone(),
            graph,
            precision: model.manifest.precision.dtype.clone(),
            profile: bucket.shapes(model).to_string(),
            way: WAY,
        })
    }

    /// True where the bundle computes in f16.
    pub(super) fn is_half(&self) -> bool {
        self.precision == "f16"
    }

    /// The name of the folder of these engines.
    pub(super) fn key(&self) -> String {
        let (way, mut texts) = (self.way.to_string(), self.machine().to_vec());
        texts.extend([self.graph.as_str(), self.precision.as_str(), self.profile.as_str(), way.as_str()]);
        hashed(&texts)
    }

    /// The name of the folder of what TensorRT learns about the card, whatever it builds.
    pub(super) fn timings_key(&self) -> String {
        format!("timings-{}", hashed(&self.machine()))
    }

    fn machine(&self) -> [&str; 5] {
        [&self.card, &self.capability, &self.driver, &self.tensorrt, &self.onnxruntime]
    }
}

/// Lengths go in too, so that no two lists of texts are one.
fn hashed(texts: &[&str]) -> String {
    let mut hasher = blake3::Hasher::new();
    for text in texts {
        hasher.update(&(text.len() as u64).to_le_bytes());
        hasher.update(text.as_bytes());
    }
    hasher.finalize().to_hex()[..KEY].to_owned()
}

/// A bundle has the weights of a graph beside it under its name. Elsewhere they may lie anywhere, and all files count.
fn graph(model: &Model, name: &str) -> String {
    if model.layout != Layout::Bundle {
        return format!("{name} of {}", model.hash);
    }
    let own = model.manifest.files.iter().filter(|(file, _)| file.starts_with(name));
    own.map(|(file, fact)| format!("{file} {}", fact.sha256)).collect::<Vec<_>>().join("; ")
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;
    use crate::generate::tensorrt::fixture::{h200, tiny};

    fn facts() -> Facts {
        Facts::of(&h200(), &tiny(), Bucket::Pictures(280)).unwrap()
    }

    #[test]
    fn the_same_facts_have_the_same_key_and_any_other_fact_another() {
        let changes: [fn(&mut Facts); 9] = [
            |facts| facts.card = "NVIDIA H100".to_owned(),
            |facts| facts.capability = "8.9".to_owned(),
            |facts| facts.driver = "580.95.06".to_owned(),
            |facts| facts.tensorrt.push('0'),
            |facts| facts.onnxruntime.push('0'),
            |facts| facts.graph.push('0'),
            |facts| facts.precision = "f16".to_owned(),
            |facts| facts.profile.push('0'),
            |facts| facts.way += 1,
        ];
        let changed = changes.map(|change| {
            let mut facts = facts();
            change(&mut facts);
            facts.key()
        });
        let keys: HashSet<String> = changed.into_iter().chain([facts().key()]).collect();
        assert_eq!(keys.len(), changes.len() + 1);
        assert_eq!(facts().key(), facts().key());
        assert!(keys.iter().all(|key| key.len() == KEY && key.chars().all(|c| c.is_ascii_hexdigit())));
    }

    #[test]
    fn what_moves_from_one_fact_to_the_next_makes_another_key() {
        let moved = Facts { card: "NVIDIA H2009".to_owned(), capability: ".0".to_owned(), ..facts() };
        let joined = |facts: &Facts| format!("{}{}", facts.card, facts.capability);
        assert_eq!(joined(&facts()), joined(&moved));
        assert_ne!(facts().key(), moved.key());
    }

    #[test]
    fn buckets_have_keys_of_their_own_and_share_what_is_learned_of_the_card() {
        let of = |bucket| Facts::of(&h200(), &tiny(), bucket).unwrap();
        let all = [Bucket::Pictures(70), Bucket::Pictures(280), Bucket::Sound].map(of);
        assert_eq!(all.iter().map(Facts::key).collect::<HashSet<_>>().len(), all.len());
        assert_eq!(all.iter().map(Facts::timings_key).collect::<HashSet<_>>().len(), 1);
        let driver = Facts { driver: "590.1".to_owned(), ..facts() };
        assert_ne!(driver.timings_key(), facts().timings_key());
    }

    #[test]
    fn a_graph_is_told_by_the_hashes_of_its_own_files() {
        let facts = facts();
        let names: Vec<&str> = facts.graph.split("; ").filter_map(|file| file.split(' ').next()).collect();
        assert_eq!(names, ["onnx/vision_encoder.onnx", "onnx/vision_encoder.onnx_data"]);
        let mut other = tiny();
        for (file, fact) in &mut other.manifest.files {
            fact.sha256 = if file.contains("decoder") { "00".to_owned() } else { fact.sha256.clone() };
        }
        let key = |model: &Model| Facts::of(&h200(), model, Bucket::Pictures(280)).unwrap().key();
        assert_eq!(key(&other), facts.key(), "the decoder is none of its business");
        other.manifest.files.get_mut("onnx/vision_encoder.onnx_data").unwrap().sha256 = "00".to_owned();
        assert_ne!(key(&other), facts.key());
    }

    #[test]
    fn of_a_foreign_folder_all_files_count() {
        let foreign = Model { layout: Layout::Community, hash: "abc".to_owned(), ..tiny() };
        let facts = Facts::of(&h200(), &foreign, Bucket::Sound).unwrap();
        assert_eq!(facts.graph, "onnx/audio_encoder.onnx of abc");
        let mut deaf = foreign;
        deaf.manifest.graphs.audio_encoder = None;
        assert_eq!(Facts::of(&h200(), &deaf, Bucket::Sound), None);
    }
}
