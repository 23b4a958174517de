//! Rows that are a document's merged record, or one of many records of a unit: the program over the tiny bundle.

use std::{fs, path::Path};

use serde_json::{Value, json};

use crate::cli::{code, errors, run, shown, text};

const INPUTS: [&str; 2] = ["fixtures/documents/form.pdf", "fixtures/documents/invoice.pdf"];

/// A pipeline with such a `[parse]` table, beside `folder`'s dataset.
fn pipeline(folder: &Path, parse: &str) -> std::path::PathBuf {
    let root = env!("CARGO_MANIFEST_DIR");
    let text = format!(
        "name = \"records\"\nmodel = \"{root}/onnx/tiny\"\nallowed_failures = 1.0\n[encode]\nbudget = 70\nprompt = \"Describe.\"\n\
         [generate]\nmax_tokens = 160\nslots = 2\n[parse]\nschema = \"{root}/schemas/demo.json\"\nevidence = true\n{parse}"
    );
    let path = folder.join("records.toml");
    fs::write(&path, text).unwrap();
    path
}

fn extracted(folder: &Path, parse: &str) -> (Vec<Value>, Value) {
    let (path, set) = (pipeline(folder, parse), folder.join("set"));
    let output = run(&["run", text(&path), INPUTS[0], INPUTS[1], "--output", text(&set), "--device", "cpu"]);
    assert_eq!(code(&output), 0, "{}", errors(&output));
    let report = serde_json::from_slice(&fs::read(set.join("run.json")).unwrap()).unwrap();
    (shown(&set, &[]), report)
}

#[test]
fn a_document_is_one_row() {
    let folder = tempfile::tempdir().unwrap();
    let (units, _) = extracted(folder.path(), "");
    fs::remove_dir_all(folder.path().join("set")).unwrap();
    let (rows, report) = extracted(folder.path(), "record = \"document\"\n");
    assert_eq!(rows.len(), INPUTS.len());
    for row in &rows {
        assert_eq!((&row["_part"], &row["_failed_parts"]), (&"whole".into(), &Value::Array(Vec::new())));
        let own: Vec<&Value> = units.iter().filter(|unit| unit["_source"] == row["_source"]).collect();
        let parts = row["_parts"].as_array().unwrap();
        let said: Vec<_> = parts.iter().map(|part| (&part["page"], &part["raw"])).collect();
        let alone: Vec<_> = own.iter().map(|unit| (&unit["_page"], &unit["_raw"])).collect();
        assert_eq!(said, alone, "the answers are those about each page alone, in the order of the document");
        let tokens: i64 = own.iter().map(|unit| unit["_new_tokens"].as_i64().unwrap()).sum();
        assert_eq!(row["_new_tokens"], tokens);
    }
    let totals = &report["totals"];
    assert_eq!((&totals["answered"], &totals["rows"]), (&units.len().into(), &rows.len().into()));
    assert_eq!(totals["balanced"], true);
    let output = run(&["replay", text(&folder.path().join("set")), "--row", "1", "--device", "cpu"]);
    assert_eq!(code(&output), 2);
    assert!(errors(&output).contains("`_parts`"), "{}", errors(&output));
    let output = run(&["explain", text(&folder.path().join("set")), "--row", "1"]);
    assert_eq!(code(&output), 0, "{}", errors(&output));
}

