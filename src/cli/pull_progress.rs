//! How far a pull is: one bar over all bytes on a terminal, a line for each file and now and then otherwise.

use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::{print, progress::Watcher};
use crate::bundle::hub::Step;

/// How often a plain line or an event tells of a file that is on its way.
const PERIOD: Duration = Duration::from_secs(10);

/// Shows a pull to whoever watches.
pub struct PullProgress {
    watcher: Watcher,
    bar: Option<ProgressBar>,
    missing: u64,
    received: u64,
    said: Instant,
}

impl PullProgress {
    /// Nothing is shown yet.
    pub fn of(watcher: Watcher) -> Self {
        Self { watcher, bar: None, missing: 0, received: 0, said: Instant::now() }
    }

    /// Takes the next step.
    pub fn show(&mut self, step: Step<'_>) {
        match step {
            Step::Planned { files, bytes, missing } => self.begin(files, bytes, missing),
            Step::Fetching { path, bytes, have } => self.file(path, bytes, have),
            Step::Received(bytes) => self.count(self.received + bytes),
            Step::Lost(bytes) => {
                self.missing += bytes.saturating_sub(self.received);
                self.count(self.received.saturating_sub(bytes));
            }
            Step::Pausing { why, pause } => {
                self.say(&format!("{why}; next attempt in {}", print::duration(pause.as_secs_f64())));
            }
        }
    }

    fn begin(&mut self, files: usize, bytes: u64, missing: u64) {
        self.missing = missing;
        let here = if missing == 0 { "all there".to_owned() } else { format!("{} to come", print::bytes(missing)) };
        self.say(&format!("{files} files, {}: {here}", print::bytes(bytes)));
        if self.watcher == Watcher::Live && missing > 0 {
            self.bar = Some(bar(missing));
        }
    }

    fn file(&mut self, path: &str, bytes: u64, have: u64) {
        if let Some(bar) = &self.bar {
            return bar.set_message(path.to_owned());
        }
        let from = if have > 0 { format!(", going on at {}", print::bytes(have)) } else { String::new() };
        self.say(&format!("{path} ({}{from})", print::bytes(bytes)));
    }

    fn count(&mut self, received: u64) {
        self.received = received;
        if let Some(bar) = &self.bar {
            bar.set_length(self.missing);
            bar.set_position(received);
        } else if self.said.elapsed() >= PERIOD {
            self.say(&format!("{} of {}", print::bytes(received), print::bytes(self.missing)));
        }
    }

    fn say(&mut self, line: &str) {
        self.said = Instant::now();
        match (self.watcher, &self.bar) {
            (Watcher::Nobody, _) => {}
            (Watcher::Events, _) => tracing::info!(target: "lapidary", "{line}"),
            (_, Some(bar)) => bar.suspend(|| print::note(line)),
            (_, None) => print::note(line),
        }
    }
}

impl Drop for PullProgress {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

fn bar(bytes: u64) -> ProgressBar {
    let template = "{wide_bar} {bytes} of {total_bytes}, {bytes_per_sec}, {eta} left  {msg}";
    let style = ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
    ProgressBar::with_draw_target(Some(bytes), ProgressDrawTarget::stderr()).with_style(style)
}
