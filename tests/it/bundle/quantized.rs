//! Weights in 8 and 4 bits: the codes are read out of the bundle as the operators define them, and the graphs are
//! compared with unquantised graphs of the very weights that the codes stand for. Random networks are chaotic, so
//! what is compared with the original is weights, never answers.

use std::{collections::BTreeMap, fs, path::Path};

use lapidary::bundle::{
    Dtype, ExportRequest, Precision, Quantize, Recipe, export,
    graph::proto::{ModelProto, TensorProto},
};
use prost::Message;
use safetensors::{SafeTensors, serialize_to_file, tensor::TensorView};

use super::{
    checkpoints::Workplace,
    model::{LanguageModel, relative_difference},
};

/// Rounded weights, `name -> [rows, width]`, row-major.
type Weights = BTreeMap<String, Vec<f32>>;

/// Every initializer of a graph, as bytes.
fn initializers(folder: &Path, graph: &str) -> BTreeMap<String, (TensorProto, Vec<u8>)> {
    let model = ModelProto::decode(fs::read(folder.join(format!("onnx/{graph}.onnx"))).unwrap().as_slice()).unwrap();
    let bytes = |tensor: &TensorProto| match &tensor.raw_data {
        Some(bytes) => bytes.clone(),
        None => {
            let entry = |key: &str| &tensor.external_data.iter().find(|entry| entry.key == key).unwrap().value;
            let number = |key: &str| entry(key).parse::<usize>().unwrap();
            let data = fs::read(folder.join("onnx").join(entry("location"))).unwrap();
            data[number("offset")..number("offset") + number("length")].to_vec()
        }
    };
    let tensors = model.graph.unwrap().initializer;
    tensors.into_iter().map(|tensor| (tensor.name.clone(), (tensor.clone(), bytes(&tensor)))).collect()
}

fn floats(bytes: &[u8]) -> Vec<f32> {
    bytes.as_chunks().0.iter().map(|&four| f32::from_le_bytes(four)).collect()
}

/// What the codes of a bundle stand for. `widths` are the lengths of the rows.
fn dequantised(folder: &Path, graph: &str, widths: &BTreeMap<String, usize>) -> Weights {
    let tensors = initializers(folder, graph);
    let mut weights = Weights::new();
    for (name, (tensor, codes)) in &tensors {
        let Some((stem, kind)) = name.rsplit_once('.').filter(|(_, kind)| ["u4", "s8"].contains(kind)) else {
            continue;
        };
        let scales = floats(&tensors[&format!("{stem}.scales")].1);
        // A tensor that serves as several maps has numbered parts, which come in order.
        let whole = stem.trim_end_matches(|end: char| end == '.' || end.is_ascii_digit());
        let width = widths[&format!("model.{whole}")];
        let transposed = graph != "embed_tokens" || whole == "language_model.embed_tokens.weight";
        let values = match kind {
            "u4" => {
                let zeros = tensors.get(&format!("{stem}.zeros")).map(|(_, bytes)| bytes.as_slice());
                from_u4(codes, &scales, zeros, width, tensor.dims[0] as usize)
            }
            _ if transposed => from_s8(codes, &scales, tensor.dims[1] as usize),
            _ => {
                codes.chunks(codes.len() / scales.len()).zip(&scales).flat_map(|(row, scale)| by(row, *scale)).collect()
            }
        };
        weights.entry(whole.to_owned()).or_default().extend(values);
    }
    weights
}

fn by(codes: &[u8], scale: f32) -> Vec<f32> {
    codes.iter().map(|code| f32::from(code.cast_signed()) * scale).collect()
}

/// Blocks of 32: `scale * (code - zero)`, zero points 8 where none are stored, low nibble first.
fn from_u4(codes: &[u8], scales: &[f32], zeros: Option<&[u8]>, width: usize, rows: usize) -> Vec<f32> {
    let (row_bytes, blocks) = (codes.len() / rows, width.div_ceil(32));
    let value = |row: usize, column: usize| {
        let code = nibble(&codes[row * row_bytes..], column);
        let zero = zeros.map_or(8, |zeros| nibble(&zeros[row * blocks.div_ceil(2)..], column / 32));
        scales[row * blocks + column / 32] * (f32::from(code) - f32::from(zero))
    };
    (0..rows).flat_map(|row| (0..width).map(move |column| value(row, column))).collect()
}

