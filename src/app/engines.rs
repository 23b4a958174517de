//! The engines of a run, one per card, which take their prompts from one channel: a plan and ordinals in, tasks for the
//! line and what the report says of each out.

use super::{
    line::Generating,
    make::{self, Answers, FIRST},
    memory,
    plan::Plan,
    threads::Shares,
};
use crate::{
    base::{Fatal, Stop, native},
    encode::Encoder,
    generate::{Capacity, Card, Device, Engine, Generator, Spare, Stats, card_memory},
};

/// All engines of a run, ready to answer.
pub struct Engines {
    generators: Vec<Generator<Box<dyn Engine>>>,
    /// What they are together: the first, with the slots of all.
    pub card: Card,
    /// What each is.
    pub placed: Vec<Placed>,
    /// How the slots and the context of each were chosen.
    pub capacity: Capacity,
}

/// One engine, and where it runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Placed {
    /// What it is.
    pub card: Card,
    /// Which card it runs on, as CUDA counts them; which of the engines it is, on the processor.
    pub ordinal: u32,
}

impl Engines {
    /// Opens an engine on each card, one after the other, as large as memory allows, under the grammar of the plan's
    /// schema. Loads ONNX Runtime, so it must come before any thread of ours.
    ///
    /// Where `auto` sees a card, slots are chosen for the memory of the card; where it cannot be had after all, they are
    /// chosen anew for the machine's.
    ///
    /// # Errors
    /// When an engine cannot be opened: a card that is named is never replaced by the processor.
    pub fn open(plan: &Plan, answers: Answers, encoder: &Encoder, shares: Shares, stop: &Stop) -> Result<Self, Fatal> {
        let open = |answers| Self::open_on(plan, answers, encoder, shares, stop);
        if answers.device() == Device::Auto && card_memory(FIRST[0]).is_some() {
            return match open(Answers::Model(Device::Cuda, FIRST)) {
                Err(Fatal { message: why, hint }) => {
                    tracing::warn!(target: "lapidary", why, hint, "there is a card, but `auto` takes the processor");
                    open(Answers::Model(Device::Cpu, FIRST)).map(|engines| engines.noting(why))
                }
                opened => opened,
            };
        }
        let engines = open(answers)?;
        // Where there is no driver nobody misses a card.
        let on_processor = engines.card.device == Device::Cpu.as_str();
        if answers.device() == Device::Auto && on_processor && native::find_driver() != Ok(None) {
            let why = engines.card.note.as_str();
            tracing::warn!(target: "lapidary", why, "there is a driver, but `auto` takes the processor");
        }
        Ok(engines)
    }

    fn open_on(plan: &Plan, answers: Answers, encoder: &Encoder, shares: Shares, stop: &Stop) -> Result<Self, Fatal> {
        let vocabulary = make::vocabulary(plan.model()?, encoder)?;
        let mut capacity = make::capacity(plan, encoder, answers)?;
        tracing::info!(target: "lapidary", "{capacity}");
        capacity.warning().iter().for_each(|warning| tracing::warn!(target: "lapidary", "{warning}"));
        let (mut generators, mut placed) = (Vec::new(), Vec::new());
        for ordinal in answers.ordinals() {
            // Each has a grammar of its own, since followers of one share a lexer.
            let guide = make::guide(plan, &vocabulary)?;
            let engine = make::engine(plan, answers, *ordinal, &vocabulary, shares, &capacity, stop);
            let engine = engine.map_err(|fatal| unreplaced(answers, fatal))?;
            // A card may have held fewer than were asked for.
            capacity.slots = capacity.slots.min(engine.card().slots);
            placed.push(Placed { card: engine.card().clone(), ordinal: *ordinal });
            let generator = Generator::new(engine, vocabulary.clone(), Some(guide), plan.pipeline.generate.clone())?;
            generators.push(generator.with_rungs(plan.pipeline.ladder.rungs()));
        }
        Ok(Self { generators, card: together(&placed)?, placed, capacity })
    }

    fn noting(mut self, why: String) -> Self {
        self.card.note = joined([why, self.card.note]);
        self
    }

    /// The tasks of the line, one for each engine. What ends an engine says which one it was.
    pub fn tasks<'a>(self, stop: &'a Stop) -> Vec<Generating<'a, Stats>> {
        let alone = self.placed.len() == 1;
        let task = |(generator, placed): (Generator<Box<dyn Engine>>, Placed)| -> Generating<'a, Stats> {
            Box::new(move |prompts, emit| {
                generator.run(prompts, emit, stop).map_err(|fatal| placed.named(fatal, alone))
            })
        };
        self.generators.into_iter().zip(self.placed).map(task).collect()
    }
}

impl Placed {
    /// True of what runs on a card.
    fn is_on_a_card(&self) -> bool {
        self.card.device != Device::Cpu.as_str()
    }

