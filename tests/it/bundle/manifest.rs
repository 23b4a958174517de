//! `bundle.toml`: what it says, and how a bundle that is not what it says is refused.

use std::fs;

use lapidary::base::model::KvLayer;
use lapidary::bundle::{Check, Dtype, Exported, Quantize, open};

use super::checkpoints::Workplace;

fn exported() -> (Workplace, Exported) {
    let place = Workplace::e2b_like();
    let exported = place.export(Dtype::F32, Quantize::None);
    (place, exported)
}

#[test]
fn the_manifest_holds_the_facts_of_the_checkpoint() {
    let (_place, exported) = exported();
    let manifest = open(&exported.folder, Check::Full).unwrap().manifest;
    assert_eq!(manifest, exported.manifest);
    assert_eq!(manifest.architecture, "gemma4-e");
    let sliding = KvLayer { heads: 1, head_dim: 16, sliding: true };
    let full = KvLayer { heads: 1, head_dim: 32, sliding: false };
    assert_eq!(manifest.text.kv, [sliding, sliding, sliding, sliding, full]);
    assert_eq!((manifest.tokens.image, manifest.tokens.end_audio), (292, 295));
    assert_eq!(manifest.tokens.eos, [1]);
    assert_eq!(
        manifest.vision.unwrap().budgets,
        [] as [u32; 0],
        "64 positions hold no picture of 70 soft tokens in a row"
    );
}

#[test]
fn generation_config_gives_end_tokens_and_sampling() {
    let place = Workplace::e2b_like();
    let text = r#"{"do_sample": true, "temperature": 0.7, "top_k": 64, "top_p": 0.95, "eos_token_id": [1, 106, 50]}"#;
    fs::write(place.checkpoint().join("generation_config.json"), text).unwrap();
    fs::write(place.checkpoint().join("chat_template.jinja"), "{{ bos_token }}").unwrap();
    let manifest = place.export(Dtype::F32, Quantize::None).manifest;
    assert_eq!(manifest.tokens.eos, [1, 106, 50]);
    assert_eq!((manifest.sampling.temperature, manifest.sampling.top_k, manifest.sampling.top_p), (0.7, 64, 0.95));
    assert_eq!(manifest.graphs.chat_template.as_deref(), Some("chat_template.jinja"));
    assert!(manifest.files.contains_key("chat_template.jinja"));
}

#[test]
fn the_chat_template_may_stand_in_tokenizer_config() {
    let several = r#"[{"name": "tools", "template": "t"}, {"name": "default", "template": "{{ bos_token }}"}]"#;
    for value in [r#""{{ bos_token }}""#, several] {
        let place = Workplace::e2b_like();
        let text = format!(r#"{{"chat_template": {value}}}"#);
        fs::write(place.checkpoint().join("tokenizer_config.json"), text).unwrap();
        let exported = place.export(Dtype::F32, Quantize::None);
        assert_eq!(fs::read_to_string(exported.folder.join("chat_template.jinja")).unwrap(), "{{ bos_token }}");
    }
    let place = Workplace::e2b_like();
    fs::write(place.checkpoint().join("tokenizer_config.json"), r#"{"chat_template": "other"}"#).unwrap();
    fs::write(place.checkpoint().join("chat_template.jinja"), "mine").unwrap();
    let exported = place.export(Dtype::F32, Quantize::None);
    assert_eq!(fs::read_to_string(exported.folder.join("chat_template.jinja")).unwrap(), "mine");
}

#[test]
fn the_older_shape_of_config_json_gives_the_same_model() {
    let place = Workplace::e2b_like();
    place.edit_config(
        r#""per_layer_config": {
   "4": {
    "head_dim": 32
   },
   "9": {
    "head_dim": 32
   }
  }"#,
        r#""global_head_dim": 32, "num_global_key_value_heads": null"#,
    );
    place.edit_config("eoa_token_index", "eoa_token_id");
    let other = place.export(Dtype::F32, Quantize::None).manifest;
    let (_place, exported) = exported();
    assert_eq!(
        (other.text, other.tokens, other.files),
        (exported.manifest.text, exported.manifest.tokens, exported.manifest.files)
    );
}

#[test]
fn a_changed_file_is_named_with_both_hashes() {
    let (_place, exported) = exported();
    let path = exported.folder.join("onnx/decoder_model_merged.onnx_data");
    let mut bytes = fs::read(&path).unwrap();
    bytes[5000] ^= 1;
    fs::write(&path, bytes).unwrap();
    assert!(open(&exported.folder, Check::Sizes).is_ok());
    let fatal = open(&exported.folder, Check::Full).unwrap_err();
    let expected = &exported.manifest.files["onnx/decoder_model_merged.onnx_data"].sha256;
    assert!(fatal.message.contains("decoder_model_merged.onnx_data") && fatal.message.contains(expected));
}

#[test]
fn a_file_of_another_length_is_found_without_hashing() {
    let (_place, exported) = exported();
    fs::write(exported.folder.join("tokenizer.json"), "{} ").unwrap();
    let fatal = open(&exported.folder, Check::Sizes).unwrap_err();
    assert!(fatal.message.contains("tokenizer.json") && fatal.message.contains("3 bytes"), "{}", fatal.message);
    fs::remove_file(exported.folder.join("tokenizer.json")).unwrap();
    assert!(open(&exported.folder, Check::Sizes).unwrap_err().message.contains("tokenizer.json"));
}

#[test]
fn a_folder_without_manifest_and_a_newer_format_say_what_to_do() {
    let (_place, exported) = exported();
    let path = exported.folder.join("bundle.toml");
    let text = fs::read_to_string(&path).unwrap();
    fs::write(&path, text.replace("format = 1", "format = 2\nnews = 3")).unwrap();
    let fatal = open(&exported.folder, Check::Full).unwrap_err();
    assert!(fatal.message.contains("format 2") && fatal.hint.contains("newer lapidary"), "{}", fatal.message);
    fs::write(&path, text.replace("[text]", "[text]\nsurprise = 1")).unwrap();
    assert!(open(&exported.folder, Check::Full).unwrap_err().message.contains("surprise"));
    fs::write(
        &path,
        text.replace("\"tokenizer.json\" = ", "\"../tokenizer.json\" = ")
            .replace("[files.\"tokenizer.json\"]", "[files.\"../tokenizer.json\"]"),
    )
    .unwrap();
    assert!(open(&exported.folder, Check::Full).is_err());
    fs::remove_file(&path).unwrap();
    let fatal = open(&exported.folder, Check::Full).unwrap_err();
    assert!(fatal.message.contains("bundle.toml") && fatal.hint.contains("model export"));
}
