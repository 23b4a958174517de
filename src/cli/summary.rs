//! What is read in the morning: a run in a dozen lines on standard error.

use std::path::Path;

use super::{print, progress::Watcher};
use crate::{
    app::report::{Ending, Report},
    write::{Tally, Totals},
};

/// Kinds of failure that are listed before the rest is summed up.
const KINDS: usize = 8;

/// The summary for whoever watches: lines for people, one event for a collector of logs.
pub fn show(report: &Report, output: &Path, watcher: Watcher) {
    match watcher {
        Watcher::Live | Watcher::Plain => lines(report, output).iter().for_each(|line| print::note(line)),
        Watcher::Events => event(report, output),
        Watcher::Nobody => {}
    }
}

/// What a dataset holds, said before a run goes on with it.
pub fn before(tally: &Tally, retry_failures: bool, watcher: Watcher) {
    let others: u64 = tally.others.values().sum();
    if tally.rows + tally.failures + others == 0 {
        return;
    }
    let failures = match (tally.failures, retry_failures) {
        (0, _) => String::new(),
        (n, true) => format!(", and {n} failures that are asked again"),
        (n, false) => format!(" and {n} failures (--retry-failures asks for those again)"),
    };
    let kinds: Vec<String> = tally.others.iter().map(|(kind, count)| format!("{count} {kind}")).collect();
    let outdated = match others {
        0 => String::new(),
        n => format!(
            "; {n} rows and failures of another model or other settings ({}) are replaced where their files are among the \
             inputs",
            kinds.join(", ")
        ),
    };
    let told = format!("going on with a dataset: {} rows{failures} hold{outdated}", tally.rows);
    match watcher {
        Watcher::Live | Watcher::Plain => print::note(&told),
        Watcher::Events => {
            tracing::info!(target: "lapidary", rows = tally.rows, failures = tally.failures, others, "{told}");
        }
        Watcher::Nobody => {}
    }
}

fn event(report: &Report, output: &Path) {
    let totals = &report.totals;
    for folder in &report.pipeline.vacant {
        tracing::warn!(target: "lapidary", "no file in `{folder}`");
    }
    tracing::info!(
        target: "lapidary",
        output = %output.display(),
        documents = totals.documents,
        units = totals.units,
        rows = totals.rows,
        failures = totals.failures,
        balanced = totals.balanced,
        seconds = report.seconds,
        "{}", ending(report)
    );
}

fn lines(report: &Report, output: &Path) -> Vec<String> {
    let totals = &report.totals;
    let mut lines = vec![
        String::new(),
        format!("{}: {} in {}", report.pipeline.name, ending(report), print::duration(report.seconds)),
        documents(totals),
        vacant(report),
        books(totals),
        failures(report),
        answers(report),
        ladder(totals),
        evidence(totals),
        silence(totals),
        speed(report),
        remarks(report),
        format!("  dataset    {} ({} in {} parts)", output.display(), print::bytes(totals.bytes), parts(totals)),
    ];
    lines.retain(|line| !line.ends_with(' '));
    lines
}

fn ending(report: &Report) -> String {
    match &report.ending {
        Ending::Complete => "complete".to_owned(),
        Ending::Drained => "interrupted; what was begun is finished".to_owned(),
        Ending::Aborted => "aborted; rows written so far are whole".to_owned(),
        Ending::Failed(why) => format!("failed: {why}"),
    }
}

fn documents(totals: &Totals) -> String {
    let untouched = match totals.untouched {
        0 => String::new(),
        n => format!(", {n} not begun"),
    };
    let none = if totals.documents == 0 { "; nothing was found in the inputs" } else { "" };
    let kept = match totals.documents_kept {
        0 => String::new(),
        n => format!(", {n} done before"),
    };
    format!("  documents  {} ({} duplicates{kept}{untouched}){none}", totals.documents, totals.duplicates)
}

/// Nothing where every folder among the inputs holds a file.
fn vacant(report: &Report) -> String {
    let folders: Vec<String> = report.pipeline.vacant.iter().map(|folder| format!("no file in `{folder}`")).collect();
    format!("  inputs     {}", folders.join(", "))
}

fn books(totals: &Totals) -> String {
    let (units, answered, failures) = (totals.units, totals.answered, totals.failures);
    let came = match totals.rows == answered {
        true => format!("{answered} rows + {failures} failures"),
        false => format!("{answered} answered in {} rows + {failures} failures", totals.rows),
    };
    let kept = match totals.kept {
        0 => String::new(),
        n => format!(" + {n} kept"),
    };
    let verdict = match totals.unbalanced.first() {
        None => "the totals balance".to_owned(),
        Some(first) => format!(
            "THE TOTALS DO NOT BALANCE for {} documents, first `{}`: promised {}, answered {}, failures {}, kept {}",
            totals.unbalanced.len(),
            first.source,
            first.promised,
            first.answered,
            first.failures,
            first.kept
        ),
    };
    let copied = match totals.rows_copied + totals.failures_copied {
        0 => String::new(),
        n => format!(" (and {n} copied for duplicates)"),
    };
    format!("  units      {units} = {came}{kept}{copied}{}; {verdict}", outdated(totals))
}

