//! Checkpoints come in one file or several, with and without the `model.` prefix, in f32 or bf16.

use std::{collections::BTreeMap, fs};

use half::bf16;
use lapidary::bundle::{Dtype, Quantize};
use safetensors::{SafeTensors, serialize_to_file, tensor::TensorView};

use super::{checkpoints::Workplace, model::LanguageModel};

#[test]
fn several_files_without_the_prefix_give_the_same_bundle_as_one() {
    let place = Workplace::e2b_like();
    let one = place.export(Dtype::F32, Quantize::None).manifest.files;
    let path = place.checkpoint().join("model.safetensors");
    let bytes = fs::read(&path).unwrap();
    fs::remove_file(&path).unwrap();
    let mut map = BTreeMap::new();
    for part in 0..3 {
        let file = format!("model-0000{}-of-00003.safetensors", part + 1);
        let weights = SafeTensors::deserialize(&bytes).unwrap();
        let mut names: Vec<&str> = weights.names();
        names.sort_unstable();
        let mine = names.into_iter().skip(part).step_by(3);
        let tensors: Vec<(String, TensorView)> =
            mine.map(|name| (name.trim_start_matches("model.").to_owned(), weights.tensor(name).unwrap())).collect();
        map.extend(tensors.iter().map(|(name, _)| (name.clone(), file.clone())));
        serialize_to_file(tensors, None, &place.checkpoint().join(file)).unwrap();
    }
    let index = serde_json::json!({"metadata": {"total_size": 0}, "weight_map": map});
    fs::write(place.checkpoint().join("model.safetensors.index.json"), index.to_string()).unwrap();
    fs::remove_dir_all(place.out("f32-none")).unwrap();
    assert_eq!(place.export(Dtype::F32, Quantize::None).manifest.files, one);
}

/// transformers rounds the root of the width to the type of the table: 6.9375 for 48 in bf16, not 6.9282.
#[test]
fn embeddings_of_a_bf16_checkpoint_are_scaled_by_a_bf16_number() {
    let place = Workplace::e2b_like();
    let path = place.checkpoint().join("model.safetensors");
    let bytes = fs::read(&path).unwrap();
    let weights = SafeTensors::deserialize(&bytes).unwrap();
    let rounded: BTreeMap<&str, (Vec<usize>, Vec<u8>)> =
        weights.iter().map(|(name, tensor)| (name, (tensor.shape().to_vec(), to_bf16(tensor.data())))).collect();
    let views = rounded
        .iter()
        .map(|(name, (shape, data))| (name, TensorView::new(safetensors::Dtype::BF16, shape.clone(), data).unwrap()));
    serialize_to_file(views, None, &path).unwrap();
    let mut model = LanguageModel::open(&place.export(Dtype::F32, Quantize::None).folder);
    let embedded = model.embed(&ndarray::arr2(&[[17]])).embeddings;
    let table = &rounded["model.language_model.embed_tokens.weight"].1;
    let row = table.as_chunks().0[17 * 48..18 * 48].iter().map(|&two| bf16::from_le_bytes(two).to_f32() * 6.9375);
    assert!(embedded.iter().zip(row).all(|(ours, expected)| *ours == expected));
}

fn to_bf16(floats: &[u8]) -> Vec<u8> {
    let values = floats.as_chunks().0.iter().map(|&four| f32::from_le_bytes(four));
    values.flat_map(|value| bf16::from_f32(value).to_le_bytes()).collect()
}
