//! Keys and values: how much memory they take, that what is out of the window is not kept, and how many slots fit.

use std::path::Path;

use lapidary::{
    base::model::{ImageAttention, KvLayer, Layout, Manifest},
    bundle::{Catalog, Check, Config, open},
    generate::{Capacity, Device, Form, Keeping, Settings, Spare},
};

/// The manifest that a bundle of a real model would have, as far as keys and values are concerned. Its vocabulary is the
/// tiny one's, whose logits take next to nothing.
fn manifest_of(name: &str) -> Manifest {
    let config = Config::parse(&Catalog::find(name).unwrap().config_json()).unwrap().text;
    let tiny = Path::new(env!("CARGO_MANIFEST_DIR")).join("onnx/tiny");
    let mut manifest = open(&tiny, Check::Sizes).unwrap().manifest;
    manifest.text.sliding_window = config.sliding_window;
    manifest.text.image_attention = config.image_attention;
    manifest.text.max_positions = config.max_positions;
    let own = config.layers.iter().filter(|layer| layer.donor.is_none());
    manifest.text.kv =
        own.map(|layer| KvLayer { heads: layer.kv_heads, head_dim: layer.head_dim, sliding: layer.sliding }).collect();
    manifest
}

/// Keys and values of numbers of so many bytes, prefilled in chunks of the default length.
fn keeping(manifest: &Manifest, element: usize) -> Keeping<'_> {
    let prefill_chunk = Settings::default().prefill_chunk;
    Keeping { manifest, layout: Layout::Bundle, device: Device::Cpu, element, prefill_chunk }
}

/// Bytes of a slot when every layer keeps every position.
fn naive(manifest: &Manifest, context: usize) -> u64 {
    let values: usize = manifest.text.kv.iter().map(|layer| 2 * layer.heads * layer.head_dim).sum();
    (4 * (context + 1) * values) as u64
}

/// 31B has 50 sliding layers of 16 heads of 256 and 10 full ones of 4 heads of 512: 409600 and 40960 values a position.
/// A slot of 8192 tokens and one to idle on keeps 8193 positions in full layers, and in sliding ones the 1023 before the
/// next, the 1120 of the largest picture, 63 more where whole tiles of 64 have not gone yet, and one to idle on:
/// (8193 * 40960 + 2207 * 409600) / (8193 * 450560) = 0.336.
#[test]
fn a_slot_of_31b_with_8192_tokens_takes_about_a_third_of_all_keys_and_values() {
    let manifest = manifest_of("gemma-4-31b");
    assert_eq!(manifest.text.image_attention, ImageAttention::Bidirectional);
    let slot = keeping(&manifest, 4).slot(8192);
    assert_eq!(slot.bytes(), 4 * (8193 * 40_960 + 2207 * 409_600));
    assert!(100 * slot.bytes() < 34 * naive(&manifest, 8192));
    assert_eq!(slot.to_string(), "4 x (8193 positions x 40960 values + 2207 x 409600 of sliding layers) = 4.96 GB");
    assert_eq!(2 * keeping(&manifest, 2).slot(8192).bytes(), slot.bytes(), "numbers of 16 bits take half");
}

/// E2B sees pictures in one direction: the 511 positions before the next, a window's worth to go on, and 64.
#[test]
fn short_contexts_and_models_of_one_direction_are_counted_too() {
    let manifest = manifest_of("gemma-4-e2b");
    let keeping = keeping(&manifest, 4);
    assert_eq!(keeping.slot(4096).bytes(), 4 * (4097 * 3 * 1024 + 1087 * 12 * 512));
    assert_eq!(keeping.slot(700).bytes(), naive(&manifest, 700), "nothing is out of reach in a short context");
}

#[test]
fn graphs_of_other_exporters_keep_every_position() {
    let manifest = manifest_of("gemma-4-31b");
    let foreign = Keeping { layout: Layout::Community, ..keeping(&manifest, 4) };
    assert_eq!(foreign.slot(8192).bytes(), naive(&manifest, 8192));
}

#[test]
fn on_cards_sliding_layers_keep_every_position() {
    let manifest = manifest_of("gemma-4-31b");
    let on_card = Keeping { device: Device::Cuda, ..keeping(&manifest, 4) };
    assert_eq!(on_card.slot(8192).bytes(), naive(&manifest, 8192));
}

const GB: u64 = 1_000_000_000;

/// A machine with so much free memory, and weights.
fn spare(free: u64, weights: u64) -> Spare {
    Spare { free: Some(free), weights, device: Device::Cpu }
}

/// A card with the same.
fn card(free: u64, weights: u64) -> Spare {
    Spare { device: Device::Cuda, ..spare(free, weights) }
}

fn choose(model: &str, settings: &Settings, prompt: usize, spare: Spare) -> Result<Capacity, String> {
    let manifest = manifest_of(model);
    Capacity::choose(&keeping(&manifest, 4), settings, prompt, spare)
        .map_err(|fatal| format!("{} / {}", fatal.message, fatal.hint))
}

