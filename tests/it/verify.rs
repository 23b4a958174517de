//! `lapidary model verify`: bundles that compute what they should pass, and those that do not are named by the part that
//! is wrong, even when their hashes fit.

mod tamper;

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use lapidary::{
    app::verify::{Request, Verified, verify},
    base::Fatal,
    bundle::{Dtype, Precision, Quantize, Recipe},
    generate::Device,
};

use crate::family::member::{Exported, MEMBERS, Member};
use tamper::Tampered;

const PRECISIONS: [(Dtype, Quantize); 5] = [
    (Dtype::F32, Quantize::None),
    (Dtype::F16, Quantize::None),
    (Dtype::F32, Quantize::Int8),
    (Dtype::F32, Quantize::Int4),
    (Dtype::F16, Quantize::Int4),
];

/// All of those, and one with encoders in 8 bits.
fn precisions() -> Vec<Precision> {
    let uniform = PRECISIONS.map(|(dtype, quantize)| Precision::uniform(dtype, quantize)).into_iter();
    uniform.chain([rounded_encoders()]).collect()
}

fn rounded_encoders() -> Precision {
    Recipe::find("cpu-int8").unwrap().precision
}

fn verified(bundle: &Path) -> Verified {
    against(bundle, None, None).unwrap()
}

fn against(bundle: &Path, checkpoint: Option<&Path>, tokens: Option<usize>) -> Result<Verified, Fatal> {
    let checkpoint = checkpoint.map(Path::to_owned);
    verify(&Request { bundle: bundle.to_owned(), checkpoint, tokens, device: Device::Cpu })
}

/// A bundle in a folder of its own, and its checkpoint beside it.
struct Place {
    exported: Exported,
    member: Member,
}

impl Place {
    fn new(shape: &'static str, dtype: Dtype, quantize: Quantize) -> Self {
        Self::stored_as(shape, Precision::uniform(dtype, quantize))
    }

    fn stored_as(shape: &'static str, precision: Precision) -> Self {
        Self { exported: Member(shape).export_as(precision), member: Member(shape) }
    }

    fn bundle(&self) -> PathBuf {
        self.exported.model.folder.clone()
    }

    fn checkpoint(&self) -> PathBuf {
        self.exported.folder.path().join(self.member.0)
    }

    fn tampered(&self) -> Tampered {
        Tampered(self.bundle())
    }

    /// The message of the verdict.
    fn refusal(&self) -> String {
        verified(&self.bundle()).verdict().expect_err("the bundle must be refused").message
    }
}

/// How a bundle is changed, and what the verdict must name or must not.
struct Harm {
    what: &'static str,
    change: fn(&Tampered),
    named: &'static [&'static str],
    unnamed: &'static [&'static str],
}

const LOGITS: &[&str] = &["logits in one prefill", "logits in chunks of 7", "logits decoded in a batch of two"];
const FEATURES: &[&str] = &["image features", "audio features"];

/// The form over slots alone: the public one stays right.
const OVER_SLOTS: Harm = Harm {
    what: "a window over slots",
    change: |t| t.first_node("decoder_slots.onnx", tamper::wider_window_over_slots),
    named: LOGITS,
    unnamed: &["image features", "public form"],
};

const IN_THE_DECODER: [Harm; 3] = [
    Harm { what: "a window", change: |t| t.decoder(tamper::wider_window), named: LOGITS, unnamed: FEATURES },
    Harm { what: "a scale", change: |t| t.decoder(tamper::common_scale), named: LOGITS, unnamed: FEATURES },
    Harm { what: "swapped weights", change: Tampered::swap_gate_and_up, named: LOGITS, unnamed: FEATURES },
];

/// Where pictures are seen in both directions, runs of the graph that hold one take the window from elsewhere.
const WITHOUT_PICTURES: Harm = Harm {
    what: "a window in runs without pictures",
    change: |t| t.decoder(tamper::wider_window),
    named: &["logits in chunks of 7", "logits decoded in a batch of two"],
    unnamed: &["image features", "logits in one prefill"],
};

