//! Documents, rows and failures to feed a writer with.

use std::{path::Path, sync::Arc};

use lapidary::{
    base::{
        ContentHash, Effort, Extraction, Failure, Fault, FaultKind, Finish, Item, Kind, Lease, Origin, Outcome, Part,
        PromptFacts, Shape, Source, StageName, Timing,
        ladder::{Rung, Try},
    },
    write::{Claim, Config, Extras, RunIdentity, Settings, Writer},
};
use serde_json::{Value, json};

pub fn invoice_shape() -> Arc<Shape> {
    let line = json!({"type": "object", "required": ["what", "price"], "properties": {
        "what": {"type": "string"}, "price": {"type": "number"}, "tags": {"type": "array", "items": {"type": "string"}}}});
    let schema = json!({"type": "object", "required": ["vendor", "lines", "paid"], "properties": {
        "vendor": {"type": "string", "description": "Who wrote the invoice"},
        "day": {"type": ["string", "null"], "format": "date"},
        "received": {"type": "string", "format": "date-time"},
        "currency": {"enum": ["EUR", "USD", null]},
        "number": {"type": "integer"},
        "paid": {"type": "boolean"},
        "buyer": {"type": "object", "properties": {"name": {"type": "string"}, "since": {"type": "integer"}}},
        "lines": {"type": "array", "items": line}
    }});
    Arc::new(Shape::compile(&schema).unwrap())
}

pub fn invoice(number: u64) -> Value {
    json!({"vendor": format!("Vendor {number}"), "day": "2024-02-29", "received": "2024-03-01T09:30:00.25Z", "currency": "EUR",
        "number": number, "paid": number.is_multiple_of(2), "buyer": {"name": "Ada", "since": null},
        "lines": [{"what": "tea", "price": 2.5, "tags": ["hot", "green"]}, {"what": "milk", "price": 1.25, "tags": null}]})
}

pub fn source(name: &str, content: u8) -> Arc<Source> {
    let hash = ContentHash([content; 32]);
    Arc::new(Source {
        name: name.into(),
        path: name.into(),
        hash,
        kind: Kind::Pdf,
        bytes: 100,
        ordinal: u64::from(content),
        modified: None,
    })
}

pub fn page(number: u32) -> Part {
    Part::Page { number, of: 9 }
}

pub fn row(source: &Arc<Source>, part: Part, record: Value) -> Outcome {
    let body = Extraction {
        raw: record.to_string(),
        record,
        boxes: Vec::new(),
        thought: None,
        problems: vec!["/lines: first".into(), "second".into()],
        evidence: None,
        checks: Vec::new(),
        tokens: 41,
        mean_logprob: -0.25,
        finish: Finish::Stop,
        confined: false,
        facts: PromptFacts { budget: 280, prompt_tokens: 300, image_tokens: 256, audio_tokens: 0 },
        effort: Effort { steps: 7, forced: 2, drafted: 4, accepted: 3 },
        timing: Timing { encode_micros: 1500, prefill_micros: 2500, decode_micros: 3500 },
        attempt: 2,
        tries: vec![Try {
            why: vec!["closed", "empty"],
            attempt: 0,
            rung: Rung { budget: None, rotate: Some(90), tiles: Some(2), temperature: Some(0.5), shift: None },
            tokens: 17,
        }],
        shift: 0.0,
        index: None,
        merged: None,
    };
    let origin = Origin { source: source.clone(), part };
    Outcome::Row(Box::new(Item { origin, attempt: 0, lease: Lease::default(), body }))
}

pub fn failure(source: &Arc<Source>, part: Part) -> Outcome {
    let fault = Fault::new(StageName::Decode, FaultKind::Corrupt, "the page is torn", "scan it again");
    Outcome::Failure(Box::new(Failure::of(&Origin { source: source.clone(), part }, fault)))
}

pub fn unreadable(name: &str) -> Outcome {
    let fault = Fault::new(StageName::Collect, FaultKind::Unreadable, "permission denied", "change its permissions");
    Outcome::Failure(Box::new(Failure {
        source: name.into(),
        hash: None,
        kind: None,
        part: Part::Whole,
        fault,
        document: None,
        tries: Vec::new(),
    }))
}

pub fn run() -> RunIdentity {
    let config =
        || Config { answers: "config-hash".into(), failures: "chances-hash".into(), units: "units-hash".into() };
    RunIdentity::new("model-hash", |_| config())
}

pub fn patient() -> Settings {
    Settings { seconds_per_part: 1 << 40, ..Settings::default() }
}

/// A writer of records of that shape.
pub fn of_shape(out: &Path, shape: Arc<Shape>, settings: Settings) -> Writer {
    Writer::create(&Claim::take(out).unwrap(), shape, Extras::default(), settings, run(), false).unwrap()
}

/// All of these, one after the other, as the line tells them.
pub fn tell(writer: &mut Writer, outcomes: impl IntoIterator<Item = Outcome>) {
    for outcome in outcomes {
        writer.accept(outcome);
        writer.tick().unwrap();
    }
}

pub fn writer(out: &Path, settings: Settings) -> Writer {
    of_shape(out, invoice_shape(), settings)
}
