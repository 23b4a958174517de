//! Which files of a repository a pull wants: those of a checkpoint, or the graphs of one variant.

use std::{collections::BTreeSet, fs, path::Path};

use super::{Listing, listing::Entry};
use crate::{
    base::Fatal,
    bundle::{
        checkpoint::files::{self, INDEX},
        community::{self, ROLES},
    },
};

/// The configuration of the model.
pub const CONFIG: &str = "config.json";

const TOKENIZER: &str = "tokenizer.json";
const OPTIONAL: [&str; 3] = ["generation_config.json", "processor_config.json", "preprocessor_config.json"];
const TEMPLATE: &str = "chat_template.jinja";
const TOKENIZER_CONFIG: &str = "tokenizer_config.json";

/// What sort of repository it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kind {
    /// Weights, to be exported.
    Checkpoint,
    /// Graphs of this variant, used as they are; `fp32` is the one without a suffix.
    Graphs(String),
}

impl Kind {
    /// The kind of a repository, given the variant that was asked for.
    pub fn of(listing: &Listing, variant: Option<&str>) -> Result<Self, Fatal> {
        let variants = variants(listing);
        let weights = listing.files.iter().any(|file| is_weights(&file.path));
        match (variant, variants.is_empty(), weights) {
            (None, _, true) => Ok(Self::Checkpoint),
            (Some(name), true, _) => Err(Fatal::new(
                format!("there is no variant `{name}`: the repository holds no graphs `onnx/*.onnx`"),
                "leave `--variant` out; a checkpoint's precision is chosen with `--dtype` and `--quantize`",
            )),
            (None, true, false) => Err(Fatal::new(
                "the repository holds neither `*.safetensors` nor `onnx/decoder_model_merged*.onnx`",
                "name a Gemma 4 checkpoint such as google/gemma-4-E2B-it, or its export by onnx-community",
            )),
            (None, false, false) => Err(Fatal::new(
                "the repository holds graphs in several variants and none is named",
                format!("add `--variant NAME`: {}", listed(&variants)),
            )),
            (Some(name), false, _) => match variants.iter().any(|variant| variant == name) {
                true => Ok(Self::Graphs(name.to_owned())),
                false => Err(Fatal::new(
                    format!("there is no variant `{}` in the repository", name.escape_debug()),
                    format!("choose one of {}", listed(&variants)),
                )),
            },
        }
    }
}

fn listed(variants: &[String]) -> String {
    variants.join(", ")
}

/// The variants of the decoder, where there are embeddings too.
fn variants(listing: &Listing) -> Vec<String> {
    let [embeddings, decoder, ..] = ROLES;
    match community::variants(paths(listing), embeddings).is_empty() {
        true => Vec::new(),
        false => community::variants(paths(listing), decoder),
    }
}

fn paths(listing: &Listing) -> impl Iterator<Item = &str> {
    listing.files.iter().map(|file| file.path.as_str())
}

/// Weights of a checkpoint lie at the top.
fn is_weights(path: &str) -> bool {
    path.ends_with(".safetensors") && !path.contains('/')
}

/// Configuration, tokenizer and templates; those that must be there are.
pub fn companions(listing: &Listing) -> Result<Vec<Entry>, Fatal> {
    let needed = [CONFIG, TOKENIZER].map(|path| required(listing, path));
    let template = listing.get(TEMPLATE).or_else(|| listing.get(TOKENIZER_CONFIG)).cloned();
    let optional = OPTIONAL.iter().filter_map(|path| listing.get(path)).cloned();
    needed.into_iter().chain(optional.map(Ok)).chain(template.map(Ok)).collect()
}

/// The index, if the weights are in several files.
pub fn index(listing: &Listing) -> Option<&Entry> {
    listing.get(INDEX)
}

/// The files of weights: those that the index names, else all.
pub fn weights(listing: &Listing, index: Option<&[u8]>) -> Result<Vec<Entry>, Fatal> {
    let Some(text) = index else {
        return Ok(listing.files.iter().filter(|file| is_weights(&file.path)).cloned().collect());
    };
    let names = files::named(text).map_err(|error| {
        Fatal::new(format!("`{INDEX}` is not an index of weights: {error}"), "the repository is not usable")
    })?;
    match names.iter().find(|name| !is_weights(name)) {
        Some(odd) => Err(Fatal::new(
            format!("`{INDEX}` names `{}`, which is no safetensors file beside it", odd.escape_debug()),
            "do not use this repository",
        )),
        None => names.iter().map(|name| required(listing, name)).collect(),
    }
}

/// The graphs that a variant takes, with all parts of their external data. Encoders may be absent.
pub fn graphs(listing: &Listing, variant: &str) -> Result<Vec<Entry>, Fatal> {
    let [embeddings, decoder, vision, audio] = ROLES;
    let picked = [embeddings, vision, audio].map(|role| community::pick(paths(listing), role, variant));
    if picked[0].is_none() {
        return Err(absent(&community::path(embeddings, variant)));
    }
    let others = picked.into_iter().flatten().map(|pick| pick.path);
    let mut chosen = Vec::new();
    for path in [community::path(decoder, variant)].into_iter().chain(others) {
        chosen.push(required(listing, &path)?);
        chosen.extend(listing.files.iter().filter(|file| is_data_of(&file.path, &path)).cloned());
    }
    Ok(chosen)
}

