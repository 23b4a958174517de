//! Folders of graphs that another exporter wrote: the manifest that they lack is made of config.json and the folder.

mod community;
mod files;
mod mobius;
mod outline;
mod wire;

use std::path::Path;

use self::{files::Files, outline::Outline};
use super::{
    Check, Config,
    manifest::{self, Companions},
};
use crate::base::{
    Fatal, Model,
    model::{FORMAT, Graphs, Layout, Manifest, Precision, Provenance},
};

/// The model's configuration, from which the manifest is made.
pub(super) const CONFIG: &str = "config.json";

/// The layout of a folder without `bundle.toml`; `None` when it is none that we know.
pub(super) fn layout(folder: &Path) -> Result<Option<Layout>, Fatal> {
    Ok(match (community::found(folder)?, mobius::found(folder)) {
        (true, _) => Some(Layout::Community),
        (false, true) => Some(Layout::Mobius),
        (false, false) => None,
    })
}

/// Opens a folder of that layout.
///
/// # Errors
/// When config.json, the tokenizer, a graph or a file of weights is missing or is not what it should be.
pub(super) fn open(folder: &Path, layout: Layout, variant: Option<&str>, check: Check) -> Result<Model, Fatal> {
    let files = match layout {
        Layout::Mobius => mobius::choose(folder, variant)?,
        _ => community::choose(folder, variant)?,
    };
    let (config, companions) = (Config::read(folder)?, Companions::read(folder)?);
    let decoder = Outline::read(&folder.join(&files.decoder))?;
    let names = names(folder, &files, &companions)?;
    let facts = files::facts(folder, &names, check)?;
    let notes = [files.notes.clone(), notes(&config, &files, layout)].concat();
    let hash = files::hash(&facts);
    let manifest = Manifest { files: facts, ..manifest(folder, layout, &config, &companions, &files, &decoder)? };
    Ok(Model { folder: folder.to_owned(), hash, manifest, layout, notes })
}

/// The files that hold the weights of the graph `name`, relative to `folder`.
///
/// # Errors
/// When the file is no graph, or one of those is missing, too short, or outside its folder.
pub(super) fn weights(folder: &Path, name: &str) -> Result<Vec<String>, Fatal> {
    files::data(folder, name, &Outline::read(&folder.join(name))?)
}

/// Every file that says what the model is.
fn names(folder: &Path, files: &Files, companions: &Companions) -> Result<Vec<String>, Fatal> {
    let mut names = vec![CONFIG.to_owned(), manifest::TOKENIZER.to_owned()];
    names.extend(companions.has_template_file().then(|| manifest::CHAT_TEMPLATE.to_owned()));
    names.extend(folder.join(manifest::GENERATION).exists().then(|| manifest::GENERATION.to_owned()));
    for graph in files.graphs() {
        names.push(graph.clone());
        names.extend(weights(folder, graph)?);
    }
    names.sort();
    names.dedup();
    Ok(names)
}

fn manifest(
    folder: &Path,
    layout: Layout,
    config: &Config,
    companions: &Companions,
    files: &Files,
    decoder: &Outline,
) -> Result<Manifest, Fatal> {
    let tokens = companions.tokens(config);
    manifest::check_eos(&tokens, config.text.vocab_size)?;
    let name = manifest::folder_name(folder);
    let suffix = files.variant.as_ref().map_or(String::new(), |variant| format!("#{variant}"));
    Ok(Manifest {
        format: FORMAT,
        name: format!("{}{suffix}", manifest::short(&name)),
        architecture: config.architecture().to_owned(),
        source: Provenance {
            checkpoint: name,
            config_sha256: config.sha256.clone(),
            exporter: exporter(layout, decoder),
        },
        precision: Precision {
            dtype: decoder.cache.to_owned(),
            quantize: decoder.quantize.to_owned(),
            ..Precision::default()
        },
        text: manifest::text_facts(config),
        vision: manifest::vision_facts(config).filter(|_| files.vision_encoder.is_some()),
        audio: manifest::audio_facts(config).filter(|_| files.audio_encoder.is_some()),
        tokens,
        sampling: companions.sampling(),
        graphs: Graphs {
            embed_tokens: files.embed_tokens.clone(),
            decoder: files.decoder.clone(),
            decoder_slots: None,
            vision_encoder: files.vision_encoder.clone().filter(|_| config.vision.is_some()),
            audio_encoder: files.audio_encoder.clone().filter(|_| config.audio.is_some()),
            tokenizer: manifest::TOKENIZER.to_owned(),
            chat_template: companions.has_template_file().then(|| manifest::CHAT_TEMPLATE.to_owned()),
            self_test: None,
        },
        files: Default::default(),
    })
}

fn exporter(layout: Layout, decoder: &Outline) -> String {
    let producer = if decoder.producer.is_empty() { "an unnamed program" } else { &decoder.producer };
    format!("{producer} ({})", layout.as_str())
}

/// What the model could do and this folder cannot; and where an exporter is known to be wrong.
fn notes(config: &Config, files: &Files, layout: Layout) -> Vec<String> {
    let lacks = |there: bool, graph: &Option<String>, what: &str| {
        (there && graph.is_none()).then(|| format!("the folder holds no {what}, though its config.json names one"))
    };
    // mobius-onnx 0.1.0: the large models' logits differ from those of transformers, without any error.
    let doubtful = layout == Layout::Mobius && config.text.per_layer_size == 0;
    let doubt = "mobius is known to write wrong graphs for this architecture: compare them with transformers first";
    [
        lacks(config.vision.is_some(), &files.vision_encoder, "vision encoder"),
        lacks(config.audio.is_some(), &files.audio_encoder, "audio encoder"),
        doubtful.then(|| doubt.to_owned()),
    ]
    .into_iter()
    .flatten()
    .collect()
}
