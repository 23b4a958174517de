//! `lapidary`: arguments in, exit code out.

fn main() {}
