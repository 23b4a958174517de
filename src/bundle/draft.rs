//! A graph in the making together with the checkpoint that feeds it: weights by name, at the bundle's precision.

use std::{io, path::Path};

use super::{
    Format, Part, Precision, Tensor,
    checkpoint::Checkpoint,
    export::GRAPHS,
    graph::{Attribute, Element, Graph, OWN, Rounded, Value, Weights},
    output::Output,
    quantize::{self, Int4, Losses},
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
    /// The part of the model that is being written: its format is that of `linear`, `operand` and `apply`.
    part: Part,
    /// May nodes be this program's own operators?
    own_operators: bool,
    output: Output,
    model: std::path::PathBuf,
}

/// The weight of a linear map, `[outputs, inputs]` in the checkpoint.
pub enum Linear {
    /// `[outputs, inputs]`, as in the checkpoint.
    Dense(Value),
    /// Codes `[inputs, outputs]` s8 and scales `[outputs]`.
    Int8(Value, Value),
    /// The same taken out of a stack as the graph runs, and whether quick products overflow.
    Taken(Value, Value, Value),
    /// Blocks of 4 bits.
    Int4(Blocks),
}

/// A weight `[outputs, inputs]` in blocks of 4 bits.
pub struct Blocks {
    /// `[outputs, blocks, 16]` u8.
    pub codes: Value,
    /// `[outputs * blocks]`.
    pub scales: Value,
    /// `[outputs * ((blocks + 1) / 2)]` u8, where blocks have zero points of their own.
    pub zeros: Option<Value>,
    /// Rows of the weight.
    pub outputs: usize,
    /// Columns of the weight.
    pub inputs: usize,
}

/// Codes of 4 bits that lie in the graph, and what belongs beside them.
pub struct Int4Codes {
    /// The codes.
    pub codes: Value,
    /// One for each block, row by row.
    pub scales: Vec<f32>,
    /// Packed zero points, row by row; empty for symmetric blocks.
    pub zeros: Vec<u8>,
}

/// What a linear map is applied to, ready for the bundle's kind of weights; may serve several maps.
pub enum Operand {
    /// As it is, at the compute type.
    Plain(Value),
    /// Rows in 8 bits.
    Rounded(Rounded),
}

impl<'a> Draft<'a> {
    /// Begins `NAME.onnx` with `NAME.onnx_data` in the bundle's folder of graphs.
    pub fn begin(name: &str, output: &Output, checkpoint: &'a Checkpoint, precision: Precision) -> Result<Self, Fatal> {
        let model = output.path(&format!("{GRAPHS}/{name}.onnx"));
        let graph = Graph::create(output, GRAPHS, name).map_err(|error| write_fatal(&model, error))?;
        let (losses, part, output) = (Losses::default(), Part::Decoder, output.clone());
        Ok(Self { graph, checkpoint, precision, losses, part, own_operators: false, output, model })
    }

    /// Begins another graph of the same model, which reads the weights of the first and may use our own operators.
    pub fn begin_beside(
        name: &str,
        output: &Output,
        checkpoint: &'a Checkpoint,
        precision: Precision,
        weights: Weights,
    ) -> Result<Self, Fatal> {
        let mut draft = Self::begin(name, output, checkpoint, precision)?;
        draft.graph.borrow(weights);
        draft.own_operators = true;
        Ok(draft)
    }

    /// Writes the model file.
    pub fn finish(self) -> Result<Losses, Fatal> {
        self.graph.finish().map_err(|error| write_fatal(&self.model, error))?;
        Ok(self.losses)
    }

    /// What follows belongs to another part of the model. Returns the part until now.
    pub fn enter(&mut self, part: Part) -> Part {
        std::mem::replace(&mut self.part, part)
    }

    /// Where the bundle's files go.
    pub fn output(&self) -> &Output {
        &self.output
    }

    /// The format of the part that is being written.
    pub fn format(&self) -> Format {
        self.precision.of(self.part)
    }

