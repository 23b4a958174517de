//! What the program says beside its results: notes that can be kept quiet, and errors that cannot, as text and as JSON.

use std::{fs, path::Path, process::Command};

use serde_json::Value;

use crate::cli::{code, errors, extract, lapidary, run, text};

/// A dataset of one clip of sound of two; so it is not finished.
fn one_of_two(set: &Path) {
    let (output, _) = extract(&["fixtures/sound"], set, &["--limit", "1"]);
    assert_eq!(code(&output), 0, "{}", errors(&output));
}

#[test]
fn notes_are_for_those_who_do_not_want_it_quiet() {
    let folder = tempfile::tempdir().unwrap();
    let (set, table) = (folder.path().join("set"), folder.path().join("timeline.parquet"));
    let captions = folder.path().join("captions");
    one_of_two(&set);
    let timeline = ["timeline", text(&set), "--field", "title", "--output", text(&table)];
    let unfinished = format!("the dataset `{}` is not finished", text(&set));
    let commands: [(&[&str], &str); 4] = [
        (&["show", text(&set)], &unfinished),
        (&["captions", text(&set), text(&captions), "--field", "title"], &unfinished),
        (&timeline, &unfinished),
        (&timeline, "1 moment"),
    ];
    for (command, note) in commands {
        let output = run(command);
        assert!(code(&output) == 0 && errors(&output).contains(note), "{command:?}: {}", errors(&output));
        let quiet = run(&[command, &["--quiet"]].concat());
        assert_eq!((code(&quiet), errors(&quiet).as_str()), (0, ""), "{command:?}");
        assert!(quiet.stdout == output.stdout && !quiet.stdout.is_empty(), "{command:?}");
    }
}

#[test]
fn what_fails_is_told_to_those_who_want_it_quiet_too() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let (broken, set, units, letters) = (at("broken.pdf"), at("set"), at("units.safetensors"), at("letters"));
    fs::write(&broken, "%PDF-1.7 and no more").unwrap();
    extract(&[text(&broken)], &set, &[]);
    let pipeline = ["--pipeline", "pipelines/demo.toml", "--output", text(&units)];
    let encoded = run(&[&["encode", text(&broken), "--quiet"], &pipeline[..]].concat());
    fs::remove_file(&broken).unwrap();
    let exported = run(&["failures", "export", text(&set), text(&letters), "--quiet"]);
    for (output, fault, note) in
        [(encoded, "broken.pdf (", "units written"), (exported, "partly: ", "failures written")]
    {
        let said = errors(&output);
        assert!(code(&output) == 1 && said.contains(fault) && !said.contains(note), "{said}");
    }
}

/// The lines on standard error, each of which is JSON.
fn events(command: &mut Command, wanted: i32) -> Vec<Value> {
    let output = command.output().unwrap();
    assert_eq!(code(&output), wanted, "{}", errors(&output));
    let event = |line: &str| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
    errors(&output).lines().map(event).collect()
}

#[test]
fn with_json_everything_that_is_said_is_json() {
    let folder = tempfile::tempdir().unwrap();
    let set = folder.path().join("set");
    one_of_two(&set);
    let told = events(&mut lapidary(&["show", text(&set), "--log-format", "json"]), 0);
    assert!(told.len() == 1 && told[0]["message"].as_str().unwrap().contains("not finished"), "{told:?}");
}

