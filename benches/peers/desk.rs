//! A desk in front of a running generator: prompts are handed in together, and it tells when their answers came.

use std::{
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use crossbeam::channel::{Receiver, Sender, unbounded};
use lapidary::{
    base::{ContentHash, Emit, Fatal, Fault, Generation, Item, Kind, Lease, Origin, Part, Prompt, Source, Stop},
    generate::{Engine, Generator},
};

/// Longer than any answer takes; whoever waits longer waits for nothing.
const PATIENCE: Duration = Duration::from_secs(3600);

/// What came of prompts that were handed in together.
pub struct Answered {
    /// Until the last answer.
    pub seconds: f64,
    /// Seconds until the first.
    pub first: f64,
    /// New tokens of all of them.
    pub tokens: usize,
}

/// Where prompts are handed in.
pub struct Desk {
    prompts: Sender<Item<Prompt>>,
    answers: Receiver<(Instant, usize)>,
}

impl Desk {
    /// Hands in all prompts at once and waits for their answers.
    pub fn ask(&self, prompts: Vec<Vec<u32>>) -> Answered {
        let (count, begun) = (prompts.len(), Instant::now());
        for (number, tokens) in prompts.into_iter().enumerate() {
            self.prompts.send(item(number, tokens)).expect("the generator waits for prompts");
        }
        let wait = |_| self.answers.recv_timeout(PATIENCE).expect("no unit may fail");
        let answers: Vec<(Instant, usize)> = (0..count).map(wait).collect();
        let seconds = |at: Option<&(Instant, usize)>| at.map_or(0.0, |at| (at.0 - begun).as_secs_f64());
        Answered {
            seconds: seconds(answers.last()),
            first: seconds(answers.first()),
            tokens: answers.iter().map(|answer| answer.1).sum(),
        }
    }
}

/// Runs the generator on this thread and the script, which asks it, on another.
pub fn run<E: Engine, T: Send>(generator: Generator<E>, script: impl FnOnce(&Desk) -> T + Send) -> Result<T, Fatal> {
    let (prompts, input) = unbounded();
    let (mut tray, answers) = Tray::new();
    thread::scope(|scope| {
        let asked = scope.spawn(move || script(&Desk { prompts, answers }));
        let ran = generator.run(input, &mut tray, &Stop::default());
        drop(tray);
        let told = asked.join().map_err(|_| Fatal::new("a unit failed; why stands above", "this is a bug"));
        ran.and(told)
    })
}

fn item(number: usize, tokens: Vec<u32>) -> Item<Prompt> {
    let hash =
        ContentHash(*blake3::hash(&tokens.iter().flat_map(|id| id.to_le_bytes()).collect::<Vec<u8>>()).as_bytes());
    let source = Source {
        name: format!("unit {number}"),
        path: "".into(),
        hash,
        kind: Kind::Text,
        bytes: 1,
        ordinal: number as u64,
        modified: None,
    };
    let body = Prompt { tokens, ..Prompt::default() };
    Item { origin: Origin { source: Arc::new(source), part: Part::Whole }, attempt: 0, lease: Lease::none(), body }
}

/// Tells the desk of each answer.
struct Tray {
    answers: Sender<(Instant, usize)>,
    open: bool,
}

impl Tray {
    fn new() -> (Self, Receiver<(Instant, usize)>) {
        let (answers, told) = unbounded();
        (Self { answers, open: true }, told)
    }
}

impl Emit<Generation> for Tray {
    fn item(&mut self, item: Item<Generation>) {
        // Nobody listens once the script has gone wrong, which it says itself.
        self.open &= self.answers.send((Instant::now(), item.body.tokens.len())).is_ok();
    }

    fn fault(&mut self, origin: &Origin, fault: Fault) {
        eprintln!("peers: {}: {fault}", origin.source.name);
        self.open = false;
    }

    fn open(&self) -> bool {
        self.open
    }
}
