//! How onnx-community names the graphs of a model: `onnx/ROLE{suffix}.onnx`, one suffix for each way of storing numbers
//! (transformers.js 4.3, `dtypes.js`). Whoever opens such a folder and whoever fetches one go by the same rules.

/// The folder of the graphs.
pub const FOLDER: &str = "onnx";

/// Names of the graphs: embeddings, decoder, vision encoder, audio encoder.
pub const ROLES: [&str; 4] = ["embed_tokens", "decoder_model_merged", "vision_encoder", "audio_encoder"];

/// Ways of storing numbers, widest first.
const WIDTHS: [&str; 12] =
    ["fp32", "fp16", "bf16", "q8", "quantized", "int8", "uint8", "q4", "bnb4", "q4f16", "q2", "q2f16"];

/// The graph of a role that a variant takes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pick {
    /// Its path in the repository.
    pub path: String,
    /// The variant that stands in, where there is none of the wanted one: the widest that there is.
    pub instead: Option<String>,
}

/// The path of a graph; the variant `fp32` is the one without a suffix.
pub fn path(role: &str, variant: &str) -> String {
    match variant {
        "fp32" => format!("{FOLDER}/{role}.onnx"),
        _ => format!("{FOLDER}/{role}_{variant}.onnx"),
    }
}

/// The variants in which a role is among these paths, widest first.
pub fn variants<'a>(paths: impl IntoIterator<Item = &'a str>, role: &str) -> Vec<String> {
    let mut variants: Vec<String> = paths.into_iter().filter_map(|path| variant(path, role)).collect();
    let width = |variant: &String| WIDTHS.iter().position(|width| width == variant).unwrap_or(WIDTHS.len());
    variants.sort_by(|a, b| width(a).cmp(&width(b)).then(a.cmp(b)));
    variants
}

fn variant(path: &str, role: &str) -> Option<String> {
    let file = path.strip_prefix(FOLDER)?.strip_prefix('/')?;
    match file.strip_prefix(role)?.strip_suffix(".onnx")? {
        "" => Some("fp32".to_owned()),
        suffix => suffix.strip_prefix('_').map(str::to_owned),
    }
}

/// The graph of a role for a variant; `None` when the role is not there at all.
pub fn pick<'a>(paths: impl IntoIterator<Item = &'a str>, role: &str, wanted: &str) -> Option<Pick> {
    let there = variants(paths, role);
    let widest = there.first()?;
    match there.iter().any(|variant| variant == wanted) {
        true => Some(Pick { path: path(role, wanted), instead: None }),
        false => Some(Pick { path: path(role, widest), instead: Some(widest.clone()) }),
    }
}