#[test]
fn with_json_the_error_that_ends_a_run_is_one_event_whatever_is_quiet_or_filtered() {
    let folder = tempfile::tempdir().unwrap();
    let set = folder.path().join("set");
    let names = ["run", "pipelines/demo.toml", "fixtures/pictures", "--output", text(&set), "--log-format", "json"];
    let failing = |more: &[&str], filter: &str| {
        let mut command = lapidary(&[&names, more].concat());
        // There are no native libraries, so the run fails when it is at work already.
        events(command.env("LAPIDARY_NATIVE", folder.path()).env("LAPIDARY_LOG", filter), 2)
    };
    let ways: [(&[&str], &str); 3] = [(&[], "info"), (&[], "off"), (&["--quiet"], "off")];
    for (more, filter) in ways {
        let told = failing(more, filter);
        let wrong: Vec<&Value> = told.iter().filter(|event| event["level"] == "ERROR").collect();
        assert!(wrong.len() == 1 && wrong[0] == told.last().unwrap(), "{told:?}");
        assert!(wrong[0]["hint"].as_str().unwrap().contains("lapidary runtime install"), "{told:?}");
        assert!(!wrong[0]["message"].as_str().unwrap().is_empty(), "{told:?}");
        assert!(told.len() == 1 || filter == "info", "{told:?}");
    }
}

#[test]
fn with_json_a_wrong_command_line_is_one_event_too() {
    let wrong: [(&[&str], &str); 4] = [
        (&["run", "--nonsense", "--log-format", "json"], "--nonsense"),
        (&["--log-format=json", "rum"], "rum"),
        (&["--log-format", "json"], "subcommand"),
        (&["show", "--log-format", "text", "--limit", "many", "--log-format", "json"], "many"),
    ];
    for (words, named) in wrong {
        let told = events(&mut lapidary(words), 2);
        let (message, hint) = (told[0]["message"].as_str().unwrap(), told[0]["hint"].as_str());
        assert!(told.len() == 1 && told[0]["level"] == "ERROR" && message.contains(named), "{told:?}");
        assert!(!message.starts_with("error") && hint.is_some_and(|hint| hint.contains("--help")), "{told:?}");
    }
    let output = run(&["run", "--nonsense", "--log-format", "yaml"]);
    assert!(code(&output) == 2 && errors(&output).starts_with("error: "), "{}", errors(&output));
    let output = run(&["--version", "--log-format", "json"]);
    assert!(code(&output) == 0 && !output.stdout.is_empty() && errors(&output).is_empty());
}

#[test]
fn folders_without_a_file_are_named_at_the_end() {
    let folder = tempfile::tempdir().unwrap();
    let (empty, full) = (folder.path().join("mount"), folder.path().join("full"));
    fs::create_dir_all(empty.join("deep")).unwrap();
    fs::create_dir(&full).unwrap();
    fs::write(full.join("one.txt"), "Words.").unwrap();
    let (output, report) = extract(&[text(&full), text(&empty)], &folder.path().join("set"), &[]);
    assert_eq!((code(&output), &report["status"]), (0, &"complete".into()), "{}", errors(&output));
    let told = format!("no file in `{}`", text(&empty));
    assert!(errors(&output).contains(&told), "{}", errors(&output));
    assert_eq!(report["pipeline"]["vacant"], serde_json::json!([text(&empty)]));
    let list = folder.path().join("list");
    fs::write(&list, format!("{}\n{}\n", text(&full), text(&empty))).unwrap();
    let (output, report) =
        extract(&[], &folder.path().join("listed"), &["--from", text(&list), "--log-format", "json"]);
    let heard = |line: &str| serde_json::from_str::<Value>(line).unwrap()["message"] == told.as_str();
    assert!(errors(&output).lines().any(heard), "{}", errors(&output));
    assert_eq!(report["pipeline"]["vacant"], serde_json::json!([text(&empty)]));
    // A dataset in the bare mount point, from the second night on.
    for night in 1..=2 {
        let (output, report) = extract(&[text(&empty), text(&full)], &empty.join("out"), &[]);
        assert!(errors(&output).contains(&told), "night {night}: {}", errors(&output));
        assert_eq!(report["pipeline"]["vacant"], serde_json::json!([text(&empty)]), "night {night}");
    }
    let (output, report) = extract(&[text(&full)], &folder.path().join("other"), &[]);
    assert!(!errors(&output).contains("no file in") && report["pipeline"]["vacant"].is_null(), "{}", errors(&output));
}
