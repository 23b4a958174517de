//! `lapidary replay` and `lapidary explain`: rows of a dataset asked for again, and explained.

use std::{
    fs,
    path::{Path, PathBuf},
};

use crate::cli::{code, errors, remember_otherwise, run, shown, text};

/// A pipeline over the tiny bundle that tries cut answers again; it lies beside `folder`'s dataset.
fn extracted(folder: &Path, inputs: &[&str]) {
    let root = env!("CARGO_MANIFEST_DIR");
    let pipeline = format!(
        "name = \"again\"\nmodel = \"{root}/onnx/tiny\"\nallowed_failures = 1.0\n[encode]\nbudget = 140\nprompt = \"Describe.\"\n\
         [generate]\nmax_tokens = 120\nslots = 2\n[parse]\nschema = \"{root}/schemas/demo.json\"\nevidence = true\n\
         [ladder]\nsteps = [{{ budget = 280 }}, {{ rotate = 90, temperature = 0.7 }}]\n"
    );
    let path = folder.join("again.toml");
    fs::write(&path, pipeline).unwrap();
    let set = folder.join("set");
    let mut arguments = vec!["run", text(&path)];
    arguments.extend(inputs);
    arguments.extend(["--output", text(&set), "--device", "cpu"]);
    let output = run(&arguments);
    assert_eq!(code(&output), 0, "{}", errors(&output));
    // What a dataset remembers is enough.
    fs::remove_file(path).unwrap();
}

/// A dataset of one note, which is given.
fn of_a_note(folder: &Path) -> PathBuf {
    let note = folder.join("note.txt");
    fs::write(&note, "A note.").unwrap();
    extracted(folder, &[text(&note)]);
    note
}

#[test]
fn any_row_is_answered_again_to_the_letter() {
    let folder = tempfile::tempdir().unwrap();
    extracted(
        folder.path(),
        &["fixtures/documents/form.pdf", "fixtures/documents/invoice.pdf", "fixtures/sound/note.wav"],
    );
    let set = folder.path().join("set");
    let rows = shown(&set, &[]);
    assert!(rows.iter().any(|row| row["_attempt"] != 0), "one that was tried again is among them");
    assert!(rows.iter().any(|row| row["_page"] == 2), "and a second page");
    for (number, row) in (1..).zip(&rows) {
        let output = run(&["replay", text(&set), "--row", &number.to_string(), "--device", "cpu"]);
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        assert_eq!(code(&output), 0, "row {number} {row}: {said}{}", errors(&output));
        assert!(said.contains("identical") && said.contains(row["_raw"].as_str().unwrap()), "{said}");
        assert!(!errors(&output).contains("note:"), "{}", errors(&output));
    }
}

#[test]
fn what_is_not_there_any_more_is_said() {
    let folder = tempfile::tempdir().unwrap();
    let note = of_a_note(folder.path());
    let set = folder.path().join("set");
    let refused = |arguments: &[&str]| {
        let output = run(&[&["replay", text(&set)], arguments].concat());
        assert_eq!(code(&output), 2, "{}", errors(&output));
        errors(&output)
    };
    let said = refused(&["--row", "2"]);
    assert!(said.contains("has no row 2: there are 1"), "{said}");
    assert!(refused(&["--row", "0"]).contains("has no row 0: rows count from 1"));
    fs::write(&note, "Another note.").unwrap();
    assert!(refused(&["--row", "1"]).contains("has another content than then"));
    fs::remove_file(&note).unwrap();
    assert!(refused(&["--row", "1"]).contains("note.txt"));
    fs::write(&note, "A note.").unwrap();
    assert!(refused(&["--row", "1", "--model", "nowhere"]).contains("nowhere"));
}

#[test]
fn why_a_file_cannot_be_read_is_said_and_where_to_call_from() {
    let folder = tempfile::tempdir().unwrap();
    let note = of_a_note(folder.path());
    let refused = || {
        let output = run(&["replay", text(&folder.path().join("set")), "--row", "1"]);
        assert_eq!(code(&output), 2, "{}", errors(&output));
        errors(&output)
    };
    fs::write(&note, "").unwrap();
    assert!(refused().contains("it has no bytes"), "{}", refused());
    fs::remove_file(&note).unwrap();
    let said = refused();
    for words in ["there is no such file", "bring the file back", "call this where the run was called"] {
        assert!(said.contains(words), "{words} is not in {said}");
    }
}

#[test]
fn a_row_tells_how_it_came_about() {
    let folder = tempfile::tempdir().unwrap();
    extracted(folder.path(), &["fixtures/documents/form.pdf"]);
    let output = run(&["explain", text(&folder.path().join("set")), "--row", "1"]);
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(code(&output), 0, "{}", errors(&output));
    for words in ["form.pdf (page 1 of 1)", "prompt = \"Describe.\"", "_budget", "evidence", "agreement: ", "model "] {
        assert!(said.contains(words), "{words} is not in {said}");
    }
    // The prompt is made again from the file: the chat's turns, the schema, and as many soft tokens as the row counts.
    let row = &shown(&folder.path().join("set"), &[])[0];
    let soft = format!("<|image|> ({} times)", row["_image_tokens"]);
    for words in ["<bos><|turn>system", "\"properties\"", &soft, "Describe.<turn|>"] {
        assert!(said.contains(words), "{words} is not in {said}");
    }
}

#[test]
fn a_row_whose_file_is_gone_is_explained_without_its_prompt() {
    let folder = tempfile::tempdir().unwrap();
    let note = of_a_note(folder.path());
    fs::remove_file(&note).unwrap();
    let output = run(&["explain", text(&folder.path().join("set")), "--row", "1"]);
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(code(&output), 0, "{}", errors(&output));
    assert!(said.contains("not to be had any more") && said.contains("note.txt"), "{said}");
}

#[test]
fn a_row_is_read_though_a_key_of_its_settings_would_be_refused_today() {
    let folder = tempfile::tempdir().unwrap();
    of_a_note(folder.path());
    let set = folder.path().join("set");
    remember_otherwise(&set, |settings| {
        let cold = settings.replace("temperature = 0.7", "temperature = 0.0");
        assert!(cold != settings && cold.contains("max_tokens = 120\n"), "{settings}");
        cold.replace("max_tokens = 120\n", "max_tokens = 120\nseed = 7\n") + "\n[write]\nseconds_per_part = 0\n"
    });
    for command in [&["explain"][..], &["replay", "--device", "cpu"]] {
        let output = run(&[command, &["--row", "1", text(&set)]].concat());
        assert!([0, 1].contains(&code(&output)), "the answer may have been drawn: {}", errors(&output));
        assert!(!errors(&output).contains("problem"), "{}", errors(&output));
    }
}
