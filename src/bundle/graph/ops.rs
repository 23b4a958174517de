//! The operations that our graphs use over and over, by their everyday names.

use super::{Attribute, Element, Graph, Value};

impl Graph {
    /// A constant list of i64, shape `[n]`.
    pub fn ints(&mut self, values: &[i64]) -> Value {
        let data = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        self.constant(Element::I64, &[values.len()], data)
    }

    /// A constant i64 scalar.
    pub fn int(&mut self, value: i64) -> Value {
        self.constant(Element::I64, &[], value.to_le_bytes().to_vec())
    }

    /// A constant list of f32, shape `[n]`.
    pub fn floats(&mut self, values: &[f32]) -> Value {
        let data = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        self.constant(Element::F32, &[values.len()], data)
    }

    /// A constant f32 scalar.
    pub fn float(&mut self, value: f32) -> Value {
        self.constant(Element::F32, &[], value.to_le_bytes().to_vec())
    }

    /// `a + b`.
    pub fn add(&mut self, a: &Value, b: &Value) -> Value {
        self.op("Add", &[a, b], &[])
    }

    /// `a * b`.
    pub fn mul(&mut self, a: &Value, b: &Value) -> Value {
        self.op("Mul", &[a, b], &[])
    }

    /// `a - b`.
    pub fn sub(&mut self, a: &Value, b: &Value) -> Value {
        self.op("Sub", &[a, b], &[])
    }

    /// `a / b`.
    pub fn div(&mut self, a: &Value, b: &Value) -> Value {
        self.op("Div", &[a, b], &[])
    }

    /// `a @ b`.
    pub fn matmul(&mut self, a: &Value, b: &Value) -> Value {
        self.op("MatMul", &[a, b], &[])
    }

    /// Reshape; 0 keeps an axis, -1 infers one.
    pub fn reshape(&mut self, value: &Value, shape: &[i64]) -> Value {
        let shape = self.ints(shape);
        self.op("Reshape", &[value, &shape], &[])
    }

    /// Transpose.
    pub fn transpose(&mut self, value: &Value, order: &[i64]) -> Value {
        self.op("Transpose", &[value], &[("perm", Attribute::Ints(order.to_vec()))])
    }

    /// Joins along one axis.
    pub fn concat(&mut self, values: &[&Value], axis: i64) -> Value {
        self.op("Concat", values, &[("axis", Attribute::Int(axis))])
    }

    /// Rows of `table` along `axis`.
    pub fn gather(&mut self, table: &Value, indices: &Value, axis: i64) -> Value {
        self.op("Gather", &[table, indices], &[("axis", Attribute::Int(axis))])
    }

    /// `value[start..end]` along one axis with constant bounds; `i64::MAX` is the end.
    pub fn slice(&mut self, value: &Value, axis: i64, start: i64, end: i64) -> Value {
        let (start, end, axis) = (self.ints(&[start]), self.ints(&[end]), self.ints(&[axis]));
        self.op("Slice", &[value, &start, &end, &axis], &[])
    }

    /// New axes of length 1 at these places of the result.
    pub fn unsqueeze(&mut self, value: &Value, axes: &[i64]) -> Value {
        let axes = self.ints(axes);
        self.op("Unsqueeze", &[value, &axes], &[])
    }

    /// Another element type.
    pub fn cast(&mut self, value: &Value, element: Element) -> Value {
        self.op("Cast", &[value], &[("to", Attribute::Int(element as i64))])
    }

    /// `x * sigmoid(x)`.
    pub fn silu(&mut self, value: &Value) -> Value {
        let gate = self.op("Sigmoid", &[value], &[]);
        self.mul(value, &gate)
    }

    /// GELU with the tanh approximation.
    pub fn gelu_tanh(&mut self, value: &Value) -> Value {
        self.op("Gelu", &[value], &[("approximate", Attribute::Text("tanh"))])
    }

    /// RMS norm over the last axis: `x * (mean(x^2) + eps)^-0.5 * weight`.
    pub fn rms_norm(&mut self, value: &Value, weight: &Value, epsilon: f32) -> Value {
        let attributes = [("axis", Attribute::Int(-1)), ("epsilon", Attribute::Float(epsilon))];
        self.op("SimplifiedLayerNormalization", &[value, weight], &attributes)
    }
}
