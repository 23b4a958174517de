//! `lapidary model`: export, eval, inspect.

use std::path::Path;

use super::{
    Ended,
    args::{DtypeName, EvalArguments, ExportArguments, ModelCommand, QuantizeName},
    print,
};
use crate::{
    app::eval,
    base::{Fatal, Model, model::Layout},
    bundle::{self, Check, Dtype, ExportRequest, Quantize},
};

pub fn run(command: &ModelCommand) -> Result<Ended, Fatal> {
    match command {
        ModelCommand::Export(arguments) => export(arguments),
        ModelCommand::Eval(arguments) => evaluate(arguments),
        ModelCommand::Inspect { bundle } => inspect(bundle),
    }
}

fn export(arguments: &ExportArguments) -> Result<Ended, Fatal> {
    let exported = bundle::export(ExportRequest {
        checkpoint: arguments.checkpoint.clone(),
        out: arguments.output.clone(),
        dtype: match arguments.dtype {
            DtypeName::F32 => Dtype::F32,
            DtypeName::F16 => Dtype::F16,
        },
        quantize: match arguments.quantize {
            None => Quantize::None,
            Some(QuantizeName::Int8) => Quantize::Int8,
            Some(QuantizeName::Int4) => Quantize::Int4,
        },
    })?;
    exported.summary().iter().for_each(|line| print::note(line));
    Ok(Ended::Well)
}

fn evaluate(arguments: &EvalArguments) -> Result<Ended, Fatal> {
    let evaluated = eval::eval(&arguments.bundle, &arguments.inputs, &arguments.output, arguments.greedy)?;
    print::note(&evaluated);
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
         precision: {}, quantisation {}\n\
         decoder: {} layers of width {}, {} tokens, {sliding} sliding and {} full KV layers ({values} values a token), \
         window {}\n\
         pictures: {}; sound: {}\n\
         hash: {}\n{notes}{files}",
        manifest.name,
        manifest.architecture,
        manifest.source.exporter,
        manifest.source.checkpoint,
        manifest.precision.dtype,
        manifest.precision.quantize,
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