fn nibble(bytes: &[u8], place: usize) -> u8 {
    if place.is_multiple_of(2) { bytes[place / 2] & 15 } else { bytes[place / 2] >> 4 }
}

/// Codes `[inputs, outputs]` with one scale per output.
fn from_s8(codes: &[u8], scales: &[f32], outputs: usize) -> Vec<f32> {
    let inputs = codes.len() / outputs;
    let value = |output: usize, input: usize| f32::from(codes[input * outputs + output].cast_signed()) * scales[output];
    (0..outputs).flat_map(|output| (0..inputs).map(move |input| value(output, input))).collect()
}

/// A quantised bundle and an unquantised one of the weights that its codes stand for; checks the weights themselves.
fn pair(place: &Workplace, recipe: &str, most: f32) -> (LanguageModel, LanguageModel) {
    let precision = Recipe::find(recipe).unwrap().precision;
    let out = place.out(recipe);
    let exported = export(ExportRequest { checkpoint: place.checkpoint(), out, precision }).unwrap();
    let path = place.checkpoint().join("model.safetensors");
    let bytes = fs::read(&path).unwrap();
    let original = SafeTensors::deserialize(&bytes).unwrap();
    let widths = original.iter().map(|(name, tensor)| (name.to_owned(), tensor.shape().last().copied().unwrap_or(1)));
    let widths = widths.collect();

    let mut rounded = dequantised(&exported.folder, "decoder_model_merged", &widths);
    let tables = dequantised(&exported.folder, "embed_tokens", &widths);
    let per_layer = "language_model.embed_tokens_per_layer.weight";
    rounded.insert(per_layer.to_owned(), tables[per_layer].clone());
    let embedding = "language_model.embed_tokens.weight";
    assert_eq!(tables[embedding], rounded[embedding], "the table and the head are one tensor");

    let mut tensors: BTreeMap<String, (Vec<usize>, Vec<u8>)> = BTreeMap::new();
    for (name, tensor) in original.iter() {
        let values = rounded.remove(name.trim_start_matches("model."));
        if let Some(values) = &values {
            let error = relative(values, &floats(tensor.data()));
            assert!(error < most, "{name}: relative error {error}");
        }
        let data = values.map(|values| values.iter().flat_map(|value| value.to_le_bytes()).collect());
        tensors.insert(name.to_owned(), (tensor.shape().to_vec(), data.unwrap_or_else(|| tensor.data().to_vec())));
    }
    assert!(rounded.is_empty(), "every quantised tensor is one of the checkpoint");
    let views = tensors
        .iter()
        .map(|(name, (shape, data))| (name, TensorView::new(safetensors::Dtype::F32, shape.clone(), data).unwrap()));
    serialize_to_file(views, None, &path).unwrap();
    let request =
        ExportRequest { checkpoint: place.checkpoint(), out: place.out("rounded"), precision: Precision::default() };
    (LanguageModel::open(&exported.folder), LanguageModel::open(&export(request).unwrap().folder))
}

fn relative(a: &[f32], b: &[f32]) -> f32 {
    relative_difference(&ndarray::arr1(a), &ndarray::arr1(b))
}

/// What remains is the rounding of activations to 8 bits, through ten layers of random weights.
#[test]
fn the_8_bit_graphs_compute_with_the_weights_that_their_codes_stand_for() {
    let place = Workplace::e2b_like();
    let (mut quantised, mut rounded) = pair(&place, "cpu-int8", 0.01);
    let difference = relative_difference(&quantised.reference_logits().0, &rounded.reference_logits().0);
    println!("int8: {difference}");
    assert!(difference < 0.2, "{difference}");
}

#[test]
fn the_4_bit_graphs_compute_with_the_weights_that_their_codes_stand_for() {
    let place = Workplace::e2b_like();
    let (mut quantised, mut rounded) = pair(&place, "cpu-int4", 0.1);
    let difference = relative_difference(&quantised.reference_logits().0, &rounded.reference_logits().0);
    println!("int4: {difference}");
    assert!(difference < 0.2, "{difference}");
}

