//! A bundle whose embeddings never come when a certain token is among the ids.

use std::{fs, path::Path};

use lapidary::bundle::graph::proto::{
    AttributeProto, GraphProto, ModelProto, NodeProto, TensorProto, TensorShapeProto, TensorTypeProto, TypeProto,
    ValueInfoProto,
};
use prost::Message;
use sha2::{Digest, Sha256};

const FLOAT: i32 = 1;
const INT64: i32 = 7;
const BOOL: i32 = 9;

/// What goes on for ever.
#[derive(Clone, Copy)]
pub enum Kind {
    /// A `Loop` of 2^60 rounds.
    Loop,
    /// One node: `NonMaxSuppression` of 600,000 boxes that do not touch, which compares each with each.
    Node,
    /// A tensor of 2^44 numbers, for which no machine has the memory.
    Memory,
    /// Nothing for one token; a failure when more than 40 are looked up at once, whichever they are.
    Many,
}

/// Poisons `embed_tokens` and corrects the manifest.
pub fn add(bundle: &Path, token: i64, kind: Kind) {
    let path = bundle.join("onnx/embed_tokens.onnx");
    let before = fs::read(&path).unwrap();
    let mut model = ModelProto::decode(&before[..]).unwrap();
    poison(model.graph.as_mut().unwrap(), token, kind);
    let after = model.encode_to_vec();
    fs::write(&path, &after).unwrap();
    let manifest = fs::read_to_string(bundle.join("bundle.toml")).unwrap();
    assert!(manifest.contains(&fact(&before)), "{manifest}");
    fs::write(bundle.join("bundle.toml"), manifest.replace(&fact(&before), &fact(&after))).unwrap();
}

fn fact(bytes: &[u8]) -> String {
    format!("bytes = {}\nsha256 = \"{:x}\"", bytes.len(), Hex(Sha256::digest(bytes).into()))
}

struct Hex([u8; 32]);

impl std::fmt::LowerHex for Hex {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.iter().try_for_each(|byte| write!(out, "{byte:02x}"))
    }
}

/// `inputs_embeds` becomes what it was, plus nothing that takes ages to compute.
pub fn poison(graph: &mut GraphProto, token: i64, kind: Kind) {
    let outputs = graph.node.iter_mut().flat_map(|node| &mut node.output);
    outputs.filter(|output| *output == "inputs_embeds").for_each(|output| *output = "poison.sound".to_owned());
    let (many, work) = match kind {
        Kind::Loop => (1 << 60, around_and_around()),
        Kind::Node => (600_000, each_with_each()),
        Kind::Memory => (1 << 44, a_large_tensor()),
        Kind::Many => (1, a_bound()),
    };
    graph.initializer.extend([
        number("poison.token", &[], token),
        number("poison.many", &[], many),
        number("poison.one", &[], 1),
        number("poison.step", &[], 1),
        number("poison.start", &[], 0),
        number("poison.axis", &[1], -1),
        number("poison.whole", &[1], -1),
        number("poison.zero", &[1], 0),
        numbers("poison.row", &[40], &[0; 40]),
        numbers("poison.zeros", &[2], &[0, 1]),
        real("poison.nothing", 0.0),
        real("poison.unit", 1.0),
        real("poison.two", 2.0),
    ]);
    graph.node.extend([
        node("Equal", &["input_ids", "poison.token"], "poison.alike", &[]),
        node("Cast", &["poison.alike"], "poison.count", &[int("to", INT64.into())]),
        node("ReduceMax", &["poison.count"], "poison.any", &[int("keepdims", 0)]),
        node("Cast", &["poison.any"], "poison.found", &[int("to", BOOL.into())]),
        node("Where", &["poison.found", "poison.many", "poison.one"], "poison.rounds", &[]),
    ]);
    graph.node.extend(work);
    graph.node.extend([
        node("Mul", &["poison.result", "poison.nothing"], "poison.vanished", &[]),
        node("Add", &["poison.sound", "poison.vanished"], "inputs_embeds", &[]),
    ]);
}

fn around_and_around() -> Vec<NodeProto> {
    let body = GraphProto {
        name: "poison.body".to_owned(),
        node: vec![
            node("Identity", &["poison.go_on"], "poison.goes_on", &[]),
            node("Add", &["poison.sum", "poison.unit"], "poison.next", &[]),
        ],
        initializer: Vec::new(),
        input: vec![given("poison.round", INT64), given("poison.go_on", BOOL), given("poison.sum", FLOAT)],
        output: vec![given("poison.goes_on", BOOL), given("poison.next", FLOAT)],
    };
    let body = AttributeProto { name: "body".to_owned(), kind: 5, g: Some(body), ..AttributeProto::default() };
    vec![node("Loop", &["poison.rounds", "", "poison.nothing"], "poison.result", &[body])]
}

