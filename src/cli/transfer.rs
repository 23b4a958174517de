//! How far bytes are on their way from or to somewhere: one bar over all of them on a terminal, a line for each file and now
//! and then otherwise.

use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::{print, progress::Watcher};

/// How often a plain line or an event tells of a file that is on its way.
const PERIOD: Duration = Duration::from_secs(10);

/// Shows a transfer to whoever watches.
pub struct Transfer {
    watcher: Watcher,
    bar: Option<ProgressBar>,
    total: u64,
    done: u64,
    said: Instant,
}

impl Transfer {
    /// Nothing is shown yet.
    pub fn of(watcher: Watcher) -> Self {
        Self { watcher, bar: None, total: 0, done: 0, said: Instant::now() }
    }

    /// So many bytes are to come.
    pub fn begin(&mut self, line: &str, total: u64) {
        self.total = total;
        self.say(line);
        if self.watcher == Watcher::Live && total > 0 {
            self.bar = Some(bar(total));
        }
    }

    /// The next file's turn, one of few; `about` says more of it.
    pub fn file(&mut self, path: &str, about: &str) {
        self.one_of_many(path);
        if self.bar.is_none() {
            self.say(&format!("{path} ({about})"));
        }
    }

    /// The next file's turn, one of more than are worth a line each.
    pub fn one_of_many(&mut self, path: &str) {
        if let Some(bar) = &self.bar {
            bar.set_message(path.to_owned());
        }
    }

    /// So many bytes more are through.
    pub fn gain(&mut self, bytes: u64) {
        self.count(self.done + bytes);
    }

    /// So many bytes must come again.
    pub fn lose(&mut self, bytes: u64) {
        self.total += bytes.saturating_sub(self.done);
        self.count(self.done.saturating_sub(bytes));
    }

    fn count(&mut self, done: u64) {
        self.done = done;
        if let Some(bar) = &self.bar {
            bar.set_length(self.total);
            bar.set_position(done);
        } else if self.said.elapsed() >= PERIOD {
            self.say(&format!("{} of {}", print::bytes(done), print::bytes(self.total)));
        }
    }

    /// A line beside the bar.
    pub fn say(&mut self, line: &str) {
        self.said = Instant::now();
        match (self.watcher, &self.bar) {
            (Watcher::Nobody, _) => {}
            (Watcher::Events, _) => tracing::info!(target: "lapidary", "{line}"),
            (_, Some(bar)) => bar.suspend(|| print::note(line)),
            (_, None) => print::note(line),
        }
    }
}

impl Drop for Transfer {
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
