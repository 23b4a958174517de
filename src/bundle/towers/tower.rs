//! A tower being written: weights looked up by name in the checkpoint, layers added to the graph.

use std::{io, path::PathBuf};

use rayon::prelude::*;

use crate::{
    base::Fatal,
    bundle::{
        Checkpoint, Format,
        draft::write_fatal,
        export::GRAPHS,
        graph::{Axis, Element, Graph, Value},
        output::Output,
        quantize::write_dense,
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
    /// Of matrices and tables.
    element: Element,
    linears: Linears,
}

impl<'a> Tower<'a> {
    /// Begins the graph `name`. Matrices and tables are stored in that format, one of floats; vectors are f32 always,
    /// since they are small and scale everything.
    pub fn begin(
        name: &str,
        checkpoint: &'a Checkpoint,
        format: Format,
        linears: Linears,
        output: &Output,
    ) -> Result<Self, Fatal> {
        let path = output.path(&format!("{GRAPHS}/{name}.onnx"));
        let graph = Graph::create(output, GRAPHS, name).map_err(|error| write_fatal(&path, error))?;
        Ok(Self { graph, path, checkpoint, element: format.dense().unwrap_or(Element::F32), linears })
    }

    /// Declares what comes out, `[tokens, width]` f32, and writes the model file.
    pub fn finish(mut self, features: &Value, name: &str, width: usize) -> Result<(), Fatal> {
        self.graph.output(features, name, Element::F32, &[Axis::Named("tokens"), Axis::Fixed(width)]);
        self.graph.finish().map_err(|error| write_fatal(&self.path, error))
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
        let row = |index: usize| order.map_or(index, |order| order[index]);
        self.stored(name, &[input, output], |_| {
            let (values, mut turned) = (tensor.values()?, vec![0.0; input * output]);
            turned.par_chunks_mut(output).enumerate().for_each(|(column, places)| {
                places.iter_mut().enumerate().for_each(|(index, place)| *place = values[row(index) * input + column]);
            });
            Ok(turned)
        })
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
        let x = self.clip(x, name, "input")?;
        let inner = format!("{name}.linear.weight");
        let weight = if self.checkpoint.has(&inner) { inner } else { format!("{name}.weight") };
        let weight = self.matrix(&weight, size, order)?;
        let product = self.graph.matmul(&x, &weight);
        self.clip(&product, name, "output")
    }

    fn clip(&mut self, x: &Value, name: &str, side: &str) -> Result<Value, Fatal> {
        let (low, high) = (format!("{name}.{side}_min"), format!("{name}.{side}_max"));
        if self.linears == Linears::Plain || !self.checkpoint.has(&low) || !self.checkpoint.has(&high) {
            return Ok(x.clone());
        }
        let (low, high) = (self.values(&low, &[])?, self.values(&high, &[])?);
        Ok(self.clamp(x, low[0], high[0]))
    }

    /// `x` between two bounds; infinite bounds clamp nothing and are left out.
    pub fn clamp(&mut self, x: &Value, low: f32, high: f32) -> Value {
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
