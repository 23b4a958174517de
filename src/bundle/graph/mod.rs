//! A small language for writing ONNX graphs: values, operations and weights in, `X.onnx` with `X.onnx_data` out.
//!
//! Weights go to the external file one at a time as they are declared, so that a graph of any size is
//! written in the memory of its largest tensor. Tensors of at most [`INLINE_BYTES`] stay in the model file.

pub mod attribute;
mod body;
pub mod external;
pub mod ops;
pub mod proto;

use std::{
    collections::HashMap,
    io::{self, Write},
};

use prost::Message;

pub use attribute::Attribute;
pub use body::Body;
use external::ExternalData;
use proto::{
    DimensionProto, DimensionValue, GraphProto, IR_VERSION, ModelProto, NodeProto, OperatorSetIdProto, TensorProto,
    TensorShapeProto, TensorTypeProto, TypeProto, ValueInfoProto,
};

use super::output::Output;
use crate::base::Fatal;

/// Tensors up to this size are stored in the model file itself.
pub const INLINE_BYTES: u64 = 1024;

/// The version of ai.onnx that our graphs use; ONNX Runtime 1.24 and later know it.
const OPSET: i64 = 21;

/// The contrib operators of ONNX Runtime.
pub const MICROSOFT: &str = "com.microsoft";

/// `TensorProto.DataType`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Element {
    /// 4 bytes.
    F32 = 1,
    /// 1 byte.
    U8 = 2,
    /// 1 byte.
    I8 = 3,
    /// 4 bytes.
    I32 = 6,
    /// 8 bytes.
    I64 = 7,
    /// 1 byte.
    Bool = 9,
    /// 2 bytes.
    F16 = 10,
}

impl Element {
    /// Bytes of one element.
    pub fn bytes(self) -> u64 {
        match self {
            Self::U8 | Self::I8 | Self::Bool => 1,
            Self::F16 => 2,
            Self::F32 | Self::I32 => 4,
            Self::I64 => 8,
        }
    }
}

/// A tensor in the graph, by name.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Value(String);

impl Value {
    /// An optional input that is left out.
    pub fn absent() -> Self {
        Self(String::new())
    }

    /// The tensor's name in the file.
    pub fn name(&self) -> &str {
        &self.0
    }
}

/// A weight in the data file of some graph.
#[derive(Debug, Clone, PartialEq)]
pub struct Stored(TensorProto);

/// The length of one axis of an input or output.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Axis<'a> {
    /// Known when the graph is written.
    Fixed(usize),
    /// Known when the graph is run.
    Named(&'a str),
}

/// A graph being written.
pub struct Graph {
    name: String,
    nodes: Vec<NodeProto>,
    /// Bodies that are being written, innermost last.
    open: Vec<body::Open>,
    initializers: Vec<TensorProto>,
    inputs: Vec<ValueInfoProto>,
    outputs: Vec<ValueInfoProto>,
    external: ExternalData,
    output: Output,
    model: String,
    constants: HashMap<(Element, Vec<i64>, Vec<u8>), Value>,
    opset: i64,
    scope: String,
    count: usize,
}

impl Graph {
    /// Begins the graph of `NAME.onnx` in the output's folder of that path; large weights go to `NAME.onnx_data`.
    pub fn create(output: &Output, folder: &str, name: &str) -> io::Result<Self> {
        let model = format!("{folder}/{name}.onnx");
        Ok(Self {
            external: ExternalData::create(output, &format!("{model}_data"))?,
            output: output.clone(),
            model,
            name: name.to_owned(),
            nodes: Vec::new(),
            open: Vec::new(),
            initializers: Vec::new(),
            inputs: Vec::new(),
            outputs: Vec::new(),
            constants: HashMap::new(),
            opset: OPSET,
            scope: String::new(),
            count: 0,
        })
    }

    /// Asks for a newer version of ai.onnx than the default 21.
    pub fn require_opset(&mut self, version: i64) {
        self.opset = self.opset.max(version);
    }

    /// Prefix of the names of all values made from here on, such as `layers.3`.
    pub fn set_scope(&mut self, scope: impl Into<String>) {
        self.scope = scope.into();
    }

    /// Declares something that is fed.
    pub fn input(&mut self, name: &str, element: Element, shape: &[Axis]) -> Value {
        self.inputs.push(value_info(name, element, shape));
        Value(name.to_owned())
    }

