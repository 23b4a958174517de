//! The stage itself: prompts come in, are seated in free slots, prefilled chunk by chunk while the others decode, and go
//! out as generations. Nobody waits for a full batch.

mod aside;
mod failing;
mod source;
mod stepping;

use std::{
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use crossbeam::channel::{Receiver, bounded};

use self::source::Source;
pub(super) use self::stepping::MOST_GUESSED;
use super::{
    ahead::{Ahead, Ready},
    answer::{Answer, Rules},
    draft::{Drafter, Habits, Shelf},
    engine::{Engine, EngineError, Slot},
    guide::Guide,
    occupancy::Occupancy,
    sample::Sampler,
    seat::{Seat, Waiting, count, facts_of, micros},
    settings::Settings,
    syntax::Syntax,
    thinking::{Channel, Thinking},
    vocabulary::Vocabulary,
};
use crate::base::{
    Confined, Emit, Fatal, Fault, FaultKind, Finish, Generation, Item, Prompt, StageName, Stop, ladder::Rungs,
};

/// What a guessed token adds to a step, as a part of a step that feeds one token to one slot (BENCHMARKS.md).
const DRAFT_COST: f64 = 0.06;

/// Totals of a run of this stage.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Stats {
    /// Units that were answered.
    pub units: u64,
    /// Units that failed here.
    pub faults: u64,
    /// Answers that had to be closed because their allowance ran short.
    pub closed: u64,
    /// Answers that said the same again and again and were cut.
    pub looped: u64,
    /// Prompt tokens of the units that were prefilled.
    pub prompt_tokens: u64,
    /// Prompt tokens that needed no prefill, since an earlier prompt began alike.
    pub reused_tokens: u64,
    /// Pictures that needed no encoding, since an earlier one looked alike.
    pub reused_pictures: u64,
    /// New tokens of the answers.
    pub new_tokens: u64,
    /// Tokens of the thoughts before them.
    pub thought_tokens: u64,
    /// Calls that fed tokens of answers.
    pub steps: u64,
    /// Answers that had a part in those calls: divided by `steps`, the mean number of live slots.
    pub step_slots: u64,
    /// Tokens of answers that the grammar left no choice about.
    pub forced_tokens: u64,
    /// Tokens of answers that were guessed ahead.
    pub drafted_tokens: u64,
    /// Guesses that were right.
    pub accepted_tokens: u64,
    /// The most slots of one call after calls with more had failed; 0 when none had.
    pub narrowed_to: u64,
    /// Microseconds of work: of the encoders, and of all else with at least one unit in a slot.
    pub busy_micros: u64,
    /// Microseconds of the encoders.
    pub encoder_micros: u64,
    /// Microseconds inside runs of the decoder; `None` where no model runs.
    pub decoder_micros: Option<u64>,
    /// Microseconds from the first admission to the last unit that left its slot.
    pub span_micros: u64,
    /// Microseconds from start to end.
    pub wall_micros: u64,
}

/// The most new tokens of one unit.
struct TokenQuota {
    answer: usize,
    thoughts: usize,
    /// Where the context, and not the settings, bounds the answer.
    confined: Option<Confined>,
}

/// The task of this stage.
pub struct Generator<E> {
    engine: E,
    vocabulary: Vocabulary,
    guide: Option<Guide>,
    /// Where the model thinks first.
    channel: Option<Arc<Channel>>,
    settings: Settings,
    rungs: Rungs,
    seats: Vec<Option<Seat>>,
    /// What the answers of each slot have taught about drafts.
    habits: Vec<Habits>,
    /// Earlier answers, where drafts are made of them.
    shelf: Shelf,
    /// The most slots that one call decodes.
    together: usize,
    /// True once prompts are fed in calls of their own, since beside answers they were too much for one.
    apart: bool,
    /// How often a unit was set aside for want of memory.
    asides: u64,
    /// A unit has left its slot since those that were set aside were tried again.
    has_left: bool,
    stats: Stats,
    occupancy: Occupancy,
    failures_in_a_row: usize,
}

impl<E: Engine> Generator<E> {
    /// A generator over a fresh engine. Without a guide the answers are free text.
    ///
    /// # Errors
    /// When an answer could not even be closed within `max_tokens`, or the vocabulary has no channel for thoughts.
    pub fn new(engine: E, vocabulary: Vocabulary, guide: Option<Guide>, settings: Settings) -> Result<Self, Fatal> {
        guide.as_ref().map_or(Ok(()), |guide| guide.fits(settings.max_tokens))?;
        let channel = settings.thinking.then(|| Channel::of(&vocabulary).map(Arc::new)).transpose()?;
        let together = engine.card().slots.max(1);
        let seats = (0..together).map(|_| None).collect();
        Ok(Self {
            engine,
            vocabulary,
            guide,
            channel,
            settings,
            rungs: Rungs::default(),
            seats,
            habits: vec![Habits::new(DRAFT_COST); together],
            shelf: Shelf::default(),
            together,
            apart: false,
            asides: 0,
            has_left: false,
            stats: Stats::default(),
            occupancy: Occupancy::default(),
            failures_in_a_row: 0,
        })
    }

