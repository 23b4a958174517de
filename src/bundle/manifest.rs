//! The manifest of a bundle: facts from the configuration, the hash of every file, `bundle.toml`.

use std::{
    fs::{self, File},
    io::{self, Read},
    path::Path,
};

use serde::Deserialize;
use sha2::{Digest, Sha256};

use super::{
    Config, Part, Precision, config::HexDigest, draft::write_fatal, export::GRAPHS, hub, output::Output,
    self_test::SELF_TEST, text,
};
use crate::base::{
    Fatal,
    model::{
        self as facts, AudioFacts, FORMAT, FileFact, Graphs, KvLayer, MANIFEST, Manifest, Provenance, Sampling,
        TextFacts, TokenIds, VisionFacts,
    },
};

/// Numbers of soft tokens per picture that Gemma 4 was trained with (transformers' `image_processing_gemma4.py`).
const BUDGETS: [u32; 5] = [70, 140, 280, 560, 1120];

pub(super) const TOKENIZER: &str = "tokenizer.json";
pub(super) const CHAT_TEMPLATE: &str = "chat_template.jinja";
const TOKENIZER_CONFIG: &str = "tokenizer_config.json";
pub(super) const GENERATION: &str = "generation_config.json";

/// The small files of a checkpoint that a bundle takes over.
pub struct Companions {
    tokenizer: Vec<u8>,
    chat_template: Option<Vec<u8>>,
    /// Does the template stand in a file of its own?
    template_is_file: bool,
    generation: Generation,
}

/// `generation_config.json`.
#[derive(Deserialize, Default)]
struct Generation {
    do_sample: Option<bool>,
    temperature: Option<f32>,
    top_k: Option<u32>,
    top_p: Option<f32>,
    eos_token_id: Option<Ids>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Ids {
    One(u32),
    Many(Vec<u32>),
}

impl Companions {
    /// Reads them. Only the tokenizer must be there.
    pub fn read(checkpoint: &Path) -> Result<Self, Fatal> {
        let tokenizer = optional(&checkpoint.join(TOKENIZER))?.ok_or_else(|| {
            Fatal::new(
                format!("`{}` holds no {TOKENIZER}", checkpoint.display()),
                "download the checkpoint's tokenizer.json into the folder",
            )
        })?;
        let generation = match optional(&checkpoint.join(GENERATION))? {
            Some(text) => serde_json::from_slice(&text).map_err(|error| {
                Fatal::new(format!("`{}`: {error}", checkpoint.join(GENERATION).display()), "correct it or remove it")
            })?,
            None => Generation::default(),
        };
        let file = optional(&checkpoint.join(CHAT_TEMPLATE))?;
        let template_is_file = file.is_some();
        let chat_template = file.map_or_else(|| template_of_tokenizer(checkpoint), |file| Ok(Some(file)))?;
        Ok(Self { tokenizer, chat_template, template_is_file, generation })
    }

    /// A tokenizer alone.
    pub fn of_tokenizer(tokenizer: Vec<u8>) -> Self {
        Self { tokenizer, chat_template: None, template_is_file: false, generation: Generation::default() }
    }

    /// Ids with a meaning, the ends of an answer taken from generation_config.json where it names them.
    pub(super) fn tokens(&self, config: &Config) -> TokenIds {
        let eos = match &self.generation.eos_token_id {
            None => config.tokens.eos.clone(),
            Some(Ids::One(id)) => vec![*id],
            Some(Ids::Many(ids)) => ids.clone(),
        };
        TokenIds { eos, ..config.tokens.clone() }
    }

    /// True when the folder holds a chat template in a file of its own.
    pub(super) fn has_template_file(&self) -> bool {
        self.template_is_file
    }

