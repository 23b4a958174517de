//! Products in 8 bits: rows rounded each by its own largest value, times codes with one scale for each output.
//!
//! No row depends on its neighbours, and no product on the processor. Codes are u8 around 128 because that is what ONNX
//! Runtime's fast product takes on the left: s8 on both sides is ten and more times slower.

use super::{Attribute, Element, Graph, Value};

/// What rows are rounded around.
const MIDDLE: u8 = 128;

/// Steps on either side of it.
const STEPS: f32 = 127.0;

/// Rows of a value, rounded.
#[derive(Debug, Clone)]
pub struct Rounded {
    /// u8, the shape of the value.
    pub codes: Value,
    /// f32, the same shape with a last axis of 1.
    pub scales: Value,
}

impl Graph {
    /// Rounds rows of `width` values, f32.
    ///
    /// A row is one block of `QuantizeLinear`, which divides, rounds, shifts and narrows in one pass: the same bits as
    /// those four operations one by one, in a third of their time.
    pub fn rounded(&mut self, value: &Value, width: usize) -> Rounded {
        let scales = self.row_scales(value);
        let shape = self.op("Shape", &[&scales], &[]);
        let middle = self.middle();
        let middle = self.op("Expand", &[&middle, &shape], &[]);
        let rows = [("axis", Attribute::Int(-1)), ("block_size", Attribute::Int(width as i64))];
        Rounded { codes: self.op("QuantizeLinear", &[value, &scales, &middle], &rows), scales }
    }

    /// What a step is worth in each row. Two reductions read the rows; `Abs` before one of them would write them too.
    fn row_scales(&mut self, value: &Value) -> Value {
        let (last, tiny, steps) = (self.ints(&[-1]), self.float(1e-30), self.float(STEPS));
        let keep = [("keepdims", Attribute::Int(1))];
        let highest = self.op("ReduceMax", &[value, &last], &keep);
        let lowest = self.op("ReduceMin", &[value, &last], &keep);
        let depth = self.op("Neg", &[&lowest], &[]);
        let largest = self.op("Max", &[&highest, &depth, &tiny], &[]);
        self.div(&largest, &steps)
    }

    /// `rows @ (codes * scales)`, f32: codes `[width, outputs]` s8, scales `[outputs]` f32.
    pub fn rounded_matmul(&mut self, rows: &Rounded, codes: &Value, scales: &Value) -> Value {
        let product = self.codes_matmul(&rows.codes, codes, scales, None);
        self.mul(&product, &rows.scales)
    }

    /// Codes of rows around 128 times codes, each output by its scale; `middle` is what the latter stand around, if not 0.
    fn codes_matmul(&mut self, rows: &Value, codes: &Value, scales: &Value, middle: Option<&Value>) -> Value {
        let (one, middle_of_rows) = (self.float(1.0), self.middle());
        let inputs = [rows, codes, &one, scales, &middle_of_rows].into_iter().chain(middle);
        self.contrib("MatMulIntegerToFloat", &inputs.collect::<Vec<_>>(), &[])
    }

    /// As [`Graph::rounded_matmul`], for codes that the graph takes out of a stack while it runs. The option by which ONNX
    /// Runtime multiplies exactly on every processor (`generate::Runtime::session`) reaches constants only, so the graph sees
    /// to it itself: where `overflows` holds, which [`Graph::products_overflow`] tells, codes are made u8 first.
    pub fn taken_matmul(&mut self, rows: &Rounded, codes: &Value, scales: &Value, overflows: &Value) -> Value {
        self.open_body();
        let exact = self.exact_matmul(rows, codes, scales);
        let exact = self.close_body(&[(&exact, Element::F32)]);
        self.open_body();
        let quick = self.rounded_matmul(rows, codes, scales);
        let quick = self.close_body(&[(&quick, Element::F32)]);
        self.op(
            "If",
            &[overflows],
            &[("then_branch", Attribute::Graph(exact)), ("else_branch", Attribute::Graph(quick))],
        )
    }

    /// The product of u8 and u8 around 128 overflows nowhere. It is slower than that of u8 and s8.
    fn exact_matmul(&mut self, rows: &Rounded, codes: &Value, scales: &Value) -> Value {
        let middle = self.middle();
        let bytes = self.cast(codes, Element::U8);
        let moved = self.op("BitwiseXor", &[&bytes, &middle], &[]);
        let product = self.codes_matmul(&rows.codes, &moved, scales, Some(&middle));
        self.mul(&product, &rows.scales)
    }

    /// Whether the product of u8 and s8 overflows on the processor at hand, bool: it is given the largest that there are,
    /// and must find their sum. `number` is any whole number that is known only when the graph runs, else the product
    /// would be made beforehand, exactly.
    pub fn products_overflow(&mut self, number: &Value) -> Value {
        let zero = self.op("Sub", &[number, number], &[]);
        let codes = self.constant(Element::I8, &[1, 2, 1], vec![127; 2]);
        let codes = self.gather(&codes, &zero, 0);
        let rows = self.constant(Element::U8, &[1, 2], vec![255; 2]);
        let scales = self.constant(Element::F32, &[1], 1.0_f32.to_le_bytes().to_vec());
        let product = self.codes_matmul(&rows, &codes, &scales, None);
        let product = self.reshape(&product, &[]);
        let expected = self.float(2.0 * STEPS * STEPS);
        self.op("Less", &[&product, &expected], &[])
    }

    fn middle(&mut self) -> Value {
        self.constant(Element::U8, &[], vec![MIDDLE])
    }
}
