//! A small language for writing ONNX graphs: values, operations and weights in, `X.onnx` with `X.onnx_data` out.
//!
//! Weights go to the external file one at a time as they are declared, so that a graph of any size is
//! written in the memory of its largest tensor. Tensors of at most [`INLINE_BYTES`] stay in the model file.

pub mod attribute;
mod body;
pub mod external;
pub mod ops;
pub mod proto;
mod rounding;
mod weights;

use std::{collections::HashMap, io};

use prost::Message;

pub use attribute::Attribute;
pub use body::Body;
use external::ExternalData;
use proto::{
    DimensionProto, DimensionValue, GraphProto, IR_VERSION, ModelProto, NodeProto, OperatorSetIdProto, TensorProto,
    TensorShapeProto, TensorTypeProto, TypeProto, ValueInfoProto,
};
pub use rounding::Rounded;
pub use weights::{INLINE_BYTES, Stored, Weights};

use super::output::Output;

/// The version of ai.onnx that our graphs use; ONNX Runtime 1.24 and later know it.
const OPSET: i64 = 21;

/// The contrib operators of ONNX Runtime.
pub const MICROSOFT: &str = "com.microsoft";

/// The operators of this program, which it registers with ONNX Runtime (`generate::operators`).
pub const OWN: &str = "lapidary";

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
    /// What the graph beside this one has stored.
    beside: Weights,
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
            beside: Weights::default(),
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

    /// Weights of these names are read where the graph beside this one has stored them.
    pub fn borrow(&mut self, weights: Weights) {
        self.beside = weights;
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

    /// Declares something that may be fed; where it is not, it is these `i64`, shape `[n]`.
    pub fn optional_ints(&mut self, name: &str, axis: &str, default: &[i64]) -> Value {
        let value = self.input(name, Element::I64, &[Axis::Named(axis)]);
        self.initializers.push(TensorProto {
            dims: vec![default.len() as i64],
            data_type: Element::I64 as i32,
            name: name.to_owned(),
            raw_data: Some(default.iter().flat_map(|number| number.to_le_bytes()).collect()),
            ..TensorProto::default()
        });
        value
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

    /// True when a node at the top is one of this program's own operators.
    fn has_own_operators(&self) -> bool {
        self.nodes.iter().any(|node| node.domain == OWN)
    }

    /// Writes the model file and makes both files durable. The external file is left out when it stayed empty.
    pub fn finish(self) -> io::Result<()> {
        let own = self.has_own_operators().then(|| opset(OWN, 1));
        self.external.finish()?;
        let proto = ModelProto {
            ir_version: IR_VERSION,
            producer_name: "lapidary".to_owned(),
            producer_version: env!("CARGO_PKG_VERSION").to_owned(),
            opset_import: [opset("", self.opset), opset(MICROSOFT, 1)].into_iter().chain(own).collect(),
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
