//! `lapidary model prepare`, and runs with `--device tensorrt`, where there is no card, or no TensorRT on it: what is missing
//! is said, with what to do now, and nothing else runs in its place.

use std::{fs, path::Path, process::Output};

use lapidary::base::native;

use crate::cli::{code, errors, lapidary, run, text};

/// With folders for libraries and for engines in which there is nothing.
fn prepare(folder: &Path, arguments: &[&str]) -> Output {
    let mut command = lapidary(&["model", "prepare"]);
    command.args(arguments);
    command.env("LAPIDARY_NATIVE", folder.join("native")).env("LAPIDARY_TENSORRT", folder.join("engines"));
    command.output().unwrap()
}

/// What is said first where there is no driver, and else, where there is no TensorRT.
fn names_what_is_missing(told: &str) {
    match native::driver() {
        Err(fatal) => assert!(told.contains(&fatal.message) && told.contains(&fatal.hint), "{told}"),
        Ok(_) => assert!(["driver", "card", "TensorRT"].iter().any(|word| told.contains(word)), "{told}"),
    }
    assert!(told.contains("hint: "), "{told}");
}

#[test]
fn without_a_driver_or_without_tensorrt_nothing_is_built_and_it_is_said_what_is_missing() {
    for bundle in ["onnx/tiny", "onnx/demo"] {
        let folder = tempfile::tempdir().unwrap();
        let output = prepare(folder.path(), &[bundle]);
        assert_eq!(code(&output), 2, "{bundle}");
        names_what_is_missing(&errors(&output));
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0, "no folder is made for what cannot be built");
        assert!(output.stdout.is_empty());
    }
}

#[test]
fn a_run_on_tensorrt_refuses_likewise_and_takes_no_other_device() {
    let folder = tempfile::tempdir().unwrap();
    let set = folder.path().join("set");
    let mut command = lapidary(&["run", "pipelines/demo.toml", "fixtures/pictures", "--output", text(&set)]);
    command.args(["--device", "tensorrt"]).env("LAPIDARY_TENSORRT", folder.path().join("engines"));
    let output = command.output().unwrap();
    assert_eq!(code(&output), 2, "{}", errors(&output));
    names_what_is_missing(&errors(&output));
    let parts = fs::read_dir(set.join("extractions")).map_or(0, Iterator::count);
    assert!(parts == 0 && !set.join("run.json").exists(), "nothing was extracted");
}

#[test]
fn what_cannot_be_prepared_is_said_before_anybody_asks_for_a_card() {
    let folder = tempfile::tempdir().unwrap();
    let cases: [(&[&str], &[&str]); 6] = [
        (&["onnx/tiny", "--budget", "70,100"], &["the budget 100", "70, 140, 280, 560, 1120", "--budget"]),
        (&["onnx/tiny", "--device", "cuda"], &["--device cuda", "TensorRT"]),
        (&["onnx/tiny", "--pipeline", "pipelines/nowhere.toml"], &["pipelines/nowhere.toml"]),
        (&["onnx/tiny", "--pipeline", "Cargo.toml"], &["`Cargo.toml` is no pipeline", "lapidary check"]),
        (&["pipelines"], &["`pipelines` is not a model"]),
        (&["onnx/nowhere"], &["onnx/nowhere"]),
    ];
    for (arguments, words) in cases {
        let output = prepare(folder.path(), arguments);
        assert_eq!(code(&output), 2, "{arguments:?}");
        let told = errors(&output);
        assert!(words.iter().all(|word| told.contains(word)), "{arguments:?}: {told}");
    }
}

#[test]
fn the_help_says_where_engines_are_kept() {
    let output = run(&["model", "prepare", "--help"]);
    let help = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(code(&output), 0);
    for word in ["--budget", "--pipeline", "--devices", "LAPIDARY_TENSORRT"] {
        assert!(help.contains(word), "{word} is not in {help}");
    }
}
