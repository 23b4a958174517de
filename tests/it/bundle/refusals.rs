//! Checkpoints that are not supported, contradict themselves or are damaged: refused with what, where and what now.

use std::{collections::BTreeMap, fs};

use lapidary::bundle::{Dtype, ExportRequest, Precision, Quantize, Recipe, SynthesizeRequest, export};
use safetensors::{SafeTensors, serialize_to_file, tensor::TensorView};

use super::checkpoints::Workplace;

/// Exports a changed checkpoint and expects every one of these words in the message.
fn assert_refused(place: &Workplace, words: &[&str]) {
    let (message, hint) = place.refusal();
    words.iter().for_each(|word| assert!(message.contains(word), "`{word}` is not in `{message}`"));
    assert!(!hint.is_empty(), "`{message}` comes without advice");
}

fn assert_edit_refused(from: &str, to: &str, words: &[&str]) {
    let place = Workplace::e2b_like();
    place.edit_config(from, to);
    assert_refused(&place, words);
}

/// Rewrites the weights, changed by `change`.
fn rewrite(place: &Workplace, change: impl Fn(&mut BTreeMap<String, TensorView>)) {
    let path = place.checkpoint().join("model.safetensors");
    let bytes = fs::read(&path).unwrap();
    let weights = SafeTensors::deserialize(&bytes).unwrap();
    let mut tensors = weights.tensors().into_iter().collect();
    change(&mut tensors);
    serialize_to_file(tensors, None, &path).unwrap();
}

#[test]
fn other_model_types_are_refused_by_name() {
    assert_edit_refused("\"model_type\": \"gemma4\"", "\"model_type\": \"gemma4_unified\"", &["gemma4_unified", "12B"]);
    assert_edit_refused("\"model_type\": \"gemma4\"", "\"model_type\": \"llama\"", &["llama", "config.json"]);
}

#[test]
fn a_configuration_that_is_no_json_says_where() {
    assert_edit_refused("\"text_config\": {", "\"text_config\": ", &["config.json", "not valid JSON", "line"]);
}

#[test]
fn sizes_that_make_no_sense_are_refused() {
    assert_edit_refused("\"hidden_size\": 48", "\"hidden_size\": 0", &["text_config.hidden_size 0"]);
    assert_edit_refused("\"num_kv_shared_layers\": 5", "\"num_kv_shared_layers\": 10", &["num_kv_shared_layers 10"]);
    assert_edit_refused(
        "\"num_kv_shared_layers\": 5",
        "\"num_kv_shared_layers\": 6",
        &["layer 4", "no layer of its kind"],
    );
    assert_edit_refused("\"max_position_embeddings\": 512", "\"max_position_embeddings\": 9999999", &["9999999"]);
    assert_edit_refused("\"use_bidirectional_attention\": null", "\"use_bidirectional_attention\": \"all\"", &["all"]);
    assert_edit_refused("\"enable_moe_block\": false", "\"enable_moe_block\": true", &["num_experts 0"]);
    assert_edit_refused("\"rope_type\": \"proportional\"", "\"rope_type\": \"yarn\"", &["yarn"]);
    assert_edit_refused("\"image_token_id\": 292", "\"image_token_id\": 300", &["image_token_id 300", "300"]);
}

#[test]
fn encoders_of_sound_that_reach_elsewhere_or_too_far_are_refused() {
    let (left, chunk) = ("\"attention_context_left\": 13", "\"attention_chunk_size\": 12");
    assert_edit_refused(
        left,
        "\"attention_context_left\": 9",
        &["attention_context_left 9", "attention_chunk_size 12"],
    );
    assert_edit_refused(chunk, "\"attention_chunk_size\": 1000000", &["attention_chunk_size 1000000", "1 and 256"]);
    let place = Workplace::e2b_like();
    place.edit_config(left, "\"attention_context_left\": 18446744073709551615");
    place.edit_config(chunk, "\"attention_chunk_size\": 18446744073709551615");
    assert_refused(&place, &["attention_chunk_size 18446744073709551615"]);
}

