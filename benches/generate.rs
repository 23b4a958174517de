//! What generating costs beside the model: whole units over replayed answers, token masks, and drawing tokens.
//!
//! `cargo bench --bench generate`

#[allow(dead_code, reason = "the tests use more of it")]
#[path = "../tests/it/vocabulary.rs"]
mod vocabulary_of_tests;

use std::{path::Path, sync::Arc};

use crossbeam::channel::unbounded;
use divan::{Bencher, counter::ItemsCount};
use lapidary::{
    base::{
        ContentHash, Emit, Fault, Generation, Item, Kind, Lease, Origin, Part, Prompt, Shape, Source, Stop, TextLayer,
    },
    generate::{Drafter, Generator, Guide, Habits, Logits, ReplayEngine, Sampler, Settings, Shelf, Syntax, Vocabulary},
};

const UNITS: u32 = 200;

const ANSWER: &str = r#"{"vendor":"Miller and Sons","invoice_number":"2026-00117","date":"2026-11-21","due_date":null,"currency":"EUR","line_items":[{"description":"Two granite slabs, 30 x 60 cm","quantity":2,"unit_price":200,"amount":400},{"description":"Transport","quantity":1,"unit_price":134.5,"amount":134.5}],"subtotal":534.5,"tax":101.56,"total":636.06}"#;

fn main() {
    divan::main();
}

fn vocabulary() -> Vocabulary {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("onnx/reference/tiny/tokenizer.json");
    Vocabulary::read(&path, 1024, &[1]).expect("the tiny tokenizer is committed")
}

fn guide(vocabulary: &Vocabulary) -> Guide {
    let schema = serde_json::from_str(include_str!("../schemas/invoice.json")).expect("the schema is JSON");
    let shape = Shape::compile(&schema).expect("the schema is supported");
    Guide::compile(vocabulary, &shape.guide()).expect("the schema can be guided")
}

fn origin(number: u32) -> Origin {
    let hash = ContentHash(*blake3::hash(&number.to_le_bytes()).as_bytes());
    let source = Source {
        name: number.to_string(),
        path: "".into(),
        hash,
        kind: Kind::Pdf,
        bytes: 1,
        ordinal: u64::from(number),
        modified: None,
    };
    Origin { source: Arc::new(source), part: Part::Whole }
}

fn item(number: u32) -> Item<Prompt> {
    let body = Prompt { tokens: vec![20; 700], budget: 280, ..Prompt::default() };
    Item { origin: origin(number), attempt: 0, lease: Lease::none(), body }
}

struct Nowhere;

impl Emit<Generation> for Nowhere {
    fn item(&mut self, item: Item<Generation>) {
        divan::black_box(item);
    }

    fn fault(&mut self, _: &Origin, fault: Fault) {
        panic!("no unit may fail: {fault}");
    }

    fn open(&self) -> bool {
        true
    }
}

/// Whole units through slots, grammar and sampler; the model costs nothing.
#[divan::bench(sample_count = 20)]
fn units_over_replayed_answers(bencher: Bencher) {
    let (vocabulary, settings) = (vocabulary(), Settings::default());
    let fresh = || {
        let engine = ReplayEngine::new(&[ANSWER.to_owned()], &vocabulary, 1, 4, 4096);
        let engine = engine.expect("the answer can be spelled");
        let (sender, receiver) = unbounded();
        (0..UNITS).for_each(|number| sender.send(item(number)).expect("the receiver is here"));
        let guide = Some(guide(&vocabulary));
        (
            Generator::new(engine, vocabulary.clone(), guide, settings.clone()).expect("the allowance is enough"),
            receiver,
        )
    };
    bencher.counter(ItemsCount::new(UNITS)).with_inputs(fresh).bench_values(|(generator, receiver)| {
        generator.run(receiver, &mut Nowhere, &Stop::default()).expect("the run goes through")
    });
}