    /// What is fed and comes out, and what the KV buffers hold.
    pub fn dtype(&self) -> Element {
        self.precision.dtype.element()
    }

    /// What the linear maps of this part take and give.
    pub fn compute(&self) -> Element {
        self.precision.compute(self.part)
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
        match self.format() {
            Format::F32 | Format::F16 => {
                self.dense(&name, tensor, &[tensor.rows(), tensor.row_length()]).map(Linear::Dense)
            }
            Format::Int8 => self
                .int8(&name, std::slice::from_ref(tensor), &[], kind)
                .map(|(codes, scales)| Linear::Int8(codes, scales)),
            Format::Int4 | Format::Int4Asymmetric => self.blocks(&name, tensor, kind).map(Linear::Int4),
        }
    }

    /// A tensor as it is, in the part's floats, stored with shape `dims`.
    pub fn dense(&mut self, name: &str, tensor: &Tensor, dims: &[usize]) -> Result<Value, Fatal> {
        let element = self.format().dense().unwrap_or(self.dtype());
        self.store(name, element, dims, |out| {
            tensor.chunks().try_for_each(|chunk| {
                let (_, values) = chunk.map_err(io::Error::other)?;
                quantize::write_dense(out, name, &values, element)
            })
        })
    }

    /// Maps of one shape: codes `[inputs, outputs]` and scales `[outputs]` f32 of each, with the axes `stack` before them.
    pub fn int8(
        &mut self,
        name: &str,
        maps: &[Tensor],
        stack: &[usize],
        kind: &'static str,
    ) -> Result<(Value, Value), Fatal> {
        let (outputs, inputs) = maps.first().map_or((0, 0), |map| (map.rows(), map.row_length()));
        let (mut scales, mut losses, aside) = (Vec::new(), Losses::default(), self.output.clone());
        let dims = [stack, &[inputs, outputs]].concat();
        let codes = self.store(&format!("{name}.s8"), Element::I8, &dims, |out| {
            maps.iter().try_for_each(|map| {
                let (of_outputs, loss) = quantize::write_turned(map, aside.aside(), out)?;
                scales.extend(of_outputs);
                losses.add(kind, loss);
                Ok(())
            })
        })?;
        self.losses.merge(losses);
        let dims = [stack, &[outputs]].concat();
        Ok((codes, self.floats(&format!("{name}.scales"), &dims, &scales, Element::F32)?))
    }

    fn blocks(&mut self, name: &str, tensor: &Tensor, kind: &'static str) -> Result<Blocks, Fatal> {
        let (outputs, inputs) = (tensor.rows(), tensor.row_length());
        let blocks = inputs.div_ceil(quantize::BLOCK);
        let made = self.int4(name, tensor, &[outputs, blocks, quantize::BLOCK / 2], kind)?;
        let scales = self.floats(&format!("{name}.scales"), &[outputs * blocks], &made.scales, self.dtype())?;
        let zeros = self.zeros(name, &[outputs * blocks.div_ceil(2)], &made.zeros)?;
        Ok(Blocks { codes: made.codes, scales, zeros, outputs, inputs })
    }

    /// A tensor in 4 bits: the codes, stored with shape `dims` (rows are cut to fit), and what belongs beside them.
    pub fn int4(
        &mut self,
        name: &str,
        tensor: &Tensor,
        dims: &[usize],
        kind: &'static str,
    ) -> Result<Int4Codes, Fatal> {
        let row_bytes = dims.iter().product::<usize>() / tensor.rows().max(1);
        let form = Int4 { scales: self.dtype(), asymmetric: self.format() == Format::Int4Asymmetric };
        let (mut scales, mut zeros, mut losses) = (Vec::new(), Vec::new(), Losses::default());
        let codes = self.store(&format!("{name}.u4"), Element::U8, dims, |out| {
            scales.reserve_exact(tensor.rows() * tensor.row_length().div_ceil(quantize::BLOCK));
            for chunk in tensor.chunks() {
                let (_, values) = chunk.map_err(io::Error::other)?;
                let rows = quantize::int4_rows(name, &values, tensor.row_length(), row_bytes, form)?;
                out.write_all(&rows.codes)?;
                scales.extend(rows.scales);
                zeros.extend(rows.zeros);
                losses.add(kind, rows.loss);
            }
            Ok(())
        })?;
        self.losses.merge(losses);
        Ok(Int4Codes { codes, scales, zeros })
    }

