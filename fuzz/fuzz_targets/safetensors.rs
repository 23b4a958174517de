//! See `lapidary_fuzz::safetensors`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    lapidary_fuzz::safetensors(data);
});