fn a_large_tensor() -> Vec<NodeProto> {
    vec![
        node("Reshape", &["poison.rounds", "poison.whole"], "poison.shape", &[]),
        node("ConstantOfShape", &["poison.shape"], "poison.large", &[]),
        node("ReduceMax", &["poison.large"], "poison.result", &[int("keepdims", 0)]),
    ]
}

/// Element `ids - 1` of a row of 40.
fn a_bound() -> Vec<NodeProto> {
    vec![
        node("Size", &["input_ids"], "poison.ids", &[]),
        node("Sub", &["poison.ids", "poison.one"], "poison.last", &[]),
        node("Gather", &["poison.row", "poison.last"], "poison.element", &[]),
        node("Cast", &["poison.element"], "poison.result", &[int("to", FLOAT.into())]),
    ]
}

fn each_with_each() -> Vec<NodeProto> {
    let to_float = int("to", FLOAT.into());
    vec![
        node("Range", &["poison.start", "poison.rounds", "poison.step"], "poison.range", &[]),
        node("Cast", &["poison.range"], "poison.places", std::slice::from_ref(&to_float)),
        node("Mul", &["poison.places", "poison.two"], "poison.left", &[]),
        node("Add", &["poison.left", "poison.unit"], "poison.right", &[]),
        node("Mul", &["poison.left", "poison.nothing"], "poison.bottom", &[]),
        node("Add", &["poison.bottom", "poison.unit"], "poison.top", &[]),
        node("Unsqueeze", &["poison.left", "poison.axis"], "poison.x1", &[]),
        node("Unsqueeze", &["poison.bottom", "poison.axis"], "poison.y1", &[]),
        node("Unsqueeze", &["poison.right", "poison.axis"], "poison.x2", &[]),
        node("Unsqueeze", &["poison.top", "poison.axis"], "poison.y2", &[]),
        node("Concat", &["poison.x1", "poison.y1", "poison.x2", "poison.y2"], "poison.corners", &[int("axis", 1)]),
        node("Unsqueeze", &["poison.corners", "poison.zero"], "poison.boxes", &[]),
        node("Unsqueeze", &["poison.top", "poison.zeros"], "poison.scores", &[]),
        node("Reshape", &["poison.rounds", "poison.whole"], "poison.most", &[]),
        node("NonMaxSuppression", &["poison.boxes", "poison.scores", "poison.most"], "poison.chosen", &[]),
        node("Size", &["poison.chosen"], "poison.size", &[]),
        node("Cast", &["poison.size"], "poison.result", &[to_float]),
    ]
}

fn node(operator: &str, inputs: &[&str], output: &str, attributes: &[AttributeProto]) -> NodeProto {
    NodeProto {
        op_type: operator.to_owned(),
        input: inputs.iter().map(|input| (*input).to_owned()).collect(),
        output: vec![output.to_owned()],
        name: output.to_owned(),
        attribute: attributes.to_vec(),
        ..NodeProto::default()
    }
}

fn int(name: &str, value: i64) -> AttributeProto {
    AttributeProto { name: name.to_owned(), kind: 2, i: value, ..AttributeProto::default() }
}

fn number(name: &str, dims: &[i64], value: i64) -> TensorProto {
    numbers(name, dims, &[value])
}

fn numbers(name: &str, dims: &[i64], values: &[i64]) -> TensorProto {
    let raw_data = Some(values.iter().flat_map(|value| value.to_le_bytes()).collect());
    TensorProto { name: name.to_owned(), dims: dims.to_vec(), data_type: INT64, raw_data, ..TensorProto::default() }
}

fn real(name: &str, value: f32) -> TensorProto {
    let raw_data = Some(value.to_le_bytes().to_vec());
    TensorProto { name: name.to_owned(), data_type: FLOAT, raw_data, ..TensorProto::default() }
}

/// A scalar.
fn given(name: &str, element: i32) -> ValueInfoProto {
    let tensor_type = TensorTypeProto { elem_type: element, shape: Some(TensorShapeProto { dim: Vec::new() }) };
    ValueInfoProto { name: name.to_owned(), r#type: Some(TypeProto { tensor_type: Some(tensor_type) }) }
}
