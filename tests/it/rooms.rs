//! The rules of the house: who may import whom, and where each outside crate lives.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

const STAGES: [&str; 6] = ["collect", "decode", "encode", "generate", "parse", "write"];

/// Outside crates and the only rooms that may name them.
const HOMES: [(&str, &[&str]); 37] = [
    ("arrow", &["write"]),
    ("clap", &["cli"]),
    ("crossbeam", &["app", "decode", "generate"]),
    ("ctrlc", &["cli"]),
    ("fast_image_resize", &["encode"]),
    ("futures_util", &["write"]),
    ("glob", &["collect"]),
    ("image", &["decode"]),
    ("earshot", &["decode"]),
    ("indicatif", &["cli"]),
    ("infer", &["collect"]),
    ("jsonschema", &["base"]),
    ("landlock", &["decode"]),
    ("libloading", &["generate"]),
    ("llguidance", &["generate"]),
    ("minijinja", &["encode"]),
    ("nvml_wrapper", &["base"]),
    ("object_store", &["write"]),
    ("ort", &["generate"]),
    ("parquet", &["write"]),
    ("pdfium_render", &["decode"]),
    ("prost", &["bundle"]),
    ("regex", &["parse"]),
    ("regex_syntax", &["generate"]),
    ("rustls", &["bundle", "write"]),
    ("rustfft", &["encode"]),
    ("rubato", &["decode"]),
    ("seccompiler", &["decode"]),
    ("strsim", &["app"]),
    ("symphonia", &["decode"]),
    ("tiff", &["decode"]),
    ("tokio", &["write"]),
    ("tracing_subscriber", &["cli"]),
    ("unicode_normalization", &["app", "parse"]),
    ("unicode_segmentation", &["app"]),
    ("ureq", &["bundle"]),
    ("url", &["write"]),
];

fn source_files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let (folders, files): (Vec<_>, Vec<_>) = entries.partition(|path| path.is_dir());
    let below = folders.iter().flat_map(|folder| source_files(folder));
    files.into_iter().filter(|path| path.extension().is_some_and(|end| end == "rs")).chain(below).collect()
}

/// The code of a file without its comments.
fn code(path: &Path) -> String {
    let text = fs::read_to_string(path).unwrap();
    text.lines().map(|line| line.split("//").next().unwrap_or_default()).collect::<Vec<_>>().join("\n")
}

fn room_of(path: &Path, src: &Path) -> String {
    let inside = path.strip_prefix(src).unwrap();
    inside.components().next().unwrap().as_os_str().to_string_lossy().into_owned()
}

/// The rooms that a file imports: the word after each `crate::`, or each word at the top level of `crate::{...}`.
fn rooms_imported(code: &str) -> BTreeSet<String> {
    let word =
        |text: &str| text.trim_start().chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect::<String>();
    code.match_indices("crate::")
        .flat_map(|(at, path)| {
            let rest = &code[at + path.len()..];
            match rest.strip_prefix('{') {
                None => vec![word(rest)],
                // The last part is empty where the group ends with a comma.
                Some(group) => {
                    top_level_parts(group).iter().map(|part| word(part)).filter(|word| !word.is_empty()).collect()
                }
            }
        })
        .collect()
}

/// The parts between the commas of a `{...}` group whose opening brace has been taken off.
fn top_level_parts(group: &str) -> Vec<&str> {
    let (mut parts, mut depth, mut from) = (Vec::new(), 0, 0);
    for (at, c) in group.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth == 0 => {
                parts.push(&group[from..at]);
                break;
            }
            '}' => depth -= 1,
            ',' if depth == 0 => {
                parts.push(&group[from..at]);
                from = at + 1;
            }
            _ => {}
        }
    }
    parts
}

fn names(code: &str, outside: &str) -> bool {
    code.match_indices(&format!("{outside}::")).any(|(at, _)| {
        let before = code[..at].chars().next_back();
        !before.is_some_and(|c| c.is_alphanumeric() || c == '_' || c == ':')
    })
}

#[test]
fn a_stage_imports_base_and_no_other_room() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    for stage in STAGES {
        for path in source_files(&src.join(stage)) {
            let strangers = rooms_imported(&code(&path));
            let strangers: Vec<_> = strangers.iter().filter(|room| *room != "base" && *room != stage).collect();
            assert!(strangers.is_empty(), "{} imports {strangers:?}", path.display());
        }
    }
}

#[test]
fn base_imports_no_room_and_only_cli_knows_cli() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    for path in source_files(&src) {
        let (room, imported) = (room_of(&path, &src), rooms_imported(&code(&path)));
        assert!(
            room != "base" || imported.iter().all(|other| other == "base"),
            "{} imports {imported:?}",
            path.display()
        );
        assert!(room == "cli" || !imported.contains("cli"), "{} imports cli", path.display());
    }
}

#[test]
fn each_outside_crate_has_its_home() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    for path in source_files(&src) {
        let (room, code) = (room_of(&path, &src), code(&path));
        for (outside, homes) in HOMES {
            // A room may have a module of that name itself, as `encode::image`.
            let own_module = src.join(&room).join(outside).with_extension("rs").exists();
            let at_home = own_module || homes.contains(&room.as_str());
            assert!(at_home || !names(&code, outside), "{} names {outside}", path.display());
        }
    }
}

#[test]
fn nothing_but_cli_prints() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    // The standard error of a decoder child is a pipe to its parent.
    let may_print = |path: &PathBuf| room_of(path, &src) == "cli" || path.starts_with(src.join("decode/child"));
    for path in source_files(&src).into_iter().filter(|path| !may_print(path)) {
        let code = code(&path);
        for print in ["println!", "eprintln!", "print!("] {
            assert!(!code.contains(print), "{} prints with {print}", path.display());
        }
    }
}

/// The files with unsafe code, each with a paragraph that says why it is sound.
const UNSAFE: [&str; 9] = [
    "decode/child/deed.rs",
    "decode/leash.rs",
    "decode/shared/memory.rs",
    "generate/cuda/api.rs",
    "generate/cuda/imitation.rs",
    "generate/cuda/runtime.rs",
    "generate/operators/blocks/ahead.rs",
    "generate/operators/blocks/vnni.rs",
    "generate/raw.rs",
];

#[test]
fn unsafe_code_stands_only_in_named_files_that_say_why_it_is_sound() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    assert!(fs::read_to_string(src.join("lib.rs")).unwrap().contains("#![deny(unsafe_code)]"));
    for path in source_files(&src) {
        let text = fs::read_to_string(&path).unwrap();
        let named = UNSAFE.iter().any(|name| path == src.join(name));
        let has = names_word(&code(&path), "unsafe") || text.contains("allow(unsafe_code)");
        assert_eq!(has, named, "{}: unsafe code, and the list of files that may have it", path.display());
        assert!(!named || text.contains("SAFETY"), "{} does not say why its unsafe code is sound", path.display());
    }
}

fn names_word(code: &str, word: &str) -> bool {
    code.split(|c: char| !c.is_alphanumeric() && c != '_').any(|other| other == word)
}