#[test]
fn pictures_that_see_themselves_behind_shared_keys_are_refused() {
    let words = ["use_bidirectional_attention", "num_kv_shared_layers"];
    assert_edit_refused("\"use_bidirectional_attention\": null", "\"use_bidirectional_attention\": \"vision\"", &words);
}

#[test]
fn heads_that_attention_cannot_turn_are_refused() {
    for width in [18, 24] {
        let to = format!("\"head_dim\": {width}");
        assert_edit_refused("\"head_dim\": 16", &to, &["layer 0", &format!("width {width}"), "multiples of 16"]);
    }
}

/// The sizes of a random model with a changed configuration in a recipe, or why it is refused.
fn sizes(config: &str, [from, to]: [&str; 2], recipe: &str) -> Result<BTreeMap<String, u64>, String> {
    let folder = tempfile::tempdir().unwrap();
    let (path, text) = (folder.path().join("config.json"), fs::read_to_string(config).unwrap());
    assert!(text.contains(from), "{config} does not hold `{from}`");
    fs::write(&path, text.replacen(from, to, 1)).unwrap();
    let request = SynthesizeRequest {
        model: path.to_str().unwrap().to_owned(),
        precision: Recipe::find(recipe).unwrap().precision,
        seed: 1,
        tokenizer: None,
        as_checkpoint: false,
    };
    request.sizes().map_err(|fatal| format!("{} / {}", fatal.message, fatal.hint))
}

#[test]
fn rows_of_an_odd_width_are_refused_in_4_bits_by_the_name_of_their_part() {
    let (e2b, mixture) = ("fixtures/reference/e2b_like.config.json", "fixtures/family/26b-a4b/config.json");
    let (hidden, experts) =
        (["\"hidden_size\": 48", "\"hidden_size\": 71"], ["intermediate_size\": 20", "intermediate_size\": 33"]);
    for (config, edit, recipe, part, width) in [
        (e2b, hidden, "cpu-int4", "`embedding` cannot be int4", "71 wide (hidden_size)"),
        (e2b, hidden, "cpu-int4-asymmetric", "`embedding` cannot be int4-asymmetric", "71 wide (hidden_size)"),
        (mixture, experts, "cpu-int4", "`experts` cannot be int4", "33 wide (moe_intermediate_size)"),
    ] {
        let refusal = sizes(config, edit, recipe).unwrap_err();
        for word in [part, width, "cpu-int8"] {
            assert!(refusal.contains(word), "`{word}` is not in `{refusal}`");
        }
        sizes(config, edit, "cpu-int8").unwrap();
    }
    sizes(mixture, experts, "cpu-int4-experts-int8").unwrap();
}

#[test]
fn weights_of_another_width_are_refused_with_both_shapes() {
    assert_edit_refused(
        "\"intermediate_size\": 64",
        "\"intermediate_size\": 72",
        &["layers.0.mlp.gate_proj.weight", "[64, 48]", "[72, 48]"],
    );
}

#[test]
fn a_missing_tensor_is_named() {
    let place = Workplace::e2b_like();
    rewrite(&place, |tensors| drop(tensors.remove("model.language_model.layers.7.mlp.up_proj.weight")));
    assert_refused(&place, &["language_model.layers.7.mlp.up_proj.weight", "missing"]);
}

#[test]
fn keys_of_per_layer_config_are_numbers_however_they_are_written() {
    let place = Workplace::e2b_like();
    place.edit_config("\"4\": {", "\"04\": {");
    place.edit_config("\"9\": {", "\"009\": {");
    place.export(Dtype::F32, Quantize::None);
    assert_edit_refused("\"9\": {", "\"10\": {", &["per_layer_config", "`10`"]);
}

