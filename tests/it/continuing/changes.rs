//! What is asked again when files, settings or schemas have changed, and what is not.

use std::{fs, path::Path, process::Command};

use lapidary::write::{Claim, sealed};

use super::archive::{Archive, content, parts, sources, total};
use crate::cli::{code, errors, run, shown, text};

#[test]
fn what_is_there_is_kept_and_nothing_is_written_twice() {
    let archive = Archive::new();
    let out = archive.out("set");
    let (_, first) = archive.run(&out, &[]);
    assert!(total(&first, "rows_copied") == 1 && total(&first, "failures") >= 3, "{first}");
    let (before, then) = (content(&out), parts(&out));
    let manifest = sealed(&out).unwrap().expect("a complete run seals");
    let listed = manifest.extractions.iter().chain(&manifest.failures).map(|part| (out.join(&part.path), part.bytes));
    let mut there: Vec<_> = then.iter().map(|(path, bytes)| (path.clone(), bytes.len() as u64)).collect();
    there.sort();
    let mut listed: Vec<_> = listed.collect();
    listed.sort();
    assert_eq!(listed, there);
    let (output, second) = archive.run(&out, &[]);
    assert!(errors(&output).contains("going on with a dataset"), "{}", errors(&output));
    assert_eq!(content(&out), before);
    assert_eq!((total(&second, "answered"), total(&second, "rows_copied")), (0, 0));
    // What is no document is looked at in each run.
    assert_eq!(total(&second, "failures"), 1);
    assert_eq!(total(&second, "kept") + 1, total(&first, "answered") + total(&first, "failures"));
    assert_eq!(total(&second, "documents"), total(&first, "documents"));
    assert_eq!(total(&second, "units"), total(&first, "units"));
    assert_eq!(second["totals"]["balanced"], true);
    let rows = |parts: &[(std::path::PathBuf, Vec<u8>)]| {
        parts.iter().filter(|(path, _)| path.to_string_lossy().contains("extractions")).cloned().collect::<Vec<_>>()
    };
    assert_eq!(rows(&parts(&out)), rows(&then), "no part of the rows is touched");
    assert!(sealed(&out).unwrap().is_some());
}

#[test]
fn files_that_are_new_or_changed_are_asked_about_and_renamed_ones_are_not() {
    let archive = Archive::new();
    let out = archive.out("set");
    let (_, first) = archive.run(&out, &[]);
    fs::rename(archive.input("b.pdf"), archive.input("renamed.pdf")).unwrap();
    fs::write(archive.input("t1.txt"), "Other words.").unwrap();
    fs::write(archive.input("new.txt"), "New words.").unwrap();
    fs::copy(archive.input("t2.txt"), archive.input("copy.txt")).unwrap();
    fs::remove_file(archive.input("t3.txt")).unwrap();
    let swapped = [archive.input("t4.txt"), archive.input("t5.txt"), archive.input("aside")];
    for (from, to) in [(0, 2), (1, 0), (2, 1)] {
        fs::rename(&swapped[from], &swapped[to]).unwrap();
    }
    let (_, second) = archive.run(&out, &[]);
    assert_eq!(total(&second, "answered"), 2, "one new and one changed: {second}");
    assert_eq!((total(&second, "rows_copied"), total(&second, "outdated_removed")), (1, 2));
    assert!(total(&second, "renamed") > 0);
    let names = sources(&out, &[]);
    assert!(!names.contains(&"b.pdf".to_owned()) && names.contains(&"t3.txt".to_owned()), "{names:?}");
    for name in ["t1.txt", "new.txt", "copy.txt", "t2.txt"] {
        assert_eq!(names.iter().filter(|one| *one == name).count(), 1, "{name} in {names:?}");
    }
    assert_eq!(total(&first, "answered") + total(&first, "rows_copied") + 2, names.len() as u64);
    // The same as a run that begins anew, but for the file that is gone.
    archive.run(&archive.out("fresh"), &[]);
    let mut left = content(&out);
    left.retain(|row| !row.contains("t3.txt"));
    assert_eq!(left, content(&archive.out("fresh")));
}

