//! `lapidary model`: export, pull, eval, verify, prepare, inspect.

use std::{collections::BTreeMap, path::Path};

use super::{
    Ended,
    args::{
        DtypeName, EvalArguments, ExportArguments, ModelCommand, PrecisionArguments, QuantizeName, SynthesizeArguments,
        VerifyArguments,
    },
    prepare, print,
    progress::Watcher,
    pull, run,
};
use crate::{
    app::{
        eval,
        verify::{self, Request},
    },
    base::{Fatal, Model, model::Layout},
    bundle::{
        self, Catalog, Check, Config, Dtype, Entry, ExportRequest, Holds, Precision, Quantize, Recipe,
        SynthesizeRequest, Synthesized,
    },
};

pub fn run(command: &ModelCommand, watcher: Watcher) -> Result<Ended, Fatal> {
    match command {
        ModelCommand::Export(arguments) => export(arguments),
        ModelCommand::Pull(arguments) => pull::run(arguments, watcher),
        ModelCommand::Synthesize(arguments) => synthesize(arguments),
        ModelCommand::List => list(),
        ModelCommand::Eval(arguments) => evaluate(arguments),
        ModelCommand::Verify(arguments) => verify(arguments),
        ModelCommand::Prepare(arguments) => prepare::run(arguments),
        ModelCommand::Inspect { bundle } => inspect(bundle),
    }
}

fn export(arguments: &ExportArguments) -> Result<Ended, Fatal> {
    let exported = bundle::export(ExportRequest {
        checkpoint: arguments.checkpoint.clone(),
        out: arguments.output.clone(),
        precision: precision(&arguments.precision, || Config::read(&arguments.checkpoint))?,
    })?;
    exported.summary().iter().for_each(|line| print::note(line));
    Ok(Ended::Well)
}

/// What the arguments ask for; where they ask for nothing, what suits the model.
pub(super) fn precision(
    arguments: &PrecisionArguments,
    config: impl FnOnce() -> Result<Config, Fatal>,
) -> Result<Precision, Fatal> {
    match asked(arguments)? {
        Some(precision) => Ok(precision),
        None => Recipe::suiting(&config()?).map(|recipe| recipe.precision),
    }
}

/// What the arguments ask for, if they do.
pub(super) fn asked(arguments: &PrecisionArguments) -> Result<Option<Precision>, Fatal> {
    if let Some(recipe) = &arguments.recipe {
        return Recipe::find(recipe).map(|recipe| Some(recipe.precision));
    }
    if arguments.dtype.is_none() && arguments.quantize.is_none() {
        return Ok(None);
    }
    let dtype = match arguments.dtype {
        None | Some(DtypeName::F32) => Dtype::F32,
        Some(DtypeName::F16) => Dtype::F16,
    };
    let quantize = match arguments.quantize {
        None => Quantize::None,
        Some(QuantizeName::Int8) => Quantize::Int8,
        Some(QuantizeName::Int4) => Quantize::Int4,
    };
    Ok(Some(Precision::uniform(dtype, quantize)))
}

fn synthesize(arguments: &SynthesizeArguments) -> Result<Ended, Fatal> {
    let request = SynthesizeRequest {
        model: arguments.model.clone(),
        precision: precision(&arguments.precision, || bundle::shape(&arguments.model))?,
        seed: arguments.seed,
        tokenizer: arguments.tokenizer.clone(),
        as_checkpoint: arguments.as_checkpoint,
    };
    let Some(out) = arguments.output.as_ref().filter(|_| !arguments.dry_run) else {
        print::result(&sizes(&request.sizes()?))?;
        return Ok(Ended::Well);
    };
    match bundle::synthesize(&request, out)? {
        Synthesized::Bundle(exported) => exported.summary().iter().for_each(|line| print::note(line)),
        Synthesized::Checkpoint(files) => print::note(sizes(&files).trim_end()),
    }
    if request.tokenizer.is_none() {
        print::note(
            "the tokenizer is a stand-in of three tokens: `eval` and the engine take token ids, but `run` needs the \
             whole vocabulary (`--tokenizer FILE`)",
        );
    }
    Ok(Ended::Well)
}

