//! `lapidary failures`: dead letters of real runs, written, looked at, and reproduced by their own scripts.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use serde_json::Value;

use crate::cli::{code, errors, run, text};

/// A run over `inputs`; `more` goes behind the pipeline's `[generate]`.
fn extracted(folder: &Path, inputs: &[&str], more: &str) -> PathBuf {
    let root = env!("CARGO_MANIFEST_DIR");
    let pipeline = format!(
        "name = \"letters\"\nmodel = \"{root}/onnx/tiny\"\nallowed_failures = 1.0\n[encode]\nbudget = 140\n\
         [parse]\nschema = \"{root}/schemas/demo.json\"\n[generate]\nmax_tokens = 60\nslots = 2\n{more}"
    );
    let path = folder.join("letters.toml");
    fs::write(&path, pipeline).unwrap();
    let set = folder.join("set");
    let output = run(&[&["run", text(&path)], inputs, &["--output", text(&set), "--device", "cpu"]].concat());
    assert_eq!(code(&output), 0, "{}", errors(&output));
    // What a dataset remembers is enough.
    fs::remove_file(path).unwrap();
    set
}

/// The letters of an export, with their facts, in order.
fn letters(out: &Path) -> Vec<(PathBuf, Value)> {
    let folders = fs::read_dir(out)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.join("failure.json").is_file());
    let mut folders: Vec<PathBuf> = folders.collect();
    folders.sort();
    let facts = |path: &Path| serde_json::from_slice(&fs::read(path.join("failure.json")).unwrap()).unwrap();
    folders.into_iter().map(|path| (path.clone(), facts(&path))).collect()
}

fn export(set: &Path, out: &Path, more: &[&str]) -> (i32, String) {
    let output = run(&[&["failures", "export", text(set), text(out)], more].concat());
    (code(&output), errors(&output))
}

/// Exit code and all words of a letter's own script.
#[cfg(unix)]
fn reproduced(letter: &Path) -> (Option<i32>, String) {
    let script = Command::new(letter.join("reproduce.sh")).current_dir("/").stdin(Stdio::null()).output().unwrap();
    (script.status.code(), errors(&script) + &String::from_utf8_lossy(&script.stdout))
}

/// Every letter of a dataset's failures is there, and its script ends in the same failure.
#[cfg(unix)]
fn all_reproduce(set: &Path, out: &Path) -> Vec<(PathBuf, Value)> {
    let letters = letters(out);
    assert_eq!(letters.len(), crate::cli::shown(set, &["--failures"]).len());
    for (path, facts) in &letters {
        let (code, said) = reproduced(path);
        assert_eq!(code, Some(1), "{}: {said}", path.display());
        let message = facts["failure"]["message"].as_str().unwrap();
        assert!(said.contains(message), "{}: {message} is not in {said}", path.display());
    }
    letters
}

#[cfg(unix)]
#[test]
fn what_cannot_be_read_is_there_and_fails_again_by_its_own_script() {
    let folder = tempfile::tempdir().unwrap();
    let set = extracted(folder.path(), &["fixtures/broken", "fixtures/documents/encrypted.pdf"], "");
    let out = folder.path().join("letters");
    let (code, said) = export(&set, &out, &[]);
    assert_eq!(code, 0, "{said}");
    let letters = all_reproduce(&set, &out);
    for (path, facts) in &letters {
        let source = Path::new(facts["failure"]["_source"].as_str().unwrap());
        let file = facts["enclosed"]["file"].as_str().unwrap();
        if facts["enclosed"]["what"] == "document" {
            assert_eq!(fs::read(path.join(file)).unwrap(), fs::read(source).unwrap(), "{}", path.display());
        }
        let log = fs::read_to_string(path.join("log.txt")).unwrap();
        assert!(log.contains(facts["failure"]["hint"].as_str().unwrap()), "{log}");
    }
    // The page is larger than is allowed, in its document and alone.
    let huge = letters.iter().find(|(path, _)| path.display().to_string().contains("huge")).unwrap();
    assert_eq!(huge.1["enclosed"]["what"], "part", "{}", huge.1);
    // A page that cannot be loaded cannot be copied, or is whole when it is.
    let bad = letters.iter().find(|(path, _)| path.display().to_string().contains("one-bad-page")).unwrap();
    assert_eq!(bad.1["enclosed"]["what"], "document", "{}", bad.1);
    assert!(bad.1["remarks"][0].as_str().unwrap().contains("not here alone"), "{}", bad.1);
}

#[cfg(unix)]
#[test]
fn what_fails_after_decoding_is_there_alone_and_decodes_to_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let note = folder.path().join("it's $(a) note.txt");
    fs::write(&note, "A note.").unwrap();
    let inputs =
        ["fixtures/documents/invoice.pdf", "fixtures/pictures/pages.tif", "fixtures/sound/letter.mp3", text(&note)];
    // No prompt is so short.
    let set = extracted(folder.path(), &inputs, "context = 61\n");
    let out = folder.path().join("letters");
    let (code, said) = export(&set, &out, &[]);
    assert_eq!(code, 0, "{said}");
    let letters = all_reproduce(&set, &out);
    let enclosed = |name: &str| {
        let of = |(_, facts): &&(PathBuf, Value)| facts["failure"]["_source"].as_str().unwrap().ends_with(name);
        let files: Vec<&str> =
            letters.iter().filter(of).map(|(_, facts)| facts["enclosed"]["file"].as_str().unwrap()).collect();
        files
    };
    assert_eq!(enclosed("invoice.pdf"), ["part.pdf", "part.pdf"]);
    assert_eq!(enclosed("note.txt"), ["document.txt"]);
    assert!(enclosed("pages.tif").len() > 1 && enclosed("pages.tif").iter().all(|file| *file == "part.png"));
    assert!(enclosed("letter.mp3").len() > 1 && enclosed("letter.mp3").iter().all(|file| *file == "part.wav"));
    let pages = letters.iter().filter(|(_, facts)| facts["failure"]["_part"] == "page");
    assert!(pages.into_iter().all(|(_, facts)| facts["remarks"][0].as_str().unwrap().contains("the same alone")));
}

