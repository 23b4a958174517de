//! The pipelines that come with the project, each run over a fixture with the tiny bundle: its weights are random, so that
//! what comes out is noise, but noise that has passed the pipeline's schema.

use std::{
    fs,
    path::{Path, PathBuf},
};

use serde_json::Value;

use crate::{
    cli::{code, errors, run, shown, text},
    reference::assert_columns_are_listed,
};

/// Tokens that are enough to close any answer; more only give longer noise.
const MAX_TOKENS: &str = "max_tokens = 400";

fn all() -> Vec<(String, String)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("pipelines");
    let paths = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let paths = paths.filter(|path| path.extension().is_some_and(|extension| extension == "toml"));
    let named =
        |path: PathBuf| (path.file_stem().unwrap().to_string_lossy().into_owned(), fs::read_to_string(path).unwrap());
    paths.map(named).collect()
}

/// The file with fewer tokens, and with what replaces some of its lines, as a file that may lie anywhere.
fn shortened(pipeline: &str, changes: &[(&str, &str)], folder: &Path) -> PathBuf {
    let line = |line: &str| if line.starts_with("max_tokens = ") { MAX_TOKENS.to_owned() } else { line.to_owned() };
    let mut short = pipeline.lines().map(line).collect::<Vec<_>>().join("\n");
    for (from, to) in changes {
        assert!(short.contains(from), "{from} is not in {pipeline}");
        short = short.replace(from, to);
    }
    let path = folder.join("pipeline.toml");
    fs::write(&path, short.replace("\"../", &format!("\"{}/", env!("CARGO_MANIFEST_DIR")))).unwrap();
    path
}

/// What a pipeline is for.
fn input(name: &str) -> &'static str {
    match name {
        "transcribe" | "transcript" | "translate-speech" => "fixtures/sound/note.wav",
        "describe-video" => "fixtures/video/shapes.mp4",
        "caption" | "detect" => "fixtures/pictures/receipt.webp",
        "receipt" => "fixtures/documents/receipt.pdf",
        "summary" => "fixtures/README.md",
        _ => "fixtures/documents/invoice.pdf",
    }
}

fn rows(pipeline: &Path, input: &str, out: &Path) -> Vec<Value> {
    let arguments = ["run", text(pipeline), input, "--model", "onnx/tiny", "--output", text(out), "--limit", "1"];
    let output = run(&arguments);
    assert_eq!(code(&output), 0, "{}", errors(&output));
    shown(out, &[])
}

#[test]
fn every_pipeline_gives_a_row() {
    let pipelines = all();
    assert!(pipelines.len() >= 10, "{}", pipelines.len());
    for (name, pipeline) in pipelines {
        let folder = tempfile::tempdir().unwrap();
        let rows = rows(&shortened(&pipeline, &[], folder.path()), input(&name), &folder.path().join("out"));
        // A unit may list any number of records.
        let lists = pipeline.contains("record = \"list\"");
        assert!(lists || rows.len() == 1, "{name}: {} rows", rows.len());
        for row in &rows {
            let raw = if row["_parts"].is_array() { &row["_parts"][0]["raw"] } else { &row["_raw"] };
            assert!(raw.as_str().unwrap().starts_with('{'), "{name}: {raw}");
            assert!(row["_thought"].is_null(), "{name}");
            assert_columns_are_listed(row);
        }
    }
}

/// A row of the pipeline for boxes, with so few soft tokens that it is quick, and a schema that wants some boxes.
fn detect(changes: &[(&str, &str)]) -> Value {
    let pipeline = all().into_iter().find(|(name, _)| name == "detect").unwrap().1;
    let folder = tempfile::tempdir().unwrap();
    let schema =
        include_str!("../../schemas/detection.json").replace("\"maxItems\": 64", "\"minItems\": 2, \"maxItems\": 3");
    fs::write(folder.path().join("some.json"), schema).unwrap();
    let always = [("../schemas/detection.json", "some.json"), ("budget = 560", "budget = 70")];
    let changes = &[&always, changes].concat();
    rows(&shortened(&pipeline, changes, folder.path()), input("detect"), &folder.path().join("out")).remove(0)
}