#[test]
fn what_is_asked_otherwise_is_asked_again_and_its_old_rows_go() {
    let archive = Archive::new();
    let out = archive.out("set");
    let (_, first) = archive.run(&out, &[]);
    archive.pipeline_asking("What is it?", "", "");
    let (output, second) = archive.run(&out, &[]);
    let told = errors(&output);
    assert!(told.contains("0 rows hold") && told.contains("other settings"), "{told}");
    assert_eq!(total(&second, "answered"), total(&first, "answered"));
    assert_eq!(total(&second, "kept"), 0);
    archive.run(&archive.out("fresh"), &[]);
    assert_eq!(content(&out), content(&archive.out("fresh")));
    let output = run(&["explain", text(&out), "--row", "1"]);
    assert_eq!(code(&output), 0, "{}", errors(&output));
}

#[test]
fn a_setting_of_pictures_leaves_texts_alone() {
    let archive = Archive::new();
    let out = archive.out("set");
    archive.run(&out, &[]);
    let texts = || shown(&out, &[]).into_iter().filter(|row| row["_kind"] == "text").collect::<Vec<_>>();
    let before = texts();
    let (_, second) = archive.run(&out, &["--budget", "140"]);
    assert_eq!(texts(), before, "to the microsecond");
    let again = shown(&out, &[]).iter().filter(|row| row["_kind"] != "text").count() as u64;
    assert_eq!(total(&second, "answered"), again);
    // How rows are made does not depend on these.
    archive.pipeline("seconds_per_part = 7\n[decode]\nlanes = 1\nrecycle_after = 3");
    let (_, third) = archive.run(&out, &["--budget", "140"]);
    assert_eq!(total(&third, "answered"), 0);
}

#[test]
fn failures_are_asked_again_on_request_or_when_their_limits_have_changed() {
    let archive = Archive::new();
    let out = archive.out("set");
    archive.pipeline("[decode.limits]\npages = 1");
    let (_, first) = archive.run(&out, &[]);
    let failures = shown(&out, &["--failures"]);
    let over = failures.iter().filter(|row| row["limit"] == "decode.limits.pages").count();
    assert!(over > 0, "{failures:?}");
    let (_, second) = archive.run(&out, &["--retry-failures"]);
    assert_eq!(total(&second, "failures"), total(&first, "failures"), "all have failed again");
    assert_eq!(
        sources(&out, &["--failures"]).len() as u64,
        total(&first, "failures") + total(&first, "failures_copied")
    );
    archive.pipeline("");
    let (_, third) = archive.run(&out, &[]);
    assert_eq!(total(&third, "kept"), total(&first, "answered"));
    assert!(shown(&out, &["--failures"]).iter().all(|row| row["limit"].is_null()));
    archive.run(&archive.out("fresh"), &[]);
    assert_eq!(content(&out), content(&archive.out("fresh")));
}

#[test]
fn a_choice_of_pages_adds_and_takes_away_no_more_than_it_says() {
    let archive = Archive::new();
    let out = archive.out("set");
    let (_, first) = archive.run(&out, &["--pages", "1"]);
    let (_, second) = archive.run(&out, &[]);
    assert!(total(&second, "answered") > 0);
    // What cannot be decoded is found out once more when its document is looked at again.
    assert_eq!(total(&second, "kept"), total(&first, "answered"));
    archive.run(&archive.out("fresh"), &[]);
    assert_eq!(content(&out), content(&archive.out("fresh")));
}