    /// Greedy when the checkpoint says so or says nothing.
    pub(super) fn sampling(&self) -> Sampling {
        let sample = self.generation.do_sample.unwrap_or(false);
        Sampling {
            temperature: if sample { self.generation.temperature.unwrap_or(1.0) } else { 0.0 },
            top_k: self.generation.top_k.unwrap_or(0),
            top_p: self.generation.top_p.unwrap_or(1.0),
        }
    }
}

/// `chat_template` of tokenizer_config.json, where older checkpoints keep it: a string, or a list of named ones of which
/// `default` is taken.
fn template_of_tokenizer(checkpoint: &Path) -> Result<Option<Vec<u8>>, Fatal> {
    #[derive(Deserialize)]
    struct TokenizerConfig {
        chat_template: Option<Templates>,
    }
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Templates {
        One(String),
        Many(Vec<Named>),
    }
    #[derive(Deserialize)]
    struct Named {
        name: String,
        template: String,
    }
    let path = checkpoint.join(TOKENIZER_CONFIG);
    let Some(text) = optional(&path)? else { return Ok(None) };
    let parsed: TokenizerConfig = serde_json::from_slice(&text)
        .map_err(|error| Fatal::new(format!("`{}`: {error}", path.display()), "correct it or remove it"))?;
    let template = match parsed.chat_template {
        None => return Ok(None),
        Some(Templates::One(template)) => Some(template),
        Some(Templates::Many(all)) => all.into_iter().find(|named| named.name == "default").map(|named| named.template),
    };
    template.map(|template| Some(template.into_bytes())).ok_or_else(|| {
        Fatal::new(
            format!("`{}` holds several chat templates and none is called `default`", path.display()),
            format!("put the one to use into {CHAT_TEMPLATE} beside it"),
        )
    })
}

fn optional(path: &Path) -> Result<Option<Vec<u8>>, Fatal> {
    match fs::read(path) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(Fatal::new(format!("cannot read `{}`: {error}", path.display()), "check its permissions")),
    }
}

/// Writes the companions and the manifest into a bundle whose graphs are written.
pub fn write(
    name: &str,
    config: &Config,
    precision: Precision,
    companions: &Companions,
    output: &Output,
) -> Result<Manifest, Fatal> {
    let tokens = companions.tokens(config);
    check_eos(&tokens, config.text.vocab_size)?;
    write_file(output, TOKENIZER, &companions.tokenizer)?;
    if let Some(template) = &companions.chat_template {
        write_file(output, CHAT_TEMPLATE, template)?;
    }
    let manifest = Manifest {
        format: FORMAT,
        name: short(name).to_owned(),
        architecture: config.architecture().to_owned(),
        source: Provenance {
            checkpoint: name.to_owned(),
            config_sha256: config.sha256.clone(),
            exporter: format!("lapidary {}", env!("CARGO_PKG_VERSION")),
        },
        precision: precision_facts(precision, config),
        text: text_facts(config),
        vision: vision_facts(config),
        audio: audio_facts(config),
        tokens,
        sampling: companions.sampling(),
        graphs: graphs(config, precision, companions, output),
        files: output.facts(),
    };
    let text = toml::to_string(&manifest)
        .map_err(|error| Fatal::new(format!("cannot write the manifest: {error}"), "please report this"))?;
    write_file(output, MANIFEST, text.as_bytes())?;
    Ok(manifest)
}

/// A folder's name, also where it was given as `.`; of a snapshot in the hub's cache, `ORG/NAME@COMMIT`.
pub(super) fn folder_name(folder: &Path) -> String {
    let origin = folder.canonicalize().ok().and_then(|folder| hub::origin(&folder));
    if let Some((repository, commit)) = origin {
        return format!("{repository}@{commit}");
    }
    let name = folder.canonicalize().ok().and_then(|path| Some(path.file_name()?.to_string_lossy().into_owned()));
    name.unwrap_or_else(|| "checkpoint".to_owned())
}

/// `NAME` of `ORG/NAME@COMMIT`; other names are short already.
pub(super) fn short(name: &str) -> &str {
    let last = name.rsplit_once('/').map(|(_, last)| last);
    last.map_or(name, |last| last.split('@').next().unwrap_or(last))
}

