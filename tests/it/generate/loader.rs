//! Graphs of other exporters against transformers, through the engine that runs our own.

use std::{collections::HashMap, fs, path::Path};

use crossbeam::channel::unbounded;
use lapidary::{
    app::eval::eval,
    base::{Generation, Item, Model, Prompt, Stop},
    bundle::Dtype,
    generate::{Engine, Generator, Logits, Prefill, Settings, Vocabulary},
};
use ndarray::{Array, Array1, Array2, Dimension};
use safetensors::{SafeTensors, tensor::TensorView};

use super::{
    desk::{self, Tray},
    layouts::{self, prompt, vectors},
};

/// Largest difference of a logit of an f32 graph from transformers.
const TOLERANCE: f32 = 2e-3;

/// The same where keys, values and embeddings are f16: random weights make small differences grow with depth.
const HALF_TOLERANCE: f32 = 0.1;

/// What the card says of a decoder that cannot share buffers.
const GROWING: &str = "keys and values grow";

fn settings(slots: usize, prefill_chunk: usize) -> Settings {
    Settings { slots, prefill_chunk, context: 120, max_tokens: 24, ..Settings::default() }
}

/// Words for the 300 tokens, all of which may be chosen as transformers may; 299 ends, which it never chooses here.
fn vocabulary() -> Vocabulary {
    let words: Vec<Vec<u8>> = (0..300).map(|id| format!("w{id} ").into_bytes()).collect();
    Vocabulary::from_words(&words, &[299]).unwrap()
}

fn highest(scores: &[f32]) -> usize {
    (0..scores.len()).max_by(|a, b| scores[*a].total_cmp(&scores[*b])).unwrap()
}

fn difference(found: &[f32], expected: &[f32]) -> f32 {
    assert_eq!(found.len(), expected.len());
    found.iter().zip(expected).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max)
}

/// Logits of the reference prompt in chunks of any size, and every choice.
fn assert_logits(model: &Model, shape: &str, tolerance: f32) {
    let expected: Array2<f32> = vectors(shape, "logits");
    for chunk in [5, 16, 1000] {
        let mut engine = layouts::engine(model, &settings(2, chunk));
        let logits = engine.score(1, &mut prompt(shape)).unwrap();
        let difference = difference(&logits, expected.as_slice().unwrap());
        assert!(difference < tolerance, "{}, chunks of {chunk}: logits differ by {difference}", model.manifest.name);
        let choices = logits.chunks(300).map(highest);
        let same =
            choices.zip(expected.rows()).filter(|(found, row)| *found == highest(row.as_slice().unwrap())).count();
        assert!(same == expected.nrows() || tolerance > TOLERANCE && 50 * same >= 49 * expected.nrows(), "{same}");
    }
}

/// The greedy tokens of the reference prompt and of texts of other lengths, several slots at a time.
fn answers(model: &Model, shape: &str, slots: usize, chunk: usize) -> Vec<Vec<u32>> {
    let settings = settings(slots, chunk);
    let generator = Generator::new(layouts::engine(model, &settings), vocabulary(), None, settings).unwrap();
    let (sender, receiver) = unbounded();
    let prompts: [Prompt; 5] =
        [prompt(shape), desk::prompt(1, 23), prompt(shape), desk::prompt(2, 3), desk::prompt(3, 57)];
    for (number, prompt) in (0..).zip(prompts) {
        sender.send(desk::item(number, prompt)).unwrap();
    }
    drop(sender);
    let mut tray = Tray::default();
    generator.run(receiver, &mut tray, &Stop::default()).unwrap();
    assert!(tray.faults.is_empty(), "{:?}", tray.faults);
    let mut done: Vec<Item<Generation>> = tray.done;
    done.sort_by_key(|item| item.origin.source.ordinal);
    done.into_iter().map(|item| item.body.tokens).collect()
}

/// With f32 the same tokens as transformers, and as our own bundle for what transformers was not asked.
fn assert_answers(model: &Model, shape: &str) {
    let greedy: Array1<i64> = vectors(shape, "greedy");
    let greedy: Vec<u32> = greedy.iter().map(|token| *token as u32).collect();
    let (_place, own) = layouts::bundle(shape);
    let alone = answers(&own, shape, 1, 1000);
    assert_eq!(alone[0], greedy);
    for (slots, chunk) in [(3, 7), (2, 16)] {
        assert_eq!(answers(model, shape, slots, chunk), alone, "{}, {slots} slots", model.manifest.name);
    }
}

fn note(model: &Model) -> String {
    layouts::engine(model, &settings(1, 16)).card().note.clone()
}

#[test]
fn our_own_graphs_in_the_community_layout_share_buffers() {
    for shape in ["e2b", "e4b"] {
        let folder = layouts::own(shape, Dtype::F32, "_q8");
        let model = folder.model();
        assert!(model.manifest.name.ends_with("#q8"), "{}", model.manifest.name);
        assert_eq!(note(&model), "");
        assert_logits(&model, shape, TOLERANCE);
        assert_answers(&model, shape);
    }
}

#[test]
fn our_own_f16_graphs_in_the_community_layout_share_buffers() {
    let folder = layouts::own("e2b", Dtype::F16, "_fp16");
    let model = folder.model();
    assert_eq!((note(&model).as_str(), model.manifest.precision.dtype.as_str()), ("", "f16"));
    assert_logits(&model, "e2b", HALF_TOLERANCE);
}

