//! The layout of 4-bit weights as ONNX Runtime's operators read it: one-hot rows through MatMulNBits and every id through
//! GatherBlockQuantized give the very weights that the codes stand for. And products in 8 bits, which no processor may make
//! something else of.

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

/// How codes come to a product in 8 bits.
#[derive(Debug, Clone, Copy)]
enum Codes {
    Constant,
    /// Out of a stack; the graph asks the processor which product is right.
    Taken,
    /// The same through u8, as on a processor where the quick product overflows.
    TakenExactly,
}

/// A product in 8 bits of these rows, whose values are whole numbers up to 127, and codes `[width, outputs]`.
fn multiplied_in_8_bits(rows: &Array2<f32>, codes: &Array2<i8>, how: Codes) -> Vec<f32> {
    let (folder, (width, outputs)) = (tempfile::tempdir().unwrap(), codes.dim());
    let mut graph = Graph::create(&Output::to(folder.path()), "onnx", "product").unwrap();
    let input = graph.input("x", Element::F32, &[Axis::Named("rows"), Axis::Fixed(width)]);
    let which = graph.input("which", Element::I64, &[]);
    let bytes: Vec<u8> = codes.iter().map(|code| code.cast_unsigned()).collect();
    let ones = vec![1.0_f32; outputs].iter().flat_map(|scale| scale.to_le_bytes()).collect();
    let scales = graph.constant(Element::F32, &[outputs], ones);
    let rounded = graph.rounded(&input, width);
    let product = if let Codes::Constant = how {
        let codes = graph.constant(Element::I8, &[width, outputs], bytes);
        graph.rounded_matmul(&rounded, &codes, &scales)
    } else {
        let stack = graph.constant(Element::I8, &[2, width, outputs], [vec![0; bytes.len()], bytes].concat());
        let codes = graph.gather(&stack, &which, 0);
        let overflows = match how {
            Codes::TakenExactly => graph.constant(Element::Bool, &[], vec![1]),
            _ => graph.products_overflow(&which),
        };
        graph.taken_matmul(&rounded, &codes, &scales, &overflows)
    };
    graph.output(&product, "y", Element::F32, &[Axis::Named("rows"), Axis::Fixed(outputs)]);
    graph.finish().unwrap();
    let mut session = onnx::session(&folder.path().join("onnx/product.onnx"));
    let rows = Tensor::from_array(rows.clone()).unwrap();
    let which = Tensor::from_array(ndarray::arr0(1_i64)).unwrap();
    let made = session.run(ort::inputs!["x" => rows, "which" => which]).unwrap();
    floats(&made["y"])
}

/// Without VNNI two products of bytes meet in 16 bits, where 255 times 127 twice has no room.
#[test]
fn products_in_8_bits_are_exact_at_their_extremes_whatever_the_processor() {
    let (width, outputs) = (96, 40);
    let mixed = |place: usize| (place * 89 % 255) as f32 - 127.0;
    let codes = Array2::from_shape_fn((width, outputs), |(input, output)| match output % 4 {
        0 => 127,
        1 => -127,
        2 => {
            if input % 2 == 0 {
                127
            } else {
                -127
            }
        }
        _ => mixed(input * outputs + output) as i8,
    });
    for count in [1, 2, 8, 33] {
        let rows = Array2::from_shape_fn((count, width), |(row, input)| match row % 4 {
            0 => 127.0,
            1 => mixed(row * width + input).max(if input == 0 { 127.0 } else { -127.0 }),
            2 => -127.0,
            _ => {
                if input % 2 == 0 {
                    127.0
                } else {
                    -127.0
                }
            }
        });
        let expected = rows.dot(&codes.mapv(f32::from));
        let expected: Vec<f32> = expected.into_iter().collect();
        for how in [Codes::Constant, Codes::Taken, Codes::TakenExactly] {
            assert_eq!(multiplied_in_8_bits(&rows, &codes, how), expected, "{count} rows, {how:?}");
        }
    }
}