    /// Gives a value its public name and type and declares it as coming out.
    pub fn output(&mut self, value: &Value, name: &str, element: Element, shape: &[Axis]) {
        if value.name() != name {
            let made_here = self.rename(value, name);
            if !made_here {
                self.nodes.push(node("", "Identity", &[value], vec![name.to_owned()], &[]));
            }
        }
        self.outputs.push(value_info(name, element, shape));
    }

    /// Renames a value wherever it is made and used. False when it is an input, a weight or already an output.
    fn rename(&mut self, value: &Value, name: &str) -> bool {
        let is_output = self.outputs.iter().any(|output| output.name == value.0);
        let is_made = self.nodes.iter().any(|node| node.output.contains(&value.0));
        if is_output || !is_made {
            return false;
        }
        rename_in(&mut self.nodes, &value.0, name);
        true
    }

    /// An operation of ai.onnx with one output.
    pub fn op(&mut self, operator: &str, inputs: &[&Value], attributes: &[(&str, Attribute)]) -> Value {
        self.ops("", operator, inputs, 1, attributes).remove(0)
    }

    /// An operation of ONNX Runtime's own domain with one output.
    pub fn contrib(&mut self, operator: &str, inputs: &[&Value], attributes: &[(&str, Attribute)]) -> Value {
        self.ops(MICROSOFT, operator, inputs, 1, attributes).remove(0)
    }

    /// An operation of any domain with any number of outputs.
    pub fn ops(
        &mut self,
        domain: &str,
        operator: &str,
        inputs: &[&Value],
        outputs: usize,
        attributes: &[(&str, Attribute)],
    ) -> Vec<Value> {
        let values: Vec<Value> = (0..outputs).map(|_| self.fresh(operator)).collect();
        let names = values.iter().map(|value| value.0.clone()).collect();
        self.nodes.push(node(domain, operator, inputs, names, attributes));
        values
    }

    /// A weight of any size: `write` puts `dims` little-endian elements into the writer it is given.
    /// `name` must be unused in this graph.
    pub fn weight(
        &mut self,
        name: &str,
        element: Element,
        dims: &[usize],
        write: impl FnOnce(&mut dyn Write) -> io::Result<()>,
    ) -> io::Result<Value> {
        let bytes = bytes_of(name, element, dims)?;
        let mut tensor = TensorProto {
            dims: dims.iter().map(|&length| length as i64).collect(),
            data_type: element as i32,
            name: name.to_owned(),
            ..TensorProto::default()
        };
        if bytes <= INLINE_BYTES {
            tensor.raw_data = Some(self.inline(name, bytes, write)?);
        } else {
            let (entries, written) = self.external.append(bytes, write)?;
            check_length(name, bytes, written)?;
            tensor.external_data = entries;
            tensor.data_location = 1;
        }
        self.initializers.push(tensor);
        Ok(Value(name.to_owned()))
    }

    fn inline(
        &self,
        name: &str,
        bytes: u64,
        write: impl FnOnce(&mut dyn Write) -> io::Result<()>,
    ) -> io::Result<Vec<u8>> {
        if self.external.only_counts() {
            return Ok(vec![0; bytes as usize]);
        }
        let mut data = Vec::with_capacity(bytes as usize);
        write(&mut data)?;
        check_length(name, bytes, data.len() as u64)?;
        Ok(data)
    }

    /// Where a weight of this graph lies, for another graph of the same folder.
    pub fn stored(&self, value: &Value) -> Option<Stored> {
        self.initializers.iter().find(|tensor| tensor.name == value.0).cloned().map(Stored)
    }

    /// A weight that another graph has stored, under any shape of as many elements.
    pub fn shared(&mut self, stored: &Stored, dims: &[usize]) -> Value {
        let dims = dims.iter().map(|&length| length as i64).collect();
        self.initializers.push(TensorProto { dims, ..stored.0.clone() });
        Value(stored.0.name.clone())
    }

