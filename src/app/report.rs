//! What a run came to: `run.json`, and what the summary is printed from.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use chrono::{DateTime, SecondsFormat, Utc};
use serde::Serialize;

use super::{engines::Placed, gauge::Gauge, memory, plan::Plan, run, threads::Shares};
use crate::{
    base::{Fatal, StageName, Stop},
    decode::Reached,
    generate::{Capacity, Card, Stats},
    write::{Over, Tally, Totals, put_json},
};

/// How a run ended.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "status", content = "why", rename_all = "snake_case")]
pub enum Ending {
    /// Everything that was asked for has been settled.
    Complete,
    /// Asked to stop; what was begun is finished.
    Drained,
    /// Asked to stop at once.
    Aborted,
    /// The run could not go on.
    Failed(String),
}

impl Ending {
    /// How the line ended.
    pub fn of<T>(result: &Result<T, Fatal>, stop: &Stop) -> Self {
        match result {
            Err(error) => Self::Failed(error.message.clone()),
            Ok(_) if stop.aborting() => Self::Aborted,
            Ok(_) if stop.draining() => Self::Drained,
            Ok(_) => Self::Complete,
        }
    }
}

/// What answered: one engine, or several.
#[derive(Debug, Clone)]
pub struct Engine {
    /// What they are together.
    pub card: Card,
    /// What each is.
    pub placed: Vec<Placed>,
    /// What each did, in the same order; nothing where the run failed.
    pub stats: Vec<Stats>,
    /// Threads where the pipeline names none.
    pub shares: Shares,
    /// How the slots and the context of each were chosen.
    pub capacity: Capacity,
}

/// `run.json`.
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    /// How it ended.
    #[serde(flatten)]
    pub ending: Ending,
    /// The program and its version.
    pub program: String,
    /// When it began, in UTC.
    pub began: String,
    /// How long it took.
    pub seconds: f64,
    /// What was asked.
    pub pipeline: Asked,
    /// What answered, all engines together.
    pub engine: Answered,
    /// Each engine by itself.
    pub engines: Vec<OneEngine>,
    /// What the dataset held when the run began.
    pub before: Tally,
    /// The books.
    pub totals: Totals,
    /// The share of failures that the pipeline allows.
    pub allowed_failures: f64,
    /// Units that this run settled per second; those that the dataset held are left out.
    pub units_per_second: f64,
    /// Most memory that this process held, its children left out; where the system tells (Linux).
    pub peak_memory_bytes: Option<u64>,
    /// The walls around the decoder children, and what is missing of them.
    pub sandbox: Option<Reached>,
    /// Per stage, in data order.
    pub stages: Vec<StageReport>,
}

/// What was asked.
#[derive(Debug, Clone, Serialize)]
pub struct Asked {
    /// The pipeline's name.
    pub name: String,
    /// Its file.
    pub file: String,
    /// BLAKE3 over the effective settings and the schema.
    pub config_hash: String,
    /// The effective pipeline file, flags included.
    pub settings: String,
    /// The inputs as given.
    pub inputs: Vec<String>,
    /// Folders among them, and in the list, that hold no file.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub vacant: Vec<String>,
    /// `--limit`.
    pub limit: Option<u64>,
}

/// What answered.
#[derive(Debug, Clone, Serialize)]
pub struct Answered {
    /// `ort` or `replay`.
    pub engine: &'static str,
    /// The device that ran.
    pub device: String,
    /// What is worth knowing about it.
    pub note: String,
    /// The part of it that concerns the model's files and how they can be run.
    pub remarks: Vec<String>,
    /// The bundle's name.
    pub model: String,
    /// The bundle's hash.
    pub model_hash: String,
    /// Where the bundle lies.
    pub model_folder: Option<PathBuf>,
    /// Threads of the decoder of each engine.
    pub threads: usize,
    /// Threads of the vision and audio encoders of each engine.
    pub encoder_threads: usize,
    /// Units decoded together, by all engines.
    pub slots: usize,
    /// Most tokens of a prompt and its answer.
    pub context: usize,
    /// Bytes of the keys and values of all slots.
    pub kv_bytes: u64,
    /// How slots and context came about.
    pub kv: String,
    /// Calls that fed tokens of answers.
    pub steps: u64,
    /// Tokens of the thoughts before the answers, where the model thinks.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub thought_tokens: Option<u64>,
    /// Tokens of answers that the grammar left no choice about: they cost no call of their own.
    pub forced_tokens: u64,
    /// Tokens of answers that were guessed ahead.
    pub drafted_tokens: u64,
    /// Guesses that were right.
    pub accepted_tokens: u64,
    /// The most slots of one call after calls with more had failed, on the engine where that is least.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub narrowed_to: Option<u64>,
    /// Mean number of live slots in those calls; of several engines the sum.
    pub mean_live_slots: f64,
    /// Prompt tokens that needed no prefill, since an earlier prompt began alike.
    pub reused_tokens: u64,
    /// Pictures that needed no encoding, since an earlier one looked alike.
    pub reused_pictures: u64,
    /// Answers closed because their allowance ran short.
    pub closed_early: u64,
    /// Answers that said the same again and again and were cut.
    pub looped: u64,
    /// Time inside runs of the decoder, as a share of the time from the first admission to the last finished unit. Of
    /// several engines it is the mean, over the longest such time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub busy_share: Option<f64>,
    /// Time of the encoders, which work ahead of admission, as a share of the same time; it may be above 1.
    pub encoder_share: f64,
}

