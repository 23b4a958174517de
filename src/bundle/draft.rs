//! A graph in the making together with the checkpoint that feeds it: weights by name, at the bundle's precision.

use std::{io, path::Path};

use super::{
    Precision, Quantize, Tensor,
    checkpoint::Checkpoint,
    graph::{Attribute, Element, Graph, Value},
    quantize::{self, Losses},
};
use crate::base::Fatal;

/// A graph in the making.
pub struct Draft<'a> {
    /// The graph.
    pub graph: Graph,
    /// The weights.
    pub checkpoint: &'a Checkpoint,
    /// How weights are stored.
    pub precision: Precision,
    /// What quantisation has cost so far.
    pub losses: Losses,
    model: std::path::PathBuf,
}

/// The weight of a linear map, `[outputs, inputs]` in the checkpoint.
pub enum Linear {
    /// `[outputs, inputs]`, as in the checkpoint.
    Dense(Value),
    /// Codes `[inputs, outputs]` s8 and scales `[outputs]`.
    Int8(Value, Value),
    /// Blocks of 4 bits.
    Int4 {
        /// `[outputs, blocks, 16]` u8.
        codes: Value,
        /// `[outputs * blocks]`.
        scales: Value,
        /// Rows of the weight.
        outputs: usize,
        /// Columns of the weight.
        inputs: usize,
    },
}

/// What a linear map is applied to, ready for the bundle's kind of weights; may serve several maps.
pub enum Operand {
    /// As it is, at the compute type.
    Plain(Value),
    /// Rows rounded to u8 around 128, and the scale of each row.
    Rounded(Value, Value),
}

impl<'a> Draft<'a> {
    /// Begins `NAME.onnx` with `NAME.onnx_data` in `folder`.
    pub fn begin(name: &str, folder: &Path, checkpoint: &'a Checkpoint, precision: Precision) -> Result<Self, Fatal> {
        let model = folder.join(format!("{name}.onnx"));
        let data = folder.join(format!("{name}.onnx_data"));
        let graph = Graph::create(name, &data).map_err(|error| write_fatal(&data, error))?;
        Ok(Self { graph, checkpoint, precision, losses: Losses::default(), model })
    }

    /// Writes the model file.
    pub fn finish(self) -> Result<Losses, Fatal> {
        self.graph.finish(&self.model).map_err(|error| write_fatal(&self.model, error))?;
        Ok(self.losses)
    }

    /// What is fed and comes out, and what the KV buffers hold.
    pub fn dtype(&self) -> Element {
        self.precision.dtype.element()
    }

    /// What the linear maps take and give: the 8-bit product exists for f32 only.
    pub fn compute(&self) -> Element {
        match self.precision.quantize {
            Quantize::Int8 => Element::F32,
            Quantize::None | Quantize::Int4 => self.dtype(),
        }
    }

    /// A cast that is left out where it would change nothing.
    pub fn convert(&mut self, value: &Value, from: Element, to: Element) -> Value {
        if from == to { value.clone() } else { self.graph.cast(value, to) }
    }

    /// A small weight: a norm or a scalar, multiplied by `factor`, stored as `element`.
    pub fn small(&mut self, name: &str, length: usize, factor: f32, element: Element) -> Result<Value, Fatal> {
        let values = self.checkpoint.values(name, &[length])?;
        let values: Vec<f32> = values.into_iter().map(|value| value * factor).collect();
        self.store(name, element, &[length], |out| quantize::write_dense(out, name, &values, element))
    }

    /// RMS norm of an f32 value over its last axis, with the weight of that name.
    pub fn norm(&mut self, value: &Value, name: &str, length: usize, epsilon: f32) -> Result<Value, Fatal> {
        let weight = self.small(name, length, 1.0, Element::F32)?;
        Ok(self.graph.rms_norm(value, &weight, epsilon))
    }

    /// Stores one tensor, written by `write`.
    pub fn store(
        &mut self,
        name: &str,
        element: Element,
        dims: &[usize],
        write: impl FnOnce(&mut dyn io::Write) -> io::Result<()>,
    ) -> Result<Value, Fatal> {
        self.graph.weight(name, element, dims, write).map_err(|error| write_fatal(&self.model, error))
    }

    /// The weight of a linear map; `part` tells apart several maps made of one tensor.
    pub fn linear(&mut self, tensor: &Tensor, part: &str, kind: &'static str) -> Result<Linear, Fatal> {
        let name = format!("{}{part}", tensor.name());
        let (outputs, inputs) = (tensor.rows(), tensor.row_length());
        match self.precision.quantize {
            Quantize::None => self.dense(&name, tensor, 1.0).map(Linear::Dense),
            Quantize::Int8 => {
                let (codes, scales, loss) = quantize::int8_columns(tensor)?;
                self.losses.add(kind, loss);
                let codes =
                    self.store(&format!("{name}.s8"), Element::I8, &[inputs, outputs], |out| out.write_all(&codes))?;
                let scales = self.floats(&format!("{name}.scales"), &[outputs], &scales, Element::F32)?;
                Ok(Linear::Int8(codes, scales))
            }
            Quantize::Int4 => {
                let blocks = inputs.div_ceil(quantize::BLOCK);
                let dims = [outputs, blocks, quantize::BLOCK / 2];
                let (codes, scales) = self.int4(&name, tensor, 1.0, &dims, kind)?;
                let scales = self.floats(&format!("{name}.scales"), &[outputs * blocks], &scales, self.dtype())?;
                Ok(Linear::Int4 { codes, scales, outputs, inputs })
            }
        }
    }

