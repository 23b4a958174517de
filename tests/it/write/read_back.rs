//! The dataset as others see it: pyarrow checks the types, DuckDB queries the nested columns.

use std::{path::Path, process::Command, sync::Arc};

use lapidary::base::{Outcome, Part, Shape};
use serde_json::json;

use super::support::*;

/// Runs a script of `tests/` over a dataset.
fn read_with(script: &str, dataset: &Path) {
    let python = std::env::var("LAPIDARY_TEST_PYTHON")
        .expect("LAPIDARY_TEST_PYTHON names a Python with pyarrow and duckdb; run the tests through `cargo xtask test`, which makes one");
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests").join(script);
    let output = Command::new(python).arg(script).arg(dataset).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn pyarrow_and_duckdb_read_what_was_written() {
    let folder = tempfile::tempdir().unwrap();
    let mut writer = writer(folder.path(), patient());
    let report = source("report.pdf", 1);
    let talk = source("talk.mp3", 2);
    tell(&mut writer, [Outcome::Promise(report.clone(), 3)]);
    tell(&mut writer, [Outcome::Promise(talk.clone(), 1)]);
    tell(&mut writer, [row(&report, page(1), invoice(1))]);
    tell(&mut writer, [row(&report, page(2), invoice(2))]);
    tell(&mut writer, [failure(&report, page(3))]);
    let mut sparse = invoice(3);
    for field in ["day", "received", "currency", "number", "buyer"] {
        sparse[field] = serde_json::Value::Null;
    }
    sparse["lines"] = serde_json::json!([]);
    tell(&mut writer, [row(&talk, Part::Time { start: 30.0, end: 60.0 }, sparse)]);
    writer.finish().unwrap();

    read_with("read_back.py", folder.path());
}

#[test]
fn decimals_maps_tagged_objects_and_json_text_are_read_by_others() {
    let variant = |kind: &str, name: &str| {
        json!({"type": "object", "required": ["kind", name],
        "properties": {"kind": {"const": kind}, name: {"type": "integer"}}})
    };
    let schema = json!({"type": "object", "properties": {
        "total": {"type": "number", "multipleOf": 0.01},
        "share": {"type": "number", "multipleOf": 0.001, "minimum": 0, "maximum": 1},
        "rates": {"type": "object", "additionalProperties": {"type": "number", "multipleOf": 0.01}},
        "shape": {"oneOf": [variant("circle", "radius"), variant("square", "width"), {"type": "null"}]},
        "any": {"anyOf": [{"type": "integer"}, {"type": "array", "items": {"type": "string"}}]},
        "first.name": {"type": "string"}
    }});
    let shape = Arc::new(Shape::compile(&schema).unwrap());
    let records = [
        json!({"total": 9_999_999_999_999.99, "share": 0.125, "rates": {"a.b": 1.1, "ü": -2},
            "shape": {"kind": "circle", "radius": 2}, "any": ["x", "y"], "first.name": "Ada"}),
        json!({"total": -0.01, "rates": {}, "shape": null, "any": 3}),
    ];
    let folder = tempfile::tempdir().unwrap();
    let mut writer = of_shape(folder.path(), shape.clone(), patient());
    let report = source("report.pdf", 1);
    tell(&mut writer, [Outcome::Promise(report.clone(), 2)]);
    for (number, record) in (1..).zip(records) {
        let settled = shape.settle(record).unwrap();
        tell(&mut writer, [row(&report, page(number), settled.record)]);
    }
    writer.finish().unwrap();
    read_with("read_back_types.py", folder.path());
}