/// What one engine did.
#[derive(Debug, Clone, Serialize)]
pub struct OneEngine {
    /// The device that ran.
    pub device: String,
    /// Which card, as CUDA counts them; which engine, on the processor.
    pub ordinal: u32,
    /// Units decoded together.
    pub slots: usize,
    /// Units that it answered.
    pub units: u64,
    /// As of all, over its own time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub busy_share: Option<f64>,
    /// As of all, over its own time.
    pub encoder_share: f64,
}

/// One stage.
#[derive(Debug, Clone, Serialize)]
pub struct StageReport {
    /// Its name.
    pub stage: &'static str,
    /// Items that left it.
    pub items: u64,
    /// Items that failed in it.
    pub faults: u64,
    /// Working time of its lanes, without waiting.
    pub busy_seconds: f64,
}

impl Report {
    /// Gathers what is known at the end.
    pub fn new(
        plan: &Plan,
        request: &run::Request,
        began: DateTime<Utc>,
        gauge: &Gauge,
        totals: Totals,
        engine: Engine,
        ending: Ending,
    ) -> Self {
        let seconds = gauge.began.elapsed().as_secs_f64();
        let settled = gauge.settled_now() as f64;
        let stats = engine.stats.iter().copied().reduce(Stats::merge).unwrap_or_default();
        Self {
            ending,
            program: concat!("lapidary ", env!("CARGO_PKG_VERSION")).to_owned(),
            began: began.to_rfc3339_opts(SecondsFormat::Secs, true),
            seconds,
            pipeline: asked(plan, request),
            engine: answered(plan, &engine, &stats),
            engines: each_engine(&engine),
            totals,
            allowed_failures: plan.pipeline.allowed_failures,
            units_per_second: settled / seconds.max(1e-9),
            peak_memory_bytes: memory::peak(),
            before: Tally::default(),
            sandbox: None,
            stages: StageName::ALL.map(|stage| stage_report(stage, gauge, &stats)).to_vec(),
        }
    }

    /// The report of a run whose children stood within these walls.
    pub fn within(self, sandbox: Reached) -> Self {
        Self { sandbox: Some(sandbox), ..self }
    }

    /// The report of a run that went on with a dataset that held this.
    pub fn after(self, before: Tally) -> Self {
        Self { before, ..self }
    }

    /// The report of a run over inputs of which these folders hold no file.
    pub fn with_vacant(mut self, vacant: Vec<String>) -> Self {
        self.pipeline.vacant = vacant;
        self
    }

    /// True when every unit is accounted for, and no document was left out but for a limit.
    pub fn accounts_for_all(&self) -> bool {
        self.totals.balanced && (self.totals.untouched == 0 || self.pipeline.limit.is_some())
    }

    /// The share of units that failed, now or before, duplicates left out.
    pub fn failed_share(&self) -> f64 {
        let Totals { answered, failures, kept, kept_failures, .. } = self.totals;
        let settled = answered + failures + kept;
        if settled == 0 { 0.0 } else { (failures + kept_failures) as f64 / settled as f64 }
    }

    /// Failures by stage and kind, most first.
    pub fn failures(&self) -> Vec<(String, u64)> {
        let by_stage: &BTreeMap<_, BTreeMap<_, _>> = &self.totals.failures_by_stage;
        let mut kinds: Vec<_> = by_stage
            .iter()
            .flat_map(|(stage, kinds)| kinds.iter().map(move |(kind, count)| (format!("{stage}/{kind}"), *count)))
            .collect();
        kinds.sort_by(|a, b| b.1.cmp(&a.1).then(a.0.cmp(&b.0)));
        kinds
    }
}

fn asked(plan: &Plan, request: &run::Request) -> Asked {
    Asked {
        name: plan.pipeline.name.clone(),
        file: request.plan.pipeline.display().to_string(),
        config_hash: plan.config_hash.clone(),
        settings: plan.pipeline.canonical.clone(),
        inputs: request.inputs.paths.clone(),
        vacant: Vec::new(),
        limit: request.limit,
    }
}

fn ratio(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 / whole as f64 }
}

/// How long the decoders and the encoders of so many engines were busy, as shares of the time that each of them had.
fn shares_of_time(stats: &Stats, engines: usize) -> (Option<f64>, f64) {
    let time = stats.span_micros.saturating_mul(engines as u64);
    (stats.decoder_micros.map(|micros| ratio(micros, time)), ratio(stats.encoder_micros, time))
}

