//! The words that reach a person: results on standard output, everything else on standard error, there as lines or as JSON.

use std::{
    io::{self, Write},
    panic,
    sync::OnceLock,
};

use super::{args::LogFormat, logs};
use crate::base::Fatal;

/// How standard error is written.
#[derive(Debug, Clone, Copy)]
struct Manner {
    format: LogFormat,
    /// Nothing but what is wrong.
    quiet: bool,
}

/// Of the whole process; lines for people until it is said.
static MANNER: OnceLock<Manner> = OnceLock::new();

/// Says how standard error is written, once and for all: panics too.
pub fn start(format: LogFormat, quiet: bool) {
    let _ = MANNER.set(Manner { format, quiet });
    if format == LogFormat::Json {
        panic::set_hook(Box::new(|panic| fault(&panic.to_string())));
    }
}

fn manner() -> Manner {
    MANNER.get().copied().unwrap_or(Manner { format: LogFormat::Text, quiet: false })
}

/// An error with its advice, whatever is quiet or filtered: two lines, or one event.
pub fn fatal(error: &Fatal) {
    let hint = Some(error.hint.as_str()).filter(|hint| !hint.is_empty());
    match manner().format {
        LogFormat::Json => logs::unfiltered(|| tracing::error!(target: "lapidary", hint, "{}", error.message)),
        LogFormat::Text => {
            write(&format!("error: {}", error.message));
            hint.iter().for_each(|hint| write(&format!("hint: {hint}")));
        }
    }
}

/// What is wrong and no reason to stop, whatever is quiet or filtered.
pub fn fault(line: &str) {
    match manner().format {
        LogFormat::Json => logs::unfiltered(|| tracing::error!(target: "lapidary", "{line}")),
        LogFormat::Text => write(line),
    }
}

/// What is good to know, unless it is to be quiet.
pub fn note(line: &str) {
    match manner() {
        Manner { quiet: true, .. } => {}
        Manner { format: LogFormat::Json, .. } => tracing::info!(target: "lapidary", "{line}"),
        Manner { format: LogFormat::Text, .. } => write(line),
    }
}

/// A line on standard error. A closed standard error is nothing to stop for.
fn write(line: &str) {
    let _ = writeln!(io::stderr(), "{line}");
}

/// Text on standard output. A reader that has seen enough, as `head` has, is no error.
pub fn result(text: &str) -> Result<(), Fatal> {
    let mut out = io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(Fatal::new(format!("cannot write to standard output: {error}"), "write to a file with room instead"))
        }
        _ => Ok(()),
    }
}

/// A number of bytes for people.
pub fn bytes(count: u64) -> String {
    const UNITS: [&str; 5] = ["B", "kB", "MB", "GB", "TB"];
    let power = (count.max(1).ilog10() as usize / 3).min(UNITS.len() - 1);
    match power {
        0 => format!("{count} B"),
        _ => format!("{:.1} {}", count as f64 / 1000f64.powi(power as i32), UNITS[power]),
    }
}

/// A length of time for people: `1 h 02 min`, `3 min 07 s`, `4.2 s`.
pub fn duration(seconds: f64) -> String {
    let whole = seconds.max(0.0).round() as u64;
    match whole {
        0..60 => format!("{:.1} s", seconds.max(0.0)),
        60..3600 => format!("{} min {:02} s", whole / 60, whole % 60),
        _ => format!("{} h {:02} min", whole / 3600, whole % 3600 / 60),
    }
}

/// Cells in columns, the header ruled off. A table without rows says so.
pub fn table(lines: &[Vec<String>]) -> String {
    let columns = lines.first().map_or(0, Vec::len);
    let width = |column: usize| lines.iter().filter_map(|line| line.get(column)).map(|cell| cell.chars().count()).max();
    let widths: Vec<usize> = (0..columns).map(|column| width(column).unwrap_or(0)).collect();
    let pad = |line: &Vec<String>| {
        let cells = line.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}"));
        cells.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    };
    let rule = widths.iter().map(|width| "-".repeat(*width)).collect::<Vec<_>>().join("  ");
    let mut table: Vec<String> = lines.iter().map(pad).collect();
    table.insert(1.min(table.len()), rule);
    if lines.len() <= 1 {
        table.push("(none)".to_owned());
    }
    table.join("\n") + "\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_and_times_read_as_people_write_them() {
        assert_eq!(
            ["0 B", "999 B", "1.5 kB", "2.0 GB"],
            [0, 999, 1_500, 2_000_000_000].map(bytes).each_ref().map(String::as_str)
        );
        assert_eq!(duration(4.23), "4.2 s");
        assert_eq!(duration(187.0), "3 min 07 s");
        assert_eq!(duration(3725.0), "1 h 02 min");
    }

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let lines = [["name", "n"], ["agate", "1"]].map(|line| line.map(str::to_owned).to_vec());
        assert_eq!(table(&lines), "name   n\n-----  -\nagate  1\n");
        assert_eq!(table(&lines[..1]), "name  n\n----  -\n(none)\n");
    }
}
