//! The engine against transformers: the reference prompt holds a picture, a clip and text.

use std::collections::HashMap;

use lapidary::{
    app::eval::eval,
    base::{FaultKind, ImagePatches, LogMel, Prompt},
    bundle::{Dtype, Precision},
    generate::{Device, Engine, EngineError, Feed, Form, Logits, Settings, declared_element},
};
use ndarray::{Array2, Array3, Axis, s};
use safetensors::{SafeTensors, tensor::TensorView};

use super::models::{self, Exported, reference};

/// Largest difference of a logit from transformers.
const TOLERANCE: f32 = 2e-3;

/// The reference prompt: 33 tokens, of which 2 of a picture and 12 of a clip.
pub fn prompt() -> Prompt {
    let ids: Array2<i64> = reference("input_ids");
    let (pixels, places): (Array3<f32>, Array3<i64>) = (reference("pixel_values"), reference("image_position_ids"));
    let real = places.index_axis(Axis(0), 0).rows().into_iter().filter(|place| place[0] >= 0).count();
    let features: Array3<f32> = reference("input_features");
    let mask: Array2<bool> = reference("input_features_mask");
    Prompt {
        tokens: ids.iter().map(|id| *id as u32).collect(),
        images: vec![ImagePatches {
            pixels: pixels.slice(s![0, ..real, ..]).to_owned(),
            positions: places.slice(s![0, ..real, ..]).to_owned(),
            soft_tokens: real / 9,
        }],
        clips: vec![LogMel {
            features: features.slice(s![0, .., ..]).to_owned(),
            mask: mask.iter().copied().collect(),
            soft_tokens: 12,
        }],
        budget: 70,
        ..Prompt::default()
    }
}

fn settings(prefill_chunk: usize) -> Settings {
    Settings { slots: Some(2), context: Some(60), prefill_chunk, ..Settings::default() }
}

fn highest(scores: &[f32]) -> usize {
    (0..scores.len()).max_by(|a, b| scores[*a].total_cmp(&scores[*b])).unwrap()
}

fn assert_close(scores: &[f32], expected: &[f32], what: &str) {
    assert_within(TOLERANCE, scores, expected, what);
    for (row, expected) in scores.chunks(300).zip(expected.chunks(300)) {
        assert_eq!(highest(row), highest(expected), "{what}");
    }
}

fn assert_within(tolerance: f32, scores: &[f32], expected: &[f32], what: &str) {
    assert_eq!(scores.len(), expected.len(), "{what}");
    let difference = scores.iter().zip(expected).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
    assert!(difference < tolerance, "{what}: logits differ by {difference}");
}

fn scores(engine: &impl Engine, slot: usize) -> &[f32] {
    match engine.logits(slot, 0) {
        Some(Logits::Scores(scores)) => scores,
        other => panic!("no scores but {other:?}"),
    }
}

#[test]
fn logits_of_a_prompt_with_picture_and_sound_equal_those_of_transformers_in_chunks_of_any_size() {
    let exported = models::e2b_like(Dtype::F32);
    let expected: Array3<f32> = reference("logits");
    let (next, step): (Array2<i64>, Array3<f32>) = (reference("next_id"), reference("logits_step2"));
    for chunk in [1, 7, 1000] {
        let mut engine = models::engine(&exported, &settings(chunk));
        let logits = engine.score(1, &mut prompt()).unwrap();
        assert_close(&logits, expected.as_slice().unwrap(), &format!("chunks of {chunk}"));
        assert_eq!(highest(scores(&engine, 1)), next[[0, 0]] as usize);
        engine.step(&[Feed::token(1, &(next[[0, 0]] as u32))]).unwrap();
        assert_close(scores(&engine, 1), step.as_slice().unwrap(), &format!("second step, chunks of {chunk}"));
    }
}

/// Random weights make small differences grow with depth: 0.05 on logits of size 3 is close for f16.
#[test]
fn f16_bundles_run_with_f16_keys_and_values() {
    let exported = models::e2b_like(Dtype::F16);
    let (expected, step): (Array3<f32>, Array3<f32>) = (reference("logits"), reference("logits_step2"));
    let next = reference::<i64, ndarray::Ix2>("next_id")[[0, 0]] as u32;
    let mut engine = models::engine(&exported, &settings(7));
    for slot in [0, 1] {
        let logits = engine.score(slot, &mut prompt()).unwrap();
        assert_within(0.05, &logits, expected.as_slice().unwrap(), "f16");
    }
    engine.step(&[Feed::token(0, &next), Feed::token(1, &next)]).unwrap();
    for slot in [0, 1] {
        assert_within(0.05, scores(&engine, slot), step.as_slice().unwrap(), "second step, f16");
    }
}

/// Measured 0.003 on logits of size 3.
#[test]
fn keys_and_values_in_f16_beside_f32_stay_close_and_take_half_the_memory() {
    let stored = |keys_values| Precision::default().with_keys_values(keys_values).unwrap();
    let (single, half) = (models::e2b_like(Dtype::F32), models::e2b_like_stored(stored(Dtype::F16)));
    let element = |exported: &Exported| declared_element(&exported.model.manifest, Form::Auto, Device::Cpu);
    assert_eq!((element(&single), element(&half)), (4, 2));
    assert_eq!(declared_element(&half.model.manifest, Form::Sequences, Device::Cpu), 4);
    let expected: Array3<f32> = reference("logits");
    for chunk in [1, 7, 1000] {
        let mut engine = models::engine(&half, &settings(chunk));
        let logits = engine.score(1, &mut prompt()).unwrap();
        assert_within(0.01, &logits, expected.as_slice().unwrap(), &format!("chunks of {chunk}"));
    }
}