    /// `cuda:1`; on the processor, where there are several for tests only, `cpu, engine 1`.
    fn name(&self) -> String {
        let Self { card: Card { device, .. }, ordinal } = self;
        if self.is_on_a_card() { format!("{device}:{ordinal}") } else { format!("{device}, engine {ordinal}") }
    }

    /// The error with the engine's name, where it does not hold it already or there is but one that it can be about.
    fn named(&self, fatal: Fatal, alone: bool) -> Fatal {
        let (name, on_cuda) = (self.name(), format!("{}:{}", Device::Cuda.as_str(), self.ordinal));
        let is_named = [&name, &on_cuda].into_iter().any(|name| fatal.message.contains(name));
        if is_named || (alone && !self.is_on_a_card()) {
            return fatal;
        }
        Fatal::new(format!("{name}: {}", fatal.message), fatal.hint)
    }
}

/// What several engines are for the report of their run.
fn together(placed: &[Placed]) -> Result<Card, Fatal> {
    let nameless = || Fatal::new("no card is named for the model", "name one at least, such as `--devices 0`");
    let first = placed.first().ok_or_else(nameless)?;
    if placed.len() == 1 {
        return Ok(first.card.clone());
    }
    let names: Vec<String> = placed.iter().map(Placed::name).collect();
    let note = format!("{} engines: {}", placed.len(), names.join("; "));
    Ok(Card {
        note: joined(std::iter::once(note).chain(placed.iter().map(|one| one.card.note.clone()))),
        remarks: each_once(placed.iter().flat_map(|one| one.card.remarks.iter().cloned())),
        slots: placed.iter().map(|one| one.card.slots).sum(),
        ..first.card.clone()
    })
}

/// What engines say alike is said once.
fn joined(notes: impl IntoIterator<Item = String>) -> String {
    each_once(notes.into_iter().filter(|note| !note.is_empty())).join("; ")
}

fn each_once(texts: impl Iterator<Item = String>) -> Vec<String> {
    let mut said = Vec::new();
    for text in texts {
        if !said.contains(&text) {
            said.push(text);
        }
    }
    said
}

/// Why an engine cannot be opened; where `auto` has become CUDA, with why the processor does not take its place.
fn unreplaced(answers: Answers, fatal: Fatal) -> Fatal {
    if !matches!(answers, Answers::Model(Device::Auto, _)) || answers.device() == Device::Auto {
        return fatal;
    }
    let Fatal { message, hint } = fatal;
    let why = "cards are named, so `auto` does not fall back to the processor";
    let before = if hint.is_empty() { String::new() } else { format!("{hint}; ") };
    Fatal::new(format!("{message}; {why}"), format!("{before}leave out `--devices` to let it"))
}

/// The memory that each engine finds, of a model whose files take so many bytes: on cards what is free on the one that has
/// least, on the processor the engine's share of the machine's. `auto` means the first card where CUDA tells of one.
pub fn spare(answers: Answers, weights: u64) -> Spare {
    spare_of(answers, weights, memory::free(), |ordinal| card_memory(ordinal).map(|memory| memory.free))
}

fn spare_of(answers: Answers, weights: u64, machine: Option<u64>, on_card: impl Fn(u32) -> Option<u64>) -> Spare {
    let ordinals = answers.ordinals();
    // Nothing is told where one card does not tell.
    let cards = || ordinals.iter().map(|ordinal| on_card(*ordinal)).min().flatten();
    let on_processor = || machine.map(|free| free / ordinals.len().max(1) as u64);
    match answers.device() {
        Device::Cpu => Spare { free: on_processor(), weights, device: Device::Cpu },
        Device::Auto => match cards() {
            None => Spare { free: on_processor(), weights, device: Device::Cpu },
            free => Spare { free, weights, device: Device::Cuda },
        },
        device => Spare { free: cards(), weights, device },
    }
}

/// How the cores are shared out with the model on a device of this name.
pub fn shares(plan: &Plan, answers: &Answers, device: &str) -> Shares {
    let shares = Shares::of(Shares::cores(), is_media_bound(answers, device), plan.pipeline.decode.lanes);
    shares.among(answers.ordinals().len())
}

