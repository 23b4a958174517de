//! Log lines on standard error, as text or as JSON.

use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;

use super::args::LogFormat;

/// The environment variable that sets the filter.
const FILTER: &str = "LAPIDARY_LOG";

/// Starts logging. JSON also carries progress, so it begins at `info`; text leaves that to the progress display.
pub fn start(format: LogFormat, quiet: bool) {
    let default = match (format, quiet) {
        (_, true) => "error",
        (LogFormat::Text, false) => "error,lapidary=warn",
        (LogFormat::Json, false) => "error,lapidary=info",
    };
    let filter = EnvFilter::try_from_env(FILTER).unwrap_or_else(|_| EnvFilter::new(default));
    let colours = std::io::stderr().is_terminal();
    let lines = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_target(false);
    // What cannot be written is lost: else it would be told in a way that panics where standard error is full or gone.
    let lines = lines.with_ansi(colours).log_internal_errors(false);
    // A second start, as in tests, keeps the first subscriber.
    let _ = match format {
        LogFormat::Text => lines.without_time().compact().try_init(),
        LogFormat::Json => lines.json().flatten_event(true).try_init(),
    };
}

/// Events that no filter holds back, as JSON.
pub fn unfiltered(say: impl FnOnce()) {
    let lines = tracing_subscriber::fmt().with_writer(std::io::stderr).with_target(false).log_internal_errors(false);
    tracing::subscriber::with_default(lines.json().flatten_event(true).finish(), say);
}
