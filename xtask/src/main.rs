//! The tasks of `cargo xtask`: each does its own set-up and says what it is doing.

mod demo;
mod deny;
mod fuzz;
mod gpu;
mod peers;
mod python;
mod soak;
mod step;
mod tests;

use std::process::ExitCode;

const USAGE: &str = "\
cargo xtask demo    set up, read receipts, invoices and texts with onnx/demo and other fixtures with onnx/tiny, show the tables
cargo xtask test    set up, run all tests
cargo xtask kills [N]
                    set up, kill a run N times (100) at random moments, go on, compare with an undisturbed one
cargo xtask bench-peers [--out DIR] [--only NAMES] [--quick]
                    set up llama.cpp and others, run all on the same weights, write BENCHMARKS.md
cargo xtask bench-gpu [--out FILE] [--device cuda|cpu] [--small] [--minutes N] [--only PART,...] [--python PYTHON]
                    check exactness on a card, then measure everything (benches/gpu/README.md)
cargo xtask deny [--advisories-if-reachable]
                    licences, sources, bans and known weaknesses of all crates; the flag lets their list be out of reach
cargo xtask soak [--units N] [--program PATH]
                    a million synthetic units through the release build (20 min); fails when memory grows
cargo xtask fuzz [--seconds N] [TARGETS]
                    each fuzz target for 60 or N seconds (needs cargo-fuzz)
cargo xtask mutate [N]
                    each fuzz target over mutations of its seeds for N seconds (60), without cargo-fuzz
cargo xtask setup   set up only: build, native libraries, Python environment of the tests

Needs Rust, a C compiler, Python 3 with pip, and git. Native libraries go to the user's data folder
(or to LAPIDARY_NATIVE), everything else to target/ and out/.";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let (task, rest) = arguments.split_first().map_or(("", &[][..]), |(task, rest)| (task.as_str(), rest));
    let result = match task {
        "demo" => demo::run(),
        "test" => tests::run(rest),
        "kills" => tests::kill(rest),
        "bench-peers" => peers::run_peers(rest),
        "bench-gpu" => gpu::run_gpu(rest),
        "deny" => deny::run_deny(rest),
        "soak" => soak::run_soak(rest),
        "fuzz" => fuzz::run_fuzz(rest),
        "mutate" => tests::mutate(rest),
        "setup" => tests::set_up().map(drop),
        _ => {
            eprintln!("{USAGE}");
            return ExitCode::from(2);
        }
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("xtask: {error}");
            ExitCode::FAILURE
        }
    }
}