#[cfg(unix)]
#[test]
fn settings_with_a_key_that_is_refused_today_are_exported_without_it() {
    let folder = tempfile::tempdir().unwrap();
    let note = folder.path().join("note.txt");
    fs::write(&note, "A note.").unwrap();
    let set = extracted(folder.path(), &[text(&note)], "context = 61\n");
    crate::cli::remember_otherwise(&set, |settings| settings.replace("context = 61\n", "context = 61\nseed = 7\n"));
    let out = folder.path().join("letters");
    let (code, said) = export(&set, &out, &[]);
    assert_eq!(code, 0, "{said}");
    assert_eq!(all_reproduce(&set, &out).len(), 1);
}

#[test]
fn documents_that_are_gone_changed_or_too_large_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let names = ["changed.bin", "gone.bin", "large.bin", "well.bin"];
    let paths = names.map(|name| folder.path().join(name));
    for (number, path) in (0_u8..).zip(&paths) {
        let length = if number == 2 { 1_100_000 } else { 300 };
        fs::write(path, vec![number + 128; length]).unwrap();
    }
    let missing = folder.path().join("missing.pdf");
    let inputs: Vec<&str> = paths.iter().map(|path| text(path)).chain([text(&missing)]).collect();
    let set = extracted(folder.path(), &inputs, "");
    fs::write(&paths[0], "something else").unwrap();
    fs::remove_file(&paths[1]).unwrap();
    let out = folder.path().join("letters");
    let (code, said) = export(&set, &out, &["--largest-mb", "1"]);
    assert_eq!(code, 1, "{said}");
    assert!(said.contains("5 failures written") && said.contains("4 of them only partly"), "{said}");
    let letters = letters(&out);
    let facts = |name: &str| {
        let of = |(_, facts): &&(PathBuf, Value)| facts["failure"]["_source"].as_str().unwrap().ends_with(name);
        letters.iter().find(of).unwrap().1.clone()
    };
    assert!(facts("changed.bin")["source"]["state"].as_str().unwrap().contains("another content"));
    assert_eq!(facts("gone.bin")["enclosed"]["what"], "nothing");
    assert!(facts("large.bin")["remarks"][0].as_str().unwrap().contains("1100000 bytes"));
    assert_eq!(facts("well.bin")["enclosed"]["what"], "document");
    assert_eq!(facts("missing.pdf")["enclosed"]["what"], "nothing");
}

#[cfg(target_os = "linux")]
#[test]
fn a_document_that_is_only_named_is_found_whatever_bytes_are_in_its_name() {
    use std::{ffi::OsStr, os::unix::ffi::OsStrExt};

    let folder = tempfile::tempdir().unwrap();
    let inputs = folder.path().join("inputs");
    fs::create_dir(&inputs).unwrap();
    fs::write(inputs.join(OsStr::from_bytes(b"it's \xff.bin")), vec![130; 1_100_000]).unwrap();
    let set = extracted(folder.path(), &[text(&inputs)], "");
    let out = folder.path().join("letters");
    let (code, said) = export(&set, &out, &["--largest-mb", "1"]);
    assert_eq!(code, 1, "{said}");
    let letters = all_reproduce(&set, &out);
    let [(_, facts)] = &letters[..] else { panic!("{letters:?}") };
    assert_eq!(facts["enclosed"]["what"], "nothing");
    assert!(facts["source"]["path"].as_str().unwrap().ends_with("it's \u{fffd}ff.bin"), "{facts}");
}

#[test]
fn failures_are_counted_and_chosen_by_stage_and_kind() {
    let folder = tempfile::tempdir().unwrap();
    let set = extracted(folder.path(), &["fixtures/broken"], "");
    let output = run(&["failures", "list", text(&set)]);
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(code(&output), 0, "{}", errors(&output));
    let first = said.lines().nth(2).unwrap();
    assert!(first.starts_with("decode") && first.contains("corrupt"), "most first: {said}");
    assert!(said.contains("decode.limits.pixels") && said.contains("empty.pdf"), "{said}");

    let out = folder.path().join("letters");
    let (code, said) = export(&set, &out, &["--stage", "decode", "--kind", "too_large"]);
    assert_eq!(code, 0, "{said}");
    let kinds: Vec<Value> = letters(&out).into_iter().map(|(_, facts)| facts["failure"]["kind"].clone()).collect();
    assert_eq!(kinds, ["too_large", "too_large"]);
    let (code, said) = export(&set, &out, &[]);
    assert!(code == 2 && said.contains("is not empty"), "{said}");
    let few = folder.path().join("few");
    assert_eq!(export(&set, &few, &["--limit", "2"]).0, 0);
    assert_eq!(letters(&few).len(), 2);
    let (code, said) = export(&set, &few, &["--kind", "sour"]);
    assert!(code == 2 && said.contains("child_died"), "{said}");
}
