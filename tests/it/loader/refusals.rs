//! Folders of other exporters that are not whole, or not what their config.json says: each is refused by name.

use std::fs;

use super::layouts::{self, E2B, Folder};
use lapidary::{
    base::{Fatal, model::Layout},
    bundle::{Check, Dtype, Quantize, graph::proto::ValueInfoProto, open},
    generate::{Device, EngineSettings, OrtEngine, Runtime, Settings},
};

fn opened(folder: &Folder) -> Fatal {
    open(folder.path(), Check::Full).expect_err("must be refused")
}

/// What the engine says of a folder that opens.
fn engine(folder: &Folder) -> Fatal {
    let settings = Settings { slots: Some(2), context: Some(100), max_tokens: 9, ..Settings::default() };
    let settings = EngineSettings { threads: 1, ..EngineSettings::new(&settings, Device::Cpu) };
    OrtEngine::open(&Runtime::load().unwrap(), &folder.model(), settings).err().expect("must be refused")
}

fn assert_names(fatal: &Fatal, parts: &[&str]) {
    let missing = parts.iter().find(|part| !fatal.message.contains(*part) && !fatal.hint.contains(*part));
    assert_eq!(missing, None, "{} / {}", fatal.message, fatal.hint);
}

fn replace_in(folder: &Folder, name: &str, from: &str, to: &str) {
    let text = fs::read_to_string(folder.file(name)).unwrap();
    assert!(text.contains(from), "{name} holds no {from}");
    fs::write(folder.file(name), text.replace(from, to)).unwrap();
}

const DECODER: &str = "onnx/decoder_model_merged.onnx";

#[test]
fn a_missing_graph_is_named() {
    let folder = layouts::community("");
    fs::remove_file(folder.file("onnx/embed_tokens.onnx")).unwrap();
    assert_names(&opened(&folder), &["onnx/embed_tokens*.onnx", "download"]);
    let package = layouts::mobius();
    fs::remove_file(package.file("decoder/model.onnx")).unwrap();
    assert_names(&opened(&package), &["decoder/model.onnx"]);
}

#[test]
fn a_missing_or_short_part_of_the_weights_is_named_with_its_graph() {
    let folder = layouts::community("");
    let part = folder.file("onnx/decoder_model_merged.onnx_data_1");
    fs::write(&part, b"short").unwrap();
    assert_names(&opened(&folder), &["decoder_model_merged.onnx`", "348424 bytes", "which has 5"]);
    fs::remove_file(&part).unwrap();
    assert_names(&opened(&folder), &["decoder_model_merged.onnx`", "decoder_model_merged.onnx_data_1", "download"]);
}

#[test]
fn weights_outside_the_folder_are_refused() {
    let folder = layouts::community("");
    folder.edit(DECODER, |graph| {
        let tensors = &mut graph.initializer;
        let entries = tensors.iter_mut().flat_map(|tensor| &mut tensor.external_data);
        entries.filter(|entry| entry.key == "location").for_each(|entry| entry.value = "../secret".to_owned());
    });
    assert_names(&opened(&folder), &["`../secret`", "outside"]);
}

#[test]
fn a_file_that_is_no_graph_is_named() {
    let folder = layouts::community("");
    fs::write(folder.file(DECODER), b"<html>not found</html>").unwrap();
    assert_names(&opened(&folder), &["decoder_model_merged.onnx", "no ONNX graph"]);
}

#[test]
fn several_variants_are_listed_and_one_can_be_named() {
    let folder = layouts::community("_fp16");
    fs::copy(folder.file("onnx/decoder_model_merged_fp16.onnx"), folder.file("onnx/decoder_model_merged_q4f16.onnx"))
        .unwrap();
    assert_names(&opened(&folder), &["fp16, q4f16", "#q4f16"]);
    let model = open(&folder.variant("q4f16"), Check::Full).unwrap();
    assert_eq!(
        (model.layout, model.manifest.graphs.decoder.as_str()),
        (Layout::Community, "onnx/decoder_model_merged_q4f16.onnx")
    );
    assert_names(&open(&folder.variant("int8"), Check::Full).unwrap_err(), &["`int8`", "fp16, q4f16"]);
    assert_names(&open("nowhere#q4".as_ref(), Check::Full).unwrap_err(), &["`nowhere` is not a model"]);
}