/// Bytes and name of every file, and the sum.
fn sizes(files: &BTreeMap<String, u64>) -> String {
    let line = |(name, bytes): (&String, &u64)| format!("{bytes:>14}  {name}\n");
    let total: u64 = files.values().sum();
    files.iter().map(line).chain([format!("{total:>14}  in all ({})\n", print::bytes(total))]).collect()
}

fn list() -> Result<Ended, Fatal> {
    let head = format!(
        "{:<17} {:>8} {:>8}  {:<13} {:<26} {:<22} {}\n",
        "name", "weights", "context", "media", "checkpoint", "on CPU", "on CUDA"
    );
    let rows: String = Catalog::all()?.iter().map(row).collect();
    print::result(&(head + &rows))?;
    Ok(Ended::Well)
}

fn row(entry: &Entry) -> String {
    let repository = entry.repository(Holds::Checkpoint).map_or("", |repository| &repository.name);
    format!(
        "{:<17} {:>7.2}B {:>8}  {:<13} {:<26} {:<22} {}\n",
        entry.name,
        entry.parameters as f64 / 1e9,
        entry.context,
        if entry.audio.is_some() { "sees, hears" } else { "sees" },
        repository,
        entry.recipes.cpu,
        entry.recipes.cuda,
    )
}

fn evaluate(arguments: &EvalArguments) -> Result<Ended, Fatal> {
    let EvalArguments { bundle, inputs, output, greedy, device } = arguments;
    let evaluated = eval::eval(bundle, inputs, output, *greedy, run::device(*device))?;
    print::note(&evaluated);
    Ok(Ended::Well)
}

fn verify(arguments: &VerifyArguments) -> Result<Ended, Fatal> {
    let verified = verify::verify(&Request {
        bundle: arguments.bundle.clone(),
        checkpoint: arguments.checkpoint.clone(),
        tokens: arguments.tokens,
        device: run::device(arguments.device),
    })?;
    let comparisons = verified.comparisons.iter().map(ToString::to_string);
    let lines: Vec<String> = verified.notes.iter().cloned().chain(comparisons).collect();
    print::result(&format!("{}\n", lines.join("\n")))?;
    verified.verdict()?;
    Ok(Ended::Well)
}

fn inspect(folder: &Path) -> Result<Ended, Fatal> {
    let model = bundle::open(folder, Check::Full)?;
    print::result(&describe(&model))?;
    Ok(Ended::Well)
}

fn describe(model: &Model) -> String {
    let (manifest, text) = (&model.manifest, &model.manifest.text);
    let files = manifest.files.iter();
    let files: String = files.map(|(name, fact)| format!("  {name:<40} {:>10}\n", print::bytes(fact.bytes))).collect();
    let sliding = text.kv.iter().filter(|layer| layer.sliding).count();
    let notes: String = model.notes.iter().map(|note| format!("{note}\n")).collect();
    let files = match model.layout {
        Layout::Bundle => format!("{files}every file has the size and the SHA-256 that the manifest says\n"),
        Layout::Community | Layout::Mobius => {
            format!("{files}every file is there; none says what SHA-256 it should have\n")
        }
    };
    let values: usize = text.kv.iter().map(|layer| 2 * layer.heads * layer.head_dim).sum();
    format!(
        "{} ({}), exported by {} from {}\n\
         precision: {} for activations{}\n\
         decoder: {} layers of width {}, {} tokens, {sliding} sliding and {} full KV layers ({values} values a token), \
         window {}\n\
         pictures: {}; sound: {}\n\
         hash: {}\n{notes}{files}",
        manifest.name,
        manifest.architecture,
        manifest.source.exporter,
        manifest.source.checkpoint,
        manifest.precision.dtype,
        formats(&manifest.precision),
        text.layers,
        text.hidden_size,
        text.vocab_size,
        text.kv.len() - sliding,
        text.sliding_window,
        manifest.vision.as_ref().map_or("no".to_owned(), |vision| format!("budgets {:?}", vision.budgets)),
        manifest.audio.as_ref().map_or("no".to_owned(), |audio| format!("up to {} tokens", audio.max_soft_tokens)),
        model.hash,
    )
}

/// The format of each part's weights.
fn formats(precision: &crate::base::model::Precision) -> String {
    match precision.parts.is_empty() {
        true => format!(", quantisation {}", precision.quantize),
        false => precision.parts.iter().map(|(part, format)| format!(", {part} {format}")).collect(),
    }
}
