//! A folder in the layout of onnx-community: which of its graphs are taken.

use std::{fs, io, path::Path};

use super::files::Files;
use crate::{
    base::Fatal,
    bundle::community::{self, FOLDER, Pick, ROLES},
};

/// True when the folder holds any of the graphs.
pub(super) fn found(folder: &Path) -> Result<bool, Fatal> {
    let paths = paths(folder)?;
    Ok(ROLES.iter().any(|role| !community::variants(each(&paths), role).is_empty()))
}

/// The graphs of one variant: the decoder's only one, or the one that is named.
pub(super) fn choose(folder: &Path, named: Option<&str>) -> Result<Files, Fatal> {
    let [embeddings, decoder, vision, audio] = ROLES;
    let paths = paths(folder)?;
    let variant = variant(folder, &community::variants(each(&paths), decoder), named)?;
    let mut notes = Vec::new();
    let mut pick = |role: &str| {
        let Pick { path, instead } = community::pick(each(&paths), role, &variant)?;
        notes.extend(instead.map(|instead| format!("{role} is not there as {variant}: {instead} is taken")));
        Some(path)
    };
    let embed_tokens = pick(embeddings).ok_or_else(|| lacks(folder, embeddings))?;
    let (vision_encoder, audio_encoder) = (pick(vision), pick(audio));
    let decoder = community::path(decoder, &variant);
    Ok(Files { embed_tokens, decoder, vision_encoder, audio_encoder, variant: Some(variant), notes })
}

fn each(paths: &[String]) -> impl Iterator<Item = &str> {
    paths.iter().map(String::as_str)
}

fn variant(folder: &Path, there: &[String], named: Option<&str>) -> Result<String, Fatal> {
    let path = folder.display();
    match (there, named) {
        ([], _) => Err(lacks(folder, ROLES[1])),
        (_, Some(named)) if there.iter().any(|variant| variant == named) => Ok(named.to_owned()),
        (_, Some(named)) => Err(Fatal::new(
            format!("`{path}` holds no decoder of the variant `{named}`; it holds {}", there.join(", ")),
            format!("write `{path}#{}`, or download the other files", there[0]),
        )),
        ([only], None) => Ok(only.clone()),
        (several, None) => Err(Fatal::new(
            format!("`{path}` holds several variants: {}", several.join(", ")),
            format!("write which one behind the path: `{path}#{}`", several[several.len() - 1]),
        )),
    }
}

/// The files beside the graphs, as paths from the folder.
fn paths(folder: &Path) -> Result<Vec<String>, Fatal> {
    Ok(names(&folder.join(FOLDER))?.into_iter().map(|name| format!("{FOLDER}/{name}")).collect())
}

fn names(folder: &Path) -> Result<Vec<String>, Fatal> {
    let entries = match fs::read_dir(folder) {
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
            return Ok(Vec::new());
        }
        entries => entries,
    };
    let names = entries.and_then(|entries| {
        entries.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned())).collect::<io::Result<_>>()
    });
    names.map_err(|error| Fatal::new(format!("cannot read `{}`: {error}", folder.display()), "check its permissions"))
}

fn lacks(folder: &Path, role: &str) -> Fatal {
    Fatal::new(
        format!("`{}` holds no `{FOLDER}/{role}*.onnx`", folder.display()),
        "download the missing graph, with the data files beside it",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder(names: &[&str]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join(FOLDER)).unwrap();
        names.iter().for_each(|name| fs::write(folder.path().join(FOLDER).join(name), b"").unwrap());
        folder
    }

    const MIXED: [&str; 7] = [
        "embed_tokens_q4.onnx",
        "embed_tokens_q4f16.onnx",
        "decoder_model_merged_q4f16.onnx",
        "decoder_model_merged_q4f16.onnx_data",
        "decoder_model_merged_q4.onnx",
        "vision_encoder_fp16.onnx",
        "vision_encoder_q4f16_other.txt",
    ];

    #[test]
    fn the_only_variant_is_taken_and_among_several_one_must_be_named() {
        let one = folder(&["embed_tokens.onnx", "decoder_model_merged.onnx"]);
        assert_eq!(choose(one.path(), None).unwrap().decoder, "onnx/decoder_model_merged.onnx");
        let several = folder(&MIXED);
        let fatal = choose(several.path(), None).unwrap_err();
        assert!(fatal.message.contains("q4, q4f16") && fatal.hint.contains("#q4f16"), "{fatal:?}");
        assert_eq!(choose(several.path(), Some("q4")).unwrap().embed_tokens, "onnx/embed_tokens_q4.onnx");
        let fatal = choose(several.path(), Some("fp32")).unwrap_err();
        assert!(fatal.message.contains("`fp32`") && fatal.message.contains("q4, q4f16"), "{fatal:?}");
    }

    #[test]
    fn a_graph_that_is_not_there_in_the_variant_falls_back_to_the_widest_and_is_noted() {
        let files = choose(folder(&MIXED).path(), Some("q4f16")).unwrap();
        assert_eq!(files.vision_encoder.as_deref(), Some("onnx/vision_encoder_fp16.onnx"));
        assert_eq!(files.audio_encoder, None);
        assert_eq!(files.notes, ["vision_encoder is not there as q4f16: fp16 is taken"]);
    }

    #[test]
    fn a_missing_graph_is_named() {
        let fatal = choose(folder(&["embed_tokens.onnx"]).path(), None).unwrap_err();
        assert!(fatal.message.contains("decoder_model_merged*.onnx"), "{fatal:?}");
        let fatal = choose(folder(&["decoder_model_merged_q4.onnx"]).path(), None).unwrap_err();
        assert!(fatal.message.contains("embed_tokens*.onnx"), "{fatal:?}");
    }
}
