//! Encoders ahead of admission: they work while the engine steps, hold no more than they may, and fail unit by unit.

use std::{
    sync::{Arc, Condvar, Mutex},
    thread,
    time::Duration,
};

use crossbeam::channel::{Sender, unbounded};
use lapidary::{
    base::{ByteBudget, Fatal, Fault, FaultKind, Features, ImagePatches, Item, Prompt, StageName, Stop},
    bundle::Dtype,
    generate::{
        Card, Device, Encoders, Engine, EngineError, EngineSettings, Feed, Generator, Logits, OrtEngine, ReplayEngine,
        Reused, Runtime, Settings, Stats,
    },
};
use ndarray::Array2;

use super::{
    desk::{self, Tray},
    models, parity,
};

const SLOTS: usize = 2;

/// What one step and one picture cost by the clock of these tests.
const STEP: Duration = Duration::from_millis(10);

/// Length of the prompt whose picture cannot be encoded.
const SPOILT: usize = 25;

/// Patience of a step that waits for the encoders: only a test that fails needs it.
const LONG: Duration = Duration::from_secs(30);

/// Longer than a generator waits before it looks whether it should stop.
const GLANCES: Duration = Duration::from_millis(300);

#[derive(Debug, Default)]
struct Counts {
    encoded: usize,
    admitted: usize,
    most_ahead: usize,
    /// Who held the watch when the encoders came to the end of a run that had been aborted.
    holders: usize,
}

#[derive(Default)]
struct Watch {
    counts: Mutex<Counts>,
    changed: Condvar,
}

impl Watch {
    fn encoded(&self) {
        let mut counts = self.counts.lock().unwrap();
        counts.encoded += 1;
        counts.most_ahead = counts.most_ahead.max(counts.encoded - counts.admitted);
        self.changed.notify_all();
    }

    fn wait_until_ahead(&self, by: usize) {
        let counts = self.counts.lock().unwrap();
        let behind = |counts: &mut Counts| counts.encoded < counts.admitted + by;
        let (counts, waited) = self.changed.wait_timeout_while(counts, LONG, behind).unwrap();
        assert!(!waited.timed_out(), "the encoders do not work while the engine steps: {counts:?}");
    }
}

/// Puts one feature in the place of each picture.
struct Scripted {
    watch: Arc<Watch>,
    /// Is aborted while a picture is being encoded.
    stop: Option<Stop>,
}

impl Encoders for Scripted {
    fn patches_together(&self) -> usize {
        0
    }

    fn encode(&mut self, prompts: &mut [&mut Prompt]) -> Vec<Result<(), EngineError>> {
        prompts.iter_mut().map(|prompt| self.encode_one(prompt)).collect()
    }
}

impl Scripted {
    fn encode_one(&self, prompt: &mut Prompt) -> Result<(), EngineError> {
        self.watch.encoded();
        if let Some(stop) = &self.stop {
            stop.abort();
            thread::sleep(GLANCES);
            self.watch.counts.lock().unwrap().holders = Arc::strong_count(&self.watch);
        }
        if prompt.tokens.len() == SPOILT {
            return Err(EngineError::failed("vision encoder", &std::io::Error::other("no memory")));
        }
        let micros = STEP.as_micros() as u64;
        prompt.images.clear();
        prompt.features = Some(Features {
            pictures: vec![0.5; 4],
            image_tokens: 1,
            known_pictures: 0,
            micros,
            ..Features::default()
        });
        Ok(())
    }
}

/// Replays answers, and in its first step waits for the encoders to fill the queue.
struct Watched {
    replay: ReplayEngine,
    watch: Arc<Watch>,
    /// Bytes in use when the queue was full.
    budget: Option<(ByteBudget, Sender<u64>)>,
    steps: u32,
    breaks: bool,
    /// Is aborted by the encoders.
    stop: Option<Stop>,
}

impl Watched {
    fn new() -> Self {
        let replay = ReplayEngine::new(&["abc".to_owned()], &desk::vocabulary(), desk::END, SLOTS, 200).unwrap();
        Self { replay, watch: Arc::default(), budget: None, steps: 0, breaks: false, stop: None }
    }
}

impl Engine for Watched {
    fn card(&self) -> &Card {
        self.replay.card()
    }

    fn encoders(&mut self) -> Option<Box<dyn Encoders>> {
        Some(Box::new(Scripted { watch: self.watch.clone(), stop: self.stop.clone() }))
    }

    fn decoding(&self) -> Option<Duration> {
        Some(STEP * self.steps)
    }

