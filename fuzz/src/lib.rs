//! What is fuzzed, one function for each target: bytes in; true when they were taken for what they pretend to be. Each
//! panics when what came of them cannot be. The tests run the same functions over mutations that follow from a seed.

use std::{
    io::Cursor,
    path::{Path, PathBuf},
    sync::{Arc, OnceLock},
};

use lapidary::{
    app::pipeline::{Overrides, Pipeline},
    base::{
        ContentHash, Effort, Emit, Extraction, Fault, Finish, Generation, Item, Kind, Lease, Origin, Part, PromptFacts,
        Shape, Source, Stage, Timing, Tokens, Unit,
        shape::{Bounds, coverage},
    },
    bundle, collect,
    decode::{self, Limits, overhear},
    parse::Parser,
};
use serde_json::{Value, json};

/// The kind of a file, by its content.
pub fn sniff(content: &[u8]) -> bool {
    let head = &content[..content.len().min(1 << 16)];
    match collect::kind_of(head, &mut Cursor::new(content)) {
        Ok(_) => true,
        Err(fault) => {
            assert_told(&fault);
            false
        }
    }
}

/// The words of a decoder process. The first byte says what document it is at.
pub fn wire(data: &[u8]) -> bool {
    const KINDS: [Kind; 5] = [Kind::Pdf, Kind::Image, Kind::Audio, Kind::Video, Kind::Text];
    let Some((first, words)) = data.split_first() else { return false };
    let limits = Limits { pixels: 1 << 20, ..Limits::default() };
    let settings = decode::Settings { limits, ..decode::Settings::default() };
    let (units, ended) = overhear(words, KINDS[usize::from(*first) % KINDS.len()], &settings);
    units.iter().for_each(assert_whole);
    !units.is_empty() && ended.is_ok()
}

/// An answer of the model.
pub fn parse(data: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(data) else { return false };
    let mut records = Records::default();
    let mut parser = Parser::new(answer_shape()).with_evidence(true);
    match parser.process(generation(text), &mut records) {
        Err(fault) => assert_told(&fault),
        Ok(()) => assert_eq!(records.0.len(), 1, "one answer is one record"),
    }
    let again = |record: &Extraction| answer_shape().settle(record.record.clone());
    records.0.iter().for_each(|record| assert!(again(record).is_ok(), "a record passes its schema: {record:?}"));
    !records.0.is_empty()
}

/// `bundle.toml`.
pub fn manifest(data: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(data) else { return false };
    bundle::read_manifest(text, Path::new("bundle.toml")).is_ok()
}

/// The header of a safetensors file.
pub fn safetensors(data: &[u8]) -> bool {
    let Ok((metadata, start)) = bundle::checkpoint::read_header(&mut &*data, data.len() as u64) else { return false };
    for info in metadata.tensors().values() {
        let (begin, end) = info.data_offsets;
        assert!(begin <= end && start as usize + end <= data.len(), "a tensor lies inside its file: {info:?}");
    }
    true
}

/// A pipeline file.
pub fn pipeline(data: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(data) else { return false };
    let (pipeline, problems) = Pipeline::from_text(text, &Overrides::default());
    assert!(pipeline.is_some() || !problems.is_empty(), "what is refused is told why");
    pipeline.is_some() && problems.is_empty()
}

/// A schema file.
pub fn schema(data: &[u8]) -> bool {
    let Ok(schema) = serde_json::from_slice::<Value>(data) else { return false };
    coverage(&schema);
    match Shape::compile_within(&schema, Bounds::default()) {
        Err(problems) => {
            assert!(!problems.is_empty(), "what is refused is told why");
            false
        }
        Ok(shape) => {
            shape.guide();
            true
        }
    }
}

fn assert_told(fault: &Fault) {
    assert!(!fault.message.is_empty() && !fault.hint.is_empty(), "{fault:?}");
}

fn assert_whole(unit: &Unit) {
    let rasters: Vec<_> = match unit {
        Unit::Pages(pages) => return pages.iter().for_each(assert_whole),
        Unit::Page(page) => vec![&page.raster],
        Unit::Image(raster) => vec![raster],
        Unit::Film(film) => film.frames.iter().map(|frame| &frame.raster).collect(),
        Unit::Clip(_) | Unit::Text(_) | Unit::Notes(_) => Vec::new(),
    };
    let whole = |pixels: usize, width: u32, height: u32| pixels == 3 * width as usize * height as usize;
    assert!(rasters.iter().all(|raster| whole(raster.rgb.len(), raster.width, raster.height)));
}

/// A little of everything that a schema may hold.
fn answer_shape() -> Arc<Shape> {
    static SHAPE: OnceLock<Arc<Shape>> = OnceLock::new();
    SHAPE.get_or_init(|| Arc::new(Shape::compile(&answer_schema()).expect("it is a good schema"))).clone()
}

fn answer_schema() -> Value {
    let item = json!({ "type": "object", "required": ["what"], "additionalProperties": false, "properties": {
        "what": { "type": "string", "maxLength": 20 }, "count": { "type": ["integer", "null"], "minimum": 0, "maximum": 99 } } });
    json!({ "type": "object", "required": ["title", "items"], "additionalProperties": false, "properties": {
        "title": { "type": "string", "maxLength": 40 },
        "day": { "type": ["string", "null"], "format": "date" },
        "total": { "type": "number", "multipleOf": 0.01, "minimum": -1000, "maximum": 1000 },
        "kind": { "enum": ["one", "two"] },
        "items": { "type": "array", "maxItems": 5, "uniqueItems": true, "items": item },
        "notes": { "type": "object", "additionalProperties": { "type": "boolean" }, "maxProperties": 3 } } })
}

/// The records that come out of the stage.
#[derive(Default)]
struct Records(Vec<Extraction>);

impl Emit<Extraction> for Records {
    fn item(&mut self, item: Item<Extraction>) {
        self.0.push(item.body);
    }

    fn fault(&mut self, _: &Origin, fault: Fault) {
        assert_told(&fault);
    }

    fn open(&self) -> bool {
        true
    }
}

fn generation(text: &str) -> Item<Generation> {
    let (name, hash) = ("a.txt".to_owned(), ContentHash([0; 32]));
    let source = Source { name, path: PathBuf::new(), hash, kind: Kind::Text, bytes: 0, modified: None, ordinal: 0 };
    let body = Generation {
        tokens: Vec::new(),
        logprobs: Vec::new(),
        places: Tokens::default(),
        text: text.to_owned(),
        controls: Vec::new(),
        thought: None,
        finish: Finish::Stop,
        confined: None,
        facts: PromptFacts::default(),
        layer: Some(lapidary::base::TextLayer {
            text: "Invoice 17 of 2026-04-17, total 1.234,50".to_owned(),
            words: Vec::new(),
        }),
        effort: Effort::default(),
        timing: Timing::default(),
    };
    Item { origin: Origin { source: Arc::new(source), part: Part::Whole }, attempt: 0, lease: Lease::none(), body }
}
