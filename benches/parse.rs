//! Records per second out of answers, with and without evidence: an invoice of ten lines on a page of 400 words, and a
//! record of 200 values on a page of 10,000 words that has few of them.
//!
//! `cargo bench --bench parse`

use std::{fmt::Write, sync::Arc};

use divan::Bencher;
use lapidary::{
    base::{
        ContentHash, Effort, Emit, Extraction, Fault, Finish, Generation, Item, Kind, Lease, Origin, Part, PromptFacts,
        Shape, Source, Stage, TextLayer, Timing, Tokens, Word,
    },
    parse::Parser,
};
use serde_json::{Value, json};

fn main() {
    divan::main();
}

struct Nowhere;

impl Emit<Extraction> for Nowhere {
    fn item(&mut self, item: Item<Extraction>) {
        divan::black_box(item);
    }

    fn fault(&mut self, _: &Origin, fault: Fault) {
        panic!("{fault:?}");
    }

    fn open(&self) -> bool {
        true
    }
}

/// An answer and the text of its page.
fn case(lines: u32, words: u32) -> (Value, String) {
    let line = |n: u32| json!({"description": format!("Article {} in blue, large", n * 31), "quantity": n, "unit_price": 12.25, "amount": 12.25 * f64::from(n)});
    let answer = json!({"vendor": "Granat & Sons", "invoice_number": "R-000417", "date": "2026-11-21", "due_date": null,
        "currency": "EUR", "line_items": (0..lines).map(line).collect::<Vec<_>>(), "subtotal": 551.25, "tax": 104.74, "total": 655.99});
    let mut page = "GRANAT & SONS\nInvoice R-000417\n21 November 2026\n551,25 104,74 655,99 EUR\n".to_owned();
    for n in 0..words / 4 {
        let end = if n % 3 == 2 { '\n' } else { ' ' };
        let _ = write!(page, "Article {} in {}.{:02}{end}", n % 3000, n % 97, n % 100);
    }
    (answer, page)
}

fn generation(answer: &Value, page: &str) -> Item<Generation> {
    let source = Source {
        name: "a.pdf".into(),
        path: "a.pdf".into(),
        hash: ContentHash([1; 32]),
        kind: Kind::Pdf,
        bytes: 1,
        ordinal: 0,
        modified: None,
    };
    let words = page.split_whitespace().map(|word| Word { text: word.to_owned(), bounds: [0.1, 0.1, 0.2, 0.2] });
    let layer = TextLayer { text: page.to_owned(), words: words.collect() };
    let text = answer.to_string();
    let ends: Vec<u32> = (1..=text.len() as u32 / 3).map(|token| token * 3).collect();
    let body = Generation {
        controls: Vec::new(),
        thought: None,
        tokens: vec![1; ends.len()],
        logprobs: vec![-0.1; ends.len()],
        places: Tokens { open: ends.len(), ends },
        text,
        finish: Finish::Stop,
        confined: None,
        facts: PromptFacts::default(),
        layer: Some(layer),
        effort: Effort::default(),
        timing: Timing::default(),
    };
    let origin = Origin { source: Arc::new(source), part: Part::Page { number: 1, of: 1 } };
    Item { origin, attempt: 0, lease: Lease::default(), body }
}

fn measure(bencher: Bencher, evidence: bool, (answer, page): (Value, String)) {
    let schema = serde_json::from_str(include_str!("../schemas/invoice.json")).expect("the schema is JSON");
    let shape = Shape::compile(&schema).expect("the schema is supported");
    let mut parser = Parser::new(Arc::new(shape)).with_evidence(evidence);
    bencher
        .with_inputs(|| generation(&answer, &page))
        .bench_local_values(|item| parser.process(item, &mut Nowhere).expect("a valid answer"));
}

#[divan::bench(args = [false, true])]
fn an_invoice(bencher: Bencher, evidence: bool) {
    measure(bencher, evidence, case(10, 400));
}

#[divan::bench(args = [false, true], sample_count = 20)]
fn a_dense_page(bencher: Bencher, evidence: bool) {
    measure(bencher, evidence, case(48, 10_000));
}
