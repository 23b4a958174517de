//! The mobius layout: one folder for each graph, `{decoder,embedding,vision_encoder,audio_encoder}/model.onnx`
//! (mobius-onnx 0.1, `_model_package.py`).

use std::path::Path;

use super::files::Files;
use crate::base::Fatal;

const EMBEDDING: &str = "embedding";
const DECODER: &str = "decoder";

/// True when the folder holds one of the graphs without which nothing runs.
pub(super) fn found(folder: &Path) -> bool {
    [EMBEDDING, DECODER].iter().any(|role| folder.join(name(role)).is_file())
}

/// The graphs of the package.
pub(super) fn choose(folder: &Path, named: Option<&str>) -> Result<Files, Fatal> {
    if let Some(variant) = named {
        let path = folder.display();
        let message = format!("`{path}` is in the mobius layout, which has no variant `{variant}`");
        return Err(Fatal::new(message, format!("write `{path}` without `#{variant}`")));
    }
    let optional = |roles: [&str; 2]| roles.into_iter().map(name).find(|name| folder.join(name).is_file());
    Ok(Files {
        embed_tokens: needed(folder, EMBEDDING)?,
        decoder: needed(folder, DECODER)?,
        vision_encoder: optional(["vision_encoder", "vision"]),
        audio_encoder: optional(["audio_encoder", "audio"]),
        variant: None,
        notes: Vec::new(),
    })
}

fn name(role: &str) -> String {
    format!("{role}/model.onnx")
}

fn needed(folder: &Path, role: &str) -> Result<String, Fatal> {
    let name = name(role);
    match folder.join(&name).is_file() {
        true => Ok(name),
        false => Err(Fatal::new(
            format!("`{}` holds no `{name}`", folder.display()),
            "copy the whole package, or build it again with all of its components",
        )),
    }
}
