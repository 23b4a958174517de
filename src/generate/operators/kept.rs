//! How keys and values are kept: in f32, or in f16 for half the memory. Everything is computed in f32.

use half::{f16, slice::HalfFloatSliceExt};
use ort::value::{PrimitiveTensorElementType, TensorElementType};

/// A number of the buffers.
pub(super) trait Kept: PrimitiveTensorElementType + Copy + Send + Sync + std::fmt::Debug + 'static {
    /// Its name in a graph.
    const ELEMENT: TensorElementType;

    /// The same numbers in f32, in `room` where they have to be made.
    fn widened<'a>(kept: &'a [Self], room: &'a mut Vec<f32>) -> &'a [f32];

    /// Keeps numbers, each as near as may be.
    fn keep(made: &[f32], place: &mut [Self]);
}

impl Kept for f32 {
    const ELEMENT: TensorElementType = TensorElementType::Float32;

    fn widened<'a>(kept: &'a [Self], _: &'a mut Vec<f32>) -> &'a [f32] {
        kept
    }

    fn keep(made: &[f32], place: &mut [Self]) {
        place.copy_from_slice(made);
    }
}

impl Kept for f16 {
    const ELEMENT: TensorElementType = TensorElementType::Float16;

    fn widened<'a>(kept: &'a [Self], room: &'a mut Vec<f32>) -> &'a [f32] {
        room.resize(kept.len(), 0.0);
        kept.convert_to_f32_slice(room);
        room
    }

    fn keep(made: &[f32], place: &mut [Self]) {
        place.convert_from_f32_slice(made);
    }
}