    /// Stores the zero points of a part that has them.
    pub fn zeros(&mut self, name: &str, dims: &[usize], zeros: &[u8]) -> Result<Option<Value>, Fatal> {
        if self.format() != Format::Int4Asymmetric {
            return Ok(None);
        }
        self.store(&format!("{name}.zeros"), Element::U8, dims, |out| out.write_all(zeros)).map(Some)
    }

    /// Stores floats that are at hand.
    pub fn floats(&mut self, name: &str, dims: &[usize], values: &[f32], element: Element) -> Result<Value, Fatal> {
        self.store(name, element, dims, |out| quantize::write_dense(out, name, values, element))
    }

    /// Makes a value with rows of `width` ready for linear maps.
    pub fn operand(&mut self, value: &Value, width: usize, element: Element) -> Operand {
        let compute = self.compute();
        let value = self.convert(value, element, compute);
        match self.format() {
            Format::Int8 => Operand::Rounded(self.rounded(&value, width)),
            _ => Operand::Plain(value),
        }
    }

    fn rounded(&mut self, value: &Value, width: usize) -> Rounded {
        if !self.own_operators {
            return self.graph.rounded(value, width);
        }
        let mut made = self.graph.ops(OWN, "RoundRows", &[value], 2, &[]).into_iter();
        let mut next = || made.next().unwrap_or_else(Value::absent);
        Rounded { codes: next(), scales: next() }
    }

    /// `operand @ weight^T` at the compute type.
    pub fn apply(&mut self, weight: &Linear, operand: &Operand) -> Value {
        match (weight, operand) {
            (Linear::Int8(codes, scales), Operand::Rounded(rows)) => self.graph.rounded_matmul(rows, codes, scales),
            (Linear::Taken(codes, scales, overflow), Operand::Rounded(rows)) => {
                self.graph.taken_matmul(rows, codes, scales, overflow)
            }
            (Linear::Int4(blocks), Operand::Plain(value) | Operand::Rounded(Rounded { codes: value, .. })) => {
                self.block_products(value, blocks)
            }
            (
                Linear::Dense(weight) | Linear::Int8(weight, _) | Linear::Taken(weight, ..),
                Operand::Plain(value) | Operand::Rounded(Rounded { codes: value, .. }),
            ) => self.graph.contrib("FusedMatMul", &[value, weight], &[("transB", Attribute::Int(1))]),
        }
    }

    /// `value @ weight^T` for blocks of 4 bits, in our own operator where there may be one: it takes f32 only.
    fn block_products(&mut self, value: &Value, blocks: &Blocks) -> Value {
        let inputs = [value, &blocks.codes, &blocks.scales].into_iter().chain(&blocks.zeros).collect::<Vec<_>>();
        let sizes =
            [("K", blocks.inputs), ("N", blocks.outputs)].map(|(name, size)| (name, Attribute::Int(size as i64)));
        if self.own_operators && self.compute() == Element::F32 && self.dtype() == Element::F32 {
            let made = self.graph.ops(OWN, "BlockProducts", &inputs, 1, &sizes).into_iter().next();
            return made.unwrap_or_else(Value::absent);
        }
        let [k, n] = sizes;
        let form = [("bits", 4), ("block_size", quantize::BLOCK as i64), ("accuracy_level", 4)]
            .map(|(name, value)| (name, Attribute::Int(value)));
        let attributes: Vec<_> = [k, n].into_iter().chain(form).collect();
        self.graph.contrib("MatMulNBits", &inputs, &attributes)
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
