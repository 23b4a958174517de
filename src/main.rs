//! `lapidary`: arguments in, exit code out.

use std::process::ExitCode;

fn main() -> ExitCode {
    lapidary::cli::main()
}
