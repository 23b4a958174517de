//! The weights and constants of a graph: large ones go to the external file as they are declared, small ones stay in the
//! model file.

use std::{
    collections::{HashMap, HashSet},
    io::{self, Write},
};

use super::{Element, Graph, Value, proto::TensorProto};
use crate::base::Fatal;

/// Tensors up to this size are stored in the model file itself.
pub const INLINE_BYTES: u64 = 1024;

/// A weight in the data file of some graph.
#[derive(Debug, Clone, PartialEq)]
pub struct Stored(TensorProto);

/// The weights of one graph by name, for another graph of the same model in the same folder.
#[derive(Debug, Clone, Default)]
pub struct Weights(HashMap<String, TensorProto>);

impl Graph {
    /// All weights that this graph has stored, but no constants and no defaults of inputs.
    pub fn weights(&self) -> Weights {
        let others = self.inputs.iter().map(|input| &input.name).chain(self.constants.values().map(|value| &value.0));
        let others: HashSet<&String> = others.collect();
        let stored = self.initializers.iter().filter(|tensor| !others.contains(&tensor.name));
        Weights(stored.map(|tensor| (tensor.name.clone(), tensor.clone())).collect())
    }

    /// A weight of any size: `write` puts `dims` little-endian elements into the writer it is given, unless the graph
    /// beside this one has stored it. `name` must be unused in this graph.
    pub fn weight(
        &mut self,
        name: &str,
        element: Element,
        dims: &[usize],
        write: impl FnOnce(&mut dyn Write) -> io::Result<()>,
    ) -> io::Result<Value> {
        let bytes = bytes_of(name, element, dims)?;
        if let Some(stored) = self.beside.0.get(name).cloned() {
            return Ok(self.shared(&Stored(stored), dims));
        }
        let mut tensor = TensorProto {
            dims: dims.iter().map(|&length| length as i64).collect(),
            data_type: element as i32,
            name: name.to_owned(),
            ..TensorProto::default()
        };
        if bytes <= INLINE_BYTES {
            tensor.raw_data = Some(self.inline(name, bytes, write)?);
        } else if self.external.bytes() + bytes > LARGEST {
            return Err(too_large(name, dims));
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
}

/// No file system holds more, and sums of a few stay far from overflowing.
const LARGEST: u64 = 1 << 55;

fn bytes_of(name: &str, element: Element, dims: &[usize]) -> io::Result<u64> {
    let product = dims.iter().try_fold(element.bytes(), |bytes, &length| bytes.checked_mul(length as u64));
    product.filter(|&bytes| bytes <= LARGEST).ok_or_else(|| too_large(name, dims))
}

fn too_large(name: &str, dims: &[usize]) -> io::Error {
    io::Error::other(Fatal::new(
        format!("weight `{name}` of shape {dims:?}, with those before it, is larger than any disk"),
        "the sizes in config.json are not sensible",
    ))
}

fn check_length(name: &str, expected: u64, written: u64) -> io::Result<()> {
    if expected == written {
        return Ok(());
    }
    Err(io::Error::other(format!("weight `{name}` has {written} bytes where its shape demands {expected}")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bundle::output::Output;

    #[test]
    fn sizes_do_not_overflow() {
        assert_eq!(bytes_of("w", Element::F16, &[3, 5]).unwrap(), 30);
        for dims in [[1 << 28, 1 << 28, 1], [usize::MAX, usize::MAX, 2]] {
            assert!(bytes_of("w", Element::F32, &dims).unwrap_err().to_string().contains("larger than any disk"));
        }
        let mut graph = Graph::create(&Output::counting(), "onnx", "graph").unwrap();
        let mut add = |name: &str| graph.weight(name, Element::U8, &[1 << 55], |_| Ok(()));
        add("first").unwrap();
        let error = add("second").unwrap_err().to_string();
        assert!(error.contains("second") && error.contains("larger than any disk"), "{error}");
    }
}