#[test]
fn pages_that_are_shown_together_are_one_unit() {
    let folder = tempfile::tempdir().unwrap();
    let (rows, report) = extracted(folder.path(), "[decode]\npages_per_unit = 3\n");
    let of: Vec<_> =
        rows.iter().map(|row| (&row["_part"], &row["_page"], &row["_last_page"], &row["_pages"])).collect();
    // The form has one page, the invoice two.
    let [page, pages] = [Value::from("page"), Value::from("pages")];
    assert_eq!(of, [(&page, &1.into(), &1.into(), &1.into()), (&pages, &1.into(), &2.into(), &2.into())]);
    assert!(rows[1]["_image_tokens"].as_i64() > Some(70), "two pictures");
    assert_eq!(report["totals"]["balanced"], true);
    let on: Vec<i64> = evidence(&rows[1]).iter().filter_map(|one| one["page"].as_i64()).collect();
    assert!(on.iter().all(|page| (1..=2).contains(page)), "{on:?}");
    let set = folder.path().join("set");
    let output = run(&["replay", text(&set), "--row", "2", "--device", "cpu"]);
    assert_eq!(code(&output), 0, "{}", errors(&output));
    // Shown one by one the invoice's pages are other units; the form, which has only one, is asked about again.
    let before: Vec<Value> = rows.iter().map(|row| row["_unit"].clone()).collect();
    let (rows, _) = extracted(folder.path(), "");
    assert_eq!(rows.iter().filter(|row| before.contains(&row["_unit"])).count(), 1);
    assert_eq!(rows.len(), 3, "the row of both is gone");
    fs::remove_dir_all(&set).unwrap();
    let (rows, _) = extracted(folder.path(), "record = \"document\"\n[decode]\npages_per_unit = 2\n");
    let part = &rows[1]["_parts"][0];
    assert_eq!((&rows[1]["_part"], &part["page"], &part["last_page"]), (&"whole".into(), &1.into(), &2.into()));
}

fn evidence(row: &Value) -> &[Value] {
    row["_evidence"].as_array().unwrap()
}

#[test]
fn what_pages_together_cannot_have_is_said_before_a_run() {
    let folder = tempfile::tempdir().unwrap();
    let refused = |parse: &str| {
        let path = pipeline(folder.path(), parse);
        let whole = fs::read_to_string(&path).unwrap();
        let schema = if parse.contains("boxes") { "detection.json" } else { "demo.json" };
        fs::write(&path, whole.replace("demo.json", schema)).unwrap();
        let output = run(&["check", text(&path)]);
        assert_eq!(code(&output), 2, "{parse}");
        errors(&output)
    };
    assert!(refused("[decode]\npages_per_unit = 2\n[ladder]\nsteps = [{ tiles = 2 }]\n").contains("`tiles`"));
    assert!(refused("# boxes\n[decode]\npages_per_unit = 2\n").contains("`box_2d`"));
    assert!(refused("[decode]\npages_per_unit = 0\n").contains("from 1 to 64"));
    // Each page takes up to 72 tokens, an answer 160.
    let path = pipeline(folder.path(), "[decode]\npages_per_unit = 64\n");
    let whole = fs::read_to_string(&path).unwrap();
    fs::write(&path, whole.replace("slots = 2", "slots = 2\ncontext = 1400")).unwrap();
    let output = run(&["check", text(&path)]);
    assert_eq!(code(&output), 2);
    let said = errors(&output);
    let fitting = said.split("lower `pages_per_unit` to ").nth(1).and_then(|rest| rest.split(',').next()).unwrap();
    let fitting: usize = fitting.parse().unwrap_or_else(|_| panic!("{said}"));
    for (pages, ends) in [(fitting, 0), (fitting + 1, 2)] {
        let changed = whole.replace("slots = 2", "slots = 2\ncontext = 1400");
        fs::write(&path, changed.replace("pages_per_unit = 64", &format!("pages_per_unit = {pages}"))).unwrap();
        assert_eq!(code(&run(&["check", text(&path)])), ends, "{pages} pages");
    }
}

#[test]
fn a_unit_may_list_many_records() {
    let folder = tempfile::tempdir().unwrap();
    let (rows, report) = extracted(folder.path(), "record = \"list\"\nmost_records = 3\n");
    let totals = &report["totals"];
    assert_eq!(totals["balanced"], true);
    assert_eq!(totals["rows"], rows.len());
    let mut listed = 0;
    for row in rows.iter().filter(|row| row["_record"] == 0) {
        let answer: Value = serde_json::from_str(row["_raw"].as_str().unwrap()).unwrap();
        let records = answer["records"].as_array().unwrap();
        let own: Vec<&Value> = rows.iter().filter(|other| other["_unit"] == row["_unit"]).collect();
        assert_eq!(own.len(), records.len());
        for (number, (row, record)) in own.iter().zip(records).enumerate() {
            assert_eq!(row["_record"], number);
            let fields = record.as_object().unwrap().iter().filter(|(_, value)| value.is_string());
            fields.for_each(|(name, value)| assert_eq!(&row[name], value, "{name}"));
            let paths = row["_evidence"].as_array().unwrap().iter().map(|one| one["path"].as_str().unwrap());
            paths.for_each(|path| assert!(!path.starts_with("/records"), "{path}"));
        }
        listed += records.len();
    }
    assert_eq!(listed, rows.len());
    if !rows.is_empty() {
        let output = run(&["replay", text(&folder.path().join("set")), "--row", "1", "--device", "cpu"]);
        assert_eq!(code(&output), 0, "{}", errors(&output));
    }
}

