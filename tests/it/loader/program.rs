//! The commands over a folder without a manifest: the same rows as with the bundle of the same graphs.

use super::layouts;
use crate::cli::{code, errors, extract, run, shown, text};

/// What tells rows apart and what the model answered.
fn answers(set: &std::path::Path) -> Vec<String> {
    let row = |row: serde_json::Value| format!("{} {} {}", row["_source"], row["_page"], row["_raw"]);
    let mut rows: Vec<String> = shown(set, &[]).into_iter().map(row).collect();
    rows.sort();
    rows
}

#[test]
fn a_run_gives_the_rows_of_the_bundle_and_says_that_the_cache_grows() {
    let folder = layouts::tiny();
    folder.ignore_lengths();
    let (ours, theirs) = (folder.file("bundle.set"), folder.file("folder.set"));
    let inputs = ["fixtures/pictures", "fixtures/decode/invoice.txt"];
    let (_, own) = extract(&inputs, &ours, &[]);
    let (output, report) = extract(&inputs, &theirs, &["--model", text(folder.path())]);
    assert_eq!(code(&output), 0, "{}", errors(&output));
    assert_eq!(answers(&theirs), answers(&ours));
    assert!(report["engine"]["remarks"][0].as_str().unwrap().contains("grow"), "{report}");
    assert!(errors(&output).contains("  model      keys and values grow"), "{}", errors(&output));
    assert_eq!(own["engine"]["remarks"].as_array().map(Vec::len), Some(0));
    assert_ne!(report["engine"]["model_hash"], own["engine"]["model_hash"]);
}

#[test]
fn check_inspect_and_encode_take_the_folder_too() {
    let folder = layouts::tiny();
    std::fs::rename(folder.file("onnx/audio_encoder.onnx"), folder.file("onnx/audio_encoder_fp16.onnx")).unwrap();
    let named = format!("{}#fp32", folder.path().display());
    let inspected = run(&["model", "inspect", &named]);
    let said = String::from_utf8_lossy(&inspected.stdout).into_owned();
    assert_eq!(code(&inspected), 0, "{}", errors(&inspected));
    assert!(said.contains("onnx-community layout") && said.contains("audio_encoder is not there as fp32"), "{said}");
    let checked = run(&["check", "pipelines/demo.toml", "--model", &named]);
    assert_eq!(code(&checked), 0, "{}", errors(&checked));
    let out = folder.file("units.safetensors");
    let encoded = run(&[
        "encode",
        "pipelines/demo.toml",
        "fixtures/pictures/diagram.png",
        "--model",
        &named,
        "--output",
        text(&out),
    ]);
    assert_eq!(code(&encoded), 0, "{}", errors(&encoded));
    assert!(out.exists());
}

#[test]
fn what_the_probe_tries_in_vain_is_no_error_in_the_log() {
    let folder = layouts::mobius();
    let (inputs, out) = (folder.file("in.safetensors"), folder.file("out.safetensors"));
    layouts::E2B.write_inputs(&inputs);
    let output = run(&["model", "eval", text(folder.path()), text(&inputs), text(&out), "--greedy", "2"]);
    assert_eq!(code(&output), 0, "{}", errors(&output));
    assert!(errors(&output).starts_with("61 positions, 2 greedy tokens, on cpu"), "{}", errors(&output));
}
