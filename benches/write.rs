//! Rows per second into Parquet: an invoice with ten lines per row, from outcome to published part.
//!
//! `cargo bench --bench write`

use std::sync::Arc;

use divan::{Bencher, counter::ItemsCount};
use lapidary::{
    base::{
        ContentHash, Effort, Extraction, Finish, Item, Kind, Lease, Origin, Outcome, Part, PromptFacts, Shape, Source,
    },
    write::{Claim, Compression, Extras, RunIdentity, Settings, Writer},
};
use serde_json::{Value, json};

const ROWS: u32 = 2_000;

fn main() {
    divan::main();
}

fn shape() -> Arc<Shape> {
    let schema = include_str!("../schemas/invoice.json");
    let schema = serde_json::from_str(schema).expect("the schema is JSON");
    Arc::new(Shape::compile(&schema).expect("the schema is supported"))
}

fn record(number: u32) -> Value {
    let line = |line: u32| json!({"description": format!("Article {} in blue, large", number * 31 + line), "quantity": line, "unit_price": 12.25, "amount": 12.25 * f64::from(line)});
    json!({"vendor": format!("Vendor {} & Sons", number % 97), "invoice_number": format!("R-{number:06}"), "date": "2026-11-21", "due_date": null,
        "currency": "EUR", "line_items": (0..10).map(line).collect::<Vec<_>>(), "subtotal": 551.25, "tax": 104.74, "total": 655.99})
}

fn rows() -> Vec<Outcome> {
    (0..ROWS).map(row).collect()
}

fn row(number: u32) -> Outcome {
    let record = record(number);
    let hash = ContentHash(*blake3::hash(&number.to_le_bytes()).as_bytes());
    let source = Source {
        name: format!("invoices/{number}.pdf"),
        path: "".into(),
        hash,
        kind: Kind::Pdf,
        bytes: 1,
        ordinal: u64::from(number),
        modified: None,
    };
    let body = Extraction {
        raw: record.to_string(),
        record,
        boxes: Vec::new(),
        thought: None,
        problems: Vec::new(),
        evidence: None,
        checks: Vec::new(),
        tokens: 400,
        mean_logprob: -0.1,
        finish: Finish::Stop,
        facts: PromptFacts::default(),
        effort: Effort::default(),
        ..Extraction::default()
    };
    let origin = Origin { source: Arc::new(source), part: Part::Page { number: 1, of: 1 } };
    Outcome::Row(Box::new(Item { origin, attempt: 0, lease: Lease::default(), body }))
}

#[divan::bench(args = [Compression::Zstd, Compression::Snappy, Compression::None], sample_count = 10)]
fn invoices(bencher: Bencher, compression: Compression) {
    let shape = shape();
    bencher.counter(ItemsCount::new(ROWS)).with_inputs(rows).bench_local_values(|rows| {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let settings = Settings { compression, ..Settings::default() };
        let claim = Claim::take(&folder.path().join("out")).expect("a new folder");
        let run = RunIdentity::default();
        let writer = Writer::create(&claim, shape.clone(), Extras::default(), settings, run, false);
        let mut writer = writer.expect("a new folder");
        for row in rows {
            writer.accept(row);
            writer.tick().expect("room on the disk");
        }
        writer.finish().expect("room on the disk")
    });
}

#[divan::bench(sample_count = 10)]
fn answers_into_records(bencher: Bencher) {
    let shape = shape();
    let answers = || (0..ROWS).map(record).collect::<Vec<_>>();
    bencher
        .counter(ItemsCount::new(ROWS))
        .with_inputs(answers)
        .bench_local_values(|answers| answers.into_iter().filter_map(|answer| shape.settle(answer).ok()).count());
}