#[test]
fn a_unit_that_lists_nothing_is_accounted_for_without_a_row() {
    let folder = tempfile::tempdir().unwrap();
    let record = |title: &str| json!({"kind": "other", "title": title, "keywords": [], "date": null, "legible": true, "people": 0});
    let answers = json!([{"records": []}, {"records": [record("one"), record("two")]}, {"records": []}]);
    fs::write(folder.path().join("answers.json"), answers.to_string()).unwrap();
    let (path, set) = (pipeline(folder.path(), "record = \"list\"\n"), folder.path().join("set"));
    let answers = folder.path().join("answers.json");
    let output = run(&["run", text(&path), INPUTS[0], INPUTS[1], "--output", text(&set), "--replay", text(&answers)]);
    assert_eq!(code(&output), 0, "{}", errors(&output));
    let rows = shown(&set, &[]);
    assert_eq!(rows.iter().map(|row| &row["title"]).collect::<Vec<_>>(), ["one", "two"]);
    let report: Value = serde_json::from_slice(&fs::read(set.join("run.json")).unwrap()).unwrap();
    let totals = &report["totals"];
    assert_eq!((&totals["answered"], &totals["rows"], &totals["balanced"]), (&3.into(), &2.into(), &true.into()));
    // Going on finds nothing left to ask, though two units have no row to tell it by.
    let again = run(&["run", text(&path), INPUTS[0], INPUTS[1], "--output", text(&set), "--replay", text(&answers)]);
    assert_eq!(code(&again), 0, "{}", errors(&again));
    assert_eq!(shown(&set, &[]).len(), 2);
}

#[test]
fn what_cannot_be_merged_or_has_no_effect_is_said_before_a_run() {
    let folder = tempfile::tempdir().unwrap();
    let refused = |parse: &str| {
        let output = run(&["check", text(&pipeline(folder.path(), parse))]);
        assert_eq!(code(&output), 2, "{parse}");
        errors(&output)
    };
    assert!(refused("merge = { nobody = \"first\" }\nrecord = \"document\"\n").contains("`nobody`"));
    assert!(refused("merge = { nobody = \"first\" }\n").contains("without `record = \"document\"`"));
    assert!(refused("most_records = 3\n").contains("without `record = \"list\"`"));
    assert!(refused("record = \"list\"\nmost_records = 0\n").contains("out of range"));
    assert!(refused("record = \"pages\"\n").contains("pages"));
    let path = pipeline(folder.path(), "merge = { nobody = \"first\" }\nrecord = \"document\"\n");
    let output = run(&["schema", "check", "schemas/demo.json", "--pipeline", text(&path)]);
    assert_ne!(code(&output), 0);
    let said = String::from_utf8_lossy(&output.stdout).into_owned() + &errors(&output);
    assert!(said.contains("`nobody`"), "{said}");
}

/// A long text whose parts, and then the notes of them, are answered with these in turn.
fn reduced(folder: &Path, reduce: &str, answers: &[&str]) -> (std::process::Output, std::path::PathBuf) {
    let root = env!("CARGO_MANIFEST_DIR");
    let (path, file, set) = (folder.join("summary.toml"), folder.join("answers.json"), folder.join("set"));
    let document = folder.join("talk.txt");
    let schema = json!({ "type": "object", "required": ["said"], "properties": { "said": { "type": "string" } } });
    fs::write(folder.join("schema.json"), schema.to_string()).unwrap();
    let pipeline = format!(
        "name = \"summary\"\nmodel = \"{root}/onnx/tiny\"\n[decode]\ntext = {{ longest = 200 }}\n[encode]\nprompt = \"Sum up.\"\n\
         [generate]\nmax_tokens = 160\nslots = 1\ncontext = 320\n[parse]\nschema = \"schema.json\"\nrecord = \"document\"\n[reduce]\n{reduce}"
    );
    fs::write(&path, pipeline).unwrap();
    let paragraph = |number: u32| format!("{}\n\n", format!("Sentence {number} of the talk. ").repeat(7).trim());
    fs::write(&document, (1..=5).map(paragraph).collect::<String>()).unwrap();
    let answers: Vec<Value> = answers.iter().map(|said| json!({ "said": said })).collect();
    fs::write(&file, json!(answers).to_string()).unwrap();
    let output = run(&["run", text(&path), text(&document), "--output", text(&set), "--replay", text(&file)]);
    (output, set)
}

