//! One step of all slots that have something to feed: in one call where that works, else in parts, down to the slot that
//! is at fault.

use std::time::Instant;

use super::{Generator, Waiting};
use crate::{
    base::{Emit, Fatal, Fault, Generation},
    generate::{
        answer::Turn,
        engine::{Engine, EngineError, Feed, Slot},
        seat::Memory,
    },
};

/// Most tokens that are guessed for one slot at a time.
pub(in crate::generate) const MOST_GUESSED: usize = 32;

/// What one slot has to feed.
pub(super) struct Work {
    slot: Slot,
    /// None while the prompt is being prefilled.
    tokens: Option<Vec<u32>>,
    /// How many of the last tokens are guesses.
    guessed: usize,
    /// What is certain too, but more than one step can feed.
    rest: Vec<u32>,
}

impl Work {
    fn is_of_prompt(&self) -> bool {
        self.tokens.is_none()
    }

    fn feed(&self) -> Feed<'_> {
        let (slot, guessed) = (self.slot, self.guessed);
        self.tokens.as_ref().map_or(Feed::Prompt(slot), |tokens| Feed::Tokens { slot, tokens, guessed })
    }

    fn guesses(&self) -> &[u32] {
        let tokens = self.tokens.as_deref().unwrap_or_default();
        &tokens[tokens.len() - self.guessed..]
    }
}

impl<E: Engine> Generator<E> {
    /// Feeds each slot what it has: the next chunk of a prompt, the next tokens of an answer. Prompts come first.
    pub(super) fn step(&mut self, emit: &mut dyn Emit<Generation>) -> Result<(), Fatal> {
        let mut works: Vec<Work> = (0..self.seats.len()).filter_map(|slot| self.work(slot)).collect();
        works.sort_by_key(|work| !work.is_of_prompt());
        let (first, rest) = works.split_at(if self.apart { count_prompts(&works) } else { 0 });
        for works in [first, rest] {
            works.chunks(self.together).try_for_each(|works| self.step_together(works, emit))?;
        }
        self.try_those_aside(emit)
    }

    /// What a slot has to feed; nothing while its unit is set aside.
    pub(super) fn work(&mut self, slot: Slot) -> Option<Work> {
        let seat = self.seats[slot].as_mut().filter(|seat| seat.memory != Memory::Awaited)?;
        let Waiting::Step(tokens) = &seat.waiting else {
            return Some(Work { slot, tokens: None, guessed: 0, rest: Vec::new() });
        };
        let mut tokens = tokens.clone();
        let rest = tokens.split_off(tokens.len().min(self.engine.card().at_once));
        let room = if rest.is_empty() { self.engine.card().at_once - tokens.len() } else { 0 };
        let guesses = seat.guesses(&self.shelf, room.min(MOST_GUESSED));
        tokens.extend(&guesses);
        Some(Work { slot, tokens: Some(tokens), guessed: guesses.len(), rest })
    }

    pub(super) fn step_together(&mut self, works: &[Work], emit: &mut dyn Emit<Generation>) -> Result<(), Fatal> {
        let start = Instant::now();
        let feeds: Vec<Feed> = works.iter().map(Work::feed).collect();
        match (self.engine.step(&feeds), works) {
            (Ok(()), _) => {
                self.count(works, start);
                works.iter().try_for_each(|work| self.follow(work, emit))
            }
            (Err(EngineError::Unit(fault)), [_, _, ..]) => self.step_in_parts(works, &fault, emit),
            (Err(EngineError::Unit(fault)), [work]) if self.may_wait(work.slot, &fault) => {
                self.set_aside(work.slot, &fault);
                Ok(())
            }
            (Err(error), _) => {
                let slots: Vec<Slot> = works.iter().map(|work| work.slot).collect();
                self.fail(&slots, error, emit)
            }
        }
    }

    fn count(&mut self, works: &[Work], start: Instant) {
        let answers = works.iter().filter(|work| work.tokens.is_some()).count() as u64;
        self.stats.steps += u64::from(answers > 0);
        self.stats.step_slots += answers;
        for work in works {
            let Some(seat) = &mut self.seats[work.slot] else { continue };
            match work.tokens {
                Some(_) => seat.add_step(work.guessed),
                None => seat.add_prefill(start.elapsed()),
            }
        }
    }

