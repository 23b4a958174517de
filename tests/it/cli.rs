//! The program as a user meets it: arguments in; exit code, messages, dataset and `run.json` out.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
    time::Duration,
};

use serde_json::Value;
use tempfile::TempDir;

/// The program, to be given more.
pub fn lapidary(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_lapidary"));
    command.args(arguments).current_dir(env!("CARGO_MANIFEST_DIR")).stdin(Stdio::null());
    command
}

/// Runs the program to its end.
pub fn run(arguments: &[&str]) -> Output {
    lapidary(arguments).output().unwrap()
}

/// Its exit code.
pub fn code(output: &Output) -> i32 {
    output.status.code().unwrap_or_else(|| panic!("died: {}", errors(output)))
}

/// What it said beside its results.
pub fn errors(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn folder() -> TempDir {
    tempfile::tempdir().unwrap()
}

/// A path as an argument.
pub fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// Runs the demo's pipeline over `inputs` and gives what the program said, and `run.json`.
pub fn extract(inputs: &[&str], out: &Path, more: &[&str]) -> (Output, Value) {
    let mut arguments = vec!["run", "pipelines/demo.toml"];
    arguments.extend(inputs);
    arguments.extend(["--output", text(out)]);
    arguments.extend(more);
    let output = run(&arguments);
    let report = fs::read(out.join("run.json")).unwrap_or_else(|error| panic!("{error}: {}", errors(&output)));
    (output, serde_json::from_slice(&report).unwrap())
}

/// The rows of a dataset.
pub fn shown(out: &Path, more: &[&str]) -> Vec<Value> {
    let mut arguments = vec!["show", text(out), "--json", "--limit", "10000"];
    arguments.extend(more);
    let output = run(&arguments);
    assert_eq!(code(&output), 0, "{}", errors(&output));
    String::from_utf8_lossy(&output.stdout).lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// Changes the settings that a dataset remembers.
pub fn remember_otherwise(set: &Path, change: impl Fn(&str) -> String) {
    for entry in fs::read_dir(set.join("_lapidary/asked")).unwrap() {
        let path = entry.unwrap().path();
        let mut asked: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
        let settings = change(asked["settings"].as_str().unwrap());
        assert_ne!(asked["settings"], settings.as_str());
        asked["settings"] = settings.into();
        fs::write(&path, asked.to_string()).unwrap();
    }
}

/// The rows of a Parquet file.
pub fn table(path: &Path) -> Vec<Value> {
    let file = std::fs::File::open(path).unwrap();
    let reader = parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder::try_new(file).unwrap().build().unwrap();
    reader.flat_map(|batch| lapidary::write::read::json(&batch.unwrap()).collect::<Vec<_>>()).collect()
}

fn total(report: &Value, name: &str) -> u64 {
    report["totals"][name].as_u64().unwrap_or_else(|| panic!("no {name} in {report}"))
}

/// A pipeline file of our own beside the schemas and the tiny bundle of the repository.
fn pipeline(folder: &Path, body: &str) -> PathBuf {
    let path = folder.join("pipeline.toml");
    fs::write(&path, body.replace("ROOT", env!("CARGO_MANIFEST_DIR"))).unwrap();
    path
}

#[test]
fn all_four_kinds_become_rows_and_the_totals_balance() {
    let out = folder();
    let inputs = ["fixtures/documents", "fixtures/pictures", "fixtures/sound", "fixtures/video"];
    let (output, report) = extract(&inputs, &out.path().join("set"), &[]);
    assert_eq!(code(&output), 0, "{}", errors(&output));
    let rows = shown(&out.path().join("set"), &[]);
    for kind in ["pdf", "image", "audio", "video"] {
        assert!(rows.iter().any(|row| row["_kind"] == kind), "no row of kind {kind}");
    }
    assert_eq!(total(&report, "rows") + total(&report, "rows_copied"), rows.len() as u64);
    assert_eq!(total(&report, "units"), total(&report, "rows") + total(&report, "failures"));
    assert_eq!(report["totals"]["balanced"], true);
    assert_eq!(report["status"], "complete");
}

#[test]
fn broken_files_are_named_with_advice_and_do_not_stop_the_others() {
    let out = folder();
    let set = out.path().join("set");
    let (output, report) = extract(&["fixtures/broken", "fixtures/pictures"], &set, &[]);
    assert!([0, 1].contains(&code(&output)), "{}", errors(&output));
    assert_eq!(report["totals"]["balanced"], true);
    let (rows, failures) = (shown(&set, &[]), shown(&set, &["--failures"]));
    let ends_in_a_table = |path: &str| rows.iter().chain(&failures).any(|row| row["_source"] == path);
    for entry in fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/broken")).unwrap() {
        let name = format!("fixtures/broken/{}", entry.unwrap().file_name().to_string_lossy());
        assert!(ends_in_a_table(&name), "{name} is in neither table");
    }
    for failure in &failures {
        for column in ["stage", "kind", "message", "hint"] {
            assert!(!failure[column].as_str().unwrap_or_default().is_empty(), "{column} is empty in {failure}");
        }
    }
    assert!(rows.iter().any(|row| row["_source"].as_str().unwrap().starts_with("fixtures/pictures")));
}

#[test]
fn the_same_content_is_extracted_once_and_has_a_row_for_each_name() {
    let inputs = folder();
    for name in ["one.txt", "two.txt"] {
        fs::write(inputs.path().join(name), "The same words.").unwrap();
    }
    let out = inputs.path().join("set");
    let (_, report) = extract(&[text(inputs.path())], &out, &[]);
    assert_eq!((total(&report, "rows"), total(&report, "rows_copied"), total(&report, "duplicates")), (1, 1, 1));
    let rows = shown(&out, &[]);
    assert_eq!(rows.len(), 2);
    assert_ne!(rows[0]["_source"], rows[1]["_source"]);
    assert_eq!(rows[0]["_raw"], rows[1]["_raw"]);
}

#[test]
fn a_limit_stops_after_that_many_units() {
    let out = folder();
    let (output, report) =
        extract(&["fixtures/pictures", "fixtures/documents"], &out.path().join("set"), &["--limit", "3"]);
    assert_eq!(code(&output), 0, "{}", errors(&output));
    assert_eq!(total(&report, "units"), 3);
}

#[test]
fn shards_share_the_documents_without_gap_or_overlap() {
    let out = folder();
    let sources = |shard: &str| {
        let set = out.path().join(shard.replace('/', "-"));
        extract(&["fixtures/pictures"], &set, &["--shard", shard]);
        shown(&set, &[]).iter().map(|row| row["_source"].to_string()).collect::<Vec<_>>()
    };
    let mut both = [sources("1/2"), sources("2/2")].concat();
    let mut whole = sources("1/1");
    both.sort();
    whole.sort();
    assert_eq!(both, whole);
}

#[test]
fn an_output_among_the_inputs_is_not_read() {
    let inputs = folder();
    fs::write(inputs.path().join("one.txt"), "Words.").unwrap();
    fs::write(inputs.path().join("run.json"), "{}").unwrap();
    let out = inputs.path().join("set");
    let (_, first) = extract(&[text(inputs.path())], &out, &[]);
    let (_, second) = extract(&[text(inputs.path())], &out, &[]);
    assert_eq!((total(&first, "documents"), total(&second, "documents")), (2, 2), "`run.json` of the user's is a text");
}

#[test]
fn check_finds_every_problem_at_once() {
    let folder = folder();
    let path = pipeline(
        folder.path(),
        "colour = 1\n[decode]\npages = \"3-1\"\npagers = 2\n[encode]\nbudget = 300\n[generate]\nslots = 0\n\
         temprature = 1.0\n[parse]\nschema = \"missing.json\"\n",
    );
    let output = run(&["check", text(&path)]);
    assert_eq!(code(&output), 2);
    for word in ["colour", "pagers", "name", "temprature", "missing.json"] {
        assert!(errors(&output).contains(word), "{word} is not named in {}", errors(&output));
    }
}

#[test]
fn schema_check_tells_what_becomes_of_each_keyword_and_which_columns_come_of_it() {
    let output = run(&["schema", "check", "schemas/invoice.json"]);
    assert_eq!(code(&output), 0, "{}", errors(&output));
    let told = String::from_utf8_lossy(&output.stdout).into_owned();
    let line = |beginning: &str| {
        let found = told.lines().find(|line| line.trim_start().starts_with(beginning));
        found.unwrap_or_else(|| panic!("{beginning} is not in {told}")).split_whitespace().collect::<Vec<_>>().join(" ")
    };
    assert_eq!(line("/properties/vendor/maxLength "), "/properties/vendor/maxLength enforced");
    assert_eq!(line("vendor "), "vendor Utf8 at most 200 characters");
    assert!(
        line("line_items[].amount ").starts_with("line_items[].amount Decimal128(15, 2) or null -9999999999999.99 to")
    );
    assert!(line("/properties/total ").contains("at most 13 digits before the point and 2 after it"));
}

#[test]
fn schema_check_of_a_refused_schema_names_every_reason_and_exits_with_2() {
    let folder = folder();
    let path = folder.path().join("s.json");
    let schema = serde_json::json!({"type": "object", "properties": {
        "a": {"type": "string", "pattern": "^(?!x)y"}, "b": {"not": {}}, "_page": {"type": "integer"}
    }});
    fs::write(&path, schema.to_string()).unwrap();
    let output = run(&["schema", "check", text(&path), "--json"]);
    assert_eq!(code(&output), 2);
    let told: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((&told["accepted"], told["problems"].as_array().unwrap().len()), (&false.into(), 2));
    let fate = |pointer: &str| {
        let keywords = told["keywords"].as_array().unwrap();
        keywords.iter().find(|one| one["pointer"] == pointer).unwrap()["fate"].clone()
    };
    assert_eq!(fate("/properties/a/pattern"), "checked after");
    assert_eq!(fate("/properties/b/not"), "refused");
    let absent = run(&["schema", "check", "no-such.json"]);
    assert_eq!(code(&absent), 2);
    assert!(errors(&absent).contains("`no-such.json` cannot be read"));
}

#[test]
fn schema_check_takes_the_bounds_of_a_pipeline() {
    let folder = folder();
    let (schema, pipeline) = (folder.path().join("s.json"), folder.path().join("p.toml"));
    fs::write(&schema, r#"{"type":"object","properties":{"a":{"type":"string"}}}"#).unwrap();
    let demo = fs::read_to_string("pipelines/demo.toml").unwrap();
    fs::write(&pipeline, demo.replace("[parse]", "[parse]\nlongest_string = 77")).unwrap();
    let output = run(&["schema", "check", text(&schema), "--pipeline", text(&pipeline)]);
    assert!(String::from_utf8_lossy(&output.stdout).contains("no `maxLength`: at most 77 characters"));
}

#[test]
fn check_tries_prompt_and_grammar_with_the_bundle() {
    let output = run(&["check", "pipelines/demo.toml"]);
    assert_eq!(code(&output), 0, "{}", errors(&output));
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(said.contains("grammar: compiled"), "{said}");
    assert!(said.contains("memory: 4 slots of 4096 tokens") && said.contains("bytes per slot = 4 x ("), "{said}");
    let pipelines = fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("pipelines")).unwrap();
    let paths = pipelines.map(|entry| entry.unwrap().path());
    for pipeline in paths.filter(|path| path.extension().is_some_and(|extension| extension == "toml")) {
        let output = run(&["check", text(&pipeline), "--model", "onnx/tiny"]);
        assert_eq!(code(&output), 0, "{}", errors(&output));
    }
}

#[test]
fn check_refuses_an_allowance_in_which_no_answer_can_be_closed() {
    let folder = folder();
    let schema = r#"{"type":"object","properties":{"a":{"type":"string","minLength":300}},"required":["a"]}"#;
    fs::write(folder.path().join("schema.json"), schema).unwrap();
    let path = pipeline(
        folder.path(),
        "name = \"x\"\n[encode]\nprompt = \"Read.\"\n[generate]\nmax_tokens = 100\n[parse]\nschema = \"schema.json\"\n",
    );
    let output = run(&["check", text(&path), "--model", "onnx/tiny"]);
    assert_eq!(code(&output), 2);
    assert!(errors(&output).contains("closing an answer may take"), "{}", errors(&output));
}

#[test]
fn a_schema_that_we_do_not_support_is_refused_with_the_place() {
    let folder = folder();
    fs::write(folder.path().join("schema.json"), r#"{"type":"object","properties":{"a":{"not":{"type":"string"}}}}"#)
        .unwrap();
    let path = pipeline(folder.path(), "name = \"x\"\n[parse]\nschema = \"schema.json\"\n");
    let output = run(&["check", text(&path)]);
    assert_eq!(code(&output), 2);
    assert!(errors(&output).contains("/properties/a"), "{}", errors(&output));
}

#[test]
fn a_bundle_with_a_wrong_hash_is_refused_by_name() {
    let folder = folder();
    let bundle = folder.path().join("bundle");
    copy_folder(&Path::new(env!("CARGO_MANIFEST_DIR")).join("onnx/tiny"), &bundle);
    let tokenizer = bundle.join("tokenizer.json");
    let mut bytes = fs::read(&tokenizer).unwrap();
    bytes[100] ^= 1;
    fs::write(&tokenizer, bytes).unwrap();
    let output = run(&["check", "pipelines/demo.toml", "--model", text(&bundle)]);
    assert_eq!(code(&output), 2);
    assert!(errors(&output).contains("tokenizer.json"), "{}", errors(&output));
}

#[test]
fn a_bundle_whose_graphs_or_weights_have_no_hash_is_refused_by_name() {
    let folder = folder();
    let bundle = folder.path().join("bundle");
    copy_folder(&Path::new(env!("CARGO_MANIFEST_DIR")).join("onnx/tiny"), &bundle);
    let manifest = fs::read_to_string(bundle.join("bundle.toml")).unwrap();
    let elsewhere = fs::copy(bundle.join("onnx/decoder_slots.onnx"), folder.path().join("slots.onnx")).unwrap();
    assert!(elsewhere > 0);
    fs::copy(bundle.join("onnx/vision_encoder.onnx_data"), bundle.join("onnx/other_data")).unwrap();
    for (from, to, words) in [
        (
            "decoder_slots = \"onnx/decoder_slots.onnx\"",
            "decoder_slots = \"../slots.onnx\"",
            "`../slots.onnx` a role but no hash",
        ),
        (
            "onnx/vision_encoder.onnx_data\"",
            "onnx/other_data\"",
            "keeps weights in `onnx/vision_encoder.onnx_data`, which has no hash",
        ),
    ] {
        assert!(manifest.contains(from), "{from}");
        fs::write(bundle.join("bundle.toml"), manifest.replace(from, to)).unwrap();
        let output = run(&["model", "inspect", text(&bundle)]);
        assert_eq!(code(&output), 2);
        assert!(errors(&output).contains(words), "{}", errors(&output));
    }
}

pub fn copy_folder(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap().map(Result::unwrap) {
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy_folder(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}

#[test]
fn missing_native_libraries_name_the_command_to_run() {
    let out = folder();
    let output =
        lapidary(&["run", "pipelines/demo.toml", "fixtures/pictures", "--output", text(&out.path().join("set"))])
            .env("LAPIDARY_NATIVE", out.path())
            .output()
            .unwrap();
    assert_eq!(code(&output), 2);
    assert!(errors(&output).contains("lapidary runtime install"), "{}", errors(&output));
}

#[test]
fn a_device_that_cannot_be_had_is_an_error_and_never_falls_back() {
    let out = folder();
    let set = out.path().join("set");
    let output = run(&["run", "pipelines/demo.toml", "fixtures/pictures", "--output", text(&set), "--device", "cuda"]);
    assert_eq!(code(&output), 2);
    assert!(errors(&output).to_lowercase().contains("cuda"), "{}", errors(&output));
}

#[test]
fn what_encode_writes_can_be_evaluated() {
    let folder = folder();
    let (inputs, logits) = (folder.path().join("in.safetensors"), folder.path().join("out.safetensors"));
    fs::write(folder.path().join("note.txt"), "A note.").unwrap();
    let output = run(&["encode", text(&folder.path().join("note.txt")), "--output", text(&inputs)]);
    assert_eq!(code(&output), 0, "{}", errors(&output));
    let output = run(&["model", "eval", "onnx/tiny", text(&inputs), text(&logits), "--greedy", "4"]);
    assert_eq!(code(&output), 0, "{}", errors(&output));
    let bytes = fs::read(logits).unwrap();
    let tensors = safetensors::SafeTensors::deserialize(&bytes).unwrap();
    assert_eq!(tensors.tensor("greedy").unwrap().shape(), [4]);
    assert_eq!(tensors.tensor("logits").unwrap().shape().len(), 2);
}

#[test]
fn more_tokens_than_the_context_has_are_refused_in_the_words_of_the_command() {
    let folder = folder();
    let (inputs, logits) = (folder.path().join("in.safetensors"), folder.path().join("out.safetensors"));
    fs::write(folder.path().join("note.txt"), "A note.").unwrap();
    let output = run(&["encode", text(&folder.path().join("note.txt")), "--output", text(&inputs)]);
    assert_eq!(code(&output), 0, "{}", errors(&output));
    let most = usize::MAX.to_string();
    let output = run(&["model", "eval", "onnx/tiny", text(&inputs), text(&logits), "--greedy", &most]);
    assert_eq!(code(&output), 2, "{}", errors(&output));
    let told = errors(&output);
    assert!(told.contains("`--greedy` asks for") && told.contains("set `--greedy` to"), "{told}");
}

/// Many small texts, so that a run takes long enough to be interrupted.
fn many_texts(folder: &Path, count: usize) {
    fs::create_dir_all(folder).unwrap();
    for n in 0..count {
        fs::write(folder.join(format!("{n:05}.txt")), format!("Text number {n}.")).unwrap();
    }
}

/// Starts a run over many texts, waits until it is at work, interrupts it so often, and gives exit code and report.
#[cfg(unix)]
fn interrupted(folder: &Path, times: usize) -> (Option<i32>, Value) {
    let (inputs, out) = (folder.join("in"), folder.join("set"));
    many_texts(&inputs, 5000);
    let mut child = lapidary(&["run", "pipelines/demo.toml", text(&inputs), "--output", text(&out)])
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    // The output folder is made just before the work starts.
    while !out.join("_lapidary").exists() {
        std::thread::sleep(Duration::from_millis(20));
    }
    std::thread::sleep(Duration::from_millis(500));
    for _ in 0..times {
        Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap();
        std::thread::sleep(Duration::from_millis(20));
    }
    let code = child.wait().unwrap().code();
    (code, serde_json::from_slice(&fs::read(out.join("run.json")).unwrap()).unwrap())
}

#[cfg(unix)]
#[test]
fn an_interrupted_run_finishes_what_is_begun_and_says_so() {
    let folder = folder();
    let (code, report) = interrupted(folder.path(), 1);
    assert_eq!((code, report["status"].as_str()), (Some(130), Some("drained")));
    assert_eq!(report["totals"]["balanced"], true);
    assert_eq!(total(&report, "rows"), shown(&folder.path().join("set"), &[]).len() as u64);
    assert!(total(&report, "rows") < 5000);
}

#[cfg(unix)]
#[test]
fn a_run_that_is_interrupted_twice_leaves_whole_rows() {
    let folder = folder();
    let (code, report) = interrupted(folder.path(), 2);
    // The second signal may come when everything that was begun is finished already.
    assert!(["aborted", "drained"].contains(&report["status"].as_str().unwrap()), "{report}");
    assert_eq!(code, Some(130));
    assert_eq!(total(&report, "rows"), shown(&folder.path().join("set"), &[]).len() as u64);
}

#[test]
fn nothing_is_printed_on_standard_output_but_results() {
    let out = folder();
    let (output, _) = extract(&["fixtures/pictures"], &out.path().join("set"), &["--limit", "1"]);
    assert!(output.stdout.is_empty());
    let (output, _) = extract(&["fixtures/pictures"], &out.path().join("quiet"), &["--limit", "1", "--quiet"]);
    assert!(output.stderr.is_empty(), "{}", errors(&output));
}
