//! Bodies: the branches of an `If` and the inside of a `Loop`, written like the graph around them.
//!
//! What is made between [`Graph::open_body`] and [`Graph::close_body`] belongs to the body. It may use every value of
//! the graph around it; constants and weights are stored there too.

use super::{
    Axis, Element, Graph, Value, node,
    proto::{GraphProto, NodeProto, TensorTypeProto, TypeProto, ValueInfoProto},
    value_info,
};

/// A finished body.
#[derive(Debug, Clone, PartialEq)]
pub struct Body(pub(super) GraphProto);

/// An open body: what it is given, and the nodes of the graph around it.
#[derive(Default)]
pub(super) struct Open {
    around: Vec<NodeProto>,
    given: Vec<ValueInfoProto>,
}

impl Graph {
    /// Begins a body.
    pub fn open_body(&mut self) {
        let around = std::mem::take(&mut self.nodes);
        self.open.push(Open { around, given: Vec::new() });
    }

    /// The next thing that the body is given when it runs: a scalar.
    pub fn given_scalar(&mut self, element: Element) -> Value {
        let value = self.fresh("given");
        self.give(value_info(value.name(), element, &[] as &[Axis]));
        value
    }

    /// The next thing that the body is given when it runs: a tensor of any shape.
    pub fn given_tensor(&mut self, element: Element) -> Value {
        let value = self.fresh("given");
        self.give(info(&value, element));
        value
    }

    fn give(&mut self, info: ValueInfoProto) {
        self.open.last_mut().into_iter().for_each(|open| open.given.push(info.clone()));
    }

    /// Ends the body that was opened last.
    pub fn close_body(&mut self, outputs: &[(&Value, Element)]) -> Body {
        let outputs = outputs.iter().map(|(value, element)| info(&self.made_inside(value), *element)).collect();
        let Open { around, given } = self.open.pop().unwrap_or_default();
        let nodes = std::mem::replace(&mut self.nodes, around);
        let name = self.fresh("body").0;
        Body(GraphProto { node: nodes, name, initializer: Vec::new(), input: given, output: outputs })
    }

    /// A body's output must be made in it.
    fn made_inside(&mut self, value: &Value) -> Value {
        if self.nodes.iter().any(|node| node.output.contains(&value.0)) {
            return value.clone();
        }
        let copy = self.fresh("Identity");
        self.nodes.push(node("", "Identity", &[value], vec![copy.0.clone()], &[]));
        copy
    }
}

fn info(value: &Value, element: Element) -> ValueInfoProto {
    let tensor_type = TensorTypeProto { elem_type: element as i32, shape: None };
    ValueInfoProto { name: value.0.clone(), r#type: Some(TypeProto { tensor_type: Some(tensor_type) }) }
}