#[test]
fn eval_writes_the_logits_and_greedy_tokens_of_transformers() {
    let exported = models::e2b_like(Dtype::F32);
    let (inputs, out) = (exported.folder.path().join("in.safetensors"), exported.folder.path().join("out.safetensors"));
    write_inputs(&inputs);
    eval(&exported.model.folder, &inputs, &out, 2, Device::Cpu).unwrap();
    let bytes = std::fs::read(&out).unwrap();
    let file = SafeTensors::deserialize(&bytes).unwrap();
    let logits = file.tensor("logits").unwrap();
    assert_eq!(logits.shape(), [33, 300]);
    let values: Vec<f32> = logits.data().as_chunks::<4>().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect();
    let (expected, step): (Array3<f32>, Array3<f32>) = (reference("logits"), reference("logits_step2"));
    assert_close(&values, expected.as_slice().unwrap(), "eval");
    let greedy = file.tensor("greedy").unwrap();
    let greedy: Vec<i64> = greedy.data().as_chunks::<8>().0.iter().map(|bytes| i64::from_le_bytes(*bytes)).collect();
    assert_eq!(greedy, [reference::<i64, ndarray::Ix2>("next_id")[[0, 0]], highest(step.as_slice().unwrap()) as i64]);
}

/// The reference inputs under the names of `lapidary model eval`, padding included.
fn write_inputs(path: &std::path::Path) {
    let floats = |name: &str| {
        let array: Array3<f32> = reference(name);
        (array.shape().to_vec(), array.iter().flat_map(|value| value.to_le_bytes()).collect::<Vec<u8>>())
    };
    let ids: Array2<i64> = reference("input_ids");
    let places: Array3<i64> = reference("image_position_ids");
    let mask: Array2<bool> = reference("input_features_mask");
    let bytes =
        |values: &mut dyn Iterator<Item = &i64>| values.flat_map(|value| value.to_le_bytes()).collect::<Vec<u8>>();
    let (pixels, features) = (floats("pixel_values"), floats("input_features"));
    let tensors = [
        ("input_ids", safetensors::Dtype::I64, ids.shape().to_vec(), bytes(&mut ids.iter())),
        ("pixel_values", safetensors::Dtype::F32, pixels.0, pixels.1),
        ("pixel_position_ids", safetensors::Dtype::I64, places.shape().to_vec(), bytes(&mut places.iter())),
        ("input_features", safetensors::Dtype::F32, features.0, features.1),
        (
            "input_features_mask",
            safetensors::Dtype::U8,
            mask.shape().to_vec(),
            mask.iter().map(|v| u8::from(*v)).collect(),
        ),
    ];
    let views: HashMap<&str, TensorView> = tensors
        .iter()
        .map(|(name, dtype, shape, data)| (*name, TensorView::new(*dtype, shape.clone(), data).unwrap()))
        .collect();
    std::fs::write(path, safetensors::serialize(views, None).unwrap()).unwrap();
}

#[test]
fn inputs_that_are_not_as_described_are_refused() {
    let exported = models::e2b_like(Dtype::F32);
    let (inputs, out) = (exported.folder.path().join("in.safetensors"), exported.folder.path().join("out.safetensors"));
    let refusal = |bytes: &[u8]| {
        std::fs::write(&inputs, bytes).unwrap();
        eval(&exported.model.folder, &inputs, &out, 0, Device::Cpu).unwrap_err().message
    };
    assert!(refusal(b"nonsense").contains("is no safetensors file"));
    let none: HashMap<&str, TensorView> = HashMap::new();
    assert!(refusal(&safetensors::serialize(none, None).unwrap()).contains("holds no `input_ids`"));
    let data = 900_i64.to_le_bytes();
    let beyond = HashMap::from([("input_ids", TensorView::new(safetensors::Dtype::I64, vec![1, 1], &data).unwrap())]);
    assert!(refusal(&safetensors::serialize(beyond, None).unwrap()).contains("900"));
    let floats = HashMap::from([("input_ids", TensorView::new(safetensors::Dtype::F32, vec![1, 2], &data).unwrap())]);
    assert!(refusal(&safetensors::serialize(floats, None).unwrap()).contains("as F32 instead of I64"));
}

#[test]
fn a_model_without_an_encoder_refuses_what_needs_it() {
    for (what, lacking) in [("pictures", "a vision encoder"), ("sound", "an audio encoder")] {
        let mut exported: Exported = models::e2b_like(Dtype::F32);
        let mut prompt = prompt();
        if what == "pictures" {
            exported.model.manifest.graphs.vision_encoder = None;
        } else {
            exported.model.manifest.graphs.audio_encoder = None;
            prompt.images.clear();
        }
        let Err(EngineError::Unit(fault)) = models::engine(&exported, &settings(9)).admit(0, &mut prompt) else {
            panic!("{what} must be refused")
        };
        assert_eq!(fault.kind, FaultKind::Unsupported);
        assert!(fault.message.contains(what) && fault.hint.contains(lacking), "{fault}");
    }
}

#[test]
fn features_that_do_not_match_their_places_are_a_fault() {
    let exported = models::e2b_like(Dtype::F32);
    let mut engine = models::engine(&exported, &settings(9));
    let mut short = prompt();
    short.tokens.retain(|token| *token != 296);
    assert!(matches!(engine.admit(0, &mut short), Err(EngineError::Unit(fault)) if fault.kind == FaultKind::Internal));
    engine.admit(0, &mut prompt()).unwrap();
}
