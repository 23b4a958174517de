//! The execution providers of a place, and the proof that they do what they say.

use ort::{
    editor::{Graph, Model, Node, ONNX_DOMAIN, Opset},
    ep::{
        self, ArenaExtendStrategy, ExecutionProviderDispatch,
        cuda::{AttentionBackend, ConvAlgorithmSearch},
    },
    inputs,
    session::Session,
    value::{Outlet, Shape, SymbolicDimensions, Tensor, TensorElementType, ValueType},
};

use super::{
    cuda,
    engine::causes,
    runtime::{Device, Place, Runtime},
    tensorrt::Profile,
};
use crate::base::Fatal;

/// Which of CUDA's kernels the attention of a session may run on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Attention {
    /// Those that ONNX Runtime prefers.
    Any,
    /// Flash attention, which serves heads up to 256 wide, and plain products for wider ones, which read keys and values
    /// where they lie and add up in f32. Left to itself ONNX Runtime may take another kernel for wide heads, which first
    /// copies whole buffers once for each head of the queries. The one for single tokens (XQA) is not among the choices
    /// and stays.
    OfDecoder,
}

/// The execution providers of a session, best first; one that cannot be had is an error, never a silent fall-back. With
/// TensorRT only graphs with a profile go through it, and CUDA takes the others.
///
/// # Errors
/// When there is no driver, or one of NVIDIA's libraries cannot be loaded.
pub(super) fn providers(
    place: Place,
    attention: Attention,
    engines: Option<&Profile>,
) -> Result<Vec<ExecutionProviderDispatch>, Fatal> {
    match (place.device, engines) {
        (Device::Cpu | Device::Auto, _) => Ok(Vec::new()),
        (Device::TensorRt, Some(profile)) => {
            cuda::preload(true)?;
            Ok(vec![profile.provider(place.ordinal).build().error_on_failure(), on_cuda(place.ordinal, attention)])
        }
        (Device::Cuda | Device::TensorRt, _) => {
            cuda::preload(false)?;
            Ok(vec![on_cuda(place.ordinal, attention)])
        }
    }
}

/// Memory is taken as it is asked for, since keys and values have theirs already. Full products of f32, as on the
/// processor. Convolutions, of which sound has two, are picked by rule: to try them all takes longer than they do.
fn on_cuda(ordinal: u32, attention: Attention) -> ExecutionProviderDispatch {
    let cuda = ep::CUDA::default()
        .with_device_id(ordinal.cast_signed())
        .with_arena_extend_strategy(ArenaExtendStrategy::SameAsRequested)
        .with_conv_algorithm_search(ConvAlgorithmSearch::Heuristic)
        .with_tf32(false);
    let cuda = match attention {
        Attention::Any => cuda,
        Attention::OfDecoder => cuda.with_attention_backend(AttentionBackend::FLASH_ATTENTION | AttentionBackend::MATH),
    };
    cuda.build().error_on_failure()
}

/// The sides of what the proof multiplies and convolves, and of what comes out.
const SIDE: usize = 8;
const KERNEL: usize = 3;
const LEFT: usize = SIDE - KERNEL + 1;

/// What is wrong is off by a whole number.
const TOLERANCE: f32 = 0.25;

/// What is said of a device that can be had, and is wrong.
pub const MISCOMPUTES: &str = "it computes something else than it ought to";

/// Runs a product and a convolution on a device, with no way back to the processor, and compares them with what they ought
/// to be. All numbers are small and whole, so that rounding, which the quick ways to convolve bring with them, stays far
/// below what is wrong. Returns what was proved, in words.
///
/// # Errors
/// When the device cannot be had, or computes something else.
pub fn prove_device(place: Place) -> Result<String, Fatal> {
    let runtime = Runtime::load()?;
    let fails = |error: &dyn std::error::Error| unusable(place, &causes(error));
    let mut session = proof(&runtime, place)?;
    let picture: Vec<f32> = (0..SIDE * SIDE).map(|at| (at % 7) as f32 - 3.0).collect();
    let fed = Tensor::from_array(([1, 1, SIDE, SIDE], picture.clone())).map_err(|error| fails(&error))?;
    let outputs = session.run(inputs![fed]).map_err(|error| fails(&error))?;
    let (_, found) = outputs[0].try_extract_tensor::<f32>().map_err(|error| fails(&error))?;
    match agrees(found, &expected(&picture)) {
        true => Ok(format!("a product and a convolution ran on {place} and are right")),
        false => Err(unusable(place, MISCOMPUTES)),
    }
}

fn agrees(found: &[f32], expected: &[f32]) -> bool {
    let is_near = |(found, expected): (&f32, &f32)| (found - expected).abs() < TOLERANCE;
    found.len() == expected.len() && found.iter().zip(expected).all(is_near)
}