fn outdated(totals: &Totals) -> String {
    let some = [(totals.outdated_removed, "outdated removed"), (totals.renamed, "renamed")];
    let told: Vec<String> = some.iter().filter(|(n, _)| *n > 0).map(|(n, what)| format!("{n} {what}")).collect();
    if told.is_empty() { String::new() } else { format!(" ({})", told.join(", ")) }
}

fn failures(report: &Report) -> String {
    let all = report.failures();
    let rest: u64 = all.iter().skip(KINDS).map(|(_, count)| count).sum();
    let mut kinds: Vec<String> = all.iter().take(KINDS).map(|(kind, count)| format!("{count} {kind}")).collect();
    if rest > 0 {
        kinds.push(format!("{rest} others"));
    }
    let share =
        format!("{:.1} % of units, {:.1} % allowed", 100.0 * report.failed_share(), 100.0 * report.allowed_failures);
    match kinds.is_empty() {
        true => "  failures   none".to_owned(),
        false => format!("  failures   {} ({share})", kinds.join(", ")),
    }
}

fn answers(report: &Report) -> String {
    let totals = &report.totals;
    let thoughts = report.engine.thought_tokens.map(|tokens| format!(" after {tokens} of thoughts"));
    format!(
        "  answers    {} tokens{} from {} prompt tokens ({} of pictures, {} of sound; {} reused); {} closed early, {} in a loop, {} with remarks",
        totals.new_tokens,
        thoughts.unwrap_or_default(),
        totals.prompt_tokens,
        totals.image_tokens,
        totals.audio_tokens,
        report.engine.reused_tokens,
        totals.rows_closed_early,
        totals.rows_looped,
        totals.rows_with_problems
    )
}

/// Nothing where no unit was tried again.
fn ladder(totals: &Totals) -> String {
    let climbs = &totals.ladder;
    let reasons: Vec<String> = climbs.reasons.iter().map(|(why, count)| format!("{count} {why}")).collect();
    let told = match climbs.units {
        0 => String::new(),
        units => format!(
            "{units} units tried again, {} tries ({}), {} with a better answer for it",
            climbs.tries,
            reasons.join(", "),
            climbs.improved
        ),
    };
    format!("  ladder     {told}")
}

/// Nothing where nobody listened for speech, or somebody speaks all the time.
fn silence(totals: &Totals) -> String {
    let told = match (totals.silent_seconds, totals.silent_documents) {
        (0.0, _) => String::new(),
        (seconds, 0) => format!("nobody speaks in {}", print::duration(seconds)),
        (seconds, 1) => format!("nobody speaks in {}, in one recording not at all", print::duration(seconds)),
        (seconds, n) => format!("nobody speaks in {}, in {n} recordings not at all", print::duration(seconds)),
    };
    format!("  silence    {told}")
}

/// Nothing where neither evidence nor checks were asked for.
fn evidence(totals: &Totals) -> String {
    let found = (totals.values_compared > 0).then(|| {
        format!("{} of {} values found in the text of their page", totals.values_found, totals.values_compared)
    });
    let failed =
        (totals.checks_made > 0).then(|| format!("{} of {} checks failed", totals.checks_failed, totals.checks_made));
    let addressed = (totals.units_addressing_model > 0)
        .then(|| format!("{} units seem to speak to the model", totals.units_addressing_model));
    let parts: Vec<String> = [found, failed, addressed].into_iter().flatten().collect();
    format!("  evidence   {}", parts.join("; "))
}

fn speed(report: &Report) -> String {
    let engine = &report.engine;
    let busy = engine.busy_share.map(|share| format!(", decoder busy {:.0} % of the time", 100.0 * share));
    let device = match report.engines.len() {
        0 | 1 => engine.device.clone(),
        several => format!("{several} x {}", engine.device),
    };
    format!(
        "  speed      {:.1} units/s, {:.0} new tokens/s; {} on {}, {} of {} slots in use on average{}",
        report.units_per_second,
        report.totals.new_tokens as f64 / report.seconds.max(1e-9),
        engine.model,
        device,
        (engine.mean_live_slots * 10.0).round() / 10.0,
        engine.slots,
        busy.unwrap_or_default(),
    )
}

/// Nothing where there is nothing to remark.
fn remarks(report: &Report) -> String {
    let narrowed = report.engine.narrowed_to.map(|slots| format!("steps of more than {slots} slots failed"));
    let remarks: Vec<String> = report.engine.remarks.iter().cloned().chain(narrowed).collect();
    format!("  model      {}", remarks.join("; "))
}

fn parts(totals: &Totals) -> u64 {
    totals.extraction_parts + totals.failure_parts
}
