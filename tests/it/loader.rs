//! Graphs of other exporters against transformers, through the engine that runs our own.

pub mod layouts;
mod program;
mod refusals;

use crossbeam::channel::unbounded;
use lapidary::{
    app::eval::eval,
    base::{Generation, Item, Prompt, Stop},
    bundle::{Dtype, Quantize},
    generate::{Device, Engine, EngineError, Feed, Generator, Logits, Settings, Vocabulary},
};
use layouts::{E2B, Folder};
use ndarray::{Array2, ArrayView2};

use crate::{
    family::member::{Exported, Member, engine, highest, read_eval},
    generate::desk::{self, Tray},
    stuck::poison::{self, Kind},
};

/// Largest difference of a logit of an f32 graph from transformers; 8.2e-5 and less were measured.
const TOLERANCE: f32 = 2e-3;

/// The same where keys, values and embeddings are f16: random weights make small differences grow with depth; 0.094 and
/// less were measured, on logits with a spread of 3.
const HALF_TOLERANCE: f32 = 0.15;

/// What the card says of a decoder that cannot share buffers.
const GROWING: &str = "keys and values grow";

fn settings(slots: usize, prefill_chunk: usize) -> Settings {
    Settings { slots: Some(slots), prefill_chunk, context: Some(120), max_tokens: 24, ..Settings::default() }
}

/// Words for the 300 tokens, all of which may be chosen as transformers may; 299 ends, which it never chooses here.
fn vocabulary() -> Vocabulary {
    let words: Vec<Vec<u8>> = (0..300).map(|id| format!("w{id} ").into_bytes()).collect();
    Vocabulary::from_words(&words, &[299]).unwrap()
}

fn difference(found: &[f32], expected: &[f32]) -> f32 {
    assert_eq!(found.len(), expected.len());
    found.iter().zip(expected).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max)
}

/// Logits of the reference prompt in chunks of any size; with f32 every choice too.
fn assert_logits(model: &Exported, member: Member, tolerance: f32) {
    let expected: Array2<f32> = member.vector("logits");
    for chunk in [5, 16, 1000] {
        let logits = engine(model, &settings(2, chunk)).score(1, &mut member.prompt()).unwrap();
        let difference = difference(&logits, expected.as_slice().unwrap());
        let name = &model.model.manifest.name;
        println!("{name}, chunks of {chunk}: {difference:e}");
        assert!(difference < tolerance, "{name}, chunks of {chunk}: logits differ by {difference}");
        let rows = ArrayView2::from_shape(expected.dim(), &logits).unwrap();
        let mut pairs = rows.rows().into_iter().zip(expected.rows());
        let same = pairs.all(|(ours, theirs)| highest(&ours.to_vec()) == highest(&theirs.to_vec()));
        assert!(same || tolerance > TOLERANCE, "{name}, chunks of {chunk}: another choice");
    }
}

