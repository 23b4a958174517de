//! `lapidary`: arguments in, exit code out.

use std::process::ExitCode;

fn main() -> ExitCode {
    match std::env::args().nth(1).as_deref() {
        Some("decode-child") => lapidary::decode::child::main(),
        _ => ExitCode::from(2),
    }
}