fn chosen(model: &str, settings: &Settings, prompt: usize, spare: Spare) -> (usize, usize) {
    let capacity = choose(model, settings, prompt, spare).unwrap();
    (capacity.slots, capacity.context)
}

/// With 1500 tokens of prompt and 1024 of answer the context is the least, 4096. Of E2B such a slot takes 77.1 MB; of
/// 31B (4097 * 40960 + 2207 * 409600) * 4 = 4.287 GB; of 26B-A4B, with 25 sliding layers of 8 heads of 256 and 5 full
/// ones of 2 heads of 512, (4097 * 10240 + 2207 * 102400) * 4 = 1.072 GB.
#[test]
fn as_many_slots_are_chosen_as_the_share_of_free_memory_holds() {
    let settings = Settings::default();
    // Half of 4.4 - 4 GB are 0.2 GB, but an eighth of 4.4 GB is 0.55 GB: seven slots of 77.1 MB.
    assert_eq!(chosen("gemma-4-e2b", &settings, 1500, spare(44 * GB / 10, 4 * GB)), (7, 4096));
    assert_eq!(chosen("gemma-4-e2b", &settings, 1500, spare(20 * GB, 4 * GB)), (8, 4096), "8 at most");
    // Half of 64 - 22 GB are 21 GB.
    assert_eq!(chosen("gemma-4-31b", &settings, 1500, spare(64 * GB, 22 * GB)), (4, 4096));
    // Half of 32 - 27.5 GB are 2.25 GB, an eighth of 32 GB is 4.
    assert_eq!(chosen("gemma-4-26b-a4b", &settings, 1500, spare(32 * GB, 275 * GB / 10)), (3, 4096));
}

#[test]
fn a_machine_that_is_too_small_gets_one_slot_and_a_warning() {
    let capacity = choose("gemma-4-31b", &Settings::default(), 1500, spare(24 * GB, 22 * GB)).unwrap();
    assert_eq!(capacity.slots, 1);
    let warning = capacity.warning().unwrap();
    assert!(warning.contains("4.29 GB") && warning.contains("2.00 GB"), "{warning}");
    assert_eq!(choose("gemma-4-e2b", &Settings::default(), 1500, spare(24 * GB, 4 * GB)).unwrap().warning(), None);
}

#[test]
fn more_than_the_machine_has_is_warned_of_where_the_pipeline_allows_it_too() {
    let settings = Settings { slots: Some(4), kv_memory_mb: Some(30_000), ..Settings::default() };
    let warning = choose("gemma-4-31b", &settings, 1500, spare(24 * GB, 22 * GB)).unwrap().warning().unwrap();
    for word in ["17.15 GB", "2.00 GB", "generate.kv_memory_mb"] {
        assert!(warning.contains(word), "{word}: {warning}");
    }
    assert_eq!(choose("gemma-4-31b", &settings, 1500, spare(64 * GB, 22 * GB)).unwrap().warning(), None);
    let untold = Spare { free: None, ..spare(0, 22 * GB) };
    assert_eq!(choose("gemma-4-31b", &settings, 1500, untold).unwrap().warning(), None);
}

#[test]
fn a_system_that_does_not_tell_its_memory_gets_four_slots() {
    for untold in [spare(0, 0), card(0, 0)].map(|spare| Spare { free: None, ..spare }) {
        assert_eq!(chosen("gemma-4-e2b", &Settings::default(), 1500, untold), (4, 4096));
    }
}

/// E2B with its own vocabulary, and numbers of so many bytes.
fn chosen_with_logits(settings: &Settings, element: usize, spare: Spare) -> Capacity {
    let mut manifest = manifest_of("gemma-4-e2b");
    manifest.text.vocab_size = 262_144;
    Capacity::choose(&keeping(&manifest, element), settings, 1500, spare).unwrap()
}

/// A row of logits takes 262144 x 4 bytes, 1.05 MB; a step of the form over slots gives up to 33 for each slot, 34.6 MB
/// beside 77.1 MB of keys and values. An eighth of 4.4 GB holds 7 slots without and 4 with them.
#[test]
fn the_logits_of_guesses_take_their_part_of_the_share() {
    let spare = spare(44 * GB / 10, 4 * GB);
    let capacity = chosen_with_logits(&Settings::default(), 4, spare);
    assert_eq!(capacity.slots, 4);
    let told = capacity.to_string();
    let words = "= 77.1 MB, and logits of a step up to 138.4 MB; their share of 4.40 GB free memory, of which";
    assert!(told.contains(words), "{told}");
    let without = Settings { drafts: false, ..Settings::default() };
    assert_eq!(chosen_with_logits(&without, 4, spare).slots, 7);
    let public = chosen_with_logits(&Settings { decoder: Form::Sequences, ..Settings::default() }, 4, spare);
    assert!(public.slots == 7 && !public.to_string().contains("logits"), "{public}");
    let told = Settings { kv_memory_mb: Some(400), ..Settings::default() };
    assert_eq!(chosen_with_logits(&told, 4, spare).slots, 5, "what the pipeline names is of keys and values alone");
}