#[test]
fn boxes_are_given_in_fractions_of_the_picture_beside_the_grid() {
    let row = detect(&[]);
    let (objects, boxes) = (row["objects"].as_array().unwrap(), row["_boxes"].as_array().unwrap());
    assert!(!objects.is_empty() && objects.len() == boxes.len(), "{row}");
    for (number, (object, found)) in objects.iter().zip(boxes).enumerate() {
        assert_eq!(found["path"], format!("/objects/{number}/box_2d"));
        let side = |place: usize| object["box_2d"][place].as_f64().unwrap() / 1000.0;
        let [y0, x0, y1, x1] = [0, 1, 2, 3].map(side);
        for (name, wanted) in [("x0", x0.min(x1)), ("y0", y0.min(y1)), ("x1", x0.max(x1)), ("y1", y0.max(y1))] {
            assert!((found[name].as_f64().unwrap() - wanted).abs() < 1e-6, "{name} of {object} is {found}");
        }
    }
}

#[test]
fn a_pipeline_may_think_first_and_call_a_function() {
    let call = ("[parse]", "[parse]\noutput = \"tool_call\"");
    let thinking = ("max_tokens =", "thinking = true\nthinking_tokens = 24\nmax_tokens =");
    let row = detect(&[call, thinking]);
    let raw = row["_raw"].as_str().unwrap();
    assert!(raw.starts_with("<|tool_call>call:record{objects:[") && raw.ends_with("]}<tool_call|>"), "{raw}");
    assert!((4..=24).contains(&row["_thought_tokens"].as_i64().unwrap()), "{row}");
    assert!(row["_thought"].is_string() && row["objects"].is_array(), "{row}");
    let dropping = ("thinking_tokens = 24", "thinking_tokens = 24\nthoughts = \"drop\"");
    let row = detect(&[thinking, dropping]);
    assert!(row["_thought"].is_null() && row["_thought_tokens"].as_i64().unwrap() > 0, "{row}");
}

#[test]
fn every_pipeline_can_be_asked_to_think_and_to_call() {
    let call = ("[parse]", "[parse]\noutput = \"tool_call\"");
    let thinking = ("max_tokens =", "thinking = true\nthinking_tokens = 24\nmax_tokens =");
    for (name, pipeline) in all() {
        let folder = tempfile::tempdir().unwrap();
        // A function is declared with the schema.
        let told = ("schema_in_prompt = false", "schema_in_prompt = true");
        let apply = [told].into_iter().filter(|(from, _)| pipeline.contains(from));
        let changes: Vec<_> = [call, thinking].into_iter().chain(apply).collect();
        let path = shortened(&pipeline, &changes, folder.path());
        let output = run(&["check", text(&path), "--model", "onnx/tiny"]);
        assert_eq!(code(&output), 0, "{name}: {}", errors(&output));
        let said = String::from_utf8_lossy(&output.stdout);
        assert!(
            said.contains("at most 24 tokens before each answer") && said.contains("calls of the function"),
            "{said}"
        );
    }
}

#[test]
fn a_call_without_its_schema_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let pipeline = all().into_iter().find(|(name, _)| name == "classify").unwrap().1;
    let changes = [("[parse]", "[parse]\noutput = \"tool_call\""), ("[encode]", "[encode]\nschema_in_prompt = false")];
    let output = run(&["check", text(&shortened(&pipeline, &changes, folder.path())), "--model", "onnx/tiny"]);
    assert_eq!(code(&output), 2);
    assert!(
        errors(&output).contains("`schema_in_prompt` is false, but [parse] `output` is `tool_call`"),
        "{}",
        errors(&output)
    );
}

#[test]
fn settings_of_thoughts_and_calls_without_effect_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let pipeline = all().into_iter().find(|(name, _)| name == "classify").unwrap().1;
    let said = |changes: &[(&str, &str)]| {
        let output = run(&["check", text(&shortened(&pipeline, changes, folder.path())), "--model", "onnx/tiny"]);
        assert_eq!(code(&output), 2);
        errors(&output)
    };
    let idle = said(&[("max_tokens =", "thinking_tokens = 64\nthoughts = \"drop\"\nmax_tokens =")]);
    assert!(idle.contains("thinking_tokens has no effect") && idle.contains("thoughts has no effect"), "{idle}");
    let unknown = said(&[("[parse]", "[parse]\noutput = \"xml\"")]);
    assert!(unknown.contains("`output`") && unknown.contains("tool_call"), "{unknown}");
}