    fn admit(&mut self, slot: usize, prompt: &mut Prompt) -> Result<Reused, EngineError> {
        assert!(prompt.images.is_empty(), "pixels are gone when a prompt is admitted");
        assert_eq!(prompt.features.as_ref().map(|features| features.pictures.len()), Some(4));
        self.watch.counts.lock().unwrap().admitted += 1;
        self.replay.admit(slot, prompt)
    }

    fn remaining(&self, slot: usize) -> usize {
        self.replay.remaining(slot)
    }

    fn step(&mut self, feeds: &[Feed]) -> Result<(), EngineError> {
        if self.breaks {
            return Err(EngineError::Session(Fatal::new("the engine broke", "")));
        }
        if self.steps == 0 {
            self.watch.wait_until_ahead(SLOTS);
            self.budget.iter().for_each(|(budget, told)| told.send(budget.in_use()).unwrap());
        }
        self.steps += 1;
        self.replay.step(feeds)
    }

    fn logits(&self, slot: usize, place: usize) -> Option<Logits<'_>> {
        self.replay.logits(slot, place)
    }

    fn retract(&mut self, slot: usize, count: usize) -> Result<(), EngineError> {
        self.replay.retract(slot, count)
    }

    fn release(&mut self, slot: usize) {
        self.replay.release(slot);
    }
}

fn with_picture(number: u32) -> Prompt {
    let picture = ImagePatches { pixels: Array2::zeros((9, 768)), positions: Array2::zeros((9, 2)), soft_tokens: 1 };
    Prompt { images: vec![picture], ..desk::prompt(number, 20 + number as usize) }
}

fn run(engine: Watched, items: Vec<Item<Prompt>>) -> (Stats, Tray) {
    let settings = Settings { max_tokens: 10, ..Settings::default() };
    desk::run(engine, desk::vocabulary(), None, settings, items)
}

fn items(count: u32) -> Vec<Item<Prompt>> {
    (0..count).map(|number| desk::item(number, with_picture(number))).collect()
}

#[test]
fn the_encoders_work_ahead_while_the_engine_steps_but_not_further_than_the_queue_is_long() {
    let engine = Watched::new();
    let watch = engine.watch.clone();
    let (stats, tray) = run(engine, items(20).into_iter().filter(|item| item.body.tokens.len() != SPOILT).collect());
    assert_eq!((stats.units, stats.faults), (19, 0));
    assert!(tray.done.iter().all(|item| item.body.text == "abc" && item.body.facts.image_tokens == 1));
    let most = watch.counts.lock().unwrap().most_ahead;
    // A queue as long as there are slots, one in hand, and one that is taken but not yet admitted.
    assert!((SLOTS..=SLOTS + 2).contains(&most), "{most}");
}

#[test]
fn pixels_are_given_back_as_soon_as_there_are_features() {
    let budget = ByteBudget::new(1 << 30);
    let (told, in_use) = unbounded();
    let engine = Watched { budget: Some((budget.clone(), told)), ..Watched::new() };
    let prompts: Vec<Prompt> = (0..3).map(with_picture).collect();
    let tokens: u64 = prompts.iter().map(|prompt| 4 * prompt.tokens.len() as u64).sum();
    let items = (0..).zip(prompts).map(|(number, prompt)| desk::leased(number, prompt, &budget)).collect();
    let (_, tray) = run(engine, items);
    let features = 4 * 4;
    // The last picture is given back behind the encoder, so it may still be counted while the step looks.
    let pixels = with_picture(0).images[0].pixels.len() as u64 * 4 + 9 * 2 * 8;
    let seen = in_use.recv().unwrap();
    assert!([2 * features, features + pixels].map(|rest| tokens + rest).contains(&seen), "{seen}");
    drop(tray);
    assert_eq!(budget.in_use(), 0);
}

#[test]
fn a_picture_that_cannot_be_encoded_costs_its_own_unit() {
    let (stats, tray) = run(Watched::new(), items(12));
    assert_eq!((stats.units, stats.faults), (11, 1));
    assert_eq!(tray.faults[0].0, "unit 5");
    assert_eq!(tray.faults[0].1.kind, FaultKind::Engine);
    assert!(tray.faults[0].1.message.contains("no memory"), "{}", tray.faults[0].1.message);
}

#[test]
fn the_time_of_the_decoder_and_of_the_encoders_are_counted_apart() {
    let engine = Watched::new();
    let (stats, _) = run(engine, items(5));
    let step = STEP.as_micros() as u64;
    assert_eq!(stats.encoder_micros, 5 * step);
    // Two slots: prompts come in one by one, so the number of steps depends on how they meet, but not what one counts.
    let decoder = stats.decoder_micros.unwrap();
    assert!(decoder.is_multiple_of(step) && decoder >= stats.steps * step, "{stats:?}");
    assert!(stats.span_micros <= stats.wall_micros, "{stats:?}");
}