    /// A small constant; equal constants are stored once.
    pub fn constant(&mut self, element: Element, dims: &[usize], data: Vec<u8>) -> Value {
        let dims: Vec<i64> = dims.iter().map(|&length| length as i64).collect();
        let key = (element, dims.clone(), data.clone());
        if let Some(value) = self.constants.get(&key) {
            return value.clone();
        }
        let value = Value(format!("const.{}", self.constants.len()));
        self.initializers.push(TensorProto {
            dims,
            data_type: element as i32,
            name: value.0.clone(),
            raw_data: Some(data),
            ..TensorProto::default()
        });
        self.constants.insert(key, value.clone());
        value
    }

    /// Writes the model file and makes both files durable. The external file is left out when it stayed empty.
    pub fn finish(self) -> io::Result<()> {
        self.external.finish()?;
        let proto = ModelProto {
            ir_version: IR_VERSION,
            producer_name: "lapidary".to_owned(),
            producer_version: env!("CARGO_PKG_VERSION").to_owned(),
            opset_import: vec![opset("", self.opset), opset(MICROSOFT, 1)],
            graph: Some(GraphProto {
                node: self.nodes,
                name: self.name,
                initializer: self.initializers,
                input: self.inputs,
                output: self.outputs,
            }),
        };
        self.output.write(&self.model, &proto.encode_to_vec())
    }

    fn fresh(&mut self, operator: &str) -> Value {
        self.count += 1;
        let dot = if self.scope.is_empty() { "" } else { "." };
        Value(format!("{}{dot}{operator}.{}", self.scope, self.count))
    }
}

/// Renames a value in nodes and in the bodies inside them.
fn rename_in(nodes: &mut [NodeProto], from: &str, to: &str) {
    for node in nodes {
        let names = node.input.iter_mut().chain(&mut node.output);
        names.filter(|used| *used == from).for_each(|used| *used = to.to_owned());
        let bodies = node.attribute.iter_mut().filter_map(|attribute| attribute.g.as_mut());
        bodies.for_each(|body| rename_in(&mut body.node, from, to));
    }
}

/// No file system holds more, and sums of a few stay far from overflowing.
const LARGEST: u64 = 1 << 55;

fn bytes_of(name: &str, element: Element, dims: &[usize]) -> io::Result<u64> {
    let product = dims.iter().try_fold(element.bytes(), |bytes, &length| bytes.checked_mul(length as u64));
    product.filter(|&bytes| bytes <= LARGEST).ok_or_else(|| {
        io::Error::other(Fatal::new(
            format!("weight `{name}` of shape {dims:?} is larger than any disk"),
            "the sizes in config.json are not sensible",
        ))
    })
}

fn check_length(name: &str, expected: u64, written: u64) -> io::Result<()> {
    if expected == written {
        return Ok(());
    }
    Err(io::Error::other(format!("weight `{name}` has {written} bytes where its shape demands {expected}")))
}

fn opset(domain: &str, version: i64) -> OperatorSetIdProto {
    OperatorSetIdProto { domain: domain.to_owned(), version }
}

fn node(
    domain: &str,
    operator: &str,
    inputs: &[&Value],
    outputs: Vec<String>,
    attributes: &[(&str, Attribute)],
) -> NodeProto {
    NodeProto {
        input: inputs.iter().map(|value| value.0.clone()).collect(),
        name: outputs[0].clone(),
        output: outputs,
        op_type: operator.to_owned(),
        attribute: attributes.iter().map(|(name, attribute)| attribute.to_proto(name)).collect(),
        domain: domain.to_owned(),
    }
}

fn value_info(name: &str, element: Element, shape: &[Axis]) -> ValueInfoProto {
    let dim = |axis: &Axis| match axis {
        Axis::Fixed(length) => DimensionValue::Fixed(*length as i64),
        Axis::Named(name) => DimensionValue::Named((*name).to_owned()),
    };
    let shape = TensorShapeProto { dim: shape.iter().map(|axis| DimensionProto { value: Some(dim(axis)) }).collect() };
    let tensor_type = TensorTypeProto { elem_type: element as i32, shape: Some(shape) };
    ValueInfoProto { name: name.to_owned(), r#type: Some(TypeProto { tensor_type: Some(tensor_type) }) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_do_not_overflow() {
        assert_eq!(bytes_of("w", Element::F16, &[3, 5]).unwrap(), 30);
        for dims in [[1 << 28, 1 << 28, 1], [usize::MAX, usize::MAX, 2]] {
            assert!(bytes_of("w", Element::F32, &dims).unwrap_err().to_string().contains("larger than any disk"));
        }
    }
}
