//! The wall around files: landlock denies everything that no rule names.

use std::{
    fs::File,
    path::{Path, PathBuf},
};

use landlock::{
    ABI, Access, AccessFs, AccessNet, PathBeneath, Ruleset, RulesetAttr, RulesetCreated, RulesetCreatedAttr,
    RulesetError, RulesetStatus, Scope, path_beneath_rules,
};

/// The newest rights that we know: also no TCP (from version 4), no signals and no abstract sockets to processes outside
/// (from version 6). Kernels that have fewer enforce those.
const KNOWN: ABI = ABI::V6;

/// Where PDFium looks for fonts that a document does not carry.
const FONTS: [&str; 4] =
    ["/usr/share/fonts", "/usr/share/X11/fonts/Type1", "/usr/share/X11/fonts/TTF", "/usr/local/share/fonts"];

/// Where the libraries of a program lie.
const LIBRARIES: [&str; 6] = ["/lib", "/lib64", "/usr/lib", "/usr/lib64", "/usr/local/lib", "/etc/ld.so.cache"];

/// What the kernel starts in front of a program that has libraries.
const LINKERS: [&str; 5] = [
    "/lib64/ld-linux-x86-64.so.2",
    "/lib/ld-linux-aarch64.so.1",
    "/lib/ld-linux-riscv64-lp64d.so.1",
    "/lib/ld-musl-x86_64.so.1",
    "/lib/ld-musl-aarch64.so.1",
];

/// Keeps the process from all files but fonts; with `ffmpeg`, from all but that program, its libraries and `document`.
pub fn raise(ffmpeg: Option<&Path>, document: Option<&File>) -> Result<(), String> {
    let status = fence(ffmpeg, document).map_err(|error| error.to_string())?;
    match status {
        RulesetStatus::NotEnforced => Err("the kernel has none".to_owned()),
        RulesetStatus::FullyEnforced | RulesetStatus::PartiallyEnforced => Ok(()),
    }
}

fn fence(ffmpeg: Option<&Path>, document: Option<&File>) -> Result<RulesetStatus, RulesetError> {
    let rules = Ruleset::default()
        .handle_access(AccessFs::from_all(KNOWN))?
        .handle_access(AccessNet::from_all(KNOWN))?
        .scope(Scope::from_all(KNOWN))?
        .create()?;
    let rules = match ffmpeg {
        None => rules.add_rules(path_beneath_rules(FONTS, AccessFs::ReadFile | AccessFs::ReadDir))?,
        Some(program) => for_ffmpeg(rules, program, document)?,
    };
    Ok(rules.restrict_self()?.ruleset)
}

fn for_ffmpeg(rules: RulesetCreated, program: &Path, document: Option<&File>) -> Result<RulesetCreated, RulesetError> {
    let started = LINKERS.iter().map(Path::new).chain([program]);
    let rules = rules
        .add_rules(path_beneath_rules(libraries(program), AccessFs::ReadFile))?
        .add_rules(path_beneath_rules(started, AccessFs::ReadFile | AccessFs::Execute))?;
    match document {
        Some(document) => rules.add_rule(PathBeneath::new(document, AccessFs::ReadFile)),
        None => Ok(rules),
    }
}

/// The system's own folders, those that the user names, and the one beside the program's folder.
fn libraries(program: &Path) -> Vec<PathBuf> {
    let named = std::env::var_os("LD_LIBRARY_PATH").unwrap_or_default();
    let named = std::env::split_paths(&named).filter(|folder| folder.is_absolute()).collect::<Vec<_>>();
    let own = program.canonicalize().ok().and_then(|path| Some(path.parent()?.parent()?.join("lib")));
    LIBRARIES.iter().map(PathBuf::from).chain(named).chain(own).collect()
}
