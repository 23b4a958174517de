//! Parts, books, duplicates, and folders that cannot be used.

use std::{fs, path::Path};

use lapidary::{
    base::Outcome,
    write::{
        Claim, Compression, Settings,
        read::{self, Request, Table},
    },
};
use serde_json::Value;

use super::support::*;

fn rows(out: &Path, table: Table) -> Vec<Value> {
    let mut rows = Vec::new();
    let request = Request { table, columns: None, limit: usize::MAX };
    read::read(out, &request, &mut |batch| {
        rows.extend(read::json(batch));
        Ok(())
    })
    .unwrap();
    rows
}

fn column(out: &Path, table: Table, name: &str) -> Vec<Value> {
    rows(out, table).into_iter().map(|row| row[name].clone()).collect()
}

fn files(folder: &Path) -> Vec<String> {
    let mut names: Vec<_> =
        fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn a_run_without_rows_still_shows_its_columns() {
    let folder = tempfile::tempdir().unwrap();
    let totals = writer(folder.path(), patient()).finish().unwrap();
    assert!(totals.balanced);
    assert_eq!((totals.extraction_parts, totals.failure_parts, totals.rows), (1, 1, 0));
    assert_eq!(rows(folder.path(), Table::Extractions).len(), 0);
    assert_eq!(files(&folder.path().join("failures")), ["part-00000.parquet"]);
}

#[test]
fn a_row_that_the_context_has_cut_has_the_configuration_of_failures() {
    let folder = tempfile::tempdir().unwrap();
    let mut writer = writer(folder.path(), patient());
    let report = source("report.pdf", 1);
    let (whole, mut cut) = (row(&report, page(1), invoice(1)), row(&report, page(2), invoice(2)));
    if let Outcome::Row(item) = &mut cut {
        item.body.confined = true;
    }
    tell(&mut writer, [Outcome::Found(report.clone()), Outcome::Promise(report.clone(), 2), whole, cut]);
    writer.finish().unwrap();
    assert_eq!(column(folder.path(), Table::Extractions, "_config"), ["config-hash", "chances-hash"]);
}

#[test]
fn totals_balance_over_rows_failures_and_documents_that_never_opened() {
    let folder = tempfile::tempdir().unwrap();
    let mut writer = writer(folder.path(), patient());
    let report = source("report.pdf", 1);
    let torn = source("torn.pdf", 2);
    let outcomes = [
        Outcome::Found(report.clone()),
        Outcome::Promise(report.clone(), 3),
        row(&report, page(1), invoice(1)),
        failure(&report, page(2)),
        row(&report, page(3), invoice(3)),
        Outcome::Found(torn.clone()),
        Outcome::Promise(torn.clone(), 1),
        failure(&torn, lapidary::base::Part::Whole),
        unreadable("secret.pdf"),
    ];
    tell(&mut writer, outcomes);
    let totals = writer.finish().unwrap();
    assert!(totals.balanced, "{:?}", totals.unbalanced);
    assert_eq!((totals.documents, totals.units, totals.rows, totals.failures), (3, 5, 2, 3));
    assert_eq!(totals.failures_by_stage["decode"]["corrupt"], 2);
    assert_eq!(totals.failures_by_stage["collect"]["unreadable"], 1);
    assert_eq!((totals.new_tokens, totals.image_tokens, totals.prefill_micros), (82, 512, 5000));
    let failures = rows(folder.path(), Table::Failures);
    assert_eq!(
        (&failures[0]["stage"], &failures[0]["_page"], &failures[0]["hint"]),
        (&"decode".into(), &2.into(), &"scan it again".into())
    );
    assert_eq!(
        (&failures[2]["_hash"], &failures[2]["_kind"], &failures[2]["_unit"]),
        (&Value::Null, &Value::Null, &Value::Null)
    );
}

#[test]
fn a_unit_that_is_lost_is_named_in_the_totals() {
    let folder = tempfile::tempdir().unwrap();
    let mut writer = writer(folder.path(), patient());
    let report = source("report.pdf", 1);
    tell(&mut writer, [Outcome::Promise(report.clone(), 2)]);
    tell(&mut writer, [row(&report, page(1), invoice(1))]);
    tell(&mut writer, [Outcome::Found(source("later.pdf", 2))]);
    let totals = writer.finish().unwrap();
    assert!(!totals.balanced);
    assert_eq!(
        (totals.unbalanced[0].source.as_str(), totals.unbalanced[0].promised, totals.unbalanced[0].answered),
        ("report.pdf", 2, 1)
    );
    assert_eq!(totals.untouched, 1);
}

#[test]
fn parts_are_closed_at_their_number_of_rows_and_keep_the_order() {
    let folder = tempfile::tempdir().unwrap();
    let mut writer = writer(folder.path(), Settings { rows_per_part: 7, ..patient() });
    let report = source("report.pdf", 1);
    for number in 0..20 {
        tell(&mut writer, [row(&report, page(number), invoice(u64::from(number)))]);
    }
    assert_eq!(files(&folder.path().join("extractions")), ["part-00000.parquet", "part-00001.parquet"]);
    let totals = writer.finish().unwrap();
    assert_eq!(totals.extraction_parts, 3);
    let numbers: Vec<Value> = (0..20).map(Value::from).collect();
    assert_eq!(column(folder.path(), Table::Extractions, "number"), numbers);
}

#[test]
fn a_run_that_is_cut_off_leaves_only_whole_parts() {
    let folder = tempfile::tempdir().unwrap();
    let extractions = folder.path().join("extractions");
    let mut cut_off = writer(folder.path(), Settings { rows_per_part: 300, ..patient() });
    let report = source("report.pdf", 1);
    for number in 0..299 {
        tell(&mut cut_off, [row(&report, page(number), invoice(u64::from(number)))]);
        assert!(files(&extractions).is_empty());
    }
    tell(&mut cut_off, [row(&report, page(299), invoice(299))]);
    assert_eq!(files(&extractions), ["part-00000.parquet"]);
    tell(&mut cut_off, [row(&report, page(300), invoice(300))]);
    drop(cut_off);
    assert_eq!(files(&extractions), ["part-00000.parquet"]);
    assert_eq!(rows(folder.path(), Table::Extractions).len(), 300);
}

#[test]
fn old_rows_reach_the_disk_though_the_part_is_not_full() {
    let folder = tempfile::tempdir().unwrap();
    let mut writer = writer(folder.path(), Settings { seconds_per_part: 0, ..Settings::default() });
    tell(&mut writer, [row(&source("a.pdf", 1), page(1), invoice(1))]);
    assert_eq!(rows(folder.path(), Table::Extractions).len(), 1);
}

#[test]
fn duplicates_get_the_rows_and_failures_of_the_first_copy() {
    let folder = tempfile::tempdir().unwrap();
    let mut writer = writer(folder.path(), Settings { rows_per_part: 2, ..patient() });
    let (first, other) = (source("first.pdf", 1), source("other.pdf", 2));
    let outcomes = [
        Outcome::Found(first.clone()),
        Outcome::Duplicate(source("second.pdf", 1)),
        Outcome::Promise(first.clone(), 3),
        Outcome::Promise(other.clone(), 1),
        row(&other, page(1), invoice(9)),
        row(&first, page(1), invoice(1)),
        row(&first, page(2), invoice(2)),
        failure(&first, page(3)),
        Outcome::Duplicate(source("third.pdf", 1)),
    ];
    tell(&mut writer, outcomes);
    let totals = writer.finish().unwrap();
    assert!(totals.balanced);
    assert_eq!(
        (totals.documents, totals.duplicates, totals.rows, totals.rows_copied, totals.failures_copied),
        (4, 2, 3, 4, 2)
    );
    let all = rows(folder.path(), Table::Extractions);
    let of = |name: &str| all.iter().filter(|row| row["_source"] == name).cloned().collect::<Vec<_>>();
    assert_eq!((of("second.pdf").len(), of("third.pdf").len(), of("other.pdf").len()), (2, 2, 1));
    let mut copy = of("third.pdf")[1].clone();
    copy["_source"] = "first.pdf".into();
    assert_eq!(copy, of("first.pdf")[1]);
    assert_eq!(column(folder.path(), Table::Failures, "_source"), ["first.pdf", "second.pdf", "third.pdf"]);
}

#[test]
fn an_interrupted_run_keeps_its_whole_rows() {
    let folder = tempfile::tempdir().unwrap();
    let mut writer = writer(folder.path(), patient());
    let first = source("first.pdf", 1);
    tell(&mut writer, [Outcome::Promise(first.clone(), 2)]);
    tell(&mut writer, [Outcome::Duplicate(source("second.pdf", 1))]);
    tell(&mut writer, [row(&first, page(1), invoice(1))]);
    let totals = writer.interrupt().unwrap();
    assert_eq!((totals.rows, totals.rows_copied, totals.balanced), (1, 0, false));
    assert_eq!(rows(folder.path(), Table::Extractions).len(), 1);
}

#[test]
fn a_folder_that_only_looks_like_a_dataset_is_never_written_to() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("run.json"), "{}").unwrap();
    let refused = Claim::take(folder.path()).unwrap_err();
    assert!(refused.message.contains("`run.json`"), "{refused}");
    assert_eq!(files(folder.path()), ["run.json"]);
    let beside = tempfile::tempdir().unwrap();
    fs::write(beside.path().join("notes.txt"), "mine").unwrap();
    writer(beside.path(), patient()).finish().unwrap();
}

