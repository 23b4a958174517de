//! `lapidary model export`: a checkpoint folder in, a bundle folder out.
//!
//! The bundle is written beside its final place and renamed when it is whole and durable, so that a bundle
//! that exists is a bundle that was finished.

use std::{
    fs::{self, File},
    io,
    path::{Path, PathBuf},
};

use super::{
    Checkpoint, Config, Precision, Quantize,
    draft::write_fatal,
    manifest::{self, Companions},
    precision::Dtype,
    quantize::Losses,
    self_test::{self, SelfTest},
    text, towers,
};
use crate::base::{Fatal, model::Manifest};

/// The folder of the graphs inside a bundle.
pub const GRAPHS: &str = "onnx";

/// What to export and how.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExportRequest {
    /// The folder of a Hugging Face checkpoint.
    pub checkpoint: PathBuf,
    /// The bundle's folder; it must not exist.
    pub out: PathBuf,
    /// Activations, KV buffers and unquantised weights.
    pub dtype: Dtype,
    /// Weights of the decoder and of the embedding tables.
    pub quantize: Quantize,
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
    pub self_test: SelfTest,
}

impl Exported {
    /// One line per fact, for people: the sizes of the graphs and the relative errors of quantised weights.
    pub fn summary(&self) -> Vec<String> {
        let file = |(name, fact): (&String, &crate::base::model::FileFact)| format!("{name}: {} bytes", fact.bytes);
        let error = |(kind, error): &(&str, f64)| format!("{kind}: relative error of the weights {error:.4}");
        let facts = self.manifest.files.iter().map(file).chain(self.errors.iter().map(error));
        facts.chain([self.self_test.summary()]).collect()
    }
}

/// Exports a checkpoint.
pub fn export(request: ExportRequest) -> Result<Exported, Fatal> {
    refuse_existing(&request.out)?;
    let config = Config::read(&request.checkpoint)?;
    let companions = Companions::read(&request.checkpoint)?;
    let checkpoint = Checkpoint::open(&request.checkpoint)?;
    let workshop = Workshop::create(&request.out)?;
    let precision = Precision { dtype: request.dtype, quantize: request.quantize };

    let losses = graphs(&checkpoint, &config, precision, &workshop.folder.join(GRAPHS))?;
    let self_test = self_test::write(&checkpoint, &config, precision, &workshop.folder)?;
    let manifest = manifest::write(&request.checkpoint, &config, precision, companions, &workshop.folder)?;
    workshop.publish(&request.out)?;

    let errors = losses.0.into_iter().map(|(kind, loss)| (kind, loss.relative())).collect();
    Ok(Exported { folder: request.out, manifest, errors, self_test })
}

fn refuse_existing(out: &Path) -> Result<(), Fatal> {
    if fs::symlink_metadata(out).is_err() {
        return Ok(());
    }
    Err(Fatal::new(format!("`{}` exists already", out.display()), "name a new folder, or remove this one first"))
}

fn graphs(checkpoint: &Checkpoint, config: &Config, precision: Precision, folder: &Path) -> Result<Losses, Fatal> {
    fs::create_dir_all(folder).map_err(|error| write_fatal(folder, error))?;
    if config.vision.is_some() {
        towers::vision::write(checkpoint, config, precision, folder)?;
    }
    if config.audio.is_some() {
        towers::audio::write(checkpoint, config, precision, folder)?;
    }
    text::write(checkpoint, config, precision, folder)
}

/// The folder in which the bundle is made; what is left of it when the export fails is removed.
struct Workshop {
    folder: PathBuf,
    published: bool,
}

impl Workshop {
    fn create(out: &Path) -> Result<Self, Fatal> {
        let Some(name) = out.file_name() else {
            return Err(Fatal::new(format!("`{}` is no name for a folder", out.display()), "name a new folder"));
        };
        let folder = out.with_file_name(format!(".{}.{}.part", name.to_string_lossy(), std::process::id()));
        fs::create_dir_all(&folder).map_err(|error| write_fatal(&folder, error))?;
        Ok(Self { folder, published: false })
    }

    fn publish(mut self, out: &Path) -> Result<(), Fatal> {
        let renamed = sync(&self.folder.join(GRAPHS))
            .and_then(|()| sync(&self.folder))
            .and_then(|()| fs::rename(&self.folder, out))
            .and_then(|()| sync(parent(out)));
        renamed.map_err(|error| write_fatal(out, error))?;
        self.published = true;
        Ok(())
    }
}

impl Drop for Workshop {
    fn drop(&mut self) {
        if !self.published {
            // Nothing can be done about what cannot be removed; the name says what it is.
            fs::remove_dir_all(&self.folder).ok();
        }
    }
}

fn parent(path: &Path) -> &Path {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Makes a folder's entries durable.
fn sync(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}