fn precision_facts(precision: Precision, config: &Config) -> facts::Precision {
    let decoder = precision.of(Part::Decoder);
    let is_there = |part: &Part| match part {
        Part::Experts => config.text.experts.is_some(),
        Part::PerLayerEmbedding => config.text.per_layer_size > 0,
        Part::Vision => config.vision.is_some(),
        Part::Audio => config.audio.is_some(),
        Part::Decoder | Part::Head | Part::Embedding => true,
    };
    let parts = Part::ALL.into_iter().filter(is_there);
    facts::Precision {
        dtype: precision.dtype.as_str().to_owned(),
        keys_values: match precision.keys_values {
            same if same == precision.dtype => String::new(),
            other => other.as_str().to_owned(),
        },
        quantize: if decoder.dense().is_some() { "none".to_owned() } else { decoder.as_str().to_owned() },
        parts: parts.map(|part| (part.as_str().to_owned(), precision.of(part).as_str().to_owned())).collect(),
    }
}

pub(super) fn check_eos(tokens: &TokenIds, vocab_size: usize) -> Result<(), Fatal> {
    match tokens.eos.iter().find(|&&id| id as usize >= vocab_size) {
        None => Ok(()),
        Some(id) => Err(Fatal::new(
            format!("{GENERATION}: eos_token_id {id} is outside the vocabulary of {vocab_size}"),
            "the file does not belong to this checkpoint",
        )),
    }
}

pub(super) fn text_facts(config: &Config) -> TextFacts {
    let text = &config.text;
    let own = text.layers.iter().filter(|layer| layer.donor.is_none());
    TextFacts {
        vocab_size: text.vocab_size,
        hidden_size: text.hidden_size,
        layers: text.layers.len(),
        per_layer_size: text.per_layer_size,
        sliding_window: text.sliding_window,
        max_positions: text.max_positions,
        image_attention: text.image_attention,
        kv: own
            .map(|layer| KvLayer { heads: layer.kv_heads, head_dim: layer.head_dim, sliding: layer.sliding })
            .collect(),
    }
}

/// A picture of `budget` soft tokens may be one row of them, `3 * budget` patches long.
pub(super) fn vision_facts(config: &Config) -> Option<VisionFacts> {
    let vision = config.vision.as_ref()?;
    let fits = |budget: &u32| *budget as usize * vision.pooling <= vision.positions;
    Some(VisionFacts {
        patch_size: vision.patch_size,
        pooling: vision.pooling,
        positions: vision.positions,
        budgets: BUDGETS.into_iter().filter(fits).collect(),
    })
}

pub(super) fn audio_facts(config: &Config) -> Option<AudioFacts> {
    config.audio.as_ref().map(|_| AudioFacts { mel_bins: 128, max_soft_tokens: 750 })
}

fn graphs(config: &Config, precision: Precision, companions: &Companions, output: &Output) -> Graphs {
    let graph = |name: &str| format!("{GRAPHS}/{name}.onnx");
    Graphs {
        embed_tokens: graph("embed_tokens"),
        decoder: graph("decoder_model_merged"),
        decoder_slots: text::has_slots(precision).then(|| graph("decoder_slots")),
        vision_encoder: config.vision.as_ref().map(|_| graph("vision_encoder")),
        audio_encoder: config.audio.as_ref().map(|_| graph("audio_encoder")),
        tokenizer: TOKENIZER.to_owned(),
        chat_template: companions.chat_template.as_ref().map(|_| CHAT_TEMPLATE.to_owned()),
        self_test: output.facts().contains_key(SELF_TEST).then(|| SELF_TEST.to_owned()),
    }
}

fn write_file(output: &Output, name: &str, bytes: &[u8]) -> Result<(), Fatal> {
    output.write(name, bytes).map_err(|error| write_fatal(&output.path(name), error))
}

/// Size and hash of one file.
pub fn fact(path: &Path) -> io::Result<FileFact> {
    let mut file = File::open(path)?;
    let (mut hasher, mut buffer, mut bytes) = (Sha256::new(), vec![0; 1 << 20], 0);
    loop {
        let read = file.read(&mut buffer)?;
        if read == 0 {
            return Ok(FileFact { bytes, sha256: hex(hasher) });
        }
        bytes += read as u64;
        hasher.update(&buffer[..read]);
    }
}

/// A finished hash in hexadecimal.
pub fn hex(hasher: Sha256) -> String {
    format!("{:x}", HexDigest(hasher.finalize().into()))
}
