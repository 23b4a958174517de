//! `RotaryTurns`: places and frequencies in, cos and sin of the angles out, `[tokens, head_dim / 2]`; once a run for all
//! layers of a kind.

use ort::{
    operator::{ComputeContext, Kernel, KernelContext, Operator, OperatorInput, OperatorOutput},
    value::TensorElementType::{Float32, Int64},
};

use super::{floats, input, places, shape, wrong};

/// The operator.
pub(super) struct RotaryTurns;

/// It holds nothing.
pub(super) struct Turning;

impl Operator for RotaryTurns {
    type Kernel<'attr> = Turning;

    fn name(&self) -> &str {
        "RotaryTurns"
    }

    fn inputs(&self) -> impl IntoIterator<Item = OperatorInput> {
        [OperatorInput::required(Int64), OperatorInput::required(Float32)]
    }

    fn outputs(&self) -> impl IntoIterator<Item = OperatorOutput> {
        [OperatorOutput::required(Float32), OperatorOutput::required(Float32)]
    }

    fn create_kernel<'attr>(&self, _: &KernelContext<'attr>) -> ort::Result<Self::Kernel<'attr>> {
        Ok(Turning)
    }
}

impl Kernel for Turning {
    /// The angle is rounded to f32 before the functions are taken, as transformers does.
    fn compute(&mut self, context: &ComputeContext) -> ort::Result<()> {
        let (at, frequencies) = (input(context, 0)?, input(context, 1)?);
        let (at, (_, frequencies)) = (places(&at)?, floats(&frequencies)?);
        let made = shape(&[at.len(), frequencies.len()]);
        let nowhere = || wrong("no place for the rotary factors");
        let mut cos = context.output(0, made.clone())?.ok_or_else(nowhere)?;
        let mut sin = context.output(1, made)?.ok_or_else(nowhere)?;
        let (cos, sin) = (cos.try_extract_tensor_mut::<f32>()?.1, sin.try_extract_tensor_mut::<f32>()?.1);
        let angles = at.iter().flat_map(|at| frequencies.iter().map(move |frequency| *at as f32 * frequency));
        for ((cos, sin), angle) in cos.iter_mut().zip(sin).zip(angles) {
            let (of_angle, across) = f64::from(angle).sin_cos();
            (*cos, *sin) = (across as f32, of_angle as f32);
        }
        Ok(())
    }
}
