//! Opens a model: a bundle, whose files are checked against `bundle.toml`, or a folder that another exporter wrote.

use std::{
    fs, io,
    path::{Component, Path, PathBuf},
};

use rayon::prelude::*;
use sha2::{Digest, Sha256};

use super::{foreign, manifest};
use crate::base::{
    Fatal, Model,
    model::{FORMAT, FileFact, Layout, MANIFEST, Manifest},
};

/// How closely the files of a model are looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Check {
    /// Sizes and SHA-256.
    #[default]
    Full,
    /// Sizes only.
    Sizes,
}

/// Opens the model at `path`: a folder, with `#VARIANT` behind it where the folder holds several.
///
/// # Errors
/// When it is no model, lacks a file, or holds another than its manifest names.
pub fn open(path: &Path, check: Check) -> Result<Model, Fatal> {
    let (folder, variant) = address(path);
    match (layout(&folder)?, variant) {
        (Layout::Bundle, None) => open_bundle(&folder, check),
        (Layout::Bundle, Some(variant)) => Err(Fatal::new(
            format!("`{}` is a bundle, which has no variant `{variant}`", folder.display()),
            format!("write `{}` without `#{variant}`", folder.display()),
        )),
        (layout, variant) => foreign::open(&folder, layout, variant.as_deref(), check),
    }
}

/// What stands behind the last `#` is the variant, unless there is a folder of the whole name.
fn address(path: &Path) -> (PathBuf, Option<String>) {
    let text = path.to_string_lossy();
    match text.rsplit_once('#') {
        Some((folder, variant)) if !path.exists() && !variant.contains('/') => {
            (PathBuf::from(folder), Some(variant.to_owned()))
        }
        _ => (path.to_owned(), None),
    }
}

fn layout(folder: &Path) -> Result<Layout, Fatal> {
    if folder.join(MANIFEST).exists() {
        return Ok(Layout::Bundle);
    }
    match foreign::layout(folder)? {
        Some(layout) if folder.join(foreign::CONFIG).exists() => Ok(layout),
        Some(_) => Err(Fatal::new(
            format!("`{}` holds graphs, but neither {MANIFEST} nor {}", folder.display(), foreign::CONFIG),
            "download config.json and tokenizer.json beside the graphs; a bundle of `lapidary model export` must be \
             copied whole",
        )),
        None => Err(Fatal::new(
            format!(
                "`{}` is not a model: it holds no {MANIFEST}, no `onnx/decoder_model_merged*.onnx` and no \
                 `decoder/model.onnx`",
                folder.display()
            ),
            "name the folder of a bundle or of an ONNX export; `lapidary model export CHECKPOINT OUT` makes a bundle",
        )),
    }
}

fn open_bundle(folder: &Path, check: Check) -> Result<Model, Fatal> {
    let path = folder.join(MANIFEST);
    let text = fs::read_to_string(&path)
        .map_err(|error| Fatal::new(format!("cannot read `{}`: {error}", path.display()), "check its permissions"))?;
    let manifest = read_manifest(&text, &path)?;
    manifest.files.par_iter().try_for_each(|(name, expected)| check_file(folder, name, expected, check))?;
    check_weights(folder, &manifest)?;
    let hash = manifest::hex(Sha256::new_with_prefix(text.as_bytes()));
    Ok(Model { folder: folder.to_owned(), hash, manifest, layout: Layout::Bundle, notes: Vec::new() })
}

/// The manifest of a bundle, of the text of the file at `path`. The files that it names are not looked at.
///
/// # Errors
/// When it is no TOML, of another format, lacks a fact, or gives a role to a file without a hash.
pub fn read_manifest(text: &str, path: &Path) -> Result<Manifest, Fatal> {
    let manifest = parse(text, path)?;
    check_roles(&manifest, path)?;
    Ok(manifest)
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
    match manifest.graphs.all().find(|name| !manifest.files.contains_key(*name)) {
        None => Ok(()),
        Some(name) => Err(Fatal::new(
            format!("`{}` gives `{name}` a role but no hash", path.display()),
            "export the bundle again",
        )),
    }
}

/// Every file that holds weights of a graph must be among those with a hash too.
fn check_weights(folder: &Path, manifest: &Manifest) -> Result<(), Fatal> {
    for graph in manifest.graphs.onnx() {
        let weights = foreign::weights(folder, graph)?;
        if let Some(name) = weights.iter().find(|name| !manifest.files.contains_key(*name)) {
            return Err(Fatal::new(
                format!("`{}` keeps weights in `{name}`, which has no hash", folder.join(graph).display()),
                "export the bundle again",
            ));
        }
    }
    Ok(())
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