    /// Units that are tried again are answered as these rungs say.
    pub fn with_rungs(self, rungs: Rungs) -> Self {
        Self { rungs, ..self }
    }

    /// Works until the input is closed and all its units are answered, or until the run is aborted: then units in
    /// slots are dropped.
    ///
    /// # Errors
    /// When the engine is of no more use.
    pub fn run(
        mut self,
        input: Receiver<Item<Prompt>>,
        emit: &mut dyn Emit<Generation>,
        stop: &Stop,
    ) -> Result<Stats, Fatal> {
        let Some(encoders) = self.engine.encoders() else { return self.answer(Source::new(input), emit, stop) };
        let (output, ready) = bounded(self.together);
        let (running, ended) = bounded(0);
        thread::scope(|scope| {
            // Gone when this closure is left in whatever way: the thread then waits for nothing.
            let _running = running;
            scope.spawn(|| Ahead { encoders, input, output, ended }.run());
            self.answer(Source::new(ready), emit, stop)
        })
    }

    /// The engine stays when it returns: its watchdog is needed until the encoders have ended too.
    fn answer<T: Into<Ready>>(
        &mut self,
        mut source: Source<T>,
        emit: &mut dyn Emit<Generation>,
        stop: &Stop,
    ) -> Result<Stats, Fatal> {
        let (start, before) = (Instant::now(), self.engine.decoding());
        while !stop.aborting() && emit.open() && !(source.closed && self.is_empty()) {
            self.admit_one(&mut source, emit)?;
            let busy = Instant::now();
            self.step(emit)?;
            self.stats.busy_micros += micros(busy.elapsed());
        }
        self.stats.wall_micros = micros(start.elapsed());
        self.stats.span_micros = micros(self.occupancy.span());
        self.stats.decoder_micros =
            self.engine.decoding().zip(before).map(|(after, before)| micros(after.saturating_sub(before)));
        Ok(self.stats)
    }

    fn is_empty(&self) -> bool {
        self.seats.iter().all(Option::is_none)
    }

    fn is_prefilling(&self) -> bool {
        self.seats.iter().flatten().any(|seat| seat.waiting == Waiting::Prefill)
    }

    /// One at a time, and none while another prompt is being prefilled, so that live slots wait for one prompt at most;
    /// nor while there is a unit that memory has been short for.
    fn admit_one<T: Into<Ready>>(
        &mut self,
        source: &mut Source<T>,
        emit: &mut dyn Emit<Generation>,
    ) -> Result<(), Fatal> {
        let Some(slot) = self.seats.iter().position(Option::is_none) else { return Ok(()) };
        if self.is_prefilling() || self.is_short() {
            return Ok(());
        }
        let Some(ready) = source.next(self.is_empty()) else { return Ok(()) };
        let start = Instant::now();
        let origin = ready.item.origin.clone();
        let seated = self.seat(slot, ready);
        self.stats.busy_micros += micros(start.elapsed());
        match seated {
            Ok(seat) => self.seats[slot] = Some(seat),
            Err(error) => {
                self.engine.release(slot);
                let fault = self.weigh(error)?;
                emit.fault(&origin, fault);
            }
        }
        Ok(())
    }

    fn seat(&mut self, slot: Slot, ready: Ready) -> Result<Seat, EngineError> {
        let start = Instant::now();
        let (mut prompt, envelope) = ready.item.open();
        let encoders = prompt.features.as_ref().map_or(0, |features| features.micros);
        (self.stats.encoder_micros, self.stats.busy_micros) =
            (self.stats.encoder_micros + encoders, self.stats.busy_micros + encoders);
        if let Some(error) = ready.error {
            return Err(error);
        }
        self.occupancy.admitted(start);
        let facts = facts_of(&prompt);
        let TokenQuota { answer: allowance, thoughts, confined } = self.quota(prompt.tokens.len())?;
        let reused = self.engine.admit(slot, &mut prompt)?;
        self.stats.reused_tokens += reused.tokens as u64;
        self.stats.reused_pictures += reused.pictures as u64;
        let reserve = self.guide.as_ref().map_or(0, Guide::reserve);
        let loop_tokens = self.settings.loop_tokens;
        let thinking = self.channel.as_ref().map(|channel| Thinking::new(channel.clone(), thoughts));
        let guided = self.guide.as_mut().map(Guide::begin);
        let rules = Rules { thinking, guided, allowance, reserve, loop_tokens };
        let sampler = self.sampler(&envelope);
        let mut seat = Seat::new(envelope, facts, Answer::new(rules, sampler, self.vocabulary.clone()));
        let syntax = self.guide.as_ref().map_or(Syntax::Json, Guide::syntax);
        seat.drafter = self.drafts().then(|| {
            let drafter = Drafter::new(&prompt.tokens, self.habits[slot].clone());
            drafter.with_page(&self.vocabulary, syntax, prompt.text.as_ref())
        });
        seat.confined = confined;
        seat.keep(prompt);
        seat.add_prefill(start.elapsed() + Duration::from_micros(encoders));
        Ok(seat)
    }