#[test]
fn what_is_said_of_the_parts_of_a_long_text_is_read_once_more() {
    let folder = tempfile::tempdir().unwrap();
    let answers = ["one", "two", "three", "four", "five", "all five"];
    let (output, set) = reduced(folder.path(), "prompt = \"Make one of them.\"\nlongest = 200", &answers);
    assert_eq!(code(&output), 0, "{}", errors(&output));
    let rows = shown(&set, &[]);
    let [row] = &rows[..] else { panic!("{rows:?}") };
    assert_eq!((&row["said"], &row["_part"]), (&"all five".into(), &"whole".into()));
    let parts = row["_parts"].as_array().unwrap();
    let said: Vec<&str> = parts.iter().map(|part| part["raw"].as_str().unwrap()).collect();
    assert_eq!(said[4], r#"{"said":"five"}"#);
    assert_eq!(
        (&parts[0]["start"], &parts[1]["start"], &parts[0]["end"]),
        (&json!(0.0), &parts[0]["end"], &json!(169.0))
    );
    let report: Value = serde_json::from_slice(&fs::read(set.join("run.json")).unwrap()).unwrap();
    let totals = &report["totals"];
    assert_eq!((&totals["units"], &totals["rows"], &totals["balanced"]), (&6.into(), &1.into(), &true.into()));
    // Nothing is asked again of a document that is through.
    let (output, set) = reduced(folder.path(), "prompt = \"Make one of them.\"\nlongest = 200", &answers);
    assert_eq!(code(&output), 0, "{}", errors(&output));
    let report: Value = serde_json::from_slice(&fs::read(set.join("run.json")).unwrap()).unwrap();
    assert_eq!((&report["totals"]["documents_kept"], &report["totals"]["answered"]), (&1.into(), &0.into()));
}

#[test]
fn notes_that_do_not_fit_are_a_failure_that_says_so_and_contradictions_are_named_before_a_run() {
    let folder = tempfile::tempdir().unwrap();
    // Two notes are read together though they are longer than is said to fit.
    let long = "word ".repeat(130);
    let (output, set) = reduced(folder.path(), "prompt = \"Make one of them.\"\nlongest = 200", &[&long]);
    assert_eq!(code(&output), 1, "{}", errors(&output));
    let failures = shown(&set, &["--failures"]);
    let [failure] = &failures[..] else { panic!("{failures:?}") };
    assert_eq!((&failure["kind"], &failure["_part"]), (&"too_long".into(), &"whole".into()));
    assert!(
        failure["message"].as_str().unwrap().starts_with("the answers about its parts became no record"),
        "{failure}"
    );
    assert_eq!(shown(&set, &[]).len(), 0);
    let folder = tempfile::tempdir().unwrap();
    let (output, _) = reduced(folder.path(), "prompt = \"Make one of them.\"", &[""]);
    assert_eq!(code(&output), 2);
    assert!(errors(&output).contains("notes, of 16000 characters may take"), "{}", errors(&output));
    let folder = tempfile::tempdir().unwrap();
    let wrong = "prompt = \"\"\nlongest = 1\n[parse.merge]\nsaid = \"longest\"";
    let (output, _) = reduced(folder.path(), wrong, &[""]);
    assert_eq!(code(&output), 2);
    for problem in ["reduce.prompt: it is empty", "reduce.longest", "[parse.merge] has no effect"] {
        assert!(errors(&output).contains(problem), "{problem}: {}", errors(&output));
    }
}
