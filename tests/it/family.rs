//! Every model of the family against transformers 5.23: prompts with two pictures of different shapes, one of them
//! larger than the sliding window, and sound where the model hears (`fixtures/family`).

mod batches;
mod encoders;
pub mod member;
mod steps;

use lapidary::{
    app::eval::eval,
    bundle::{Dtype, Quantize},
    generate::{Device, Engine, Feed, Logits, Settings},
};
use member::{Exported, MEMBERS, Member, engine, highest, read_eval};
use ndarray::{Array2, ArrayView2};
use ort::value::Tensor;

use crate::onnx;

/// Largest difference of a logit; 8.8e-5 and less were measured, on logits with a spread of 3.
const LOGITS: f32 = 2e-3;

/// Largest difference of a feature; 3.9e-6 and less were measured.
const FEATURES: f32 = 1e-5;

/// A context that holds the longest prompt and 24 tokens.
fn settings(prefill_chunk: usize) -> Settings {
    Settings { slots: Some(2), context: Some(100), prefill_chunk, ..Settings::default() }
}

fn distance(found: ArrayView2<f32>, expected: &Array2<f32>) -> f32 {
    assert_eq!(found.dim(), expected.dim());
    found.iter().zip(expected).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max)
}

fn assert_logits(found: &Array2<f32>, expected: &Array2<f32>, what: &str) {
    let difference = distance(found.view(), expected);
    println!("{what}: {difference:e}");
    assert!(difference < LOGITS, "{what}: logits differ by {difference}");
    for (place, (ours, theirs)) in found.rows().into_iter().zip(expected.rows()).enumerate() {
        assert_eq!(highest(&ours.to_vec()), highest(&theirs.to_vec()), "{what}, position {place}");
    }
}

fn f32_bundle(name: &'static str) -> (Member, Exported) {
    (Member(name), Member(name).export(Dtype::F32, Quantize::None))
}

#[test]
fn bundles_name_the_architecture_of_their_checkpoint() {
    let architectures = MEMBERS.map(|name| f32_bundle(name).1.model.manifest.architecture);
    assert_eq!(architectures, ["gemma4-e", "gemma4-e", "gemma4-moe", "gemma4-dense"]);
}

#[test]
fn features_of_pictures_and_sound_equal_those_of_transformers() {
    for name in MEMBERS {
        let (member, exported) = f32_bundle(name);
        let graphs = &exported.model.manifest.graphs;
        let mut vision = onnx::session(&exported.model.file(graphs.vision_encoder.as_ref().unwrap()));
        let inputs = ort::inputs![
            "pixel_values" => Tensor::from_array(member.vector::<f32, ndarray::Ix3>("pixel_values")).unwrap(),
            "pixel_position_ids" => Tensor::from_array(member.vector::<i64, ndarray::Ix3>("pixel_position_ids")).unwrap(),
        ];
        let outputs = vision.run(inputs).unwrap();
        let found = outputs["image_features"].try_extract_array::<f32>().unwrap().into_dimensionality().unwrap();
        let difference = distance(found, &member.vector("image_features"));
        println!("{name}: image features {difference:e}");
        assert!(difference < FEATURES, "{name}: image features differ by {difference}");
        assert_eq!(graphs.audio_encoder.is_some(), member.has("input_features"), "{name}");
        if let Some(audio) = &graphs.audio_encoder {
            assert_sound(member, &mut onnx::session(&exported.model.file(audio)));
        }
    }
}

fn assert_sound(member: Member, audio: &mut ort::session::Session) {
    let mask = member.vector::<u8, ndarray::Ix2>("input_features_mask").mapv(|valid| valid != 0);
    let inputs = ort::inputs![
        "input_features" => Tensor::from_array(member.vector::<f32, ndarray::Ix3>("input_features")).unwrap(),
        "input_features_mask" => Tensor::from_array(mask).unwrap(),
    ];
    let outputs = audio.run(inputs).unwrap();
    let found = outputs["audio_features"].try_extract_array::<f32>().unwrap().into_dimensionality().unwrap();
    let difference = distance(found, &member.vector("audio_features"));
    println!("{}: audio features {difference:e}", member.0);
    assert!(difference < FEATURES, "{}: audio features differ by {difference}", member.0);
}

/// The norm of the difference over the norm of the logits, since the largest difference of a random network is chance.
#[test]
fn half_precision_stays_close_to_transformers() {
    for name in MEMBERS {
        let member = Member(name);
        let exported = member.export(Dtype::F16, Quantize::None);
        let logits = engine(&exported, &settings(7)).score(0, &mut member.prompt()).unwrap();
        let expected: Array2<f32> = member.vector("logits");
        let error: f32 = expected.iter().zip(&logits).map(|(a, b)| (a - b) * (a - b)).sum();
        let relative = (error / expected.iter().map(|value| value * value).sum::<f32>()).sqrt();
        println!("{name}: {relative}");
        assert!(relative < 0.01, "{name}: logits differ by {relative} of their size");
    }
}

/// Chunks of 1 go step by step, but for pictures that must stay whole.
#[test]
fn logits_and_greedy_tokens_equal_those_of_transformers_in_one_prefill_in_chunks_and_step_by_step() {
    for name in MEMBERS {
        let (member, exported) = f32_bundle(name);
        for chunk in [1000, 7, 1] {
            let what = format!("{name}, chunks of {chunk}");
            let mut engine = engine(&exported, &settings(chunk));
            let logits = engine.score(1, &mut member.prompt()).unwrap();
            let expected: Array2<f32> = member.vector("logits");
            assert_logits(&Array2::from_shape_vec(expected.dim(), logits).unwrap(), &expected, &what);
            assert_continues(&mut engine, member, &what);
        }
    }
}

fn assert_continues(engine: &mut impl Engine, member: Member, what: &str) {
    let scores = |engine: &dyn Engine| match engine.logits(1, 0) {
        Some(Logits::Scores(scores)) => scores.to_vec(),
        other => panic!("no scores but {other:?}"),
    };
    for (step, token) in member.greedy().into_iter().enumerate() {
        let latest = scores(engine);
        assert_eq!(highest(&latest) as i64, token, "{what}, step {step}");
        if step == 1 {
            let latest = Array2::from_shape_vec((1, latest.len()), latest).unwrap();
            assert_logits(&latest, &member.vector("step_logits"), &format!("{what}, second step"));
        }
        engine.step(&[Feed::token(1, &(token as u32))]).unwrap();
    }
}

#[test]
fn eval_gives_the_logits_and_the_greedy_tokens_of_transformers() {
    for name in MEMBERS {
        let (member, exported) = f32_bundle(name);
        let place = |file: &str| exported.folder.path().join(file);
        member.write_inputs(&place("in.safetensors"));
        eval(&exported.model.folder, &place("in.safetensors"), &place("out.safetensors"), 24, Device::Cpu).unwrap();
        let (logits, greedy) = read_eval(&place("out.safetensors"));
        assert_logits(&logits, &member.vector("logits"), &format!("{name}, eval"));
        assert_eq!(greedy.to_vec(), member.greedy(), "{name}");
    }
}
