//! `lapidary run` without its command line: a plan, inputs and an output folder in, a dataset and a report out.

use std::{
    cell::RefCell,
    convert::Infallible,
    panic::{AssertUnwindSafe, catch_unwind},
    path::{Path, PathBuf},
    sync::{Arc, OnceLock},
};

use super::{
    allowance::Allowance,
    collate::Collator,
    configs,
    engines::{self, Engines},
    gauge::Gauge,
    ladder::Judge,
    line::{Decoding, Encoding, Found, Line},
    make::{self, Answers},
    plan::{self, Plan},
    recorded,
    report::{self, Ending, Engine, Report},
};
use crate::{
    base::{ByteBudget, Fatal, RecordOf, Stop, UnitQuota, dataset},
    collect::{self, Collect, Inputs},
    decode::Decoder,
    generate::Stats,
    parse::Parser,
    write::{Claim, Extras, Known, RunIdentity, Tally, Totals, Writer},
};

/// What to run.
pub struct Request<'a> {
    /// The pipeline, its bundle, and the flags that stand for settings.
    pub plan: plan::Request,
    /// What to read.
    pub inputs: Inputs,
    /// Where the dataset goes, or is.
    pub output: PathBuf,
    /// What has failed before is asked again.
    pub retry_failures: bool,
    /// Told, before any work, what the dataset holds and what of it is outdated.
    pub continues: &'a (dyn Fn(&Tally) + Sync),
    /// Most units to begin.
    pub limit: Option<u64>,
    /// Where the answers come from.
    pub answers: Answers<'a>,
    /// The program whose processes decode, where it is not this one: `lapidary`, for whoever runs the line as a library.
    pub program: Option<PathBuf>,
    /// Says why a run with a stuck thread is given up, and ends the process; what is written is closed by then.
    pub give_up: fn(&Fatal) -> Infallible,
}

/// Runs to the end, the drain or the abort, and leaves `OUT/run.json` in each case. An error means that the run could
/// not start or could not finish; parts written by then are whole.
pub fn run(request: Request, gauge: &Gauge, stop: &Stop) -> Result<Report, Fatal> {
    let plan = Plan::new(&request.plan)?;
    let claim = Claim::take(&request.output)?;
    request.limit.into_iter().for_each(|units| gauge.limit_to(units));
    let asked = engines::shares(&plan, &request.answers, request.answers.device().as_str());
    let encoder = make::encoder(&plan)?;
    let engines = Engines::open(&plan, request.answers, &encoder, asked, stop)?;
    let (card, placed, capacity) = (engines.card.clone(), engines.placed.clone(), engines.capacity.clone());
    let shares = engines::shares(&plan, &request.answers, &card.device).beside(asked);
    let sandbox = decoder(&plan, &request, &ByteBudget::new(0), &Stop::default()).probe()?;
    let collect = Collect::new(plan.pipeline.collect.clone(), request.inputs.clone()).map_err(inputs_wrong)?;
    let writer = writer(&plan, &request, &claim)?;
    let known = writer.known();
    (request.continues)(known.tally());
    let (writer, record) = (RefCell::new(Some(writer)), plan.pipeline.parse.record);
    let mut judge = Judge::new(plan.shape.clone(), plan.pipeline.ladder.clone()).with_record(record);
    let collator = Collator::new(record, plan.shape.clone(), plan.merging.clone());
    let mut collator = collator.with_reduce(plan.pipeline.reduce.clone());
    let budget = ByteBudget::new(plan.pipeline.memory_mb << 20);
    let decoding = |_| Box::new(decoder(&plan, &request, &budget, stop)) as Decoding;
    let allowance = Allowance {
        quota: UnitQuota::new(request.limit),
        keep: Box::new(|origin| known.unit(origin)),
        whole_documents: record == RecordOf::Document,
    };
    let vacant: OnceLock<Vec<String>> = OnceLock::new();
    let (began, ahead) = (chrono::Utc::now(), card.slots);
    let close = |result: &Result<Vec<Stats>, Fatal>| {
        let totals = close(writer.take(), stop.draining() || result.is_err())?;
        let ending = Ending::of(result, stop);
        let stats = result.as_ref().cloned().unwrap_or_default();
        let (card, placed, capacity) = (card.clone(), placed.clone(), capacity.clone());
        let engine = Engine { card, placed, stats, shares, capacity };
        let report = Report::new(&plan, &request, began, gauge, totals, engine, ending);
        let report = report
            .within(sandbox.clone())
            .after(known.tally().clone())
            .with_vacant(vacant.get().cloned().unwrap_or_default());
        report::save(&report, &request.output).map(|()| report)
    };
    let line = Line {
        collect: Box::new(|sink| {
            // Nobody else sets it.
            let _ = vacant.set(collect.run(stop, &mut |found| sink(convert(found, &known))));
        }),
        decode: (0..shares.decode).map(decoding).collect(),
        allowance,
        encode: (0..shares.encode).map(|_| Box::new(encoder.clone()) as Encoding).collect(),
        generate: engines.tasks(stop),
        parse: Box::new(parser(&plan)),
        judge: &mut judge,
        collator: &mut collator,
        write: Box::new(|outcome| match (&mut *writer.borrow_mut(), outcome) {
            (Some(writer), Some(outcome)) => {
                writer.accept(outcome);
                Ok(())
            }
            (Some(writer), None) => writer.tick(),
            (None, _) => Ok(()),
        }),
        last_words: Box::new(|why| match close(&Err(why.clone())) {
            Ok(_) => (request.give_up)(why),
            Err(error) => (request.give_up)(&error),
        }),
        ahead,
    };
    let result = catch_unwind(AssertUnwindSafe(|| line.run(gauge, stop))).unwrap_or_else(|_| {
        // What the writer was at when it happened is not known.
        if let Some(writer) = &mut *writer.borrow_mut() {
            writer.lose();
        }
        Err(panicked())
    });
    let report = close(&result);
    result.and(report)
}