#[test]
fn a_limit_leaves_the_rest_for_the_next_run() {
    let archive = Archive::new();
    let out = archive.out("set");
    let mut answered = 0;
    for _ in 0..20 {
        let (_, report) = archive.run(&out, &["--limit", "4"]);
        answered += total(&report, "answered");
        if report["totals"]["untouched"] == 0 {
            break;
        }
        assert!(sealed(&out).unwrap().is_none(), "there is more to do");
    }
    archive.run(&out, &[]);
    assert!(sealed(&out).unwrap().is_some());
    let (_, fresh) = archive.run(&archive.out("fresh"), &[]);
    assert!(answered <= total(&fresh, "answered"));
    assert_eq!(content(&out), content(&archive.out("fresh")));
}

#[test]
fn files_that_fail_as_a_whole_count_in_a_limit_and_the_rest_comes_later() {
    let archive = Archive::of(&[]);
    for number in 0..6 {
        fs::write(archive.input(&format!("{number}.pdf")), format!("%PDF-1.7 and no more than {number}")).unwrap();
    }
    let out = archive.out("set");
    for left in [4, 2, 0] {
        let (_, report) = archive.run(&out, &["--limit", "2"]);
        assert_eq!((total(&report, "failures"), total(&report, "untouched")), (2, left), "{report}");
    }
    assert_eq!(sources(&out, &["--failures"]).len(), 6);
}

/// How many rows stand under each name.
fn rows_of(out: &Path, names: &[&str]) -> Vec<usize> {
    let sources = sources(out, &[]);
    names.iter().map(|name| sources.iter().filter(|source| source == name).count()).collect()
}

#[test]
fn a_document_of_more_units_than_the_limit_comes_to_its_end() {
    let archive = Archive::of(&[("documents/rotated.pdf", "a.pdf"), ("documents/rotated.pdf", "b.pdf")]);
    let out = archive.out("set");
    for (limit, rows) in [("2", [2, 2]), ("1", [3, 2]), ("2", [4, 4])] {
        archive.run(&out, &["--limit", limit]);
        assert_eq!(rows_of(&out, &["a.pdf", "b.pdf"]), rows, "at {limit}");
        assert_eq!(sealed(&out).unwrap().is_some(), rows == [4, 4], "at {limit}");
    }
    archive.run(&archive.out("fresh"), &[]);
    assert_eq!(content(&out), content(&archive.out("fresh")));
}

#[test]
fn a_file_that_was_renamed_and_copied_stands_under_both_names() {
    let archive = Archive::of(&[("documents/receipt.pdf", "old.pdf")]);
    let out = archive.out("set");
    archive.run(&out, &[]);
    fs::rename(archive.input("old.pdf"), archive.input("new-1.pdf")).unwrap();
    fs::copy(archive.input("new-1.pdf"), archive.input("new-2.pdf")).unwrap();
    let (_, second) = archive.run(&out, &[]);
    assert_eq!(rows_of(&out, &["old.pdf", "new-1.pdf", "new-2.pdf"]), [0, 1, 1]);
    assert_eq!((total(&second, "answered"), total(&second, "rows_copied")), (0, 1));
}

#[test]
fn lists_and_merged_records_are_kept_whole() {
    let archive = Archive::new();
    for record in ["record = \"list\"\nmost_records = 3", "record = \"document\""] {
        let out = archive.out("set");
        archive.pipeline_asking("Describe.", record, "");
        archive.run(&out, &["--limit", "5"]);
        archive.run(&out, &[]);
        let (_, third) = archive.run(&out, &[]);
        assert_eq!(total(&third, "answered"), 0, "{record}");
        archive.run(&archive.out("fresh"), &[]);
        assert_eq!(content(&out), content(&archive.out("fresh")), "{record}");
        fs::remove_dir_all(out).unwrap();
        fs::remove_dir_all(archive.out("fresh")).unwrap();
    }
}

#[test]
fn another_schema_needs_another_output() {
    let archive = Archive::new();
    let out = archive.out("set");
    archive.run(&out, &[]);
    let then = parts(&out);
    archive.pipeline_asking("Describe.", "evidence = true", "");
    let output = archive.command(&out, &[]).output().unwrap();
    assert_eq!(code(&output), 2);
    assert!(errors(&output).contains("`_evidence`") && errors(&output).contains("--output"), "{}", errors(&output));
    assert_eq!(parts(&out), then);
    archive.pipeline("");
    let (_, again) = archive.run(&out, &[]);
    assert_eq!(total(&again, "answered"), 0);
}

