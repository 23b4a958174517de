//! `lapidary model export`: a checkpoint folder in, a bundle folder out.
//!
//! What will be written is counted first and compared with the free space. Then the bundle is written beside its final
//! place and renamed when it is whole and durable, so that a bundle that exists is a bundle that was finished.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use super::{
    Checkpoint, Config, Part, Precision,
    manifest::{self, Companions},
    output::Output,
    precision::Format,
    quantize::{self, Losses},
    random_checkpoint, room,
    self_test::{self, SelfTest},
    text, towers,
    workshop::Workshop,
};
use crate::base::{
    Fatal,
    model::{FileFact, Manifest},
};

/// The folder of the graphs inside a bundle.
pub const GRAPHS: &str = "onnx";

/// What to export and how.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExportRequest {
    /// The folder of a Hugging Face checkpoint.
    pub checkpoint: PathBuf,
    /// The bundle's folder; it must not exist.
    pub out: PathBuf,
    /// Which part is stored how.
    pub precision: Precision,
}

/// What was exported.
#[derive(Debug, Clone, PartialEq)]
pub struct Exported {
    /// The bundle's folder.
    pub folder: PathBuf,
    /// The manifest as written.
    pub manifest: Manifest,
    /// What quantisation cost: by kind of tensor, the norm of the error over the norm of the weights.
    pub errors: Vec<(&'static str, f64)>,
    /// The self-test that lies in the bundle.
    pub self_test: Option<SelfTest>,
}

impl Exported {
    /// One line per fact, for people: the sizes of the graphs and the relative errors of quantised weights.
    pub fn summary(&self) -> Vec<String> {
        let file = |(name, fact): (&String, &FileFact)| format!("{name}: {} bytes", fact.bytes);
        let error = |(kind, error): &(&str, f64)| format!("{kind}: relative error of the weights {error:.4}");
        let facts = self.manifest.files.iter().map(file).chain(self.errors.iter().map(error));
        facts.chain(self.self_test.map(SelfTest::summary)).collect()
    }
}

/// Everything that a bundle is made of.
pub struct Source {
    /// What the manifest calls it.
    pub name: String,
    /// The shape of the model.
    pub config: Config,
    /// Its weights.
    pub checkpoint: Checkpoint,
    /// Its small files.
    pub companions: Companions,
    /// Random weights are nobody's model: their bundles have no self-test.
    pub is_random: bool,
}

impl Source {
    /// A checkpoint folder.
    pub fn read(folder: &Path) -> Result<Self, Fatal> {
        Ok(Self {
            name: manifest::folder_name(folder),
            config: Config::read(folder)?,
            companions: Companions::read(folder)?,
            checkpoint: Checkpoint::open(folder)?,
            is_random: false,
        })
    }

    /// A checkpoint folder whose weights are yet to come. Its sizes are right but for the self-test, which is small.
    pub fn announced(folder: &Path) -> Result<Self, Fatal> {
        let config = Config::read(folder)?;
        Ok(Self {
            name: manifest::folder_name(folder),
            companions: Companions::read(folder)?,
            checkpoint: random_checkpoint(&config, 0),
            is_random: true,
            config,
        })
    }

    /// Bytes that an export takes: of all files, and of what lies aside meanwhile.
    pub fn bytes(&self, precision: Precision) -> Result<u64, Fatal> {
        let files: u64 = self.sizes(precision)?.values().sum();
        Ok(files + self.aside(precision))
    }

    /// The size of every file of a bundle, to the byte, without writing any.
    pub fn sizes(&self, precision: Precision) -> Result<BTreeMap<String, u64>, Fatal> {
        let output = Output::counting();
        self.write(precision, &output)?;
        Ok(output.facts().into_iter().map(|(name, fact)| (name, fact.bytes)).collect())
    }

    /// Makes the bundle.
    pub fn export(&self, precision: Precision, out: &Path) -> Result<Exported, Fatal> {
        let workshop = Workshop::create(out)?;
        room::check(workshop.folder(), self.bytes(precision)?)?;
        let output = Output::to(workshop.folder());
        let (manifest, losses, self_test) = self.write(precision, &output)?;
        workshop.publish(out)?;
        let errors = losses.0.into_iter().map(|(kind, loss)| (kind, loss.relative())).collect();
        Ok(Exported { folder: out.to_owned(), manifest, errors, self_test })
    }

    fn write(&self, precision: Precision, output: &Output) -> Result<(Manifest, Losses, Option<SelfTest>), Fatal> {
        let losses = self.graphs(precision, output)?;
        let self_test = self.self_test(precision, output)?;
        let manifest = manifest::write(&self.name, &self.config, precision, &self.companions, output)?;
        Ok((manifest, losses, self_test))
    }

    /// Bytes that lie aside while a head in 8 bits is turned.
    fn aside(&self, precision: Precision) -> u64 {
        let head = (self.config.text.vocab_size * self.config.text.hidden_size) as u64;
        if precision.of(Part::Head) == Format::Int8 { quantize::aside(head) } else { 0 }
    }

    fn self_test(&self, precision: Precision, output: &Output) -> Result<Option<SelfTest>, Fatal> {
        let write = || self_test::write(&self.checkpoint, &self.config, precision, output);
        if self.is_random { Ok(None) } else { write().map(Some) }
    }

    fn graphs(&self, precision: Precision, output: &Output) -> Result<Losses, Fatal> {
        let Self { checkpoint, config, .. } = self;
        let mut losses = Losses::default();
        if config.vision.is_some() {
            losses.merge(towers::vision::write(checkpoint, config, precision, output)?);
        }
        if config.audio.is_some() {
            losses.merge(towers::audio::write(checkpoint, config, precision, output)?);
        }
        losses.merge(text::write(checkpoint, config, precision, output)?);
        Ok(losses)
    }
}

/// Exports a checkpoint.
pub fn export(request: ExportRequest) -> Result<Exported, Fatal> {
    super::workshop::refuse_existing(&request.out)?;
    let source = Source::read(&request.checkpoint)?;
    source.export(request.precision, &request.out)
}