/// A panic of one of the threads is the end of the run, not of the process: what is written is closed and told of.
fn panicked() -> Fatal {
    Fatal::new("a thread of the run panicked; its words are on standard error", "please report this with them")
}

/// The decoder of one lane.
fn decoder(plan: &Plan, request: &Request, budget: &ByteBudget, stop: &Stop) -> Decoder {
    let decoder = make::decoder(plan, budget, stop);
    match &request.program {
        Some(program) => decoder.with_program(program),
        None => decoder,
    }
}

fn writer(plan: &Plan, request: &Request, claim: &Claim) -> Result<Writer, Fatal> {
    let (identity, parse) = (identity(plan, &request.answers)?, &plan.pipeline.parse);
    let shift = plan.pipeline.ladder.steps.iter().any(|step| step.shift.is_some());
    let extras = Extras { evidence: parse.evidence, checks: !plan.checks.is_empty(), record: parse.record, shift };
    recorded::remember(plan, request, &identity)?;
    let settings = plan.pipeline.write.clone();
    Writer::create(claim, plan.shape.clone(), extras, settings, identity, request.retry_failures)
}

/// Closes the tables. Without a writer they are closed already.
fn close(writer: Option<Writer>, cut_short: bool) -> Result<Totals, Fatal> {
    match writer {
        Some(writer) if cut_short => writer.interrupt(),
        Some(writer) => writer.finish(),
        None => Err(Fatal::new("the dataset was closed before its end", "please report this")),
    }
}

fn parser(plan: &Plan) -> Parser {
    let settings = &plan.pipeline.parse;
    let parser = Parser::of(settings.output, plan.answer.clone()).with_record(settings.record);
    parser.with_evidence(settings.evidence).with_checks(plan.checks.clone()).with_rungs(plan.pipeline.ladder.rungs())
}

/// What tells the rows of this run from those of others. Recorded answers are as another model would give.
fn identity(plan: &Plan, answers: &Answers) -> Result<RunIdentity, Fatal> {
    let recorded = match answers {
        Answers::Model(..) => String::new(),
        Answers::Replay(path) => {
            let bytes = std::fs::read(path).map_err(|error| {
                Fatal::new(format!("`{}` cannot be read: {error}", path.display()), "give a file of recorded answers")
            })?;
            blake3::hash(&bytes).to_hex().to_string()
        }
    };
    let model = plan.model()?.hash.clone();
    Ok(RunIdentity::new(model, |kind| configs::config(&plan.pipeline, &plan.shape, &recorded, kind)))
}

/// A document that the dataset holds whole is not looked at.
fn convert(found: collect::Found, known: &Arc<Known>) -> Found {
    match found {
        collect::Found::Document(item) => match known.document(&item.origin.source) {
            Some(kept) => Found::Kept(item.origin.source, kept),
            None => Found::Document(item),
        },
        collect::Found::Duplicate(source) => Found::Duplicate(source),
        collect::Found::Failure(failure) => Found::Failure(failure),
    }
}

fn inputs_wrong(problems: Vec<String>) -> Fatal {
    Fatal::new(problems.join("\n"), "name files, folders or patterns, or give a list with `--from FILE`")
}

/// Where the report lies in a dataset.
pub fn report_path(output: &Path) -> PathBuf {
    output.join(dataset::REPORT)
}