    /// A tensor as it is, times `factor`, at the bundle's dtype.
    pub fn dense(&mut self, name: &str, tensor: &Tensor, factor: f32) -> Result<Value, Fatal> {
        let element = self.dtype();
        self.store(name, element, &[tensor.rows(), tensor.row_length()], |out| {
            for chunk in tensor.chunks() {
                let (_, mut values) = chunk.map_err(io::Error::other)?;
                values.iter_mut().for_each(|value| *value *= factor);
                quantize::write_dense(out, name, &values, element)?;
            }
            Ok(())
        })
    }

    /// A tensor in 4 bits: the codes, stored with shape `dims` (rows are cut to fit), and the scales times `factor`.
    pub fn int4(
        &mut self,
        name: &str,
        tensor: &Tensor,
        factor: f32,
        dims: &[usize],
        kind: &'static str,
    ) -> Result<(Value, Vec<f32>), Fatal> {
        let row_bytes = dims.iter().product::<usize>() / tensor.rows();
        let mut scales = Vec::with_capacity(tensor.rows() * tensor.row_length().div_ceil(quantize::BLOCK));
        let mut losses = Losses::default();
        let codes = self.store(&format!("{name}.u4"), Element::U8, dims, |out| {
            for chunk in tensor.chunks() {
                let (_, values) = chunk.map_err(io::Error::other)?;
                let rows = quantize::int4_rows(name, &values, tensor.row_length(), row_bytes)?;
                out.write_all(&rows.codes)?;
                scales.extend(rows.scales.iter().map(|scale| scale * factor));
                losses.add(kind, rows.loss);
            }
            Ok(())
        })?;
        self.losses.merge(losses);
        Ok((codes, scales))
    }

    /// Stores floats that are at hand.
    pub fn floats(&mut self, name: &str, dims: &[usize], values: &[f32], element: Element) -> Result<Value, Fatal> {
        self.store(name, element, dims, |out| quantize::write_dense(out, name, values, element))
    }

    /// Makes a value ready for linear maps. Every row is rounded by its own largest value, so that no row
    /// depends on its neighbours in the batch.
    pub fn operand(&mut self, value: &Value, element: Element) -> Operand {
        let compute = self.compute();
        let value = self.convert(value, element, compute);
        match self.precision.quantize {
            Quantize::Int8 => self.rounded(&value),
            Quantize::None | Quantize::Int4 => Operand::Plain(value),
        }
    }

    fn rounded(&mut self, value: &Value) -> Operand {
        let graph = &mut self.graph;
        let (last, tiny, most, middle) =
            (graph.ints(&[-1]), graph.float(1e-30), graph.float(127.0), graph.float(128.0));
        let size = graph.op("Abs", &[value], &[]);
        let largest = graph.op("ReduceMax", &[&size, &last], &[("keepdims", Attribute::Int(1))]);
        let largest = graph.op("Max", &[&largest, &tiny], &[]);
        let scale = graph.div(&largest, &most);
        let scaled = graph.div(value, &scale);
        let whole = graph.op("Round", &[&scaled], &[]);
        let shifted = graph.add(&whole, &middle);
        Operand::Rounded(graph.cast(&shifted, Element::U8), scale)
    }

    /// `operand @ weight^T` at the compute type.
    pub fn apply(&mut self, weight: &Linear, operand: &Operand) -> Value {
        match (weight, operand) {
            (Linear::Int8(codes, scales), Operand::Rounded(rows, row_scales)) => {
                let one = self.graph.float(1.0);
                let middle = self.graph.constant(Element::U8, &[], vec![128]);
                let product = self.graph.contrib("MatMulIntegerToFloat", &[rows, codes, &one, scales, &middle], &[]);
                self.graph.mul(&product, row_scales)
            }
            (Linear::Int4 { codes, scales, outputs, inputs }, Operand::Plain(value) | Operand::Rounded(value, _)) => {
                let attributes = [
                    ("K", Attribute::Int(*inputs as i64)),
                    ("N", Attribute::Int(*outputs as i64)),
                    ("bits", Attribute::Int(4)),
                    ("block_size", Attribute::Int(quantize::BLOCK as i64)),
                    ("accuracy_level", Attribute::Int(4)),
                ];
                self.graph.contrib("MatMulNBits", &[value, codes, scales], &attributes)
            }
            (Linear::Dense(weight) | Linear::Int8(weight, _), Operand::Plain(value) | Operand::Rounded(value, _)) => {
                self.graph.contrib("FusedMatMul", &[value, weight], &[("transB", Attribute::Int(1))])
            }
        }
    }
}

/// What went wrong while `path` was written; an error of the checkpoint passes through as it is.
pub fn write_fatal(path: &Path, error: io::Error) -> Fatal {
    let text = error.to_string();
    let inner = error.into_inner().and_then(|inner| inner.downcast::<Fatal>().ok());
    inner.map_or_else(
        || Fatal::new(format!("cannot write `{}`: {text}", path.display()), "check free space and permissions"),
        |fatal| *fatal,
    )
}
