//! `lapidary score`: the program's own dataset against what is known of its documents.

use std::{
    fs,
    path::{Path, PathBuf},
};

use serde_json::{Value, json};

use crate::cli::{code, errors, run, shown, text};

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
    answered(folder, inputs, PIPELINE, &record("2026-03-09"))
}

/// A dataset of `inputs` under a schema of these properties, with more lines under `[parse]`.
fn of_schema(folder: &Path, inputs: &[&str], properties: &Value, parse: &str, answer: &Value) -> PathBuf {
    let schema = folder.join("schema.json");
    fs::write(&schema, json!({ "type": "object", "properties": properties }).to_string()).unwrap();
    let pipeline = PIPELINE.replace("ROOT/schemas/receipt.json", text(&schema)) + parse;
    answered(folder, inputs, &pipeline, answer)
}

/// A dataset of `inputs`, each of which is answered so.
fn answered(folder: &Path, inputs: &[&str], pipeline: &str, answer: &Value) -> PathBuf {
    let at = |name: &str| folder.join(name);
    fs::write(at("pipeline.toml"), pipeline.replace("ROOT", env!("CARGO_MANIFEST_DIR"))).unwrap();
    fs::write(at("answers.json"), json!([answer]).to_string()).unwrap();
    let (pipeline, answers, set) = (at("pipeline.toml"), at("answers.json"), at("set"));
    let options = ["--replay", text(&answers), "--output", text(&set)];
    let output = run(&[&["run", text(&pipeline)], inputs, &options].concat());
    assert_eq!(code(&output), 0, "{}", errors(&output));
    set
}

/// Asserts that all of a dataset is as it is known, line by line.
#[track_caller]
fn all_is_right(folder: &Path, set: &Path, known: &[Value]) {
    let truth = folder.join("truth.jsonl");
    fs::write(&truth, known.iter().map(|line| format!("{line}\n")).collect::<String>()).unwrap();
    let output = run(&["score", text(set), text(&truth), "--json", "--differences", "--at-least", "1"]);
    let score: Value = serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{}", errors(&output)));
    assert_eq!((&score["differences"], &score["whole"]), (&json!([]), &json!(known.len())));
    assert_eq!(code(&output), 0);
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

#[test]
fn records_of_one_page_are_compared_in_their_order() {
    let folder = tempfile::tempdir().unwrap();
    let date = json!({ "type": "string", "format": "date" });
    let properties = json!({ "date": date, "amount": { "type": "number", "multipleOf": 0.01 } });
    let records = [("2026-01-02", 10.5), ("2026-01-05", -20.5), ("2026-01-09", 7.25)]
        .map(|(date, amount)| json!({ "date": date, "amount": amount }));
    let list = "record = \"list\"\nmost_records = 4\n";
    let set = of_schema(folder.path(), &INPUTS[1..], &properties, list, &json!({ "records": records }));
    let known = records.map(|record| json!({ "file": "form.pdf", "page": 1, "record": record }));
    all_is_right(folder.path(), &set, &known);
}

#[test]
fn values_that_are_kept_as_json_text_are_compared_as_what_they_are() {
    let folder = tempfile::tempdir().unwrap();
    let number = json!({ "type": ["string", "integer"] });
    let properties = json!({
        "number": number, "code": number, "paid": { "enum": [true, false] }, "rate": { "enum": [0.07, 0.19] },
        "kind": { "enum": ["none", 0, 1.5] }, "codes": { "type": "array", "items": number }, "tree": {},
    });
    let answer = json!({
        "number": 12, "code": "A-7", "paid": true, "rate": 0.19, "kind": 1.5, "codes": ["A", 7],
        "tree": { "name": "x", "children": [] },
    });
    let set = of_schema(folder.path(), &INPUTS[1..], &properties, "", &answer);
    all_is_right(folder.path(), &set, &[json!({ "file": "form.pdf", "record": answer })]);
    let row = &shown(&set, &[])[0];
    for (name, value) in answer.as_object().unwrap() {
        assert_eq!(&row[name], value, "{name}");
    }
}

#[test]
fn points_in_time_are_compared_in_whatever_zone() {
    let folder = tempfile::tempdir().unwrap();
    let at = json!({ "type": "string", "format": "date-time" });
    let properties = json!({ "at": at, "stops": { "type": "array", "items": at } });
    let record = |at: &str, stop: &str| json!({ "at": at, "stops": [stop] });
    let answer = record("2026-03-09T12:00:00+02:00", "2026-03-09T09:30:00Z");
    let set = of_schema(folder.path(), &INPUTS[1..], &properties, "", &answer);
    for known in [answer, record("2026-03-09T10:00:00.000Z", "2026-03-09T11:30:00+02:00")] {
        all_is_right(folder.path(), &set, &[json!({ "file": "form.pdf", "record": known })]);
    }
}

#[test]
fn accents_may_be_composed_or_not() {
    let folder = tempfile::tempdir().unwrap();
    let input = folder.path().join("M\u{fc}ller.pdf");
    fs::copy(Path::new(env!("CARGO_MANIFEST_DIR")).join(INPUTS[1]), &input).unwrap();
    let properties = json!({ "vendor": { "type": "string" } });
    let answer = json!({ "vendor": "Caf\u{e9} M\u{fc}ller" });
    let set = of_schema(folder.path(), &[text(&input)], &properties, "", &answer);
    let known = json!({ "file": "Mu\u{308}ller.pdf", "record": { "vendor": "Cafe\u{301} Mu\u{308}ller" } });
    all_is_right(folder.path(), &set, &[known]);
}

#[test]
fn points_in_time_are_found_under_names_whose_accents_are_decomposed() {
    let folder = tempfile::tempdir().unwrap();
    let properties = json!({ "arrive\u{301}": { "type": "string", "format": "date-time" } });
    let answer = json!({ "arrive\u{301}": "2026-03-09T12:00:00+02:00" });
    let set = of_schema(folder.path(), &INPUTS[1..], &properties, "", &answer);
    for name in ["arrive\u{301}", "arriv\u{e9}"] {
        let known = json!({ "file": "form.pdf", "record": { name: "2026-03-09T11:00:00+01:00" } });
        all_is_right(folder.path(), &set, &[known]);
    }
}
