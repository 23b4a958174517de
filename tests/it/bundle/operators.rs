//! The layout of 4-bit weights as ONNX Runtime's operators read it: one-hot rows through MatMulNBits and every id through
//! GatherBlockQuantized give the very weights that the codes stand for.

use half::f16;
use lapidary::bundle::{
    graph::{Attribute, Axis, Element, Graph, Value},
    output::Output,
    quantize::{Int4, Int4Rows, int4_rows, write_dense},
};
use ndarray::{Array2, ArrayD};
use ort::value::{DynValue, Tensor};

use crate::onnx;

const ROWS: usize = 5;

fn attributes() -> Vec<(&'static str, Attribute)> {
    vec![("bits", Attribute::Int(4)), ("block_size", Attribute::Int(32))]
}

fn weights(width: usize) -> Vec<f32> {
    let value = |place: usize| (place as f32 * 0.37).sin() * (1.0 + (place % 7) as f32) + 1.3;
    (0..ROWS * width).map(value).collect()
}

/// Codes of rows, scales, and zero points where there are any, as inputs of an operator.
fn stored(graph: &mut Graph, rows: &Int4Rows, form: Int4, dims: [&[usize]; 3]) -> Vec<Value> {
    use std::io::Write;
    let codes = graph.weight("codes", Element::U8, dims[0], |out: &mut dyn Write| out.write_all(&rows.codes)).unwrap();
    let scales = graph.weight("scales", form.scales, dims[1], |out| write_dense(out, "s", &rows.scales, form.scales));
    let mut inputs = vec![codes, scales.unwrap()];
    if form.asymmetric {
        inputs.push(
            graph.weight("zeros", Element::U8, dims[2], |out: &mut dyn Write| out.write_all(&rows.zeros)).unwrap(),
        );
    }
    inputs
}

fn floats(value: &DynValue) -> Vec<f32> {
    let array: ArrayD<f32> = match value.try_extract_array::<f32>() {
        Ok(array) => array.to_owned(),
        Err(_) => value.try_extract_array::<f16>().unwrap().mapv(f16::to_f32),
    };
    array.iter().copied().collect()
}

/// `[outputs, inputs]`, read through the product.
fn multiplied(width: usize, form: Int4) -> (Vec<f32>, Vec<f32>) {
    let folder = tempfile::tempdir().unwrap();
    let blocks = width.div_ceil(32);
    let rows = int4_rows("w", &weights(width), width, blocks * 16, form).unwrap();
    let mut graph = Graph::create(&Output::to(folder.path()), "onnx", "product").unwrap();
    let input = graph.input("x", form.scales, &[Axis::Fixed(width), Axis::Fixed(width)]);
    let zeros = ROWS * blocks.div_ceil(2);
    let weight = stored(&mut graph, &rows, form, [&[ROWS, blocks, 16], &[ROWS * blocks], &[zeros]]);
    let inputs: Vec<&Value> = [&input].into_iter().chain(&weight).collect();
    let mut sizes = attributes();
    sizes.extend([("K", Attribute::Int(width as i64)), ("N", Attribute::Int(ROWS as i64))]);
    let product = graph.contrib("MatMulNBits", &inputs, &sizes);
    graph.output(&product, "y", form.scales, &[Axis::Fixed(width), Axis::Fixed(ROWS)]);
    graph.finish().unwrap();
    let mut session = onnx::session(&folder.path().join("onnx/product.onnx"));
    let one_hot: Array2<f32> = Array2::eye(width);
    let fed: DynValue = match form.scales {
        Element::F16 => Tensor::from_array(one_hot.mapv(f16::from_f32)).unwrap().into_dyn(),
        _ => Tensor::from_array(one_hot).unwrap().into_dyn(),
    };
    let outputs = session.run(ort::inputs!["x" => fed]).unwrap();
    let turned = Array2::from_shape_vec((width, ROWS), floats(&outputs["y"])).unwrap();
    (turned.t().iter().copied().collect(), rows.values(width))
}

/// `[rows, width]`, read through the lookup.
fn looked_up(width: usize, form: Int4) -> (Vec<f32>, Vec<f32>) {
    let folder = tempfile::tempdir().unwrap();
    let blocks = width.div_ceil(32);
    let rows = int4_rows("w", &weights(width), width, width / 2, form).unwrap();
    let mut graph = Graph::create(&Output::to(folder.path()), "onnx", "lookup").unwrap();
    let ids = graph.input("ids", Element::I64, &[Axis::Fixed(ROWS)]);
    let dims: [&[usize]; 3] = [&[ROWS, width / 2], &[ROWS, blocks], &[ROWS, blocks.div_ceil(2)]];
    let mut inputs = stored(&mut graph, &rows, form, dims);
    inputs.insert(1, ids);
    let mut axes = attributes();
    axes.extend([("gather_axis", Attribute::Int(0)), ("quantize_axis", Attribute::Int(1))]);
    let found = graph.contrib("GatherBlockQuantized", &inputs.iter().collect::<Vec<_>>(), &axes);
    graph.output(&found, "y", form.scales, &[Axis::Fixed(ROWS), Axis::Fixed(width)]);
    graph.finish().unwrap();
    let mut session = onnx::session(&folder.path().join("onnx/lookup.onnx"));
    let ids = Tensor::from_array(ndarray::Array1::from_iter(0..ROWS as i64)).unwrap();
    let outputs = session.run(ort::inputs!["ids" => ids]).unwrap();
    (floats(&outputs["y"]), rows.values(width))
}

#[test]
fn both_operators_read_codes_scales_and_zero_points_as_we_write_them() {
    // An even and an odd number of blocks, and a row that ends within a block.
    for width in [64, 96, 160, 80] {
        for asymmetric in [false, true] {
            for scales in [Element::F32, Element::F16] {
                let form = Int4 { scales, asymmetric };
                // A product in f16 rounds once more: 2^-11 of values up to 8.
                let most = if scales == Element::F16 { 8e-3 } else { 1e-6 };
                for (read, expected) in [multiplied(width, form), looked_up(width, form)] {
                    let far = read.iter().zip(&expected).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
                    assert!(far <= most, "{width} {form:?}: {far}");
                }
            }
        }
    }
}
