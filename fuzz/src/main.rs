//! One target, named by `LAPIDARY_FUZZ`, in the loop of libFuzzer, whose options stand on the command line.
#![no_main]

use std::sync::OnceLock;

use libfuzzer_sys::fuzz_target;

static TARGET: OnceLock<fn(&[u8]) -> bool> = OnceLock::new();

fuzz_target!(
    init: {
        let name = std::env::var("LAPIDARY_FUZZ").unwrap_or_default();
        let target = lapidary_fuzz::target(&name).unwrap_or_else(|| panic!("LAPIDARY_FUZZ names no target: `{name}`"));
        TARGET.get_or_init(|| target);
    },
    |data: &[u8]| {
        TARGET.get().expect("it was set before the first input")(data);
    }
);