#[test]
fn the_graphs_with_zero_points_compute_with_the_weights_that_their_codes_stand_for() {
    let place = Workplace::e2b_like();
    let (mut quantised, mut rounded) = pair(&place, "cpu-int4-asymmetric", 0.095);
    let difference = relative_difference(&quantised.reference_logits().0, &rounded.reference_logits().0);
    println!("int4-asymmetric: {difference}");
    assert!(difference < 0.2, "{difference}");
}

#[test]
fn the_export_says_what_quantisation_cost() {
    let errors = Workplace::e2b_like().export(Dtype::F32, Quantize::Int4).errors;
    let kinds: Vec<&str> = errors.iter().map(|(kind, _)| *kind).collect();
    assert_eq!(kinds, ["attention", "embedding", "head", "mlp", "per-layer", "per-layer embedding"]);
    assert!(errors.iter().all(|(_, error)| (0.05..0.09).contains(error)), "{errors:?}");
    assert!(Workplace::e2b_like().export(Dtype::F32, Quantize::None).errors.is_empty());
}

/// One scale per row, so that a row with embeddings thirty times as large changes nothing for the others.
#[test]
fn a_quantised_row_does_not_depend_on_its_neighbours() {
    let place = Workplace::e2b_like();
    for quantize in [Quantize::Int8, Quantize::Int4] {
        let folder = place.export(Dtype::F32, quantize).folder;
        let (together, alone) = LanguageModel::open(&folder).rows_together_and_alone();
        let difference = super::model::largest_difference(&together, &alone);
        println!("{}: {difference}", quantize.as_str());
        assert!(difference < 1e-5, "{}: {difference}", quantize.as_str());
    }
}

/// The values of a block of 32 as `q4_0` would have them: `d * (q - 8)`, `d` an f16.
fn on_grid(block: &[f32]) -> Vec<f32> {
    let largest = block.iter().fold(0.0, |a: f32, b| if b.abs() > a.abs() { *b } else { a });
    let scale = half::f16::from_f32(largest / -8.0).to_f32();
    block.iter().map(|value| scale * (value / scale).round().clamp(-8.0, 7.0)).collect()
}

/// A checkpoint that was trained with quantisation loses nothing when it is stored in 4 bits.
#[test]
fn a_checkpoint_on_the_grid_of_q4_0_is_kept_exactly() {
    let place = Workplace::e2b_like();
    let path = place.checkpoint().join("model.safetensors");
    let bytes = fs::read(&path).unwrap();
    let original = SafeTensors::deserialize(&bytes).unwrap();
    let gridded = |name: &str, tensor: &TensorView| match tensor.shape() {
        [_, width] if name.contains("language_model") => {
            let rows = floats(tensor.data());
            let blocks = rows.chunks(*width).flat_map(|row| row.chunks(32).flat_map(on_grid));
            blocks.flat_map(f32::to_le_bytes).collect()
        }
        _ => tensor.data().to_vec(),
    };
    let tensors: BTreeMap<&str, (Vec<usize>, Vec<u8>)> =
        original.iter().map(|(name, tensor)| (name, (tensor.shape().to_vec(), gridded(name, &tensor)))).collect();
    let views = tensors
        .iter()
        .map(|(name, (shape, data))| (name, TensorView::new(safetensors::Dtype::F32, shape.clone(), data).unwrap()));
    serialize_to_file(views, None, &path).unwrap();
    for recipe in ["cpu-int4", "cuda-int4", "cpu-int4-asymmetric"] {
        let (out, precision) = (place.out(recipe), Recipe::find(recipe).unwrap().precision);
        let errors = export(ExportRequest { checkpoint: place.checkpoint(), out, precision }).unwrap().errors;
        let of_text: Vec<_> = errors.iter().filter(|(kind, _)| *kind != "vision").collect();
        assert!(of_text.len() == 6 && of_text.iter().all(|(_, error)| *error == 0.0), "{recipe}: {errors:?}");
    }
}
