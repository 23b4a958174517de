//! What a graph file says of itself beside its weights: who made it, how its numbers are stored, and which other files
//! hold its tensors (`onnx.proto`, ONNX 1.23).

use std::{collections::BTreeMap, fs, path::Path};

use super::wire::{Broken, Content, Fields};
use crate::base::Fatal;

/// Protobuf allows no larger file.
const LARGEST: u64 = 2 << 30;

/// Graphs within graphs (the branches of `If`) that are followed.
const DEEPEST: usize = 8;

/// The outline of one graph file.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Outline {
    /// The program that made it, with its version; may be empty.
    pub(super) producer: String,
    /// Files beside it that hold tensors, with the length that each must have at least.
    pub(super) data: BTreeMap<String, u64>,
    /// `int4`, `int8` or `none`: how the maps with the fewest bits hold their weights.
    pub(super) quantize: &'static str,
    /// Element type of `past_key_values.0.key`: `f32`, `f16`, `bf16` or empty.
    pub(super) cache: &'static str,
}

impl Outline {
    /// # Errors
    /// When the file cannot be read or is no ONNX model.
    pub(super) fn read(path: &Path) -> Result<Self, Fatal> {
        let unreadable = |error: std::io::Error| {
            Fatal::new(format!("cannot read `{}`: {error}", path.display()), "download or export the model again")
        };
        if fs::metadata(path).map_err(unreadable)?.len() > LARGEST {
            let message = format!("`{}` is larger than the 2 GiB that a graph may have", path.display());
            return Err(Fatal::new(message, "its weights belong into files beside it; export the model again"));
        }
        let bytes = fs::read(path).map_err(unreadable)?;
        Self::parse(&bytes).map_err(|Broken| {
            Fatal::new(format!("`{}` is no ONNX graph", path.display()), "download or export the model again")
        })
    }

    fn parse(bytes: &[u8]) -> Result<Self, Broken> {
        let mut outline = Self { quantize: "none", ..Self::default() };
        let (name, version) = (Fields(bytes).text(2)?, Fields(bytes).text(3)?);
        outline.producer = format!("{name} {version}").trim().to_owned();
        let mut graphs = 0;
        for graph in Fields(bytes).bytes(7) {
            outline.graph(graph?, DEEPEST)?;
            graphs += 1;
        }
        if graphs == 0 { Err(Broken) } else { Ok(outline) }
    }

    /// `GraphProto`: nodes, initializers, inputs.
    fn graph(&mut self, graph: &[u8], depth: usize) -> Result<(), Broken> {
        for field in Fields(graph) {
            match field? {
                (1, Content::Bytes(node)) => self.node(node, depth)?,
                (5, Content::Bytes(tensor)) => self.tensor(tensor)?,
                (11, Content::Bytes(input)) => self.input(input)?,
                _ => {}
            }
        }
        Ok(())
    }

    /// `NodeProto`: its operator, and the tensors and graphs among its attributes.
    fn node(&mut self, node: &[u8], depth: usize) -> Result<(), Broken> {
        let operator = Fields(node).text(4)?;
        let mut bits = None;
        for attribute in Fields(node).bytes(5) {
            let attribute = attribute?;
            if Fields(attribute).text(1)? == "bits" {
                bits = Some(Fields(attribute).number(3)?);
            }
            for field in Fields(attribute) {
                match field? {
                    (5, Content::Bytes(tensor)) => self.tensor(tensor)?,
                    (6 | 11, Content::Bytes(graph)) if depth > 0 => self.graph(graph, depth - 1)?,
                    _ => {}
                }
            }
        }
        self.quantize = match (operator.as_str(), bits) {
            ("MatMulNBits" | "QMoE", None | Some(0..=4)) => "int4",
            ("MatMulNBits" | "QMoE", _) if self.quantize == "none" => "int8",
            ("MatMulInteger" | "MatMulIntegerToFloat" | "DynamicQuantizeMatMul" | "QLinearMatMul", _)
                if self.quantize == "none" =>
            {
                "int8"
            }
            _ => self.quantize,
        };
        Ok(())
    }

    /// `TensorProto`: where its values lie, when outside.
    fn tensor(&mut self, tensor: &[u8]) -> Result<(), Broken> {
        let (mut location, mut offset, mut length) = (String::new(), 0_u64, 0_u64);
        for entry in Fields(tensor).bytes(13) {
            let entry = entry?;
            let (key, value) = (Fields(entry).text(1)?, Fields(entry).text(2)?);
            match key.as_str() {
                "location" => location = value,
                "offset" => offset = value.parse().map_err(|_| Broken)?,
                "length" => length = value.parse().map_err(|_| Broken)?,
                _ => {}
            }
        }
        if !location.is_empty() {
            let needed = self.data.entry(location).or_default();
            *needed = offset.saturating_add(length).max(*needed);
        }
        Ok(())
    }

    /// `ValueInfoProto`: the type of the first layer's keys.
    fn input(&mut self, input: &[u8]) -> Result<(), Broken> {
        if Fields(input).text(1)? != "past_key_values.0.key" {
            return Ok(());
        }
        for kind in Fields(input).bytes(2) {
            for tensor in Fields(kind?).bytes(1) {
                self.cache = match Fields(tensor?).number(1)? {
                    1 => "f32",
                    10 => "f16",
                    16 => "bf16",
                    _ => "",
                };
            }
        }
        Ok(())
    }
}