const BETWEEN_MLP_AND_EXPERTS: Harm =
    Harm { what: "swapped norms", change: Tampered::swap_norms_of_mlp_and_experts, named: LOGITS, unnamed: FEATURES };

const SUBTLE_OR_IN_AN_ENCODER: [Harm; 4] = [
    Harm { what: "a Gelu", change: |t| t.decoder(tamper::exact_gelu), named: LOGITS, unnamed: FEATURES },
    Harm {
        what: "a Gelu of the vision encoder",
        change: |t| t.first_node("vision_encoder.onnx", tamper::exact_gelu),
        named: &["image features"],
        unnamed: &["audio features"],
    },
    Harm {
        what: "the size of pixels",
        change: |t| t.constant("vision_encoder.onnx", 2.0),
        named: &["image features", "logits in one prefill"],
        unnamed: &["audio features"],
    },
    Harm {
        what: "the cap of the audio encoder",
        change: |t| t.constant("audio_encoder.onnx", 50.0),
        named: &["audio features"],
        unnamed: &["image features"],
    },
];

const IN_AN_ENCODER: [Harm; 3] = [
    Harm {
        what: "the size of pixels",
        change: |t| t.constant("vision_encoder.onnx", 2.0),
        named: &["image features"],
        unnamed: &["audio features"],
    },
    Harm {
        what: "the scale of attention",
        change: |t| t.first_node("vision_encoder.onnx", tamper::common_scale),
        named: &["image features"],
        unnamed: &["audio features"],
    },
    Harm {
        what: "the weight of half a feed-forward",
        change: |t| t.constant("audio_encoder.onnx", 0.5),
        named: &["audio features"],
        unnamed: &["image features"],
    },
];

fn assert_found(shape: &'static str, precision: Precision, harm: &Harm) {
    let place = Place::stored_as(shape, precision);
    (harm.change)(&place.tampered());
    let refusal = place.refusal();
    let about = format!("{shape}, {precision:?}, {}: {refusal}", harm.what);
    assert!(harm.named.iter().all(|part| refusal.contains(part)), "{about}");
    assert!(!harm.unnamed.iter().any(|part| refusal.contains(part)), "{about}");
}

#[test]
fn fresh_bundles_of_the_whole_family_pass_in_every_precision() {
    for shape in MEMBERS {
        for precision in precisions() {
            let place = Place::stored_as(shape, precision);
            let verified = against(&place.bundle(), Some(&place.checkpoint()), None).unwrap();
            let lines: Vec<String> = verified.comparisons.iter().map(ToString::to_string).collect();
            assert_eq!(verified.verdict(), Ok(()), "{shape} {precision:?}: {lines:#?}");
            let kinds = 2 + usize::from(place.member.has("audio_features"));
            // Twice the engine, with logits in four ways of each form, and once the self-test itself.
            let forms = if precision.dtype == Dtype::F32 { 2 } else { 1 };
            assert_eq!(verified.comparisons.len(), 2 * (kinds - 1 + 4 * forms) + kinds);
        }
    }
}

#[test]
fn a_decoder_that_computes_something_else_is_found_in_every_precision() {
    for precision in precisions() {
        for harm in &IN_THE_DECODER {
            assert_found("e2b", precision, harm);
        }
    }
    assert_found("e4b", Precision::default(), &IN_THE_DECODER[0]);
    for shape in ["26b-a4b", "31b"] {
        assert_found(shape, Precision::default(), &WITHOUT_PICTURES);
        assert_found(shape, precisions()[3], &IN_THE_DECODER[2]);
    }
    assert_found("26b-a4b", Precision::default(), &BETWEEN_MLP_AND_EXPERTS);
    for shape in MEMBERS {
        assert_found(shape, Precision::default(), &OVER_SLOTS);
    }
}