fn each_engine(engine: &Engine) -> Vec<OneEngine> {
    let stats = engine.stats.iter().copied().chain(std::iter::repeat(Stats::default()));
    let one = |(placed, stats): (&Placed, Stats)| {
        let (busy_share, encoder_share) = shares_of_time(&stats, 1);
        let (device, slots) = (placed.card.device.clone(), placed.card.slots);
        OneEngine { device, ordinal: placed.ordinal, slots, units: stats.units, busy_share, encoder_share }
    };
    engine.placed.iter().zip(stats).map(one).collect()
}

/// What the engines did; `stats` is that of all together.
fn answered(plan: &Plan, engine: &Engine, stats: &Stats) -> Answered {
    let (card, engines) = (&engine.card, engine.placed.len());
    let (busy_share, encoder_share) = shares_of_time(stats, engines);
    let kv = match engines {
        1 => engine.capacity.to_string(),
        several => format!("on each of {several} engines: {}", engine.capacity),
    };
    Answered {
        engine: card.engine,
        device: card.device.clone(),
        note: card.note.clone(),
        remarks: card.remarks.clone(),
        model: card.model.clone(),
        model_hash: plan.model.as_ref().map(|model| model.hash.clone()).unwrap_or_default(),
        model_folder: plan.model.as_ref().and_then(|model| std::path::absolute(&model.folder).ok()),
        threads: plan.pipeline.generate.threads.unwrap_or(engine.shares.engine),
        encoder_threads: plan.pipeline.generate.encoder_threads.unwrap_or(engine.shares.towers),
        slots: card.slots,
        context: card.context,
        kv_bytes: engine.capacity.slot.bytes().saturating_mul(card.slots as u64),
        kv,
        steps: stats.steps,
        narrowed_to: Some(stats.narrowed_to).filter(|slots| *slots > 0),
        thought_tokens: Some(stats.thought_tokens).filter(|tokens| *tokens > 0),
        forced_tokens: stats.forced_tokens,
        drafted_tokens: stats.drafted_tokens,
        accepted_tokens: stats.accepted_tokens,
        mean_live_slots: engine.stats.iter().fold(0.0, |sum, one| sum + ratio(one.step_slots, one.steps)),
        reused_tokens: stats.reused_tokens,
        reused_pictures: stats.reused_pictures,
        closed_early: stats.closed,
        looped: stats.looped,
        busy_share,
        encoder_share,
    }
}

fn stage_report(stage: StageName, gauge: &Gauge, stats: &Stats) -> StageReport {
    let counted = gauge.stage(stage);
    let busy_seconds = match stage {
        StageName::Generate => stats.busy_micros as f64 / 1e6,
        _ => counted.busy().as_secs_f64(),
    };
    StageReport { stage: stage.as_str(), items: counted.items.get(), faults: counted.faults.get(), busy_seconds }
}

/// Writes `OUT/run.json` aside, makes it durable and renames it.
pub fn save(report: &Report, output: &Path) -> Result<(), Fatal> {
    let path = run::report_path(output);
    put_json(report, &path.with_extension("json.part"), &path, Over::Earlier).map_err(|error| {
        Fatal::new(
            format!("cannot write `{}`: {error}", path.display()),
            "the parts are whole; make room and look there",
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What an engine has done that was busy for so many of so many microseconds.
    fn stats(busy: Option<u64>, span: u64, narrowed_to: u64) -> Stats {
        let times = Stats { encoder_micros: 10, span_micros: span, wall_micros: span + 1, ..Stats::default() };
        Stats { units: 3, steps: 2, step_slots: 4, decoder_micros: busy, narrowed_to, ..times }
    }

    #[test]
    fn two_engines_that_are_half_busy_are_half_busy_together() {
        let both = stats(Some(50), 100, 0).merge(stats(Some(50), 100, 0));
        assert_eq!(shares_of_time(&both, 2), (Some(0.5), 0.1));
        let idle = stats(Some(100), 100, 0).merge(Stats { decoder_micros: Some(0), ..Stats::default() });
        assert_eq!(shares_of_time(&idle, 2).0, Some(0.5), "one that gets nothing to do is not busy");
        assert_eq!(shares_of_time(&stats(None, 100, 0), 1), (None, 0.1), "recorded answers take no decoder");
        assert_eq!(shares_of_time(&Stats::default(), 0), (None, 0.0));
    }

    #[test]
    fn counts_add_up_times_run_side_by_side_and_the_narrowest_engine_is_told() {
        let both = stats(Some(50), 100, 0).merge(stats(None, 300, 4));
        assert_eq!((both.units, both.steps, both.step_slots, both.encoder_micros), (6, 4, 8, 20));
        assert_eq!((both.decoder_micros, both.span_micros, both.wall_micros), (Some(50), 300, 301));
        assert_eq!(both.narrowed_to, 4);
        assert_eq!(both.merge(stats(None, 1, 2)).narrowed_to, 2);
    }
}
