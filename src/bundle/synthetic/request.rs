//! `lapidary model synthesize`: a model's name or configuration in, a bundle or a checkpoint with random weights out.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use super::{checkpoint, folder};
use crate::{
    base::Fatal,
    bundle::{
        Catalog, Config, Exported, Precision, Source, draft::write_fatal, manifest::Companions, output::Output, room,
        workshop::Workshop,
    },
};

/// Three special tokens and nothing else.
const STAND_IN: &[u8] = include_bytes!("tokenizer.json");

/// What to make.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SynthesizeRequest {
    /// A name of the catalogue, or the path of a manifest (`.toml`) or of a config.json.
    pub model: String,
    /// Which part is stored how.
    pub precision: Precision,
    /// Tells random models apart.
    pub seed: u64,
    /// A tokenizer.json, instead of the stand-in.
    pub tokenizer: Option<PathBuf>,
    /// A Hugging Face checkpoint folder in bf16 instead of a bundle.
    pub as_checkpoint: bool,
}

/// What was made.
pub enum Synthesized {
    /// A bundle.
    Bundle(Box<Exported>),
    /// A checkpoint: the size of each file.
    Checkpoint(BTreeMap<String, u64>),
}

/// Makes the model in `out`, which must not exist.
pub fn synthesize(request: &SynthesizeRequest, out: &Path) -> Result<Synthesized, Fatal> {
    let model = Model::of(request)?;
    match request.as_checkpoint {
        false => model.source()?.export(request.precision, out).map(|made| Synthesized::Bundle(Box::new(made))),
        true => model.write_checkpoint(out).map(Synthesized::Checkpoint),
    }
}

impl SynthesizeRequest {
    /// The size of every file, to the byte, without writing any.
    pub fn sizes(&self) -> Result<BTreeMap<String, u64>, Fatal> {
        let model = Model::of(self)?;
        if !self.as_checkpoint {
            return model.source()?.sizes(self.precision);
        }
        model.checkpoint_files(&Output::counting())
    }
}

/// The shape of a model: a name of the catalogue, or the path of a manifest (`.toml`) or of a config.json.
pub fn shape(model: &str) -> Result<Config, Fatal> {
    let (name, config) = configuration(model)?;
    parsed(&name, &config)
}

fn parsed(name: &str, config: &str) -> Result<Config, Fatal> {
    Config::parse(config).map_err(|fatal| Fatal { message: format!("`{name}`: {}", fatal.message), ..fatal })
}

/// What is known before a weight is drawn.
struct Model {
    name: String,
    config: String,
    tokenizer: Vec<u8>,
    seed: u64,
}

impl Model {
    fn of(request: &SynthesizeRequest) -> Result<Self, Fatal> {
        let (name, config) = configuration(&request.model)?;
        let tokenizer = match &request.tokenizer {
            None => STAND_IN.to_vec(),
            Some(path) => read(path, "name a tokenizer.json")?,
        };
        Ok(Self { name, config, tokenizer, seed: request.seed })
    }

    fn parsed(&self) -> Result<Config, Fatal> {
        parsed(&self.name, &self.config)
    }

    fn source(&self) -> Result<Source, Fatal> {
        let config = self.parsed()?;
        Ok(Source {
            is_random: true,
            name: format!("{}-random-{}", self.name, self.seed),
            checkpoint: checkpoint(&config, self.seed),
            companions: Companions::of_tokenizer(self.tokenizer.clone()),
            config,
        })
    }

    fn write_checkpoint(&self, out: &Path) -> Result<BTreeMap<String, u64>, Fatal> {
        let workshop = Workshop::create(out)?;
        let bytes = self.checkpoint_files(&Output::counting())?.values().sum();
        room::check(workshop.folder(), bytes)?;
        let files = self.checkpoint_files(&Output::to(workshop.folder()))?;
        workshop.publish(out)?;
        Ok(files)
    }

    fn checkpoint_files(&self, output: &Output) -> Result<BTreeMap<String, u64>, Fatal> {
        let weights = checkpoint(&self.parsed()?, self.seed);
        folder::write(&weights, &self.config, &self.tokenizer, output)
            .map_err(|error| write_fatal(output.aside(), error))?;
        Ok(output.facts().into_iter().map(|(name, fact)| (name, fact.bytes)).collect())
    }
}

/// A name and the text of a config.json.
fn configuration(model: &str) -> Result<(String, String), Fatal> {
    let path = Path::new(model);
    match path.extension().and_then(|end| end.to_str()) {
        Some("json") => {
            let text = String::from_utf8(read(path, "name a config.json")?).map_err(|error| {
                Fatal::new(format!("`{model}` is not text: {error}"), "name the config.json of a checkpoint")
            })?;
            let folder = path.canonicalize().ok().and_then(|path| path.parent().map(Path::to_owned));
            let name = folder.and_then(|path| Some(path.file_name()?.to_string_lossy().into_owned()));
            Ok((name.unwrap_or_else(|| "model".to_owned()), text))
        }
        _ => Catalog::find(model).map(|entry| (entry.name.clone(), entry.config_json())),
    }
}

fn read(path: &Path, hint: &str) -> Result<Vec<u8>, Fatal> {
    fs::read(path).map_err(|error| Fatal::new(format!("cannot read `{}`: {error}", path.display()), hint))
}