#[test]
fn subtle_errors_are_found_in_f32_and_the_encoder_that_is_wrong_is_named() {
    for harm in &SUBTLE_OR_IN_AN_ENCODER {
        assert_found("e2b", Precision::default(), harm);
    }
}

#[test]
fn an_encoder_in_8_bits_that_computes_something_else_is_named() {
    for harm in &IN_AN_ENCODER {
        assert_found("e2b", rounded_encoders(), harm);
    }
}

#[test]
fn a_file_that_is_not_the_one_of_the_manifest_is_named() {
    let place = Place::new("31b", Dtype::F32, Quantize::None);
    let path = place.bundle().join("onnx/vision_encoder.onnx_data");
    let mut bytes = std::fs::read(&path).unwrap();
    bytes[100] ^= 1;
    std::fs::write(&path, bytes).unwrap();
    let fatal = against(&place.bundle(), None, None).unwrap_err();
    assert!(fatal.message.contains("vision_encoder.onnx_data") && fatal.message.contains("SHA-256"), "{fatal}");
}

#[test]
fn a_bundle_without_a_self_test_says_so_and_is_held_against_its_checkpoint_all_the_same() {
    let place = Place::new("e2b", Dtype::F32, Quantize::None);
    place.tampered().remove_self_test();
    let alone = verified(&place.bundle());
    assert!(alone.comparisons.is_empty() && alone.notes.iter().any(|note| note.contains("no self-test")));
    place.tampered().decoder(tamper::wider_window);
    let with = against(&place.bundle(), Some(&place.checkpoint()), None).unwrap();
    assert!(with.verdict().unwrap_err().message.contains("logits in one prefill against the checkpoint"));
}

#[test]
fn a_longer_prompt_is_made_when_so_many_tokens_are_asked_for() {
    let place = Place::new("31b", Dtype::F32, Quantize::None);
    let verified = against(&place.bundle(), Some(&place.checkpoint()), Some(150)).unwrap();
    assert_eq!(verified.verdict(), Ok(()));
    assert!(verified.notes.iter().any(|note| note.starts_with("checkpoint: 150 tokens")), "{:?}", verified.notes);
    let few = against(&place.bundle(), Some(&place.checkpoint()), Some(20)).unwrap_err();
    assert!(few.hint.contains("to 511 tokens"), "{few}");
}

#[test]
fn another_checkpoint_is_refused_and_a_self_test_that_was_changed_is_found() {
    let place = Place::new("e2b", Dtype::F32, Quantize::None);
    let other = against(&place.bundle(), Some(&Member("e4b").fixture()), None).unwrap_err();
    assert!(other.message.contains("is not the checkpoint of this bundle"), "{other}");
    place.tampered().spoil_self_test();
    let refusal = against(&place.bundle(), Some(&place.checkpoint()), None).unwrap().verdict().unwrap_err().message;
    assert!(refusal.contains("logits of the self-test against the checkpoint"), "{refusal}");
    assert!(!refusal.contains("logits in one prefill against the checkpoint"), "{refusal}");
}

#[test]
fn the_command_prints_a_line_for_each_comparison_and_ends_with_2_when_one_is_wrong() {
    let place = Place::new("31b", Dtype::F32, Quantize::None);
    let run =
        || Command::new(env!("CARGO_BIN_EXE_lapidary")).args(["model", "verify"]).arg(place.bundle()).output().unwrap();
    let well = run();
    let lines = String::from_utf8(well.stdout).unwrap();
    assert_eq!((well.status.code(), lines.matches(": ok\n").count()), (Some(0), 9), "{lines}");
    place.tampered().decoder(tamper::wider_window);
    let badly = run();
    assert_eq!(badly.status.code(), Some(2));
    assert!(String::from_utf8(badly.stdout).unwrap().contains(": WRONG\n"));
    assert!(
        String::from_utf8(badly.stderr).unwrap().contains("logits decoded in a batch of two against the self-test")
    );
}