#[test]
fn an_engine_that_breaks_ends_the_run_though_more_prompts_may_come() {
    let engine = Watched { breaks: true, ..Watched::new() };
    let generator = Generator::new(engine, desk::vocabulary(), None, Settings::default()).unwrap();
    let (sender, receiver) = unbounded();
    sender.send(items(1).remove(0)).unwrap();
    let fatal = generator.run(receiver, &mut Tray::default(), &Stop::default()).unwrap_err();
    assert_eq!(fatal.message, "the engine broke");
    assert!(sender.send(items(1).remove(0)).is_err(), "the encoders' thread has ended too");
}

#[test]
fn after_an_abort_the_engine_and_its_watchdog_outlive_the_encoders() {
    let stop = Stop::default();
    let engine = Watched { stop: Some(stop.clone()), ..Watched::new() };
    let watch = engine.watch.clone();
    let generator = Generator::new(engine, desk::vocabulary(), None, Settings::default()).unwrap();
    let (sender, receiver) = unbounded();
    sender.send(items(1).remove(0)).unwrap();
    generator.run(receiver, &mut Tray::default(), &stop).unwrap();
    assert_eq!(watch.counts.lock().unwrap().holders, 3, "this test, the encoders and the engine");
}

fn engine(together: bool) -> OrtEngine {
    let exported = models::e2b_like(Dtype::F32);
    let settings = Settings { slots: Some(1), context: Some(100), max_tokens: 24, ..Settings::default() };
    let settings = EngineSettings { pictures_together: Some(together), ..EngineSettings::new(&settings, Device::Cpu) };
    OrtEngine::open(&Runtime::load().unwrap(), &exported.model, settings).unwrap()
}

/// The reference prompt with its picture in another shade.
fn shaded(shade: f32) -> Prompt {
    let mut prompt = parity::prompt();
    prompt.images[0].pixels.mapv_inplace(|value| value * shade);
    prompt
}

fn features(prompt: &Prompt) -> &Features {
    prompt.features.as_ref().unwrap()
}

#[test]
fn pictures_of_several_prompts_go_through_one_run_and_get_the_features_that_they_get_alone() {
    let mut prompts = [shaded(1.0), shaded(0.5), shaded(1.0)];
    let mut encoders = engine(true).encoders().unwrap();
    let results = encoders.encode(&mut prompts.each_mut());
    assert!(results.iter().all(Result::is_ok), "{results:?}");
    assert_eq!(prompts.each_ref().map(|prompt| features(prompt).known_pictures), [0, 0, 1]);
    assert!(prompts.iter().all(|prompt| prompt.images.is_empty() && prompt.clips.is_empty()));
    let mut alone = [shaded(1.0), shaded(0.5), shaded(1.0)];
    for prompt in &mut alone {
        engine(false).encoders().unwrap().encode(&mut [prompt]).remove(0).unwrap();
    }
    for (together, alone) in prompts.iter().zip(&alone) {
        let (together, alone) = (features(together), features(alone));
        let pairs = together.pictures.iter().zip(&alone.pictures);
        let difference = pairs.map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        assert!(difference < 1e-5, "{difference}");
        assert_eq!((together.pictures.len(), &together.sound), (alone.pictures.len(), &alone.sound));
        assert_eq!((together.image_tokens, together.audio_tokens), (alone.image_tokens, 12));
    }
}

#[test]
fn of_pictures_that_fail_together_only_the_one_at_fault_fails() {
    let mut encoders = engine(true).encoders().unwrap();
    assert!(encoders.patches_together() > 0);
    let mut prompts = [shaded(1.0), shaded(0.5), shaded(0.25)];
    prompts[1].images[0].soft_tokens += 1;
    let results = encoders.encode(&mut prompts.each_mut());
    assert!(results[0].is_ok() && results[2].is_ok(), "{results:?}");
    assert!(matches!(&results[1], Err(EngineError::Unit(fault)) if fault.message.contains("vision encoder")));
    assert!(encoders.patches_together() > 0, "the picture was at fault, not the company");
}

#[test]
fn once_the_encoders_are_handed_out_a_prompt_with_a_bare_picture_is_refused() {
    let mut engine = engine(false);
    assert!(engine.encoders().is_some() && engine.encoders().is_none());
    let refused = engine.admit(0, &mut parity::prompt());
    assert!(
        matches!(&refused, Err(EngineError::Unit(Fault { kind: FaultKind::Internal, stage, .. })) if *stage == StageName::Generate),
        "{refused:?}"
    );
}
