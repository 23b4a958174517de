//! A tower being written: weights looked up by name in the checkpoint, layers added to the graph.

use std::{collections::HashMap, io, path::PathBuf};

use rayon::prelude::*;

use crate::{
    base::Fatal,
    bundle::{
        Checkpoint, Format, Part, Precision, Tensor,
        draft::write_fatal,
        export::GRAPHS,
        graph::{Axis, Element, Graph, Rounded, Value},
        output::Output,
        quantize::{self, Losses, write_dense},
    },
};

/// What a linear layer does to values that leave the range seen in training.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Linears {
    /// Nothing.
    Plain,
    /// Clamps what goes in and what comes out, each to bounds that lie beside the weight.
    Clipped,
}

impl From<bool> for Linears {
    /// From `use_clipped_linears`.
    fn from(clipped: bool) -> Self {
        if clipped { Self::Clipped } else { Self::Plain }
    }
}

/// Width of a linear layer on both sides.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Widths {
    pub input: usize,
    pub output: usize,
}

/// Shorthand for [`Widths`], in the order in which data flows.
pub(super) fn widths(input: usize, output: usize) -> Widths {
    Widths { input, output }
}

/// The graph of a tower and the checkpoint that its weights come from.
pub(super) struct Tower<'a> {
    /// The graph being written.
    pub graph: Graph,
    path: PathBuf,
    checkpoint: &'a Checkpoint,
    part: Part,
    /// Of the layers' linear maps.
    format: Format,
    /// Of other matrices and of tables.
    element: Element,
    linears: Linears,
    /// What linear layers in 8 bits are applied to, by what it was made of and the bounds that it was clamped to.
    rounded: HashMap<(Value, [u32; 2]), Rounded>,
    losses: Losses,
}

impl<'a> Tower<'a> {
    /// Begins the graph `name` of a part. Vectors are f32 always, since they are small and scale everything.
    pub fn begin(
        name: &str,
        checkpoint: &'a Checkpoint,
        (part, precision): (Part, Precision),
        linears: Linears,
        output: &Output,
    ) -> Result<Self, Fatal> {
        let path = output.path(&format!("{GRAPHS}/{name}.onnx"));
        let graph = Graph::create(output, GRAPHS, name).map_err(|error| write_fatal(&path, error))?;
        let (format, element) = (precision.of(part), precision.around(part).dense().unwrap_or(Element::F32));
        let (rounded, losses) = (HashMap::new(), Losses::default());
        Ok(Self { graph, path, checkpoint, part, format, element, linears, rounded, losses })
    }

    /// Declares what comes out, `[tokens, width]` f32, and writes the model file. Returns what quantisation cost.
    pub fn finish(mut self, features: &Value, name: &str, width: usize) -> Result<Losses, Fatal> {
        self.graph.output(features, name, Element::F32, &[Axis::Named("tokens"), Axis::Fixed(width)]);
        self.graph.finish().map_err(|error| write_fatal(&self.path, error))?;
        Ok(self.losses)
    }

    /// The values of a tensor of the checkpoint, row-major.
    pub fn values(&self, name: &str, shape: &[usize]) -> Result<Vec<f32>, Fatal> {
        self.checkpoint.values(name, shape)
    }

    /// Refuses a checkpoint in which the tensor is missing or has another shape.
    pub fn check(&self, name: &str, shape: &[usize]) -> Result<(), Fatal> {
        self.checkpoint.tensor(name, shape).map(drop)
    }

    /// A tensor of the checkpoint as a weight in f32.
    pub fn vector(&mut self, name: &str, shape: &[usize]) -> Result<Value, Fatal> {
        let values = self.values(name, shape)?;
        self.floats(name, shape, &values)
    }

    /// Numbers made here as a weight in f32.
    pub fn floats(&mut self, name: &str, shape: &[usize], values: &[f32]) -> Result<Value, Fatal> {
        self.made(name, Element::F32, shape, |_| Ok(values.to_vec()))
    }

    /// Numbers that `make` takes from the checkpoint, in the tower's format, widened again to compute with.
    pub fn stored(
        &mut self,
        name: &str,
        shape: &[usize],
        make: impl FnOnce(&Checkpoint) -> Result<Vec<f32>, Fatal>,
    ) -> Result<Value, Fatal> {
        let element = self.element;
        let weight = self.made(name, element, shape, make)?;
        Ok(if element == Element::F32 { weight } else { self.graph.cast(&weight, Element::F32) })
    }

    /// Numbers that `make` takes from the checkpoint, when they are written.
    pub fn made(
        &mut self,
        name: &str,
        element: Element,
        shape: &[usize],
        make: impl FnOnce(&Checkpoint) -> Result<Vec<f32>, Fatal>,
    ) -> Result<Value, Fatal> {
        let checkpoint = self.checkpoint;
        let written = self.graph.weight(name, element, shape, |out| {
            write_dense(out, name, &make(checkpoint).map_err(io::Error::other)?, element)
        });
        written.map_err(|error| write_fatal(&self.path, error))
    }

    /// A matrix `[output, input]` of the checkpoint as `[input, output]`, to multiply with from the right.
    /// With `order`, output `i` is the checkpoint's row `order[i]`.
    fn matrix(&mut self, name: &str, size: Widths, order: Option<&[usize]>) -> Result<Value, Fatal> {
        let Widths { input, output } = size;
        let tensor = self.checkpoint.tensor(name, &[output, input])?;
        self.stored(name, &[input, output], |_| {
            let (values, mut turned) = (rows(&tensor, order)?, vec![0.0; input * output]);
            turned.par_chunks_mut(output).enumerate().for_each(|(column, places)| {
                places.iter_mut().enumerate().for_each(|(row, place)| *place = values[row * input + column]);
            });
            Ok(turned)
        })
    }