fn unusable(place: Place, why: &str) -> Fatal {
    let hint = match place.is_card() {
        true => "`lapidary doctor --device cuda` names what is missing; until then choose `--device cpu`",
        false => "run `lapidary runtime install`",
    };
    Fatal::new(format!("{place} cannot be used: {why}"), hint)
}

/// The session of the proof: `Conv(MatMul(picture, weights), kernel)`.
fn proof(runtime: &Runtime, place: Place) -> Result<Session, Fatal> {
    let providers = match place.device {
        Device::TensorRt => {
            cuda::preload(true)?;
            let first = ep::TensorRT::default().with_device_id(place.ordinal.cast_signed());
            vec![first.with_min_subgraph_size(1).build().error_on_failure(), on_cuda(place.ordinal, Attention::Any)]
        }
        _ => providers(place, Attention::Any, None)?,
    };
    let open = || {
        let mut builder = runtime.session()?.with_execution_providers(providers)?;
        if place.is_card() {
            builder = builder.with_disable_cpu_fallback()?;
        }
        graph()?.into_session(&builder)
    };
    open().map_err(|error| unusable(place, &causes(&error)))
}

fn graph() -> ort::Result<Model> {
    let mut graph = Graph::new()?;
    graph.set_inputs([outlet("picture", &[1, 1, SIDE, SIDE])])?;
    graph.set_outputs([outlet("seen", &[1, 1, LEFT, LEFT])])?;
    // A graph takes copies alone: what was made from an array does not own its memory.
    graph.add_initializer("weights", Tensor::from_array(([SIDE, SIDE], weights()))?.clone(), false)?;
    graph.add_initializer("kernel", Tensor::from_array(([1, 1, KERNEL, KERNEL], kernel()))?.clone(), false)?;
    graph.add_node(Node::new("MatMul", ONNX_DOMAIN, "product", ["picture", "weights"], ["multiplied"], [])?)?;
    graph.add_node(Node::new("Conv", ONNX_DOMAIN, "convolution", ["multiplied", "kernel"], ["seen"], [])?)?;
    // That of our own graphs: what is newer may have no kernel on a card, and here there is no way back.
    let mut model = Model::new([Opset::new(ONNX_DOMAIN, 21)?])?;
    model.set_graph(graph)?;
    Ok(model)
}

fn outlet(name: &str, shape: &[usize]) -> Outlet {
    let shape: Vec<i64> = shape.iter().map(|length| *length as i64).collect();
    let dimension_symbols = SymbolicDimensions::empty(shape.len());
    Outlet::new(name, ValueType::Tensor { ty: TensorElementType::Float32, shape: Shape::new(shape), dimension_symbols })
}

fn weights() -> Vec<f32> {
    (0..SIDE * SIDE).map(|at| (at % 5) as f32 - 2.0).collect()
}

fn kernel() -> Vec<f32> {
    (0..KERNEL * KERNEL).map(|at| at as f32 - 4.0).collect()
}

/// The same by loops.
fn expected(picture: &[f32]) -> Vec<f32> {
    let (weights, kernel) = (weights(), kernel());
    let product = |row: usize, column: usize| {
        (0..SIDE).map(|at| picture[row * SIDE + at] * weights[at * SIDE + column]).sum::<f32>()
    };
    let seen = |row: usize, column: usize| {
        let places = (0..KERNEL).flat_map(|down| (0..KERNEL).map(move |right| (down, right)));
        places.map(|(down, right)| product(row + down, column + right) * kernel[down * KERNEL + right]).sum::<f32>()
    };
    (0..LEFT)
        .flat_map(|row| (0..LEFT).map(move |column| (row, column)))
        .map(|(row, column)| seen(row, column))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rounding_passes_the_proof_and_what_is_wrong_does_not() {
        assert!(agrees(&[3.01, -1000.02], &[3.0, -1000.0]));
        assert!(!agrees(&[3.0, -999.0], &[3.0, -1000.0]) && !agrees(&[f32::NAN, -1000.0], &[3.0, -1000.0]));
        assert!(!agrees(&[], &[3.0]));
    }

    #[test]
    fn the_processor_passes_the_proof() {
        assert!(prove_device(Place::first(Device::Cpu)).unwrap().contains("cpu"));
    }

    /// Whether for want of a driver or of the build of ONNX Runtime that knows cards: it is said, and nothing else runs.
    #[test]
    fn a_card_that_cannot_be_had_is_no_processor_in_disguise() {
        for device in [Device::Cuda, Device::TensorRt] {
            match prove_device(Place::first(device)) {
                Ok(proved) => assert!(proved.contains(device.as_str()), "{proved}"),
                Err(fatal) => assert!(!fatal.hint.is_empty() && !fatal.message.is_empty()),
            }
        }
    }
}
