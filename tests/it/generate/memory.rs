//! Keys and values: how much memory they take, and that what is out of the window is not kept.

use std::path::Path;

use lapidary::{
    base::model::{ImageAttention, KvLayer, Manifest},
    bundle::{Catalog, Check, Config, open},
    generate::{Settings, kv_bytes},
};

/// The manifest that a bundle of a real model would have, as far as keys and values are concerned.
fn manifest_of(name: &str) -> Manifest {
    let config = Config::parse(&Catalog::find(name).unwrap().config_json()).unwrap().text;
    let tiny = Path::new(env!("CARGO_MANIFEST_DIR")).join("onnx/tiny");
    let mut manifest = open(&tiny, Check::Sizes).unwrap().manifest;
    manifest.text.sliding_window = config.sliding_window;
    manifest.text.image_attention = config.image_attention;
    let own = config.layers.iter().filter(|layer| layer.donor.is_none());
    manifest.text.kv =
        own.map(|layer| KvLayer { heads: layer.kv_heads, head_dim: layer.head_dim, sliding: layer.sliding }).collect();
    manifest
}

/// Bytes when every layer keeps every position.
fn naive(manifest: &Manifest, settings: &Settings) -> u64 {
    let values: usize = manifest.text.kv.iter().map(|layer| 2 * layer.heads * layer.head_dim).sum();
    (4 * settings.slots * (settings.context + 1) * values) as u64
}

/// 31B has 50 sliding layers of 16 heads of 256 and 10 full ones of 4 heads of 512: 409600 and 40960 values a position.
/// A slot of 8192 tokens and one to idle on keeps 8193 positions in full layers, and in sliding ones the 1023 before the
/// next and the 1120 of the largest picture: (8193 * 40960 + 2143 * 409600) / (8193 * 450560) = 0.329.
#[test]
fn a_slot_of_31b_with_8192_tokens_takes_less_than_a_third_of_all_keys_and_values() {
    let manifest = manifest_of("gemma-4-31b");
    assert_eq!(manifest.text.image_attention, ImageAttention::Bidirectional);
    let settings = Settings { context: 8192, slots: 1, ..Settings::default() };
    let taken = kv_bytes(&manifest, &settings);
    assert_eq!(taken, 4 * (8193 * 40_960 + 2143 * 409_600));
    assert!(3 * taken < naive(&manifest, &settings));
}

/// E2B sees pictures in one direction: the 511 positions before the next, and a window's worth to go on.
#[test]
fn short_contexts_and_models_of_one_direction_are_counted_too() {
    let manifest = manifest_of("gemma-4-e2b");
    let settings = Settings { context: 4096, slots: 3, ..Settings::default() };
    assert_eq!(kv_bytes(&manifest, &settings), 4 * 3 * (4097 * 3 * 1024 + 1023 * 12 * 512));
    let short = Settings { context: 700, ..settings };
    assert_eq!(kv_bytes(&manifest, &short), naive(&manifest, &short), "nothing is out of reach in a short context");
}
