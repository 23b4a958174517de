//! `RoundRows`: rows of floats in; u8 around 128, and the scale of each row, out. Every row is rounded by its own largest
//! value, so that none depends on its neighbours.

use std::sync::Mutex;

use ort::{
    operator::{ComputeContext, Kernel, KernelContext, Operator, OperatorInput, OperatorOutput},
    value::TensorElementType::{Float32, Uint8},
};
use pulp::Arch;

use super::{floats, input, shape, wrong};
use crate::generate::exponentials::ROUNDING;

/// Values that are worth a thread of their own.
const SHARE: usize = 1 << 14;

/// The operator.
pub(super) struct RoundRows;

/// Its vectors.
pub(super) struct Rounding(Arch);

impl Operator for RoundRows {
    type Kernel<'attr> = Rounding;

    fn name(&self) -> &str {
        "RoundRows"
    }

    fn inputs(&self) -> impl IntoIterator<Item = OperatorInput> {
        [OperatorInput::required(Float32)]
    }

    fn outputs(&self) -> impl IntoIterator<Item = OperatorOutput> {
        [OperatorOutput::required(Uint8), OperatorOutput::required(Float32)]
    }

    fn create_kernel<'attr>(&self, _: &KernelContext<'attr>) -> ort::Result<Self::Kernel<'attr>> {
        Ok(Rounding(Arch::new()))
    }
}

impl Kernel for Rounding {
    fn compute(&mut self, context: &ComputeContext) -> ort::Result<()> {
        let value = input(context, 0)?;
        let (lengths, values) = floats(&value)?;
        let Some((&width, rows)) = lengths.split_last() else { return Err(wrong("rows have an axis")) };
        let nowhere = || wrong("no place for the rounded rows");
        let mut codes = context.output(0, shape(&lengths))?.ok_or_else(nowhere)?;
        let mut scales = context.output(1, shape(&[rows, &[1]].concat()))?.ok_or_else(nowhere)?;
        let (codes, scales) = (codes.try_extract_tensor_mut::<u8>()?.1, scales.try_extract_tensor_mut::<f32>()?.1);
        let together = (SHARE / width.max(1)).max(1);
        let chunks = values.chunks(together * width.max(1)).zip(codes.chunks_mut(together * width.max(1)));
        let work: Vec<_> = chunks.zip(scales.chunks_mut(together)).map(Mutex::new).collect();
        let arch = self.0;
        context.par_for(work.len(), 0, |index| {
            let Ok(mut part) = work[index].lock() else { return };
            let ((values, codes), scales) = &mut *part;
            let rows = values.chunks_exact(width).zip(codes.chunks_exact_mut(width));
            rows.zip(scales.iter_mut()).for_each(|((row, codes), scale)| *scale = round(arch, row, codes));
        })
    }
}

/// Rounds one row and gives its scale.
fn round(arch: Arch, row: &[f32], codes: &mut [u8]) -> f32 {
    arch.dispatch(
        #[inline(always)]
        || {
            let scale = largest(row).max(1e-30) / 127.0;
            codes.iter_mut().zip(row).for_each(|(code, value)| *code = rounded(*value / scale));
            scale
        },
    )
}

/// The largest distance from 0; NaN counts as nothing.
#[inline(always)]
fn largest(row: &[f32]) -> f32 {
    let (vectors, rest) = row.as_chunks::<64>();
    let mut most = [0.0_f32; 64];
    for vector in vectors {
        for (most, value) in most.iter_mut().zip(vector) {
            *most = if value.abs() > *most { value.abs() } else { *most };
        }
    }
    most.iter().chain(rest).fold(0.0, |most, value| if value.abs() > most { value.abs() } else { most })
}

/// The nearest whole number, of two the even one, plus 128.
#[inline(always)]
fn rounded(value: f32) -> u8 {
    ((value + (ROUNDING + 128.0)).to_bits() & 0xff) as u8
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn rows_are_rounded_half_to_even_by_their_largest_value(
            row in prop::collection::vec(-1e3_f32..1e3, 1..200),
        ) {
            let mut codes = vec![0; row.len()];
            let scale = round(Arch::new(), &row, &mut codes);
            let most = row.iter().fold(0.0_f32, |most, value| most.max(value.abs())).max(1e-30);
            prop_assert_eq!(scale, most / 127.0);
            for (value, code) in row.iter().zip(codes) {
                prop_assert_eq!(f32::from(code), (value / scale).round_ties_even() + 128.0);
            }
        }
    }

    #[test]
    fn a_row_of_zeros_stays_in_the_middle() {
        let mut codes = [0; 3];
        round(Arch::new(), &[0.0, -0.0, 0.0], &mut codes);
        assert_eq!(codes, [128; 3]);
    }
}
