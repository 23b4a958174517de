//! Bundles that were changed with care: the graph is another, and the manifest has its new hash.

use std::{fs, path::PathBuf};

use lapidary::bundle::graph::proto::{GraphProto, ModelProto, NodeProto};
use prost::Message;
use sha2::{Digest, Sha256};

/// A bundle's folder.
pub struct Tampered(pub PathBuf);

impl Tampered {
    /// Changes a graph. The change says whether it found what it was to change.
    fn graph(&self, name: &str, change: impl FnOnce(&mut ModelProto) -> bool) {
        self.file(&format!("onnx/{name}"), |bytes| {
            let mut model = ModelProto::decode(bytes).unwrap();
            assert!(change(&mut model), "{name} does not hold what is to be changed");
            model.encode_to_vec()
        });
    }

    /// Changes a file and the manifest's hash of it.
    fn file(&self, name: &str, change: impl FnOnce(&[u8]) -> Vec<u8>) {
        let path = self.0.join(name);
        let before = fs::read(&path).unwrap();
        let after = change(&before);
        assert_ne!(before, after);
        fs::write(&path, &after).unwrap();
        self.manifest(&fact(&before), &fact(&after));
    }

    fn manifest(&self, from: &str, to: &str) {
        let path = self.0.join("bundle.toml");
        let text = fs::read_to_string(&path).unwrap();
        assert!(text.contains(from), "{text} does not hold {from}");
        fs::write(path, text.replacen(from, to, 1)).unwrap();
    }

    /// Changes the first node of a graph for which `change` finds something to do.
    pub fn first_node(&self, name: &str, change: fn(&mut NodeProto) -> bool) {
        self.graph(name, |model| model.graph.as_mut().is_some_and(|graph| first_node(graph, change)));
    }

    /// The same in the decoder.
    pub fn decoder(&self, change: fn(&mut NodeProto) -> bool) {
        self.first_node("decoder_model_merged.onnx", change);
    }

    /// Takes the self-test's role from it; the file stays.
    pub fn remove_self_test(&self) {
        self.manifest("self_test = \"self_test.safetensors\"\n", "");
    }

    /// Changes the self-test's last number, whichever it is.
    pub fn spoil_self_test(&self) {
        self.file("self_test.safetensors", |bytes| {
            let mut spoilt = bytes.to_vec();
            let header = 8 + u64::from_le_bytes(*bytes.first_chunk().unwrap()) as usize;
            let header = std::str::from_utf8(&bytes[8..header]).unwrap();
            let facts: serde_json::Value = serde_json::from_str(header).unwrap();
            let from = 8 + header.len() + facts["logits"]["data_offsets"][0].as_u64().unwrap() as usize;
            spoilt[from..from + 4].copy_from_slice(&12.5_f32.to_le_bytes());
            spoilt
        });
    }

    /// Has layer 0 use its gate's weights for up and the other way round.
    pub fn swap_gate_and_up(&self) {
        self.swap("mlp.gate_proj", "mlp.up_proj");
    }

    /// Has layer 0 use the norm of the experts' sum for the MLP and the other way round.
    pub fn swap_norms_of_mlp_and_experts(&self) {
        self.swap("post_feedforward_layernorm_1", "post_feedforward_layernorm_2");
    }

    fn swap(&self, one: &str, other: &str) {
        let [one, other] = [one, other].map(|name| format!("language_model.layers.0.{name}.weight"));
        self.graph("decoder_model_merged.onnx", |model| {
            let inputs = model.graph.iter_mut().flat_map(|graph| &mut graph.node).flat_map(|node| &mut node.input);
            let swapped = inputs.filter(|name| name.starts_with(&one) || name.starts_with(&other)).map(|name| {
                *name = if name.starts_with(&one) { name.replace(&one, &other) } else { name.replace(&other, &one) };
            });
            swapped.count() > 0
        });
    }

    /// Doubles the first small float constant of an encoder that is `value`.
    pub fn constant(&self, encoder: &str, value: f32) {
        self.graph(encoder, |model| {
            let constants = model.graph.iter_mut().flat_map(|graph| &mut graph.initializer);
            let mut bytes = constants.filter_map(|constant| constant.raw_data.as_mut());
            bytes.find(|bytes| **bytes == value.to_le_bytes()).is_some_and(|bytes| {
                *bytes = (2.0 * value).to_le_bytes().to_vec();
                true
            })
        });
    }
}

/// Branches and loops have graphs of their own.
fn first_node(graph: &mut GraphProto, change: fn(&mut NodeProto) -> bool) -> bool {
    graph.node.iter_mut().any(|node| {
        let mut bodies = node.attribute.iter_mut().filter_map(|attribute| attribute.g.as_mut());
        bodies.any(|body| first_node(body, change)) || change(node)
    })
}

/// Length and hash, as the manifest writes them.
fn fact(bytes: &[u8]) -> String {
    let hash: String = Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect();
    format!("bytes = {}\nsha256 = \"{hash}\"", bytes.len())
}

/// A sliding layer sees one key more.
pub fn wider_window(node: &mut NodeProto) -> bool {
    let windows =
        node.attribute.iter_mut().filter(|attribute| attribute.name == "local_window_size" && attribute.i > 0);
    windows.map(|attribute| attribute.i += 1).count() > 0
}

/// The same over slots.
pub fn wider_window_over_slots(node: &mut NodeProto) -> bool {
    let windows = node.attribute.iter_mut().filter(|attribute| attribute.name == "window" && attribute.i > 0);
    windows.map(|attribute| attribute.i += 1).count() > 0
}

/// An MLP uses the exact error function in place of the approximation by tanh.
pub fn exact_gelu(node: &mut NodeProto) -> bool {
    let ways = node.attribute.iter_mut().filter(|attribute| attribute.name == "approximate");
    ways.map(|attribute| attribute.s = b"none".to_vec()).count() > 0
}

/// Attention divides by the root of the head's width.
pub fn common_scale(node: &mut NodeProto) -> bool {
    let scales = node.attribute.iter_mut().filter(|attribute| attribute.name == "scale" && attribute.f == 1.0);
    scales.map(|attribute| attribute.f = 0.25).count() > 0
}