/// The greedy tokens of the reference prompt and of texts of other lengths, several slots at a time.
fn answers(model: &Exported, member: Member, slots: usize, chunk: usize) -> Vec<Vec<u32>> {
    let settings = settings(slots, chunk);
    let generator = Generator::new(engine(model, &settings), vocabulary(), None, settings).unwrap();
    let (sender, receiver) = unbounded();
    let prompts: [Prompt; 5] =
        [member.prompt(), desk::prompt(1, 23), member.prompt(), desk::prompt(2, 3), desk::prompt(3, 57)];
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
fn assert_answers(model: &Exported, member: Member) {
    let greedy: Vec<u32> = member.greedy().iter().map(|token| *token as u32).collect();
    let alone = answers(&member.export(Dtype::F32, Quantize::None), member, 1, 1000);
    assert_eq!(alone[0], greedy);
    for (slots, chunk) in [(3, 7), (2, 16)] {
        assert_eq!(answers(model, member, slots, chunk), alone, "{}, {slots} slots", model.model.manifest.name);
    }
}

fn note(model: &Exported) -> String {
    engine(model, &settings(1, 16)).card().note.clone()
}

#[test]
fn our_own_graphs_in_the_community_layout_share_buffers() {
    for member in [E2B, Member("e4b"), Member("31b")] {
        let model = layouts::own(member, Dtype::F32, "_q8").opened();
        assert!(model.model.manifest.name.ends_with("#q8"), "{}", model.model.manifest.name);
        assert_eq!(note(&model), "");
        assert_logits(&model, member, TOLERANCE);
        assert_answers(&model, member);
    }
}

#[test]
fn our_own_f16_graphs_in_the_community_layout_share_buffers() {
    let model = layouts::own(E2B, Dtype::F16, "_fp16").opened();
    assert_eq!((note(&model).as_str(), model.model.manifest.precision.dtype.as_str()), ("", "f16"));
    assert_logits(&model, E2B, HALF_TOLERANCE);
}

#[test]
fn a_decoder_that_cannot_share_buffers_runs_with_a_growing_cache_and_says_so() {
    let model = layouts::community("").opened();
    assert!(note(&model).contains(GROWING), "{}", note(&model));
    assert_logits(&model, E2B, TOLERANCE);
    assert_answers(&model, E2B);
}

#[test]
fn a_decoder_whose_rows_disturb_each_other_in_shared_buffers_is_found_out() {
    let folder = layouts::own(E2B, Dtype::F32, "");
    folder.ignore_lengths();
    let model = folder.opened();
    assert!(note(&model).contains(GROWING), "{}", note(&model));
    assert_answers(&model, E2B);
}

#[test]
fn a_half_precision_decoder_takes_what_single_precision_graphs_give() {
    for variant in ["fp16", "kv16"] {
        let model = layouts::community(&format!("_{variant}")).opened();
        assert_eq!(model.model.manifest.precision.dtype, "f16", "of keys and values");
        let (note, fallback) = (note(&model), format!("embed_tokens is not there as {variant}: fp32 is taken"));
        assert!(note.contains(&fallback) && note.contains(GROWING), "{note}");
        assert_logits(&model, E2B, HALF_TOLERANCE);
    }
}

#[test]
fn a_package_of_mobius_runs_with_a_growing_cache_and_says_so() {
    let model = layouts::mobius().opened();
    assert_eq!(note(&model).matches(GROWING).count(), 1, "{}", note(&model));
    assert_logits(&model, E2B, TOLERANCE);
    assert_answers(&model, E2B);
}

/// Three prompts that begin with the same forty tokens.
fn alike() -> [Prompt; 3] {
    [10, 31, 17].map(|number| {
        let mut prompt = desk::prompt(number, 9);
        prompt.tokens.splice(0..0, desk::prompt(9, 40).tokens);
        prompt
    })
}

#[test]
fn a_shared_beginning_is_prefilled_once_in_a_growing_cache_too() {
    let model = layouts::community("").opened();
    let mut engine_of_all = engine(&model, &settings(2, 16));
    for (index, mut prompt) in alike().into_iter().enumerate() {
        let alone = engine(&model, &settings(2, 16)).score(0, &mut prompt.clone()).unwrap();
        let slot = index % 2;
        engine_of_all.admit(slot, &mut prompt).unwrap();
        assert_eq!(
            engine_of_all.prefill(slot).unwrap(),
            if index == 0 { 4 } else { 1 },
            "prompt {index}: 49 tokens in chunks of 16, or 9 new ones"
        );
        let Some(Logits::Scores(scores)) = engine_of_all.logits(slot, 0) else { panic!("no scores") };
        assert!(difference(scores, &alone[alone.len() - 300..]) < 1e-4, "prompt {index}");
        engine_of_all.release(slot);
    }
}

#[test]
fn a_prompt_begun_in_a_step_that_failed_for_another_begins_anew() {
    let folder = layouts::community("");
    folder.edit("onnx/embed_tokens.onnx", |graph| poison::poison(graph, 0, Kind::Many));
    let model = folder.opened();
    let alone = engine(&model, &settings(1, 64)).score(0, &mut desk::prompt(1, 20)).unwrap();
    let mut engine = engine(&model, &settings(2, 64));
    for (slot, length) in [(0, 20), (1, 50)] {
        engine.admit(slot, &mut desk::prompt(1 + slot as u32, length)).unwrap();
    }
    let failed = engine.step(&[Feed::Prompt(0), Feed::Prompt(1)]);
    assert!(matches!(&failed, Err(EngineError::Unit(fault)) if fault.message.contains("decoding step")), "{failed:?}");
    engine.step(&[Feed::Prompt(0)]).unwrap();
    let Some(Logits::Scores(scores)) = engine.logits(0, 0) else { panic!("no scores") };
    assert!(difference(scores, &alone[alone.len() - 300..]) < 1e-4);
}

#[test]
fn eval_gives_the_logits_and_tokens_of_transformers_in_every_layout() {
    let folders: [(Folder, bool); 3] =
        [(layouts::own(E2B, Dtype::F32, "_q4"), false), (layouts::community(""), true), (layouts::mobius(), true)];
    let expected: Array2<f32> = E2B.vector("logits");
    for (folder, grows) in &folders {
        let (inputs, out) = (folder.file("in.safetensors"), folder.file("out.safetensors"));
        E2B.write_inputs(&inputs);
        let line = eval(folder.path(), &inputs, &out, 24, Device::Cpu).unwrap();
        assert_eq!(line.contains(GROWING), *grows, "{line}");
        let (logits, greedy) = read_eval(&out);
        assert!(difference(logits.as_slice().unwrap(), expected.as_slice().unwrap()) < TOLERANCE, "{line}");
        assert_eq!(greedy.to_vec(), E2B.greedy(), "{line}");
    }
    let named = &folders[0].0;
    eval(&named.variant("q4"), &named.file("in.safetensors"), &named.file("out.safetensors"), 0, Device::Cpu).unwrap();
}