/// Token masks of one answer.
#[divan::bench]
fn masks_of_one_answer(bencher: Bencher) {
    let vocabulary = vocabulary();
    let tokens = vocabulary.spell(ANSWER.as_bytes()).expect("the answer can be spelled");
    let mut guide = guide(&vocabulary);
    bencher.counter(ItemsCount::new(tokens.len())).bench_local(|| {
        let mut guided = guide.begin();
        for token in &tokens {
            divan::black_box(guided.mask().expect("the grammar goes on"));
            guided.consume(*token).expect("the answer follows the grammar");
        }
    });
}

/// One token out of a vocabulary of 262144, all allowed: greedy, and drawn with Gemma's own settings.
#[divan::bench(args = [0.0, 1.0])]
fn one_token_of_262144(bencher: Bencher, temperature: f32) {
    let drawn = temperature > 0.0;
    let (top_k, top_p) = (drawn.then_some(64), drawn.then_some(0.95));
    let settings = Settings { temperature, top_k, top_p, ..Settings::default() };
    let scores: Vec<f32> = (0..262_144_u32).map(|id| (id.wrapping_mul(2_654_435_761) >> 16) as f32 / 4096.0).collect();
    let allowed = toktrie::SimpleVob::alloc_ones(scores.len());
    let mut sampler = Sampler::new(&settings, &origin(0));
    bencher.bench_local(|| sampler.choose(Logits::Scores(&scores), &allowed));
}

/// What the grammar forces, asked after each token of one answer, with the full vocabulary; taking the token counts too.
#[divan::bench(sample_count = 20)]
fn forced_tokens_of_one_answer(bencher: Bencher) {
    let (vocabulary, tokenizer) = vocabulary_of_tests::full_speller();
    let tokens = tokenizer.ids(ANSWER).expect("the answer can be spelled");
    let mut guide = guide(&vocabulary);
    bencher.counter(ItemsCount::new(tokens.len())).bench_local(|| {
        let mut guided = guide.begin();
        for token in &tokens {
            divan::black_box(guided.forced().expect("the grammar goes on"));
            guided.consume(*token).expect("the answer follows the grammar");
        }
    });
}

/// Drafts of one answer of 1,200 tokens, checked against the answer itself: the look-ups, the shelf and the controller.
#[divan::bench(sample_count = 20)]
fn drafts_of_1200_tokens(bencher: Bencher) {
    let answer: Vec<u32> = (0..1200_u32).map(|place| place.wrapping_mul(place) % 97 + place / 200).collect();
    let mut shelf = Shelf::default();
    (0..64).for_each(|other| shelf.learn(&answer.iter().map(|token| token + other % 5).collect::<Vec<u32>>()));
    bencher.counter(ItemsCount::new(answer.len())).bench_local(|| {
        let mut drafter = Drafter::new(&answer[..200], Habits::new(0.03));
        for said in 1..answer.len() {
            let draft = drafter.propose(&shelf, &answer[..said], 32, <[u32]>::len);
            let accepted = draft.iter().zip(&answer[said..]).take_while(|(drafted, next)| drafted == next).count();
            drafter.judge(draft.len(), accepted);
        }
    });
}

/// The same for a page of text that is written out: finding the place, and spelling what follows with the full vocabulary.
#[divan::bench(sample_count = 20)]
fn drafts_of_a_page_written_out(bencher: Bencher) {
    let (vocabulary, tokenizer) = vocabulary_of_tests::full_speller();
    let text = include_str!("../ARCHITECTURE.md");
    let answer = tokenizer.ids(&format!("{{\"text\":{}", serde_json::json!(text))).expect("text");
    let (layer, shelf) = (TextLayer { text: text.to_owned(), words: Vec::new() }, Shelf::default());
    bencher.counter(ItemsCount::new(answer.len())).bench_local(|| {
        let mut drafter = Drafter::new(&[2], Habits::new(0.03)).with_page(&vocabulary, Syntax::Json, Some(&layer));
        let mut said = 1;
        while said < answer.len() {
            let draft = drafter.propose(&shelf, &answer[..said], 32, <[u32]>::len);
            let accepted = draft.iter().zip(&answer[said..]).take_while(|(drafted, next)| drafted == next).count();
            drafter.judge(draft.len(), accepted);
            said += accepted + 1;
        }
    });
}