/// With recorded answers there is no model to wait for. `auto` counts as the processor until it has found a card.
fn is_media_bound(answers: &Answers, device: &str) -> bool {
    let on_processor = [Device::Cpu, Device::Auto].iter().any(|slow| slow.as_str() == device);
    matches!(answers, Answers::Replay(_)) || !on_processor
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    const BOTH: &[u32] = &[0, 1];

    fn placed(device: &str, ordinal: u32, slots: usize, note: &str) -> Placed {
        let card = Card {
            engine: "ort",
            device: device.to_owned(),
            note: note.to_owned(),
            remarks: vec!["the bundle has no sound".to_owned()],
            model: "tiny".to_owned(),
            slots,
            context: 4096,
            together: false,
            at_once: 256,
        };
        Placed { card, ordinal }
    }

    #[test]
    fn a_card_that_auto_has_found_changes_the_lanes_and_not_the_threads_of_the_engine() {
        let auto = Answers::Model(Device::Auto, FIRST);
        let shares = |device| Shares::of(16, is_media_bound(&auto, device), 0);
        let asked = shares("auto");
        assert_eq!(asked, Shares::of(16, false, 0));
        assert_eq!(shares("cuda").beside(asked), Shares { decode: 12, encode: 4, ..asked });
        assert_eq!(shares("cpu").beside(asked), asked);
    }

    #[test]
    fn with_recorded_answers_the_media_take_the_time() {
        assert!(is_media_bound(&Answers::Replay(Path::new("answers.jsonl")), "cpu"));
        assert!(is_media_bound(&Answers::Model(Device::TensorRt, BOTH), "tensorrt"));
        assert!(!is_media_bound(&Answers::Model(Device::Cpu, FIRST), "cpu"));
    }

    #[test]
    fn whoever_names_cards_means_cards() {
        assert_eq!(Answers::Model(Device::Auto, FIRST).device(), Device::Auto);
        assert_eq!(Answers::Model(Device::Auto, BOTH).device(), Device::Cuda);
        assert_eq!(Answers::Model(Device::Auto, &[1]).device(), Device::Cuda);
        assert_eq!(Answers::Model(Device::TensorRt, BOTH).device(), Device::TensorRt);
        assert_eq!(Answers::Replay(Path::new("answers.jsonl")).ordinals(), FIRST);
    }

    #[test]
    fn on_cards_the_one_with_least_room_counts_and_on_the_processor_the_engines_share() {
        let on_card = |ordinal: u32| [Some(80), Some(30), None].get(ordinal as usize).copied().flatten();
        let spare = |device, ordinals| {
            let Spare { free, device, .. } = spare_of(Answers::Model(device, ordinals), 7, Some(100), on_card);
            (free, device)
        };
        assert_eq!(spare(Device::Cuda, BOTH), (Some(30), Device::Cuda));
        assert_eq!(spare(Device::TensorRt, FIRST), (Some(80), Device::TensorRt));
        assert_eq!(spare(Device::Cuda, &[0, 2]), (None, Device::Cuda), "one does not tell");
        assert_eq!(spare(Device::Cpu, FIRST), (Some(100), Device::Cpu));
        assert_eq!(spare(Device::Cpu, BOTH), (Some(50), Device::Cpu));
        assert_eq!(spare(Device::Auto, FIRST), (Some(80), Device::Cuda));
        assert_eq!(spare(Device::Auto, BOTH), (Some(30), Device::Cuda));
        let cardless = spare_of(Answers::Model(Device::Auto, FIRST), 7, Some(100), |_| None);
        assert_eq!((cardless.free, cardless.weights, cardless.device), (Some(100), 7, Device::Cpu));
    }

    #[test]
    fn several_engines_are_told_as_the_first_with_the_slots_of_all() {
        let told = together(&[placed("cuda", 0, 8, ""), placed("cuda", 3, 4, "slots were halved")]).unwrap();
        assert_eq!((told.slots, told.device.as_str()), (12, "cuda"));
        assert_eq!(told.note, "2 engines: cuda:0; cuda:3; slots were halved");
        assert_eq!(told.remarks, ["the bundle has no sound"], "what all say is said once");
        let alone = placed("cuda", 1, 8, "as it is");
        assert_eq!(together(std::slice::from_ref(&alone)).unwrap(), alone.card);
        assert!(together(&[]).unwrap_err().hint.contains("--devices"));
    }

    #[test]
    fn what_ends_an_engine_names_it_unless_it_can_be_no_other() {
        let named = |placed: &Placed, message: &str, alone| {
            let fatal = placed.named(Fatal::new(message, "do this"), alone);
            assert_eq!(fatal.hint, "do this");
            fatal.message
        };
        let (card, processor) = (placed("cuda", 1, 8, ""), placed("cpu", 0, 8, ""));
        assert_eq!(named(&card, "it is lost", true), "cuda:1: it is lost");
        for card in [&card, &placed("tensorrt", 1, 8, "")] {
            assert_eq!(named(card, "the card cuda:1 is lost", false), "the card cuda:1 is lost");
        }
        assert_eq!(named(&processor, "it is lost", true), "it is lost");
        assert_eq!(named(&processor, "it is lost", false), "cpu, engine 0: it is lost");
    }

    #[test]
    fn where_cards_are_named_the_error_says_that_nothing_falls_back() {
        let told =
            |device, ordinals| unreplaced(Answers::Model(device, ordinals), Fatal::new("no driver", "install one"));
        for answers in [(Device::Auto, FIRST), (Device::Cuda, BOTH), (Device::TensorRt, BOTH)] {
            assert_eq!(told(answers.0, answers.1).message, "no driver", "nothing falls back, or everybody knows");
        }
        let fatal = told(Device::Auto, BOTH);
        assert!(fatal.message.starts_with("no driver; ") && fatal.message.contains("does not fall back"));
        assert_eq!(fatal.hint, "install one; leave out `--devices` to let it");
    }
}