    /// Each attempt draws its own numbers.
    fn sampler(&self, envelope: &Item<()>) -> Sampler {
        let Item { attempt, origin, .. } = envelope;
        let temperature = self.rungs.at(*attempt).temperature.unwrap_or(self.settings.temperature);
        let seed = self.settings.seed.wrapping_add(u64::from(*attempt) << 56);
        Sampler::new(&Settings { temperature, seed, ..self.settings.clone() }, origin)
    }

    /// Guesses are for engines that check several at little cost.
    fn drafts(&self) -> bool {
        self.settings.drafts && self.engine.card().together
    }

    /// New tokens that fit behind the prompt. The answer comes first: thoughts take what it leaves.
    fn quota(&self, prompt: usize) -> Result<TokenQuota, Fault> {
        let context = self.engine.card().context;
        let thoughts = self.channel.as_ref().map_or(0, |channel| channel.least());
        let least = self.guide.as_ref().map_or(0, Guide::reserve) + 1 + thoughts;
        let room = context.saturating_sub(prompt);
        if prompt > 0 && room >= least {
            let (fits, most) = (room - thoughts, self.settings.max_tokens);
            let answer = fits.min(most);
            let thoughts = (room - answer).min(self.settings.most_thinking());
            let confined = (fits < most).then(|| Confined { tokens: count(fits), context: count(context) });
            return Ok(TokenQuota { answer, thoughts, confined });
        }
        let message =
            format!("the prompt has {prompt} tokens and its answer needs {least}, the context holds {context}");
        Err(Fault::new(StageName::Generate, FaultKind::TooLong, message, "raise generate.context or lower the budget"))
    }

    /// The slot's answer is complete.
    fn finish(&mut self, slot: Slot, finish: Finish, emit: &mut dyn Emit<Generation>) -> Result<(), Fatal> {
        self.engine.release(slot);
        self.occupancy.left(Instant::now());
        self.has_left = true;
        self.failures_in_a_row = 0;
        if let Some(mut seat) = self.seats[slot].take() {
            if let Some(drafter) = seat.drafter.take() {
                self.shelf.learn(&seat.answer.tokens);
                self.habits[slot] = drafter.into_habits();
            }
            let item = seat.finish(finish, &self.vocabulary, self.settings.keeps_thoughts());
            self.stats.count(&item.body);
            emit.item(item);
        }
        Ok(())
    }
}

impl Stats {
    /// What two engines of one run have done together: sums, but of times from one moment to another the longest, and of
    /// the most slots of one call the fewest.
    pub fn merge(self, other: Self) -> Self {
        let narrowed = [self.narrowed_to, other.narrowed_to].into_iter().filter(|slots| *slots > 0).min();
        let decoders = [self.decoder_micros, other.decoder_micros];
        Self {
            units: self.units + other.units,
            faults: self.faults + other.faults,
            closed: self.closed + other.closed,
            looped: self.looped + other.looped,
            prompt_tokens: self.prompt_tokens + other.prompt_tokens,
            reused_tokens: self.reused_tokens + other.reused_tokens,
            reused_pictures: self.reused_pictures + other.reused_pictures,
            new_tokens: self.new_tokens + other.new_tokens,
            thought_tokens: self.thought_tokens + other.thought_tokens,
            steps: self.steps + other.steps,
            step_slots: self.step_slots + other.step_slots,
            forced_tokens: self.forced_tokens + other.forced_tokens,
            drafted_tokens: self.drafted_tokens + other.drafted_tokens,
            accepted_tokens: self.accepted_tokens + other.accepted_tokens,
            narrowed_to: narrowed.unwrap_or(0),
            busy_micros: self.busy_micros + other.busy_micros,
            encoder_micros: self.encoder_micros + other.encoder_micros,
            decoder_micros: decoders.into_iter().flatten().reduce(|one, other| one + other),
            span_micros: self.span_micros.max(other.span_micros),
            wall_micros: self.wall_micros.max(other.wall_micros),
        }
    }

    fn count(&mut self, generation: &Generation) {
        self.units += 1;
        self.closed += u64::from(generation.finish == Finish::Closed);
        self.looped += u64::from(generation.finish == Finish::Loop);
        self.prompt_tokens += u64::from(generation.facts.prompt_tokens);
        self.new_tokens += generation.tokens.len() as u64;
        self.thought_tokens += generation.thought.as_ref().map_or(0, |thought| u64::from(thought.tokens));
        self.forced_tokens += u64::from(generation.effort.forced);
        self.drafted_tokens += u64::from(generation.effort.drafted);
        self.accepted_tokens += u64::from(generation.effort.accepted);
    }
}