/// `X.onnx_data`, `X.onnx_data_1`, ...
fn is_data_of(path: &str, graph: &str) -> bool {
    path.strip_prefix(graph).and_then(|rest| rest.strip_prefix("_data")).is_some_and(|rest| {
        rest.is_empty()
            || rest.strip_prefix('_').is_some_and(|n| !n.is_empty() && n.bytes().all(|byte| byte.is_ascii_digit()))
    })
}

/// Are all parts of a graph's external data among `files`? A graph names them in plain text.
pub fn data_is_there(snapshot: &Path, graph: &str, files: &[String]) -> Result<(), Fatal> {
    let path = snapshot.join(graph);
    let bytes = fs::read(&path)
        .map_err(|error| Fatal::new(format!("cannot read `{}`: {error}", path.display()), "check its permissions"))?;
    let name = format!("{}_data", graph.rsplit('/').next().unwrap_or(graph));
    let folder = graph.strip_suffix(name.strip_suffix("_data").unwrap_or_default()).unwrap_or_default();
    let found = occurrences(&bytes, name.as_bytes()).map(|rest| {
        let digits = rest.strip_prefix(b"_").map_or(0, |rest| rest.iter().take_while(|b| b.is_ascii_digit()).count());
        let part = if digits == 0 { String::new() } else { String::from_utf8_lossy(&rest[..=digits]).into_owned() };
        format!("{folder}{name}{part}")
    });
    let named: BTreeSet<String> = found.collect();
    named.iter().find(|path| !files.contains(path)).map_or(Ok(()), |path| Err(absent(path)))
}

/// What follows each occurrence of `needle`.
fn occurrences<'a>(bytes: &'a [u8], needle: &'a [u8]) -> impl Iterator<Item = &'a [u8]> {
    let at = bytes.windows(needle.len()).enumerate().filter(move |(_, window)| *window == needle);
    at.map(move |(at, _)| &bytes[at + needle.len()..])
}

fn required(listing: &Listing, path: &str) -> Result<Entry, Fatal> {
    listing.get(path).cloned().ok_or_else(|| absent(path))
}

fn absent(path: &str) -> Fatal {
    Fatal::new(
        format!("`{path}` is missing"),
        "the repository, or what the cache holds of it, is not whole: pull it with a connection, or name another revision",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listing(paths: &[&str]) -> Listing {
        let entry = |path: &&str| Entry { path: path.to_string(), size: Some(1), blob: None, sha256: None };
        Listing { commit: String::new(), files: paths.iter().map(entry).collect() }
    }

    #[test]
    fn a_variant_brings_its_graphs_and_the_widest_for_those_that_it_lacks_with_all_their_parts() {
        let listing = listing(&[
            "onnx/decoder_model_merged_q4.onnx",
            "onnx/decoder_model_merged_q4.onnx_data",
            "onnx/decoder_model_merged_q4f16.onnx",
            "onnx/decoder_model_merged_q4f16.onnx_data",
            "onnx/decoder_model_merged_q4f16.onnx_data_1",
            "onnx/decoder_model_merged_fp16.onnx",
            "onnx/embed_tokens_q4.onnx",
            "onnx/embed_tokens_q4f16.onnx",
            "onnx/audio_encoder_q4f16.onnx",
            "onnx/vision_encoder_q4.onnx",
            "onnx/vision_encoder_fp16.onnx",
            "onnx/vision_encoder_fp16.onnx_data",
        ]);
        assert_eq!(variants(&listing), ["fp16", "q4", "q4f16"]);
        assert_eq!(Kind::of(&listing, Some("q4f16")).unwrap(), Kind::Graphs("q4f16".to_owned()));
        for wrong in [None, Some("q8")] {
            let refused = Kind::of(&listing, wrong).unwrap_err();
            assert!(refused.hint.contains("fp16, q4, q4f16"), "{refused:?}");
        }
        let paths: Vec<String> = graphs(&listing, "q4f16").unwrap().into_iter().map(|file| file.path).collect();
        let stem = "onnx/decoder_model_merged_q4f16.onnx";
        let expected = [stem, &format!("{stem}_data"), &format!("{stem}_data_1")].map(str::to_owned);
        assert_eq!(paths[..3], expected);
        let vision = ["onnx/vision_encoder_fp16.onnx", "onnx/vision_encoder_fp16.onnx_data"];
        let rest = ["onnx/embed_tokens_q4f16.onnx", vision[0], vision[1], "onnx/audio_encoder_q4f16.onnx"];
        assert_eq!(paths[3..], rest);
    }

    #[test]
    fn an_index_that_names_foreign_files_is_refused() {
        let listing = listing(&["config.json", "a.safetensors"]);
        let index = |name: &str| format!(r#"{{"weight_map": {{"x": "{name}"}}}}"#);
        assert_eq!(weights(&listing, Some(index("a.safetensors").as_bytes())).unwrap().len(), 1);
        for wrong in ["../a.safetensors", "b.safetensors", "config.json"] {
            assert!(weights(&listing, Some(index(wrong).as_bytes())).is_err(), "{wrong}");
        }
    }
}
