//! `lapidary model verify`: a bundle against its manifest, its self-test and, where there is one, its checkpoint.
//!
//! What is compared comes out of the engine that `run` uses; what it is held against was made by `bundle::plain`, which
//! shares no code with the graphs.

mod comparison;
mod trial;

use std::path::{Path, PathBuf};

use super::eval;
use crate::{
    base::{Fatal, Model, Prompt, model::Layout},
    bundle::{
        self, Check, Checkpoint, Config, Precision,
        self_test::{self, Expectation},
    },
    generate::{Device, Runtime},
};
pub use comparison::{Comparison, Tolerances};
use trial::Trial;

/// What to verify.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// The bundle's folder.
    pub bundle: PathBuf,
    /// The folder of the checkpoint that it was made of.
    pub checkpoint: Option<PathBuf>,
    /// Tokens of the prompt that is evaluated from the checkpoint, in place of the self-test's.
    pub tokens: Option<usize>,
    /// Where the graphs run.
    pub device: Device,
}

/// What came of it.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Verified {
    /// Facts without a tolerance, for people.
    pub notes: Vec<String>,
    /// Everything that was compared.
    pub comparisons: Vec<Comparison>,
    /// Where the graphs were to run.
    pub device: Device,
}

/// What to do about a bundle that is wrong on the processor.
const WRONG: &str = "do not use it: export the bundle again; if that fails too, report it with this output";

/// What to do about one that is wrong elsewhere.
const WRONG_THERE: &str = "do not use it there: `--device cpu` tells whether it is wrong everywhere; if it is right on \
                           the processor, report it with this output and that of `lapidary doctor`";

impl Verified {
    /// # Errors
    /// When something differs by more than its tolerance; the message names it.
    pub fn verdict(&self) -> Result<(), Fatal> {
        let wrong: Vec<&str> =
            self.comparisons.iter().filter(|one| !one.holds()).map(|one| one.what.as_str()).collect();
        if wrong.is_empty() {
            return Ok(());
        }
        Err(Fatal::new(
            format!("the bundle does not compute what its checkpoint says: {}", wrong.join("; ")),
            if self.device == Device::Cpu { WRONG } else { WRONG_THERE },
        ))
    }
}

/// Verifies a bundle.
///
/// # Errors
/// When a file is not the one that the manifest names, the engine cannot run the bundle, or the checkpoint is not the one
/// that the bundle was made of. What differs in numbers is in the result, see [`Verified::verdict`].
pub fn verify(request: &Request) -> Result<Verified, Fatal> {
    let model = bundle::open(&request.bundle, Check::Full)?;
    let mut verified = Verified { device: request.device, ..Verified::default() };
    let files = model.manifest.files.len();
    verified.notes.push(match model.layout {
        Layout::Bundle => format!("{files} files have the size and the SHA-256 of the manifest"),
        Layout::Community | Layout::Mobius => format!("{files} files are there; none says what SHA-256 it should have"),
    });
    let runtime = Runtime::load()?;
    let stored = stored(&model)?;
    match &stored {
        Some((prompt, expectation)) => {
            verified.notes.push(cost("self-test", prompt, expectation));
            let trial = Trial::new(&runtime, &model, "self-test", request.device);
            verified.comparisons.extend(trial.run(prompt, &expectation.stored, &mut verified.notes)?);
        }
        None => verified.notes.push("the bundle has no self-test: its graphs were not run".to_owned()),
    }
    if let Some(folder) = &request.checkpoint {
        let stored = stored.filter(|_| request.tokens.is_none());
        from_checkpoint(&runtime, &model, folder, request, stored, &mut verified)?;
    }
    Ok(verified)
}

/// The inputs of a self-test, and what it expects.
type StoredTest = (Prompt, Expectation);

fn stored(model: &Model) -> Result<Option<StoredTest>, Fatal> {
    let Some(name) = &model.manifest.graphs.self_test else { return Ok(None) };
    let path = model.file(name);
    Ok(Some((eval::read(&path)?, self_test::read(&path)?)))
}

/// Evaluates the checkpoint anew and holds the engine against that, and the stored self-test too where it is the same
/// prompt.
fn from_checkpoint(
    runtime: &Runtime,
    model: &Model,
    folder: &Path,
    request: &Request,
    stored: Option<StoredTest>,
    verified: &mut Verified,
) -> Result<(), Fatal> {
    let config = Config::read(folder)?;
    check_origin(model, folder, &config)?;
    let checkpoint = Checkpoint::open(folder)?;
    let (prompt, stored) = match stored {
        Some((prompt, stored)) => (prompt, Some(stored)),
        None => (self_test::inputs(&config, request.tokens.unwrap_or_else(|| self_test::length(&config.text)))?, None),
    };
    let anew = self_test::expect(&checkpoint, &config, precision(model)?, &prompt)?;
    verified.notes.push(cost("checkpoint", &prompt, &anew));
    if let Some(stored) = stored {
        verified.comparisons.extend(comparison::evaluations(&stored.stored, &anew.stored));
    }
    let trial = Trial::new(runtime, model, "checkpoint", request.device);
    verified.comparisons.extend(trial.run(&prompt, &anew.stored, &mut verified.notes)?);
    Ok(())
}

fn check_origin(model: &Model, folder: &Path, config: &Config) -> Result<(), Fatal> {
    if config.sha256 == model.manifest.source.config_sha256 {
        return Ok(());
    }
    Err(Fatal::new(
        format!(
            "`{}` is not the checkpoint of this bundle: its config.json has SHA-256 {}, the manifest names {}",
            folder.display(),
            config.sha256,
            model.manifest.source.config_sha256
        ),
        format!("name the folder of `{}` as it was when the bundle was exported", model.manifest.source.checkpoint),
    ))
}

/// How the bundle stores its weights.
fn precision(model: &Model) -> Result<Precision, Fatal> {
    Precision::of_manifest(&model.manifest.precision)
}

/// What storing the weights costs, for people.
fn cost(what: &str, prompt: &Prompt, expectation: &Expectation) -> String {
    format!(
        "{what}: {} tokens; storing the weights changes the logits by {:.4} of their size, {} of {} best tokens stay",
        prompt.tokens.len(),
        expectation.cost(),
        expectation.agreeing(),
        expectation.original_logits.nrows()
    )
}