#[test]
fn a_truncated_file_is_named_with_both_lengths() {
    let place = Workplace::e2b_like();
    let path = place.checkpoint().join("model.safetensors");
    let bytes = fs::read(&path).unwrap();
    fs::write(&path, &bytes[..bytes.len() - 1]).unwrap();
    assert_refused(&place, &["model.safetensors", &bytes.len().to_string(), &(bytes.len() - 1).to_string()]);
    fs::write(&path, &bytes[..5]).unwrap();
    assert_refused(&place, &["model.safetensors"]);
    fs::write(&path, [255; 64]).unwrap();
    assert_refused(&place, &["model.safetensors", "header"]);
}

#[test]
fn a_folder_without_weights_or_tokenizer_is_refused() {
    let place = Workplace::e2b_like();
    fs::remove_file(place.checkpoint().join("tokenizer.json")).unwrap();
    assert_refused(&place, &["tokenizer.json"]);
    let place = Workplace::e2b_like();
    fs::remove_file(place.checkpoint().join("model.safetensors")).unwrap();
    assert_refused(&place, &["no safetensors file"]);
    let place = Workplace::e2b_like();
    fs::remove_file(place.checkpoint().join("config.json")).unwrap();
    assert_refused(&place, &["config.json"]);
}

#[test]
fn an_index_that_names_a_missing_file_is_refused() {
    let place = Workplace::e2b_like();
    let index = place.checkpoint().join("model.safetensors.index.json");
    fs::write(&index, r#"{"weight_map": {"a": "model-00001-of-00002.safetensors"}}"#).unwrap();
    assert_refused(&place, &["model-00001-of-00002.safetensors"]);
    fs::write(&index, r#"{"weight_map": {"a": "../elsewhere.safetensors"}}"#).unwrap();
    assert_refused(&place, &["../elsewhere.safetensors"]);
}

#[test]
fn a_tensor_in_two_files_is_refused() {
    let place = Workplace::e2b_like();
    let path = place.checkpoint().join("model.safetensors");
    fs::copy(&path, place.checkpoint().join("copy.safetensors")).unwrap();
    assert_refused(&place, &["copy.safetensors", "model.safetensors", "tensor"]);
}

#[test]
fn an_existing_bundle_is_never_overwritten() {
    let place = Workplace::e2b_like();
    let out = place.out("taken");
    fs::create_dir(&out).unwrap();
    let request = ExportRequest { checkpoint: place.checkpoint(), out: out.clone(), precision: Precision::default() };
    let fatal = export(request).unwrap_err();
    assert!(fatal.message.contains("exists already"));
    assert_eq!(fs::read_dir(out).unwrap().count(), 0);
}

#[test]
fn a_weight_that_f16_cannot_hold_is_named() {
    let place = Workplace::e2b_like();
    let huge: Vec<u8> = (0..48).flat_map(|_| 1e6_f32.to_le_bytes()).collect();
    let huge = TensorView::new(safetensors::Dtype::F32, vec![1, 48], &huge).unwrap();
    let name = "model.language_model.layers.0.self_attn.k_proj.weight";
    let rows: Vec<u8> = (0..16).flat_map(|_| huge.data().to_vec()).collect();
    rewrite(&place, |tensors| {
        tensors.remove(name);
    });
    let part = TensorView::new(safetensors::Dtype::F32, vec![16, 48], &rows).unwrap();
    serialize_to_file([(name, part)], None, &place.checkpoint().join("other.safetensors")).unwrap();
    let request = |dtype, quantize| ExportRequest {
        checkpoint: place.checkpoint(),
        out: place.out("b"),
        precision: Precision::uniform(dtype, quantize),
    };
    let fatal = export(request(Dtype::F16, Quantize::None)).unwrap_err();
    assert!(fatal.message.contains("k_proj") && fatal.message.contains("f16"), "{}", fatal.message);
    assert!(export(request(Dtype::F32, Quantize::None)).is_ok());
}