    /// The same in 8 bits: codes `[input, output]`, and scales `[output]` f32.
    fn codes(&mut self, name: &str, size: Widths, order: Option<&[usize]>) -> Result<[Value; 2], Fatal> {
        let Widths { input, output } = size;
        let tensor = self.checkpoint.tensor(name, &[output, input])?;
        let (mut of_outputs, mut losses, kind) = (Vec::new(), Losses::default(), self.part.as_str());
        let written = self.graph.weight(&format!("{name}.s8"), Element::I8, &[input, output], |out| {
            let values = rows(&tensor, order).map_err(io::Error::other)?;
            let (codes, scales, loss) = quantize::int8_rows(name, &values, input)?;
            of_outputs = scales;
            losses.add(kind, loss);
            out.write_all(&quantize::turn(&codes, input))
        });
        let codes = written.map_err(|error| write_fatal(&self.path, error))?;
        self.losses.merge(losses);
        let scales = self.floats(&format!("{name}.scales"), &[output], &of_outputs)?;
        Ok([codes, scales])
    }

    /// RMS norm with the weight `name`.
    pub fn norm(&mut self, x: &Value, name: &str, width: usize, epsilon: f32) -> Result<Value, Fatal> {
        let weight = self.vector(name, &[width])?;
        Ok(self.graph.rms_norm(x, &weight, epsilon))
    }

    /// RMS norm without a weight.
    pub fn bare_norm(&mut self, x: &Value, width: usize, epsilon: f32) -> Value {
        let ones = self.graph.floats(&vec![1.0; width]);
        self.graph.rms_norm(x, &ones, epsilon)
    }

    /// `x @ weight`, without clamping.
    pub fn plain(&mut self, x: &Value, name: &str, size: Widths) -> Result<Value, Fatal> {
        let weight = self.matrix(name, size, None)?;
        Ok(self.graph.matmul(x, &weight))
    }

    /// The linear layer `name`, clamped when the tower's layers are and the checkpoint holds bounds.
    pub fn linear(&mut self, x: &Value, name: &str, size: Widths) -> Result<Value, Fatal> {
        self.linear_in_order(x, name, size, None)
    }

    /// The same with its outputs rearranged: output `i` is the checkpoint's row `order[i]`.
    pub fn linear_in_order(
        &mut self,
        x: &Value,
        name: &str,
        size: Widths,
        order: Option<&[usize]>,
    ) -> Result<Value, Fatal> {
        let inner = format!("{name}.linear.weight");
        let weight = if self.checkpoint.has(&inner) { inner } else { format!("{name}.weight") };
        let bounds = self.bounds(name, "input")?;
        let product = match self.format {
            Format::Int8 => {
                let rows = self.rounded(x, size.input, bounds);
                let [codes, scales] = self.codes(&weight, size, order)?;
                self.graph.rounded_matmul(&rows, &codes, &scales)
            }
            _ => {
                let x = self.clamp(x, bounds);
                let weight = self.matrix(&weight, size, order)?;
                self.graph.matmul(&x, &weight)
            }
        };
        let bounds = self.bounds(name, "output")?;
        Ok(self.clamp(&product, bounds))
    }

    /// Rows of `width` values, clamped and rounded. What several layers take is made once: queries, keys and values
    /// have one input, gate and up another.
    fn rounded(&mut self, x: &Value, width: usize, bounds: [f32; 2]) -> Rounded {
        let key = (x.clone(), bounds.map(f32::to_bits));
        if let Some(made) = self.rounded.get(&key) {
            return made.clone();
        }
        let clamped = self.clamp(x, bounds);
        let made = self.graph.rounded(&clamped, width);
        self.rounded.entry(key).or_insert(made).clone()
    }

    /// What a side of a linear layer is clamped to; infinite where it is not.
    fn bounds(&self, name: &str, side: &str) -> Result<[f32; 2], Fatal> {
        let names = ["min", "max"].map(|end| format!("{name}.{side}_{end}"));
        if self.linears == Linears::Plain || names.iter().any(|name| !self.checkpoint.has(name)) {
            return Ok([f32::NEG_INFINITY, f32::INFINITY]);
        }
        let [low, high] = names.map(|name| self.values(&name, &[]).map(|value| value[0]));
        Ok([low?, high?])
    }

    /// `x` between two bounds; infinite bounds clamp nothing and are left out.
    pub fn clamp(&mut self, x: &Value, [low, high]: [f32; 2]) -> Value {
        if low == f32::NEG_INFINITY && high == f32::INFINITY {
            return x.clone();
        }
        let (low, high) = (self.graph.float(low), self.graph.float(high));
        self.graph.op("Clip", &[x, &low, &high], &[])
    }

    /// The projector into the decoder: scale-free norm, then a linear layer.
    pub fn project(&mut self, x: &Value, name: &str, size: Widths, epsilon: f32) -> Result<Value, Fatal> {
        let normed = self.bare_norm(x, size.input, epsilon);
        self.plain(&normed, &format!("{name}.embedding_projection.weight"), size)
    }
}

/// A matrix, row-major, with its rows rearranged: row `i` is the tensor's row `order[i]`.
fn rows(tensor: &Tensor, order: Option<&[usize]>) -> Result<Vec<f32>, Fatal> {
    let (values, width) = (tensor.values()?, tensor.row_length());
    Ok(match order {
        None => values,
        Some(order) => order.iter().flat_map(|row| &values[row * width..(row + 1) * width]).copied().collect(),
    })
}
