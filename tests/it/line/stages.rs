//! A line of stages that count instead of working, and what a run of it came to.

use std::{
    collections::BTreeMap,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use lapidary::{
    app::{
        allowance::Allowance,
        collate::Collator,
        gauge::Gauge,
        ladder::Judge,
        line::{Found, Generating, Line},
    },
    base::{
        ByteBudget, ContentHash, Document, Effort, Emit, Extraction, Fatal, Fault, FaultKind, Finish, Generation, Item,
        Kept, Kind, Lease, Origin, Outcome, Part, Prompt, PromptFacts, RecordOf, Shape, Source, Stage, StageName, Stop,
        Timing, Tokens, Unit, UnitQuota,
    },
    parse::Merging,
};

pub fn document(ordinal: u64) -> Item<Document> {
    let mut hash = [0; 32];
    hash[..8].copy_from_slice(&ordinal.to_le_bytes());
    let source = Source {
        name: format!("{ordinal}.txt"),
        path: PathBuf::new(),
        hash: ContentHash(hash),
        kind: Kind::Text,
        bytes: 1,
        ordinal,
        modified: None,
    };
    let origin = Origin { source: Arc::new(source), part: Part::Whole };
    Item { origin, attempt: 0, lease: Lease::none(), body: Document }
}

/// Gives `pages` units a document; every third fails, and documents divisible by ten fail, panic or break a promise.
/// Without pages every document fails as a whole.
pub struct Pages {
    pub pages: u32,
    pub budget: ByteBudget,
    pub stop: Stop,
}

impl Stage for Pages {
    type In = Document;
    type Out = Unit;

    fn process(&mut self, item: Item<Document>, emit: &mut dyn Emit<Unit>) -> Result<(), Fault> {
        let (source, ordinal) = (item.origin.source.clone(), item.origin.source.ordinal);
        if item.attempt > 0 {
            let Some(lease) = self.budget.lease(100, &self.stop) else { return Ok(()) };
            let Item { origin, attempt, .. } = item;
            emit.item(Item { origin, attempt, lease, body: Unit::Text(String::new()) });
            return Ok(());
        }
        match ordinal % 30 {
            _ if self.pages == 0 => return Err(Fault::new(StageName::Decode, FaultKind::Empty, "no pages", "")),
            10 => return Err(Fault::new(StageName::Decode, FaultKind::Corrupt, "no good", "")),
            20 => panic!("a decoder that panics"),
            _ => {}
        }
        let parts: Vec<Part> = (1..=self.pages).map(|number| Part::Page { number, of: self.pages }).collect();
        let granted = emit.promise(&source, &parts) as u32;
        let delivered = if ordinal % 30 == 29 { granted.saturating_sub(1) } else { granted };
        for number in 1..=delivered {
            let origin = Origin { source: source.clone(), part: Part::Page { number, of: self.pages } };
            let Some(lease) = self.budget.lease(100, &self.stop) else { return Ok(()) };
            match number % 3 {
                0 => emit.fault(&origin, Fault::new(StageName::Decode, FaultKind::Corrupt, "bad page", "")),
                _ => emit.item(Item { origin, attempt: 0, lease, body: Unit::Text(String::new()) }),
            }
        }
        Ok(())
    }
}

pub struct Blank;

impl Stage for Blank {
    type In = Unit;
    type Out = Prompt;

    fn process(&mut self, item: Item<Unit>, emit: &mut dyn Emit<Prompt>) -> Result<(), Fault> {
        let prompt = Prompt { tokens: vec![1], ..Prompt::default() };
        emit.item(item.with(prompt));
        Ok(())
    }
}

/// The attempt on which a page has an answer: the first, but every second page of every seventh document takes another.
fn wanted_attempt(origin: &Origin) -> u8 {
    let Part::Page { number, .. } = origin.part else { return 0 };
    if origin.source.ordinal % 7 == 1 && number.is_multiple_of(2) { 2 } else { 0 }
}

pub struct Accept;

impl Stage for Accept {
    type In = Generation;
    type Out = Extraction;

    fn process(&mut self, item: Item<Generation>, emit: &mut dyn Emit<Extraction>) -> Result<(), Fault> {
        let extraction = Extraction {
            record: serde_json::json!({ "a": if item.attempt < wanted_attempt(&item.origin) { "" } else { "x" } }),
            raw: item.body.text.clone(),
            boxes: Vec::new(),
            thought: None,
            problems: vec![],
            evidence: None,
            checks: Vec::new(),
            tokens: 1,
            mean_logprob: 0.0,
            finish: Finish::Stop,
            ..Extraction::default()
        };
        emit.item(item.with(extraction));
        Ok(())
    }
}

pub fn answer() -> Generation {
    Generation {
        tokens: vec![1],
        logprobs: vec![0.0],
        places: Tokens::default(),
        text: "{}".to_owned(),
        controls: Vec::new(),
        thought: None,
        finish: Finish::Stop,
        confined: None,
        facts: PromptFacts::default(),
        layer: None,
        effort: Effort::default(),
        timing: Timing::default(),
    }
}

fn shape() -> Arc<Shape> {
    let properties = serde_json::json!({ "a": { "type": "string" } });
    let schema = serde_json::json!({ "type": "object", "properties": properties, "required": ["a"] });
    Arc::new(Shape::compile(&schema).unwrap())
}

/// A judge with this `[ladder]` table.
pub fn judge(ladder: &str) -> Judge {
    Judge::new(shape(), toml::from_str(ladder).unwrap())
}

pub fn collator(record: RecordOf, reduce: Option<&str>) -> Collator {
    let collator = Collator::new(record, shape(), Merging::new(&BTreeMap::new(), shape()).unwrap());
    collator.with_reduce(reduce.map(|reduce| toml::from_str(reduce).unwrap()))
}

#[derive(Default)]
pub struct Tally {
    pub found: u64,
    pub promised: u64,
    pub rows: u64,
    pub failures: u64,
    /// Units that came through without a row of their own.
    pub answered: u64,
    /// What merged rows say of their parts: how many came through and how many failed.
    pub parts: [u64; 2],
    /// Rows by the attempt that they hold.
    pub attempts: [u64; 4],
    /// Units that the dataset held, and documents that are through.
    pub kept: [u64; 2],
    /// Rows of units that another try would have made better.
    pub unfinished: u64,
    /// Units that the gauge counts as settled by the run itself.
    pub settled_now: u64,
}

pub type AtPrompt = Box<dyn Fn(u64, &Stop) -> Result<(), Fatal> + Send + Sync>;
pub type AtOutcome = Box<dyn Fn(&Tally) -> Result<(), Fatal>>;

/// What a run needs to be told.
pub struct Setup {
    pub documents: u64,
    /// Of each document.
    pub pages: u32,
    /// Of units.
    pub limit: Option<u64>,
    /// Pages of each document that the dataset holds.
    pub held: u32,
    /// What a row is.
    pub record: RecordOf,
    /// The `[reduce]` table.
    pub reduce: Option<&'static str>,
    /// The `[ladder]` table.
    pub ladder: &'static str,
    /// How many take the prompts.
    pub engines: usize,
    /// Called for each prompt that reaches an engine, with how many have reached any before.
    pub at_prompt: AtPrompt,
    /// Called for each outcome that reaches the writer.
    pub at_outcome: AtOutcome,
}

impl Setup {
    pub fn of(documents: u64) -> Self {
        let at_prompt = Box::new(|_, _: &Stop| Ok(()));
        Self {
            documents,
            pages: 10,
            limit: None,
            held: 0,
            record: RecordOf::Unit,
            reduce: None,
            ladder: "",
            engines: 1,
            at_prompt,
            at_outcome: Box::new(|_| Ok(())),
        }
    }

    pub fn allowance<'a>(&self) -> Allowance<'a> {
        let held = self.held;
        let is_held = move |origin: &Origin| origin.part.pages().is_some_and(|(first, _)| first <= held);
        Allowance {
            quota: UnitQuota::new(self.limit),
            keep: Box::new(move |origin| is_held(origin).then_some(Kept { units: 1, rows: 1, failures: 0 })),
            whole_documents: self.record == RecordOf::Document,
        }
    }
}

/// An engine that answers at once; it says at the end how many it has answered.
fn engine<'a>(at_prompt: &'a AtPrompt, count: &'a AtomicU64, stop: &'a Stop) -> Generating<'a, u64> {
    Box::new(move |prompts, emit| {
        let mut answered = 0;
        for item in prompts {
            at_prompt(count.fetch_add(1, Ordering::SeqCst), stop)?;
            answered += 1;
            emit.item(item.with(answer()));
        }
        Ok(answered)
    })
}

