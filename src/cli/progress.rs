//! How far a run is: one live line on a terminal, a plain line now and then otherwise, events for JSON logs.

use std::{
    io::IsTerminal,
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::{Duration, Instant},
};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::{args::LogFormat, print};
use crate::{app::gauge::Gauge, base::Stop};

/// How often plain lines and events appear.
const PLAIN_PERIOD: Duration = Duration::from_secs(10);

/// How often the live line is drawn, and how soon the end of the run is noticed.
const TICK: Duration = Duration::from_millis(100);

/// Who watches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Watcher {
    /// A terminal.
    Live,
    /// A file or a pipe.
    Plain,
    /// A collector of JSON events.
    Events,
    /// Nobody.
    Nobody,
}

impl Watcher {
    /// Who watches this process's standard error.
    pub fn of(quiet: bool, format: LogFormat) -> Self {
        match (quiet, format) {
            (true, _) => Self::Nobody,
            (false, LogFormat::Json) => Self::Events,
            (false, LogFormat::Text) if std::io::stderr().is_terminal() => Self::Live,
            (false, LogFormat::Text) => Self::Plain,
        }
    }
}

/// Runs `work` while showing what `gauge` says.
pub fn during<T: Send>(watcher: Watcher, gauge: &Gauge, stop: &Stop, work: impl FnOnce() -> T + Send) -> T {
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| watch(watcher, gauge, stop, &done));
        let _ends = Ends(&done);
        work()
    })
}

/// Ends the watch when the work does, also where that panics.
struct Ends<'a>(&'a AtomicBool);

impl Drop for Ends<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Release);
    }
}

fn watch(watcher: Watcher, gauge: &Gauge, stop: &Stop, done: &AtomicBool) {
    let bar = (watcher == Watcher::Live).then(live_line);
    let mut said = Instant::now();
    while !done.load(Ordering::Acquire) {
        if let Some(bar) = &bar {
            bar.set_message(line(gauge, stop));
        } else if said.elapsed() >= PLAIN_PERIOD {
            said = Instant::now();
            say(watcher, gauge, stop);
        }
        thread::sleep(TICK);
    }
    if let Some(bar) = bar {
        bar.finish_and_clear();
    }
}

fn live_line() -> ProgressBar {
    let style =
        ProgressStyle::with_template("{spinner} {wide_msg}").unwrap_or_else(|_| ProgressStyle::default_spinner());
    ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr()).with_style(style)
}

fn say(watcher: Watcher, gauge: &Gauge, stop: &Stop) {
    match watcher {
        Watcher::Plain => print::note(&line(gauge, stop)),
        Watcher::Events => tracing::info!(
            target: "lapidary",
            documents = gauge.documents.get(),
            documents_decoded = gauge.documents_decoded.get(),
            promised = gauge.promised.get(),
            settled = gauge.settled.get(),
            kept = gauge.kept.get(),
            new_tokens = gauge.new_tokens.get(),
            prompt_tokens = gauge.prompt_tokens.get(),
            seconds_left = gauge.time_left().map(|left| left.as_secs()),
            "progress"
        ),
        Watcher::Live | Watcher::Nobody => {}
    }
}

/// `12 of 40 units, 3 of 9 documents, 1.4 units/s, 85 tokens/s, about 3 min 07 s left`
fn line(gauge: &Gauge, stop: &Stop) -> String {
    let seconds = gauge.began.elapsed().as_secs_f64().max(1e-3);
    let (units, new_units, tokens) = (gauge.settled.get(), gauge.settled_now(), gauge.new_tokens.get());
    let more = if gauge.collection_closed() { "" } else { "+" };
    let left = gauge.time_left().map(|left| format!(", about {} left", print::duration(left.as_secs_f64())));
    let stopping = if stop.draining() { "; finishing what is begun, interrupt again to abort" } else { "" };
    format!(
        "{units} of {}{more} units, {} of {}{more} documents, {:.1} units/s, {:.0} tokens/s{}{stopping}",
        gauge.promised.get(),
        gauge.documents_decoded.get(),
        gauge.documents.get(),
        new_units as f64 / seconds,
        tokens as f64 / seconds,
        left.unwrap_or_default(),
    )
}