#[test]
fn a_bundle_and_a_package_have_no_variants() {
    let bundle = E2B.export(Dtype::F32, Quantize::None);
    let path = format!("{}#q4", bundle.model.folder.display());
    assert_names(&open(path.as_ref(), Check::Full).unwrap_err(), &["is a bundle", "`q4`"]);
    assert_names(&open(&layouts::mobius().variant("q4"), Check::Full).unwrap_err(), &["mobius", "`q4`"]);
}

#[test]
fn an_input_that_is_not_known_is_refused_by_name() {
    let folder = layouts::community("");
    folder.edit(DECODER, |graph| {
        let inputs = &mut graph.input;
        let mask = inputs.iter().find(|input| input.name == "attention_mask").unwrap().clone();
        inputs.push(ValueInfoProto { name: "use_cache_branch".to_owned(), ..mask });
    });
    assert_names(&engine(&folder), &["decoder_model_merged.onnx", "`use_cache_branch` i64"]);
}

#[test]
fn a_configuration_that_contradicts_the_graph_is_named_with_what_was_expected() {
    let folder = layouts::community("");
    replace_in(&folder, "config.json", r#""head_dim": 16"#, r#""head_dim": 24"#);
    let parts = ["decoder_model_merged.onnx", "`past_key_values.0.key` f32 [?, 1, ?, 16]", "[batch, 1, past, 24]"];
    assert_names(&engine(&folder), &parts);
    let folder = layouts::community("");
    replace_in(&folder, "config.json", r#""num_kv_shared_layers": 4"#, r#""num_kv_shared_layers": 3"#);
    assert_names(&engine(&folder), &["no input `past_key_values.4.key`"]);
    let package = layouts::mobius();
    replace_in(&package, "config.json", r#": 300"#, r#": 400"#);
    assert_names(&engine(&package), &["decoder/model.onnx", "`logits` f32 [?, ?, 300]", "400"]);
}

#[test]
fn without_config_or_tokenizer_it_says_what_to_fetch() {
    let folder = layouts::mobius();
    fs::remove_file(folder.file("tokenizer.json")).unwrap();
    assert_names(&opened(&folder), &["tokenizer.json"]);
    fs::remove_file(folder.file("config.json")).unwrap();
    assert_names(&opened(&folder), &["config.json", "bundle.toml"]);
}

#[test]
fn encoders_that_are_not_there_are_noted_and_what_they_would_take_is_off() {
    let folder = layouts::mobius();
    fs::remove_dir_all(folder.file("audio_encoder")).unwrap();
    let model = folder.model();
    assert_eq!(model.manifest.audio, None);
    assert!(model.notes.iter().any(|note| note.contains("no audio encoder")), "{:?}", model.notes);
}

#[test]
fn the_hash_names_the_content_and_sizes_alone_say_nothing_of_it() {
    let folder = layouts::community("");
    let (full, sizes) = (folder.model(), open(folder.path(), Check::Sizes).unwrap());
    assert_ne!(full.hash, sizes.hash);
    assert!(sizes.manifest.files.values().all(|fact| fact.sha256.is_empty()));
    assert!(full.manifest.files.contains_key("onnx/decoder_model_merged.onnx_data_1"));
    let part = folder.file("onnx/vision_encoder.onnx_data");
    let mut bytes = fs::read(&part).unwrap();
    bytes[100] ^= 1;
    fs::write(&part, bytes).unwrap();
    assert_ne!(folder.model().hash, full.hash);
    assert_eq!(open(folder.path(), Check::Sizes).unwrap().hash, sizes.hash);
    assert_eq!(layouts::own(E2B, Dtype::F32, "").model().manifest.precision.quantize, "none");
}