/// What all engines say that they have answered, what the writer has seen, and the bytes that are still held.
pub fn run(setup: Setup, stop: &Stop) -> (Result<u64, Fatal>, Tally, u64) {
    let (budget, gauge, mut tally) = (ByteBudget::new(1000), Gauge::default(), Tally::default());
    let count = AtomicU64::new(0);
    let decoder = || Pages { pages: setup.pages, budget: budget.clone(), stop: stop.clone() };
    let result = Line {
        collect: Box::new(|found| {
            (0..setup.documents).take_while(|_| !stop.draining()).for_each(|n| found(Found::Document(document(n))));
        }),
        decode: vec![Box::new(decoder()), Box::new(decoder())],
        allowance: setup.allowance(),
        encode: vec![Box::new(Blank)],
        generate: (0..setup.engines).map(|_| engine(&setup.at_prompt, &count, stop)).collect(),
        parse: Box::new(Accept),
        judge: &mut judge(setup.ladder),
        collator: &mut collator(setup.record, setup.reduce),
        write: Box::new(|outcome| {
            match outcome {
                Some(Outcome::Found(_)) => tally.found += 1,
                Some(Outcome::Promise(_, units)) => tally.promised += units,
                Some(Outcome::Answered(_)) => tally.answered += 1,
                Some(Outcome::Row(item) | Outcome::Record(item)) => {
                    tally.rows += 1;
                    tally.attempts[usize::from(item.body.attempt)] += 1;
                    tally.unfinished += u64::from(item.body.attempt < wanted_attempt(&item.origin));
                    if let Some(merged) = &item.body.merged {
                        tally.parts[0] += merged.parts.len() as u64;
                        tally.parts[1] += merged.failed.len() as u64;
                    }
                }
                Some(Outcome::Failure(_)) => tally.failures += 1,
                Some(Outcome::KeptUnit(..)) => tally.kept[0] += 1,
                Some(Outcome::Decoded { whole, .. }) => tally.kept[1] += u64::from(whole),
                Some(Outcome::Duplicate(_) | Outcome::Silence(..) | Outcome::Kept(..)) | None => {}
            }
            (setup.at_outcome)(&tally)
        }),
        last_words: Box::new(|why| panic!("{why}")),
        ahead: 4,
    }
    .run(&gauge, stop);
    tally.settled_now = gauge.settled_now();
    (result.map(|answered| answered.iter().sum()), tally, budget.in_use())
}