#[test]
fn a_field_that_is_described_in_other_words_is_asked_again_and_is_the_same_column() {
    let archive = Archive::new();
    let out = archive.out("set");
    archive.pipeline_describing("as it was said then");
    let (_, first) = archive.run(&out, &[]);
    fs::remove_file(archive.input("t3.txt")).unwrap();
    archive.pipeline_describing("as it is said now");
    let (_, second) = archive.run(&out, &[]);
    assert_eq!((total(&second, "answered") + 1, total(&second, "kept")), (total(&first, "answered"), 0));
    let says = |words: &str| {
        let holds = |bytes: &[u8]| bytes.windows(words.len()).any(|some| some == words.as_bytes());
        parts(&out).iter().any(|(_, bytes)| holds(bytes))
    };
    assert!(
        says("as it was said then") && says("as it is said now"),
        "the row of the file that is gone stays as it is"
    );
    // What is copied is looked for in the parts of both.
    fs::copy(archive.input("t2.txt"), archive.input("copy.txt")).unwrap();
    let (_, third) = archive.run(&out, &[]);
    assert_eq!((total(&third, "answered"), total(&third, "rows_copied")), (0, 1));
    assert_eq!(rows_of(&out, &["t3.txt", "t2.txt", "copy.txt", "t0.txt", "t9.txt"]), [1; 5]);
    archive.run(&archive.out("fresh"), &[]);
    let mut left = content(&out);
    left.retain(|row| !row.contains("t3.txt"));
    assert_eq!(left, content(&archive.out("fresh")));
}

#[test]
fn a_second_run_on_the_same_output_is_refused_by_name() {
    let archive = Archive::new();
    let out = archive.out("set");
    let _claim = Claim::take(&out).unwrap();
    let output = archive.command(&out, &[]).output().unwrap();
    assert_eq!(code(&output), 2);
    assert!(errors(&output).contains(&format!("process {}", std::process::id())), "{}", errors(&output));
}

#[test]
fn going_back_to_earlier_settings_leaves_no_rows_of_those_between() {
    let archive = Archive::of(&[]);
    for number in 0..3 {
        fs::write(archive.input(&format!("t{number}.txt")), format!("Words of text {number}. ").repeat(40)).unwrap();
    }
    let out = archive.out("set");
    archive.run(&out, &[]);
    let before = content(&out);
    archive.pipeline("[decode]\ntext = { longest = 200 }");
    let (_, between) = archive.run(&out, &["--limit", "2"]);
    assert_eq!(total(&between, "answered"), 2);
    archive.pipeline("");
    let (_, back) = archive.run(&out, &[]);
    assert_eq!((total(&back, "answered"), total(&back, "outdated_removed")), (0, 2));
    assert_eq!(content(&out), before);
    assert!(sealed(&out).unwrap().is_some());
}

#[test]
fn the_same_files_spelled_otherwise_are_the_same_files() {
    let archive = Archive::of(&[]);
    fs::write(archive.input("a.txt"), "Words.").unwrap();
    let (out, pipeline) = (archive.out("set"), archive.out("pipeline.toml"));
    for typed in ["in", "./in", "in/", "./in/./a.txt", "./i*"] {
        let mut command = Command::new(env!("CARGO_BIN_EXE_lapidary"));
        command.args(["run", text(&pipeline), typed, "--device", "cpu", "--output", text(&out)]);
        let output = command.current_dir(archive.out("")).output().unwrap();
        assert_eq!(code(&output), 0, "{typed}: {}", errors(&output));
        let rows = shown(&out, &[]);
        assert_eq!((rows.len(), rows[0]["_source"].as_str()), (1, Some("in/a.txt")), "{typed}");
    }
}
