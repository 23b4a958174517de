//! The embedding table and a head that is the same table lie on disk once, and what comes out does not change by it.

use std::{collections::BTreeMap, fs, path::Path};

use lapidary::bundle::{
    ExportRequest, Recipe, export,
    graph::proto::{ModelProto, TensorProto},
};
use prost::Message;
use safetensors::{SafeTensors, serialize_to_file, tensor::TensorView};

use super::{checkpoints::Workplace, model::LanguageModel};

fn tensors(folder: &Path, graph: &str) -> Vec<TensorProto> {
    let bytes = fs::read(folder.join(format!("onnx/{graph}.onnx"))).unwrap();
    ModelProto::decode(bytes.as_slice()).unwrap().graph.unwrap().initializer
}

/// `(location, offset, length)` of the weights of that name.
fn places(folder: &Path, graph: &str, stem: &str) -> BTreeMap<String, Vec<String>> {
    let named = tensors(folder, graph).into_iter().filter(|tensor| tensor.name.starts_with(stem));
    let place = |tensor: &TensorProto| tensor.external_data.iter().map(|entry| entry.value.clone()).collect();
    named.map(|tensor| (tensor.name.clone(), place(&tensor))).collect()
}

/// The checkpoint with a head of its own that holds the same numbers, so that nothing can be shared.
fn untied() -> Workplace {
    let place = Workplace::e2b_like();
    for _ in 0..2 {
        place.edit_config("\"tie_word_embeddings\": true", "\"tie_word_embeddings\": false");
    }
    let path = place.checkpoint().join("model.safetensors");
    let bytes = fs::read(&path).unwrap();
    let mut tensors: BTreeMap<String, TensorView> =
        SafeTensors::deserialize(&bytes).unwrap().tensors().into_iter().collect();
    let table = tensors.iter().find(|(name, _)| name.ends_with("embed_tokens.weight")).unwrap().1.clone();
    tensors.insert("lm_head.weight".to_owned(), table);
    serialize_to_file(tensors, None, &path).unwrap();
    place
}

fn exported(place: &Workplace, recipe: &Recipe) -> std::path::PathBuf {
    let out = place.out(&recipe.name);
    export(ExportRequest { checkpoint: place.checkpoint(), out: out.clone(), precision: recipe.precision }).unwrap();
    out
}

const TABLE: &str = "language_model.embed_tokens.weight";

#[test]
fn a_tied_table_lies_on_disk_once() {
    let place = Workplace::e2b_like();
    for name in ["f32", "cuda-f16", "cpu-int8"] {
        let folder = exported(&place, &Recipe::find(name).unwrap());
        let (table, head) = (places(&folder, "embed_tokens", TABLE), places(&folder, "decoder_model_merged", TABLE));
        assert_eq!(table, head, "{name}");
        assert!(head.values().any(|place| place[0] == "embed_tokens.onnx_data"), "{name}: {head:?}");
    }
}

/// Width 64 is whole blocks, as in all real models; 48 is not, and is stored apart.
#[test]
fn in_4_bits_rows_of_whole_blocks_are_shared_and_others_are_not() {
    for (width, shared) in [(64, true), (48, false)] {
        let folder = tempfile::tempdir().unwrap();
        let config = fs::read_to_string("fixtures/reference/e2b_like.config.json").unwrap();
        let config = config.replacen("\"hidden_size\": 48", &format!("\"hidden_size\": {width}"), 1);
        let path = folder.path().join("config.json");
        fs::write(&path, config).unwrap();
        for name in ["cpu-int4", "cuda-int4", "cpu-int4-asymmetric"] {
            let out = folder.path().join(name);
            let request = lapidary::bundle::SynthesizeRequest {
                model: path.to_str().unwrap().to_owned(),
                precision: Recipe::find(name).unwrap().precision,
                seed: 1,
                tokenizer: None,
                as_checkpoint: false,
            };
            lapidary::bundle::synthesize(&request, &out).unwrap();
            let head = places(&out, "decoder_model_merged", TABLE);
            assert_eq!(head.len(), if name.ends_with("asymmetric") { 3 } else { 2 }, "{head:?}");
            assert_eq!(head == places(&out, "embed_tokens", TABLE), shared, "{name} {width}: {head:?}");
        }
    }
}

#[test]
fn a_shared_table_gives_the_logits_of_one_stored_apart() {
    let (tied, apart) = (Workplace::e2b_like(), untied());
    for recipe in Recipe::built_in().unwrap() {
        let mut one = LanguageModel::open(&exported(&tied, &recipe));
        let mut other = LanguageModel::open(&exported(&apart, &recipe));
        assert_eq!(one.reference_logits(), other.reference_logits(), "{}", recipe.name);
    }
}

#[test]
fn a_head_in_another_format_than_the_table_is_stored_apart() {
    let place = Workplace::e2b_like();
    let text = fs::read_to_string("onnx/recipes/cpu-int4.toml").unwrap();
    let file = place.out("mixed.toml");
    fs::write(&file, text.replace("head = \"int4\"", "head = \"int8\"")).unwrap();
    let folder = exported(&place, &Recipe::find(file.to_str().unwrap()).unwrap());
    let head = places(&folder, "decoder_model_merged", TABLE);
    assert!(head.keys().any(|name| name.ends_with(".s8")), "{head:?}");
    assert!(head.values().all(|place| place.is_empty() || place[0] == "decoder_model_merged.onnx_data"));
    let (logits, _) = LanguageModel::open(&folder).reference_logits();
    assert!(logits.iter().all(|logit| logit.is_finite()));
}
