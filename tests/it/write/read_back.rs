//! The dataset as others see it: pyarrow checks the types, DuckDB queries the nested columns.

use std::process::Command;

use lapidary::base::{Outcome, Part};

use super::support::*;

#[test]
fn pyarrow_and_duckdb_read_what_was_written() {
    let python = std::env::var("LAPIDARY_TEST_PYTHON")
        .expect("LAPIDARY_TEST_PYTHON names a Python with pyarrow and duckdb; run the tests through `cargo xtask test`, which makes one");
    let folder = tempfile::tempdir().unwrap();
    let mut writer = writer(folder.path(), patient());
    let report = source("report.pdf", 1);
    let talk = source("talk.mp3", 2);
    writer.accept(Outcome::Promise(report.clone(), 3)).unwrap();
    writer.accept(Outcome::Promise(talk.clone(), 1)).unwrap();
    writer.accept(row(&report, page(1), invoice(1))).unwrap();
    writer.accept(row(&report, page(2), invoice(2))).unwrap();
    writer.accept(failure(&report, page(3))).unwrap();
    let mut sparse = invoice(3);
    for field in ["day", "received", "currency", "number", "buyer"] {
        sparse[field] = serde_json::Value::Null;
    }
    sparse["lines"] = serde_json::json!([]);
    writer.accept(row(&talk, Part::Time { start: 30.0, end: 60.0 }, sparse)).unwrap();
    writer.finish().unwrap();

    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/read_back.py");
    let output = Command::new(python).arg(script).arg(folder.path()).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}