#[test]
fn a_decoder_that_cannot_share_buffers_runs_with_a_growing_cache_and_says_so() {
    let folder = layouts::community("");
    let model = folder.model();
    assert!(note(&model).contains(GROWING), "{}", note(&model));
    assert_logits(&model, "e2b", TOLERANCE);
    assert_answers(&model, "e2b");
}

#[test]
fn a_half_precision_decoder_takes_what_single_precision_graphs_give() {
    let folder = layouts::community("_fp16");
    let model = folder.model();
    let note = note(&model);
    assert!(note.contains("embed_tokens is not there as fp16: fp32 is taken") && note.contains(GROWING), "{note}");
    assert_logits(&model, "e2b", HALF_TOLERANCE);
}

#[test]
fn a_package_of_mobius_runs_with_a_growing_cache_and_says_so() {
    let folder = layouts::mobius();
    let model = folder.model();
    assert_eq!(note(&model).matches(GROWING).count(), 1, "{}", note(&model));
    assert_logits(&model, "e2b", TOLERANCE);
    assert_answers(&model, "e2b");
}

#[test]
fn a_shared_beginning_is_prefilled_once_in_a_growing_cache_too() {
    let folder = layouts::community("");
    let model = folder.model();
    let beginning = desk::prompt(9, 40).tokens;
    let prompts = [10, 31, 17].map(|number| {
        let mut prompt = desk::prompt(number, 9);
        prompt.tokens.splice(0..0, beginning.iter().copied());
        prompt
    });
    let fresh = |prompt: &Prompt| layouts::engine(&model, &settings(2, 16)).score(0, &mut prompt.clone()).unwrap();
    let mut engine = layouts::engine(&model, &settings(2, 16));
    for (index, prompt) in prompts.iter().enumerate() {
        engine.admit(index % 2, &mut prompt.clone()).unwrap();
        let chunks =
            1 + std::iter::from_fn(|| (engine.prefill(index % 2).unwrap() == Prefill::More).then_some(())).count();
        assert_eq!(chunks, if index == 0 { 4 } else { 1 }, "prompt {index}: 49 tokens in chunks of 16, or 9 new ones");
        let Some(Logits::Scores(scores)) = engine.logits(index % 2) else { panic!("no scores") };
        let alone = fresh(prompt);
        assert!(difference(scores, &alone[alone.len() - 300..]) < 1e-4, "prompt {index}");
        engine.release(index % 2);
    }
}

#[test]
fn eval_gives_the_logits_and_tokens_of_transformers_in_every_layout() {
    let folders = [layouts::own("e2b", Dtype::F32, "_q4"), layouts::community(""), layouts::mobius()];
    for (folder, grows) in folders.iter().zip([false, true, true]) {
        let (inputs, out) = (folder.file("in.safetensors"), folder.file("out.safetensors"));
        write_inputs(&inputs);
        let line = eval(folder.path(), &inputs, &out, 24).unwrap();
        assert_eq!(line.contains(GROWING), grows, "{line}");
        let bytes = fs::read(&out).unwrap();
        let file = SafeTensors::deserialize(&bytes).unwrap();
        let logits = file.tensor("logits").unwrap().data().as_chunks::<4>().0;
        let logits: Vec<f32> = logits.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect();
        let expected: Array2<f32> = vectors("e2b", "logits");
        assert!(difference(&logits, expected.as_slice().unwrap()) < TOLERANCE, "{line}");
        let greedy = file.tensor("greedy").unwrap().data().as_chunks::<8>().0;
        let greedy: Vec<i64> = greedy.iter().map(|bytes| i64::from_le_bytes(*bytes)).collect();
        assert_eq!(greedy, vectors::<i64, ndarray::Ix1>("e2b", "greedy").to_vec(), "{line}");
    }
    let named = &folders[0];
    let out = named.file("out.safetensors");
    eval(&named.variant("q4"), &named.file("in.safetensors"), &out, 0).unwrap();
}

/// The reference inputs under the names of `lapidary model eval`, padding included.
fn write_inputs(path: &Path) {
    fn bytes<A: Copy, D: Dimension, const N: usize>(
        array: &Array<A, D>,
        of: fn(A) -> [u8; N],
    ) -> (Vec<usize>, Vec<u8>) {
        (array.shape().to_vec(), array.iter().flat_map(|value| of(*value)).collect())
    }
    let floats = |name| bytes::<f32, ndarray::Ix3, 4>(&vectors("e2b", name), f32::to_le_bytes);
    let ids = bytes::<i64, ndarray::Ix2, 8>(&vectors("e2b", "input_ids"), i64::to_le_bytes);
    let places = bytes::<i64, ndarray::Ix3, 8>(&vectors("e2b", "pixel_position_ids"), i64::to_le_bytes);
    let mask = bytes::<u8, ndarray::Ix2, 1>(&vectors("e2b", "input_features_mask"), u8::to_le_bytes);
    let tensors = [
        ("input_ids", safetensors::Dtype::I64, ids),
        ("pixel_values", safetensors::Dtype::F32, floats("pixel_values")),
        ("pixel_position_ids", safetensors::Dtype::I64, places),
        ("input_features", safetensors::Dtype::F32, floats("input_features")),
        ("input_features_mask", safetensors::Dtype::U8, mask),
    ];
    let views = tensors
        .iter()
        .map(|(name, dtype, (shape, data))| (*name, TensorView::new(*dtype, shape.clone(), data).unwrap()));
    let views: HashMap<&str, TensorView> = views.collect();
    fs::write(path, safetensors::serialize(views, None).unwrap()).unwrap();
}