#[test]
fn a_dataset_is_written_by_one_run_at_a_time() {
    let folder = tempfile::tempdir().unwrap();
    let first = Claim::take(folder.path()).unwrap();
    let refused = Claim::take(folder.path()).unwrap_err();
    let holder = format!("process {} on ", std::process::id());
    assert!(refused.message.contains(&holder), "{refused}");
    drop(first);
    Claim::take(folder.path()).unwrap();
}

#[test]
fn an_output_that_cannot_be_made_is_said_before_any_work() {
    let folder = tempfile::tempdir().unwrap();
    let create = |out: &Path| Claim::take(out).unwrap_err();
    fs::write(folder.path().join("file"), "").unwrap();
    assert!(create(&folder.path().join("file")).message.contains("cannot be made"));
    assert!(create(&folder.path().join("file/out")).message.contains("cannot be made"));
}

#[test]
fn the_parents_of_an_output_are_made() {
    let folder = tempfile::tempdir().unwrap();
    writer(&folder.path().join("one/two"), patient()).finish().unwrap();
    assert!(folder.path().join("one/two/extractions").is_dir());
}

#[test]
fn columns_can_be_chosen_and_rows_limited() {
    let folder = tempfile::tempdir().unwrap();
    let mut writer = writer(folder.path(), Settings { rows_per_part: 3, ..patient() });
    for number in 0..8 {
        tell(&mut writer, [row(&source("a.pdf", 1), page(number), invoice(u64::from(number)))]);
    }
    writer.finish().unwrap();
    let columns = Some(vec!["vendor".to_owned(), "_page".to_owned()]);
    let mut cells = Vec::new();
    read::read(folder.path(), &Request { table: Table::Extractions, columns, limit: 4 }, &mut |batch| {
        cells.extend(read::cells(batch, 6));
        Ok(())
    })
    .unwrap();
    assert_eq!(cells.len(), 4);
    assert_eq!(cells[3], ["Vendo…", "3"]);
    let columns = Some(vec!["vender".to_owned()]);
    let wrong = read::read(folder.path(), &Request { table: Table::Extractions, columns, limit: 4 }, &mut |_| Ok(()))
        .unwrap_err();
    assert!(wrong.message.contains("no column `vender`") && wrong.hint.contains("`vendor`"));
    let nowhere = read::read(
        &folder.path().join("none"),
        &Request { table: Table::Failures, columns: None, limit: 4 },
        &mut |_| Ok(()),
    );
    assert!(nowhere.unwrap_err().message.contains("holds no dataset"));
}

#[test]
fn settings_are_read_and_their_mistakes_named() {
    let settings: Settings = toml::from_str("rows_per_part = 5\ncompression = \"snappy\"").unwrap();
    assert_eq!((settings.rows_per_part, settings.compression), (5, Compression::Snappy));
    assert!(settings.validate().is_empty());
    assert!(toml::from_str::<Settings>("rows_per_parts = 5").unwrap_err().to_string().contains("rows_per_parts"));
    let nothing = Settings { rows_per_part: 0, mebibytes_per_part: 0, ..settings };
    assert_eq!(nothing.validate().len(), 2, "{:?}", nothing.validate());
}