    /// A step that fails leaves its slots as they were, so it can be made again in parts: prompts apart from answers, what
    /// is of one kind in halves.
    fn step_in_parts(&mut self, works: &[Work], fault: &Fault, emit: &mut dyn Emit<Generation>) -> Result<(), Fatal> {
        match count_prompts(works) {
            prompts if (1..works.len()).contains(&prompts) => self.step_apart(works.split_at(prompts), fault, emit),
            _ => self.step_in_halves(works, fault, emit),
        }
    }

    /// If prompts and answers pass as soon as they are apart, there was too much at once (memory, most likely), and from
    /// here on they stay apart: with a long chunk beside them answers would else be decoded by ever fewer slots.
    fn step_apart(
        &mut self,
        (prompts, answers): (&[Work], &[Work]),
        fault: &Fault,
        emit: &mut dyn Emit<Generation>,
    ) -> Result<(), Fatal> {
        let before = (self.failed_alone(), self.together);
        self.step_together(prompts, emit)?;
        self.step_together(answers, emit)?;
        if (self.failed_alone(), self.together) == before {
            tracing::warn!(target: "generate", why = fault.message, "prompts are fed apart from answers");
            self.apart = true;
        }
        Ok(())
    }

    /// If a slot fails alone it was at fault; if none does, there were too many (memory, most likely), and from here on
    /// fewer go together.
    fn step_in_halves(&mut self, works: &[Work], fault: &Fault, emit: &mut dyn Emit<Generation>) -> Result<(), Fatal> {
        let (before, half) = (self.failed_alone(), works.len().div_ceil(2));
        works.chunks(half).try_for_each(|works| self.step_together(works, emit))?;
        if self.failed_alone() == before && half < self.together {
            tracing::warn!(target: "generate", slots = half, why = fault.message, "fewer slots are decoded together");
            self.together = half;
            self.stats.narrowed_to = half as u64;
        }
        Ok(())
    }

    /// How many units have failed so far, and how often one was set aside for having failed alone.
    fn failed_alone(&self) -> (u64, u64) {
        (self.stats.faults, self.asides)
    }

    /// Lets the slot's answer go on with what the step has told: token after token as if each had been fed alone, as long
    /// as what it says is what was guessed.
    fn follow(&mut self, work: &Work, emit: &mut dyn Emit<Generation>) -> Result<(), Fatal> {
        let (slot, guesses) = (work.slot, work.guesses());
        if self.engine.remaining(slot) > 0 {
            return Ok(());
        }
        if !work.rest.is_empty() {
            self.seats[slot].iter_mut().for_each(|seat| seat.waiting = Waiting::Step(work.rest.clone()));
            return Ok(());
        }
        let mut stands = 0;
        loop {
            let Some(seat) = &mut self.seats[slot] else { return Ok(()) };
            let Some(logits) = self.engine.logits(slot, stands) else { return Ok(()) };
            seat.told();
            let before = seat.answer.tokens.len();
            match seat.answer.advance(logits) {
                Ok(Turn::Feed(said)) => {
                    let same = agreed(&said, &guesses[stands..]);
                    stands += same;
                    if same < said.len() {
                        seat.judge(guesses.len(), stands);
                        seat.waiting = Waiting::Step(said[same..].to_vec());
                        return self.take_back(slot, guesses.len() - stands, emit);
                    }
                }
                Ok(Turn::Finished(finish)) => {
                    let last = agreed(seat.answer.chosen_from(before), &guesses[stands..]);
                    seat.judge(guesses.len(), stands + last);
                    return self.finish(slot, finish, emit);
                }
                Err(fault) if seat.answer.has_lost_its_grammar() => {
                    self.give_up(slot, &fault, emit);
                    return Ok(());
                }
                Err(fault) => return self.fail(&[slot], fault.into(), emit),
            }
        }
    }

    fn take_back(&mut self, slot: Slot, count: usize, emit: &mut dyn Emit<Generation>) -> Result<(), Fatal> {
        match self.engine.retract(slot, count) {
            Ok(()) => Ok(()),
            Err(error) => self.fail(&[slot], error, emit),
        }
    }
}

/// How many of the works are of prompts, which come first.
fn count_prompts(works: &[Work]) -> usize {
    works.iter().take_while(|work| work.is_of_prompt()).count()
}

/// How many tokens, from the first on, were guessed right.
fn agreed(said: &[u32], guesses: &[u32]) -> usize {
    said.iter().zip(guesses).take_while(|(said, guess)| said == guess).count()
}
