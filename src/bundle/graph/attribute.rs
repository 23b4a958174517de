//! Attributes of operations.

use super::{body::Body, proto::AttributeProto};

/// The value of an attribute.
#[derive(Debug, Clone, PartialEq)]
pub enum Attribute {
    /// One float.
    Float(f32),
    /// One integer.
    Int(i64),
    /// One string.
    Text(&'static str),
    /// A list of integers.
    Ints(Vec<i64>),
    /// A list of floats.
    Floats(Vec<f32>),
    /// A branch of an `If` or the inside of a `Loop`.
    Graph(Body),
}

impl Attribute {
    pub(super) fn to_proto(&self, name: &str) -> AttributeProto {
        let mut proto = AttributeProto { name: name.to_owned(), kind: self.kind(), ..AttributeProto::default() };
        match self {
            Self::Float(value) => proto.f = *value,
            Self::Int(value) => proto.i = *value,
            Self::Text(value) => proto.s = value.as_bytes().to_vec(),
            Self::Ints(values) => proto.ints = values.clone(),
            Self::Floats(values) => proto.floats = values.clone(),
            Self::Graph(body) => proto.g = Some(body.0.clone()),
        }
        proto
    }

    /// `AttributeProto.AttributeType`.
    fn kind(&self) -> i32 {
        match self {
            Self::Float(_) => 1,
            Self::Int(_) => 2,
            Self::Text(_) => 3,
            Self::Graph(_) => 5,
            Self::Floats(_) => 6,
            Self::Ints(_) => 7,
        }
    }
}
