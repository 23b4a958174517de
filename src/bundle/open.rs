//! Opens a bundle: reads `bundle.toml` and checks that the files are those that it names.

use std::{
    fs, io,
    path::{Component, Path},
};

use rayon::prelude::*;
use sha2::{Digest, Sha256};

use super::manifest;
use crate::base::{
    Fatal, Model,
    model::{FORMAT, FileFact, MANIFEST, Manifest},
};

/// How closely the files of a bundle are looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Check {
    /// Sizes and SHA-256.
    #[default]
    Full,
    /// Sizes only.
    Sizes,
}

/// Opens the bundle in `folder`.
pub fn open(folder: &Path, check: Check) -> Result<Model, Fatal> {
    let path = folder.join(MANIFEST);
    let text = fs::read_to_string(&path).map_err(|error| missing(folder, &path, &error))?;
    let manifest = parse(&text, &path)?;
    check_roles(&manifest, &path)?;
    manifest.files.par_iter().try_for_each(|(name, expected)| check_file(folder, name, expected, check))?;
    let hash = manifest::hex(Sha256::new_with_prefix(text.as_bytes()));
    Ok(Model { folder: folder.to_owned(), hash, manifest })
}

fn missing(folder: &Path, path: &Path, error: &io::Error) -> Fatal {
    match error.kind() {
        io::ErrorKind::NotFound => Fatal::new(
            format!("`{}` is not a model bundle: it holds no {MANIFEST}", folder.display()),
            "make a bundle with `lapidary model export CHECKPOINT OUT`",
        ),
        _ => Fatal::new(format!("cannot read `{}`: {error}", path.display()), "check its permissions"),
    }
}

/// The format comes first: a newer manifest may hold anything else.
fn parse(text: &str, path: &Path) -> Result<Manifest, Fatal> {
    #[derive(serde::Deserialize)]
    struct Format {
        format: u32,
    }
    let broken = |error: toml::de::Error| {
        Fatal::new(format!("`{}`: {}", path.display(), error.message()), "export the bundle again")
    };
    let Format { format } = toml::from_str(text).map_err(broken)?;
    match format {
        FORMAT => toml::from_str(text).map_err(broken),
        newer if newer > FORMAT => Err(Fatal::new(
            format!("`{}` has format {newer}, this lapidary reads format {FORMAT}", path.display()),
            "use a newer lapidary, or export the bundle again with this one",
        )),
        older => Err(Fatal::new(
            format!("`{}` has format {older}, this lapidary reads format {FORMAT}", path.display()),
            "export the bundle again",
        )),
    }
}

/// Every file with a role must be among those with a hash.
fn check_roles(manifest: &Manifest, path: &Path) -> Result<(), Fatal> {
    let graphs = &manifest.graphs;
    let optional = [&graphs.vision_encoder, &graphs.audio_encoder, &graphs.chat_template, &graphs.self_test];
    let optional = optional.into_iter().flatten();
    let mut named = [&graphs.embed_tokens, &graphs.decoder, &graphs.tokenizer].into_iter().chain(optional);
    match named.find(|name| !manifest.files.contains_key(*name)) {
        None => Ok(()),
        Some(name) => Err(Fatal::new(
            format!("`{}` gives `{name}` a role but no hash", path.display()),
            "export the bundle again",
        )),
    }
}

fn check_file(folder: &Path, name: &str, expected: &FileFact, check: Check) -> Result<(), Fatal> {
    if !Path::new(name).components().all(|part| matches!(part, Component::Normal(_))) {
        let path = folder.join(MANIFEST);
        return Err(Fatal::new(
            format!("`{}` names `{name}`, which is outside the bundle", path.display()),
            "do not use it",
        ));
    }
    let path = folder.join(name);
    let unreadable = |error: io::Error| {
        Fatal::new(
            format!("cannot read `{}`: {error}", path.display()),
            "the bundle is not whole: copy or export it again",
        )
    };
    let bytes = fs::metadata(&path).map_err(unreadable)?.len();
    if bytes != expected.bytes {
        return Err(differs(&path, &format!("{} bytes", expected.bytes), &format!("{bytes} bytes")));
    }
    if check == Check::Sizes {
        return Ok(());
    }
    let found = manifest::fact(&path).map_err(unreadable)?.sha256;
    match found == expected.sha256 {
        true => Ok(()),
        false => Err(differs(&path, &format!("SHA-256 {}", expected.sha256), &format!("SHA-256 {found}"))),
    }
}

fn differs(path: &Path, expected: &str, found: &str) -> Fatal {
    Fatal::new(
        format!("`{}` is not the file that {MANIFEST} names: expected {expected}, got {found}", path.display()),
        "the file is damaged or was changed: copy or export the bundle again",
    )
}
