//! `lapidary score`: the program's own dataset against what is known of its documents.

use std::{
    fs,
    path::{Path, PathBuf},
};

use serde_json::{Value, json};

use crate::cli::{code, errors, run, text};

const PIPELINE: &str = r#"
name = "score"
model = "ROOT/onnx/tiny"
[encode]
budget = 70
prompt = "Read."
[generate]
max_tokens = 512
[parse]
schema = "ROOT/schemas/receipt.json"
evidence = true
"#;

const INPUTS: [&str; 2] = ["fixtures/documents/receipt.pdf", "fixtures/documents/form.pdf"];

/// The same record for both files: right for the one, not quite for the other.
fn record(date: &str) -> Value {
    let item = json!({ "description": "Tea", "quantity": 1, "amount": 4.80 });
    json!({ "merchant": "Cafe Amethyst", "date": date, "number": null, "currency": "EUR", "items": [item], "total": 4.8 })
}

/// A dataset of `inputs`, each of which is answered with the record of 9 March.
fn dataset(folder: &Path, inputs: &[&str]) -> PathBuf {
    let at = |name: &str| folder.join(name);
    fs::write(at("pipeline.toml"), PIPELINE.replace("ROOT", env!("CARGO_MANIFEST_DIR"))).unwrap();
    fs::write(at("answers.json"), json!([record("2026-03-09")]).to_string()).unwrap();
    let (pipeline, answers, set) = (at("pipeline.toml"), at("answers.json"), at("set"));
    let options = ["--replay", text(&answers), "--output", text(&set)];
    let output = run(&[&["run", text(&pipeline)], inputs, &options].concat());
    assert_eq!(code(&output), 0, "{}", errors(&output));
    set
}

#[test]
fn a_dataset_is_compared_with_what_is_known() {
    let folder = tempfile::tempdir().unwrap();
    let (set, truth) = (dataset(folder.path(), &INPUTS), folder.path().join("truth.jsonl"));
    let known = [
        json!({ "file": "documents/receipt.pdf", "page": 1, "record": record("2026-03-09") }),
        json!({ "file": "form.pdf", "record": record("2026-03-19") }),
        json!({ "file": "elsewhere/form.pdf", "record": { "total": 1 } }),
    ];
    fs::write(&truth, known.map(|line| format!("{line}\n")).concat()).unwrap();
    let output = run(&["score", text(&set), text(&truth), "--json", "--differences"]);
    assert_eq!(code(&output), 0, "{}", errors(&output));
    let score: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((&score["records"], &score["whole"], &score["missing"]), (&json!(3), &json!(1), &json!(1)));
    assert_eq!((&score["values"], &score["right"]), (&json!(19), &json!(17)));
    let dates = score["fields"].as_array().unwrap().iter().find(|field| field["field"] == "/date").unwrap();
    assert_eq!(dates, &json!({ "field": "/date", "values": 2, "right": 1, "character_error_rate": 0.05 }));
    let differences = json!([
        { "file": "form.pdf", "path": "/date", "known": "2026-03-19", "read": "2026-03-09", "has_row": true },
        { "file": "elsewhere/form.pdf", "path": "/total", "known": 1, "read": null, "has_row": false },
    ]);
    assert_eq!(score["differences"], differences);

    let output = run(&["score", text(&set), text(&truth), "--at-least", "0.9"]);
    assert_eq!(code(&output), 1);
    let shown = String::from_utf8(output.stdout).unwrap();
    assert!(shown.contains("all                   19      17     89.5 %"), "{shown}");
    assert_eq!(code(&run(&["score", text(&set), text(&truth), "--at-least", "0.8", "--quiet"])), 0);
}

#[test]
fn a_truth_about_other_documents_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let (set, truth) = (dataset(folder.path(), &INPUTS[..1]), folder.path().join("truth.jsonl"));
    fs::write(&truth, "{\"file\": \"unknown.pdf\", \"record\": {}}\n").unwrap();
    let output = run(&["score", text(&set), text(&truth)]);
    assert_eq!(code(&output), 2);
    assert!(errors(&output).contains("none of the documents in"), "{}", errors(&output));
}
