//! The exported language model against transformers 5.23, whose outputs lie in fixtures/reference.

use lapidary::bundle::{Dtype, Quantize};
use ndarray::{Array3, Array4, Axis, s};

use super::{
    checkpoints::{Workplace, reference},
    model::{LanguageModel, largest_difference, same_choice},
};

fn exported(dtype: Dtype) -> (Workplace, LanguageModel) {
    let place = Workplace::e2b_like();
    let folder = place.export(dtype, Quantize::None).folder;
    (place, LanguageModel::open(&folder))
}

#[test]
fn a_prompt_with_picture_and_sound_gives_the_logits_of_transformers() {
    let (_place, mut model) = exported(Dtype::F32);
    let (prompt, next) = model.reference_logits();
    let (expected, expected_next): (Array3<f32>, Array3<f32>) = (reference("logits"), reference("logits_step2"));
    assert!(largest_difference(&prompt, &expected) < 1e-4);
    assert!(largest_difference(&next, &expected_next) < 1e-4);
    assert_eq!(same_choice(&prompt, &expected), 1.0);
    assert_eq!(same_choice(&next, &expected_next), 1.0);
}

/// Random weights make small differences grow with depth, so 0.05 on logits of size 3 is close for f16.
#[test]
fn half_precision_chooses_the_same_tokens() {
    let (_place, mut model) = exported(Dtype::F16);
    let (prompt, next) = model.reference_logits();
    let expected: Array3<f32> = reference("logits");
    assert!(largest_difference(&prompt, &expected) < 0.05);
    assert!(largest_difference(&next, &reference("logits_step2")) < 0.05);
    assert_eq!(same_choice(&prompt, &expected), 1.0);
}

#[test]
fn keys_and_values_are_those_of_transformers() {
    let (_place, mut model) = exported(Dtype::F32);
    let prompt = model.embed(&reference("input_ids"));
    let (_, cache) = model.step(&prompt, &model.empty(1), 1);
    for (index, layer) in cache.iter().enumerate() {
        for (which, name) in ["key", "value"].into_iter().enumerate() {
            // transformers keeps only the last positions of the window.
            let expected: Array4<f32> = reference(&format!("present_{index}_{name}"));
            let kept = layer.dim().3 - expected.dim().2;
            let ours = layer.index_axis(Axis(0), which).slice(s![.., .., kept.., ..]).to_owned();
            assert!(largest_difference(&ours, &expected) < 1e-4, "layer {index}, {name}");
        }
    }
}

#[test]
fn the_logits_that_are_kept_are_those_of_the_whole_prompt() {
    let (_place, mut model) = exported(Dtype::F32);
    let prompt = model.embed(&reference("input_ids"));
    let (all, _) = model.step(&prompt, &model.empty(1), 0);
    for keep in [1, 5, 33, 100] {
        let (kept, _) = model.step(&prompt, &model.empty(1), keep);
        let first = 33_usize.saturating_sub(keep as usize);
        assert!(largest_difference(&kept, &all.slice(s![.., first.., ..]).to_owned()) < 1e-5, "keep {keep}");
    }
}

#[test]
fn a_prompt_in_chunks_gives_the_logits_of_one_prefill() {
    let (_place, mut model) = exported(Dtype::F32);
    let prompt = model.embed(&reference("input_ids"));
    let (whole, _) = model.step(&prompt, &model.empty(1), 0);
    let (mut cache, mut chunks) = (model.empty(1), Vec::new());
    for from in (0..33).step_by(7) {
        let (logits, present) = model.step(&prompt.part(from, (from + 7).min(33)), &cache, 0);
        chunks.push(logits);
        cache = present;
    }
    let views: Vec<_> = chunks.iter().map(|chunk| chunk.view()).collect();
    assert!(largest_difference(&ndarray::concatenate(Axis(1), &views).unwrap(), &whole) < 1e-5);
}

#[test]
fn layers_that_share_keys_and_values_write_none() {
    let (place, model) = exported(Dtype::F32);
    assert_eq!(model.empty(1).len(), 5, "layers 5 to 9 of e2b_like read those of layers 3 and 4");
    let bytes = std::fs::read(place.out("f32-none").join("onnx/decoder_model_merged.onnx")).unwrap();
    let graph: lapidary::bundle::graph::proto::ModelProto = prost::Message::decode(bytes.as_slice()).unwrap();
    let outputs: Vec<String> = graph.graph.unwrap().output.into_iter().map(|output| output.name).collect();
    assert!(outputs.contains(&"present.4.value".to_owned()) && !outputs.contains(&"present.5.key".to_owned()));
}

#[test]
fn rows_of_different_lengths_in_shared_buffers_equal_each_row_alone() {
    let (_place, mut model) = exported(Dtype::F32);
    let (together, alone) = model.rows_together_and_alone();
    assert!(largest_difference(&together, &alone) < 1e-5);
}

#[test]
fn soft_token_ids_embed_as_padding() {
    let (_place, mut model) = exported(Dtype::F32);
    let soft = model.embed(&ndarray::arr2(&[[293]]));
    let padding = model.embed(&ndarray::arr2(&[[0]]));
    assert_eq!(soft.embeddings, padding.embeddings);
    assert_eq!(soft.per_layer, padding.per_layer);
}
