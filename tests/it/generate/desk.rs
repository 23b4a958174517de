//! What the tests of this stage share: a small vocabulary, prompts, and a place that collects what comes out.

use std::sync::Arc;

use crossbeam::channel::unbounded;
use lapidary::{
    base::{
        ByteBudget, ContentHash, Emit, Fault, Generation, Item, Kind, Lease, Origin, Prompt, Source, Stop, item::Part,
    },
    generate::{Engine, Generator, Guide, OrtEngine, Settings, Stats, Vocabulary},
};

/// The id that ends an answer in [`vocabulary`].
pub const END: u32 = 256;

/// All bytes but 0xff, `<end>`, `<soft>`, and some longer words.
pub fn vocabulary() -> Vocabulary {
    let mut words: Vec<Vec<u8>> = (0..=254).map(|byte| vec![byte]).collect();
    words.push(Vec::new());
    words.extend([b"\xff<end>".to_vec(), b"\xff<soft>".to_vec()]);
    for word in
        ["\",\"", "\":", "\":\"", "true", "null", "the", " the", "2024-", "{\"", "é", "日本", "},{", "10", "\\n"]
    {
        words.push(word.as_bytes().to_vec());
    }
    Vocabulary::from_words(&words, &[END]).unwrap()
}

/// A text prompt of `length` tokens, different for each `number`.
pub fn prompt(number: u32, length: usize) -> Prompt {
    Prompt {
        tokens: (0..length as u32).map(|place| 5 + (number * 7 + place * 13) % 200).collect(),
        encode_micros: 1,
        ..Prompt::default()
    }
}

/// An item whose source is told by `number`.
pub fn item(number: u32, prompt: Prompt) -> Item<Prompt> {
    Item { origin: origin(number), attempt: 0, lease: Lease::none(), body: prompt }
}

/// The same with a lease of the prompt's bytes.
pub fn leased(number: u32, prompt: Prompt, budget: &ByteBudget) -> Item<Prompt> {
    let lease = budget.lease(prompt.bytes(), &Stop::default()).unwrap();
    Item { origin: origin(number), attempt: 0, lease, body: prompt }
}

fn origin(number: u32) -> Origin {
    let mut hash = [0; 32];
    hash[..4].copy_from_slice(&number.to_le_bytes());
    let source = Source {
        name: format!("unit {number}"),
        path: "".into(),
        hash: ContentHash(hash),
        kind: Kind::Text,
        bytes: 1,
        ordinal: u64::from(number),
        modified: None,
    };
    Origin { source: Arc::new(source), part: Part::Whole }
}

/// Collects what a generator emits.
#[derive(Default)]
pub struct Tray {
    /// Finished, in order.
    pub done: Vec<Item<Generation>>,
    /// Failed: the source's name and why.
    pub faults: Vec<(String, Fault)>,
}

impl Emit<Generation> for Tray {
    fn item(&mut self, item: Item<Generation>) {
        self.done.push(item);
    }

    fn fault(&mut self, origin: &Origin, fault: Fault) {
        self.faults.push((origin.source.name.clone(), fault));
    }

    fn open(&self) -> bool {
        true
    }
}

/// Encodes everything beforehand, so that prompts meet in the slots in the same way in every run.
pub fn encode(engine: &mut OrtEngine, items: &mut [Item<Prompt>]) {
    let mut encoders = engine.encoders().unwrap();
    for item in items.iter_mut().filter(|item| item.body.has_media()) {
        encoders.encode(&mut [&mut item.body]).remove(0).unwrap();
    }
}

/// Answers by number of unit: tokens and log-probabilities.
pub type Answers = Vec<(u64, Vec<u32>, Vec<f32>)>;

/// Runs units that come all at once.
pub fn run(
    engine: impl Engine,
    vocabulary: Vocabulary,
    guide: Option<Guide>,
    settings: Settings,
    items: Vec<Item<Prompt>>,
) -> (Stats, Tray) {
    let generator = Generator::new(engine, vocabulary, guide, settings).unwrap();
    let (sender, receiver) = unbounded();
    items.into_iter().for_each(|item| sender.send(item).unwrap());
    drop(sender);
    let mut tray = Tray::default();
    let stats = generator.run(receiver, &mut tray, &Stop::default()).unwrap();
    (stats, tray)
}

/// What an engine makes of units that come all at once, in their order; none may fail.
pub fn generations(
    engine: OrtEngine,
    vocabulary: Vocabulary,
    guide: Option<Guide>,
    settings: Settings,
    items: Vec<Item<Prompt>>,
) -> Vec<Item<Generation>> {
    let (_, mut tray) = run(engine, vocabulary, guide, settings, items);
    assert!(tray.faults.is_empty(), "{:?}", tray.faults);
    tray.done.sort_by_key(|item| item.origin.source.ordinal);
    tray.done
}

/// The same without a grammar, as answers.
pub fn answers(engine: OrtEngine, vocabulary: Vocabulary, settings: Settings, items: Vec<Item<Prompt>>) -> Answers {
    let answer = |item: Item<Generation>| (item.origin.source.ordinal, item.body.tokens, item.body.logprobs);
    generations(engine, vocabulary, None, settings, items).into_iter().map(answer).collect()
}