/// Of 31B in f16 a slot takes 2.144 GB, of E2B 38.5 MB, and a row of logits 1.05 MB.
#[test]
fn a_card_gets_more_slots_from_what_its_weights_and_an_eighth_of_it_leave() {
    let on = |model: &str, spare: Spare| {
        let manifest = manifest_of(model);
        Capacity::choose(&keeping(&manifest, 2), &Settings::default(), 1500, spare).unwrap()
    };
    // 141 - 20 GB, less 17.6.
    let capacity = on("gemma-4-31b", card(141 * GB, 20 * GB));
    assert_eq!((capacity.slots, capacity.warning()), (48, None));
    let told = capacity.to_string();
    let words = "their share of 141.00 GB free memory on the card, of which weights take 20.00 GB";
    assert!(told.contains(words), "{told}");
    assert_eq!(chosen_with_logits(&Settings::default(), 2, card(24 * GB, 10 * GB)).slots, 64, "64 at most");
    // 16 - 10 GB less 2 are 4 GB on a card; on the CPU half of 6 GB are 3.
    assert_eq!(on("gemma-4-31b", card(16 * GB, 10 * GB)).slots, 1);
    assert_eq!(on("gemma-4-26b-a4b", card(16 * GB, 10 * GB)).slots, 7, "of 0.536 GB each");
    assert_eq!(on("gemma-4-26b-a4b", spare(16 * GB, 10 * GB)).slots, 5);
    assert_eq!(on("gemma-4-e2b", card(2 * GB, GB)).slots, 1, "1 GB at least stays free");
}

#[test]
fn more_than_a_card_has_is_warned_of_as_what_it_is() {
    let settings = Settings { slots: Some(64), ..Settings::default() };
    let warning = choose("gemma-4-31b", &settings, 1500, card(24 * GB, 20 * GB)).unwrap().warning().unwrap();
    assert!(warning.contains("4.00 GB are free on the card beside the weights"), "{warning}");
    let warning = choose("gemma-4-31b", &settings, 1500, spare(24 * GB, 20 * GB)).unwrap().warning().unwrap();
    assert!(warning.contains("4.00 GB are free beside the weights"), "{warning}");
}

#[test]
fn the_context_comes_of_the_longest_prompt_and_its_answer_within_what_the_model_has() {
    let settings = Settings { max_tokens: 2048, ..Settings::default() };
    assert_eq!(chosen("gemma-4-e2b", &settings, 3000, spare(64 * GB, 4 * GB)), (8, 5048));
    let most = manifest_of("gemma-4-e2b").text.max_positions - 1;
    assert_eq!(chosen("gemma-4-e2b", &settings, 1 << 20, spare(64 * GB, 4 * GB)).1, most);
}

#[test]
fn what_the_pipeline_says_holds() {
    let settings = Settings { slots: Some(12), context: Some(2000), ..Settings::default() };
    assert_eq!(chosen("gemma-4-e2b", &settings, 3000, spare(GB / 10, 4 * GB)), (12, 2000));
    // 77.1 MB a slot.
    let settings = Settings { kv_memory_mb: Some(400), ..Settings::default() };
    assert_eq!(chosen("gemma-4-e2b", &settings, 1500, spare(64 * GB, 4 * GB)), (5, 4096));
}

/// 77,058,048 bytes a slot: 4 x (4097 x 3072 + 1087 x 6144).
#[test]
fn slots_that_do_not_fit_are_refused_with_the_arithmetic_and_ways_out() {
    let settings = Settings { slots: Some(6), kv_memory_mb: Some(400), ..Settings::default() };
    let refusal = choose("gemma-4-e2b", &settings, 1500, spare(64 * GB, 4 * GB)).unwrap_err();
    for word in
        ["6 slots of 4096 tokens", "462.3 MB", "4097 positions x 3072 values", "400.0 MB", "to 463", "slots to 5"]
    {
        assert!(refusal.contains(word), "{word}: {refusal}");
    }
    // 400 MB / 6 / 4 bytes - 1087 x 6144 are 9988138 values, 3251 positions of 3072.
    assert!(refusal.contains("generate.context to 3250"), "{refusal}");
    let settings = Settings { kv_memory_mb: Some(2), ..Settings::default() };
    let refusal = choose("gemma-4-e2b", &settings, 1500, spare(64 * GB, 4 * GB)).unwrap_err();
    assert!(refusal.contains("1 slots of 4096") && !refusal.contains("generate.slots to"), "{refusal}");
}
