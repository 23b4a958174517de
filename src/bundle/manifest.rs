//! The manifest of a bundle: facts from the configuration, the hash of every file, `bundle.toml`.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::{self, Read},
    path::Path,
};

use serde::Deserialize;
use sha2::{Digest, Sha256};

use super::{Config, Precision, config::HexDigest, draft::write_fatal, export::GRAPHS, self_test::SELF_TEST};
use crate::base::{
    Fatal,
    model::{
        AudioFacts, FORMAT, FileFact, Graphs, KvLayer, MANIFEST, Manifest, Provenance, Sampling, TextFacts, TokenIds,
        VisionFacts,
    },
};

/// Numbers of soft tokens per picture that Gemma 4 was trained with (transformers' `image_processing_gemma4.py`).
const BUDGETS: [u32; 5] = [70, 140, 280, 560, 1120];

const TOKENIZER: &str = "tokenizer.json";
const CHAT_TEMPLATE: &str = "chat_template.jinja";
const GENERATION: &str = "generation_config.json";

/// The small files of a checkpoint that a bundle takes over.
pub struct Companions {
    tokenizer: Vec<u8>,
    chat_template: Option<Vec<u8>>,
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
        Ok(Self { tokenizer, chat_template: optional(&checkpoint.join(CHAT_TEMPLATE))?, generation })
    }

    fn tokens(&self, config: &Config) -> TokenIds {
        let eos = match &self.generation.eos_token_id {
            None => config.tokens.eos.clone(),
            Some(Ids::One(id)) => vec![*id],
            Some(Ids::Many(ids)) => ids.clone(),
        };
        TokenIds { eos, ..config.tokens.clone() }
    }

    /// Greedy when the checkpoint says so or says nothing.
    fn sampling(&self) -> Sampling {
        let sample = self.generation.do_sample.unwrap_or(false);
        Sampling {
            temperature: if sample { self.generation.temperature.unwrap_or(1.0) } else { 0.0 },
            top_k: self.generation.top_k.unwrap_or(0),
            top_p: self.generation.top_p.unwrap_or(1.0),
        }
    }
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
    checkpoint: &Path,
    config: &Config,
    precision: Precision,
    companions: Companions,
    bundle: &Path,
) -> Result<Manifest, Fatal> {
    let tokens = companions.tokens(config);
    check_eos(&tokens, config.text.vocab_size)?;
    write_file(&bundle.join(TOKENIZER), &companions.tokenizer)?;
    if let Some(template) = &companions.chat_template {
        write_file(&bundle.join(CHAT_TEMPLATE), template)?;
    }
    let name = checkpoint.canonicalize().ok().and_then(|path| Some(path.file_name()?.to_string_lossy().into_owned()));
    let name = name.unwrap_or_else(|| "checkpoint".to_owned());
    let manifest = Manifest {
        format: FORMAT,
        name: name.clone(),
        architecture: config.architecture().to_owned(),
        source: Provenance {
            checkpoint: name,
            config_sha256: config.sha256.clone(),
            exporter: format!("lapidary {}", env!("CARGO_PKG_VERSION")),
        },
        precision: crate::base::model::Precision {
            dtype: precision.dtype.as_str().to_owned(),
            quantize: precision.quantize.as_str().to_owned(),
        },
        text: text_facts(config),
        vision: vision_facts(config),
        audio: config.audio.as_ref().map(|_| AudioFacts { mel_bins: 128, max_soft_tokens: 750 }),
        tokens,
        sampling: companions.sampling(),
        graphs: graphs(config, &companions, bundle),
        files: file_facts(bundle)?,
    };
    let text = toml::to_string(&manifest)
        .map_err(|error| Fatal::new(format!("cannot write the manifest: {error}"), "please report this"))?;
    write_file(&bundle.join(MANIFEST), text.as_bytes())?;
    Ok(manifest)
}

fn check_eos(tokens: &TokenIds, vocab_size: usize) -> Result<(), Fatal> {
    match tokens.eos.iter().find(|&&id| id as usize >= vocab_size) {
        None => Ok(()),
        Some(id) => Err(Fatal::new(
            format!("{GENERATION}: eos_token_id {id} is outside the vocabulary of {vocab_size}"),
            "the file does not belong to this checkpoint",
        )),
    }
}

fn text_facts(config: &Config) -> TextFacts {
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
fn vision_facts(config: &Config) -> Option<VisionFacts> {
    let vision = config.vision.as_ref()?;
    let fits = |budget: &u32| *budget as usize * vision.pooling <= vision.positions;
    Some(VisionFacts {
        patch_size: vision.patch_size,
        pooling: vision.pooling,
        positions: vision.positions,
        budgets: BUDGETS.into_iter().filter(fits).collect(),
    })
}

fn graphs(config: &Config, companions: &Companions, bundle: &Path) -> Graphs {
    let graph = |name: &str| format!("{GRAPHS}/{name}.onnx");
    Graphs {
        embed_tokens: graph("embed_tokens"),
        decoder: graph("decoder_model_merged"),
        vision_encoder: config.vision.as_ref().map(|_| graph("vision_encoder")),
        audio_encoder: config.audio.as_ref().map(|_| graph("audio_encoder")),
        tokenizer: TOKENIZER.to_owned(),
        chat_template: companions.chat_template.as_ref().map(|_| CHAT_TEMPLATE.to_owned()),
        self_test: bundle.join(SELF_TEST).is_file().then(|| SELF_TEST.to_owned()),
    }
}

fn write_file(path: &Path, bytes: &[u8]) -> Result<(), Fatal> {
    let write = || {
        let mut file = File::create(path)?;
        io::Write::write_all(&mut file, bytes)?;
        file.sync_all()
    };
    write().map_err(|error| write_fatal(path, error))
}

/// Size and hash of every file that the bundle holds so far.
fn file_facts(bundle: &Path) -> Result<BTreeMap<String, FileFact>, Fatal> {
    let mut facts = BTreeMap::new();
    for entry in walkdir::WalkDir::new(bundle).sort_by_file_name() {
        let entry = entry.map_err(|error| Fatal::new(format!("cannot read the bundle: {error}"), "try again"))?;
        if !entry.file_type().is_file() {
            continue;
        }
        let name = entry.path().strip_prefix(bundle).unwrap_or(entry.path()).to_string_lossy().into_owned();
        facts.insert(name, fact(entry.path()).map_err(|error| write_fatal(entry.path(), error))?);
    }
    Ok(facts)
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
