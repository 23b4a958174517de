//! Tests of the vision and audio encoders that `bundle` writes, against transformers 5.23 (`fixtures/reference`).

mod fixture;

use std::fs;

use fixture::{Encoder, Fixture, count, distance, magnitude, mask, reference};
use lapidary::bundle::{Dtype, Precision, Recipe, output::Output, towers};
use ndarray::{Array2, Array3, Axis, Ix2, Ix3, concatenate, s};

/// Largest difference to transformers; 2.3e-6 and less were measured, values are up to 1.2.
const PARITY: f32 = 1e-5;

/// Largest difference that weights in f16 make, of the largest value; 2.6e-3 and 0.9e-3 were measured.
const HALF: f32 = 5e-3;

/// Largest difference to transformers in 8 bits; 0.052 and 0.015 were measured.
const EIGHT_BITS: f32 = 0.08;

/// Largest difference between two calls that must agree: only the order of sums may differ, and 0 was measured.
const SAME: f32 = 2e-6;

fn pictures() -> (Array3<f32>, Array3<i64>) {
    (reference::<_, Ix3>("towers.npz", "pixel_values"), reference::<_, Ix3>("towers.npz", "pixel_position_ids"))
}

fn clips() -> (Array3<f32>, Array2<bool>) {
    let stored = reference::<u8, Ix2>("towers.npz", "input_features_mask");
    (reference::<_, Ix3>("towers.npz", "input_features"), mask(&stored))
}

/// Patches of a picture that are not padding.
fn patches(places: &Array3<i64>, picture: usize) -> usize {
    places.slice(s![picture, .., 0]).iter().filter(|&&column| column >= 0).count()
}

/// The tokens of several calls, one after the other.
fn joined(several: &[Array2<f32>]) -> Array2<f32> {
    let views: Vec<_> = several.iter().map(|tokens| tokens.view()).collect();
    concatenate(Axis(0), &views).expect("one width")
}

/// Each picture alone and without padding.
fn each_picture(encoder: &mut Encoder, pixels: &Array3<f32>, places: &Array3<i64>) -> Vec<Array2<f32>> {
    let see = |picture: usize| {
        let only = s![picture..picture + 1, ..patches(places, picture), ..];
        encoder.see(&pixels.slice(only).to_owned(), &places.slice(only).to_owned())
    };
    (0..3).map(see).collect()
}

/// Each clip alone and without padding.
fn each_clip(encoder: &mut Encoder, features: &Array3<f32>, present: &Array2<bool>) -> Vec<Array2<f32>> {
    let hear = |clip: usize| {
        let frames = count(&present.row(clip).to_owned());
        let only = features.slice(s![clip..clip + 1, ..frames, ..]).to_owned();
        encoder.hear(&only, &Array2::from_elem((1, frames), true))
    };
    (0..3).map(hear).collect()
}

#[test]
fn image_features_equal_those_of_transformers() {
    let mut encoder = Fixture::whole().vision(Dtype::F32);
    let pixels = reference::<f32, Ix3>("e2b_like.npz", "pixel_values");
    let places = reference::<i64, Ix3>("e2b_like.npz", "image_position_ids");
    let expected = reference::<f32, Ix2>("e2b_like.npz", "image_features");
    assert!(distance(&encoder.see(&pixels, &places), &expected) < PARITY);
}

#[test]
fn pictures_of_several_shapes_in_one_call_equal_transformers() {
    let (pixels, places) = pictures();
    let features = Fixture::whole().vision(Dtype::F32).see(&pixels, &places);
    let expected = reference::<f32, Ix2>("towers.npz", "image_features");
    assert!(distance(&features, &expected) < PARITY);
}

#[test]
fn a_picture_has_the_same_tokens_in_a_batch_alone_and_without_padding() {
    let mut encoder = Fixture::whole().vision(Dtype::F32);
    let (pixels, places) = pictures();
    let together = encoder.see(&pixels, &places);
    let alone: Vec<Array2<f32>> = (0..3)
        .map(|picture| {
            let only = s![picture..picture + 1, .., ..];
            encoder.see(&pixels.slice(only).to_owned(), &places.slice(only).to_owned())
        })
        .collect();
    let unpadded = each_picture(&mut encoder, &pixels, &places);
    for several in [alone, unpadded] {
        assert!(distance(&together, &joined(&several)) < SAME);
    }
}

#[test]
fn pixels_of_padding_patches_reach_no_token() {
    let mut encoder = Fixture::whole().vision(Dtype::F32);
    let (mut pixels, places) = pictures();
    let before = encoder.see(&pixels, &places);
    for picture in 0..3 {
        pixels.slice_mut(s![picture, patches(&places, picture).., ..]).fill(1000.0);
    }
    assert!(distance(&encoder.see(&pixels, &places), &before) < SAME);
}

#[test]
fn audio_features_equal_those_of_transformers() {
    let mut encoder = Fixture::whole().audio(Dtype::F32);
    let features = reference::<f32, Ix3>("e2b_like.npz", "input_features");
    let present = reference::<bool, Ix2>("e2b_like.npz", "input_features_mask");
    let all = reference::<f32, Ix3>("e2b_like.npz", "audio_features");
    let kept = count(&reference::<bool, Ix2>("e2b_like.npz", "audio_out_mask").row(0).to_owned());
    let expected = all.slice(s![0, ..kept, ..]).to_owned();
    assert!(distance(&encoder.hear(&features, &present), &expected) < PARITY);
}

#[test]
fn clips_of_several_lengths_in_one_call_equal_transformers() {
    let (features, present) = clips();
    let tokens = Fixture::whole().audio(Dtype::F32).hear(&features, &present);
    let expected = reference::<f32, Ix2>("towers.npz", "audio_features");
    assert!(distance(&tokens, &expected) < PARITY);
}

#[test]
fn a_clip_has_the_same_tokens_in_a_batch_and_alone() {
    let mut encoder = Fixture::whole().audio(Dtype::F32);
    let (features, present) = clips();
    let together = encoder.hear(&features, &present);
    let alone = each_clip(&mut encoder, &features, &present);
    assert!(distance(&together, &joined(&alone)) < SAME);
}

#[test]
fn a_clip_may_be_as_short_as_one_frame() {
    let mut encoder = Fixture::whole().audio(Dtype::F32);
    let (features, _) = clips();
    for (frames, tokens) in [(1, 1), (4, 1), (5, 2), (48, 12), (49, 13)] {
        let only = features.slice(s![..1, ..frames, ..]).to_owned();
        assert_eq!(encoder.hear(&only, &Array2::from_elem((1, frames), true)).nrows(), tokens);
    }
}

#[test]
fn linears_clamp_nothing_when_the_configuration_says_so() {
    let plain = Fixture::with(
        |config| config.replace("\"use_clipped_linears\": true", "\"use_clipped_linears\": false"),
        |_| true,
    );
    assert_plain(&plain);
}

#[test]
fn linears_clamp_nothing_when_the_checkpoint_holds_no_bounds() {
    assert_plain(&Fixture::with(|config| config, |name| !name.ends_with("_min") && !name.ends_with("_max")));
}

fn assert_plain(fixture: &Fixture) {
    let (pixels, places) = pictures();
    let expected = reference::<f32, Ix2>("towers.npz", "plain_image_features");
    assert!(distance(&fixture.vision(Dtype::F32).see(&pixels, &places), &expected) < PARITY);
    let (features, present) = clips();
    let expected = reference::<f32, Ix2>("towers.npz", "plain_audio_features");
    assert!(distance(&fixture.audio(Dtype::F32).hear(&features, &present), &expected) < PARITY);
}

#[test]
fn half_precision_halves_the_weights_and_stays_close() {
    let (pixels, places) = pictures();
    let expected = reference::<f32, Ix2>("towers.npz", "image_features");
    let half = Fixture::whole();
    let seen = half.vision(Dtype::F16).see(&pixels, &places);
    assert!(distance(&seen, &expected) < HALF * magnitude(&expected));
    let (features, present) = clips();
    let expected = reference::<f32, Ix2>("towers.npz", "audio_features");
    let heard = half.audio(Dtype::F16).hear(&features, &present);
    assert!(distance(&heard, &expected) < HALF * magnitude(&expected));
    let whole = Fixture::whole();
    whole.vision(Dtype::F32);
    whole.audio(Dtype::F32);
    for name in ["onnx/vision_encoder.onnx_data", "onnx/audio_encoder.onnx_data"] {
        let size = |fixture: &Fixture| fs::metadata(fixture.folder.path().join(name)).expect("it is there").len();
        assert!(size(&half) < size(&whole) * 3 / 4, "{name}: {} and {} bytes", size(&half), size(&whole));
    }
}

fn rounded() -> Precision {
    Recipe::find("cpu-int8").expect("it is built in").precision
}

/// The reference with clamped layers is nearer than the one without, by far.
#[test]
fn layers_in_8_bits_clamp_what_goes_in_and_comes_out() {
    let fixture = Fixture::whole();
    let (pixels, places) = pictures();
    let (features, present) = clips();
    let seen = fixture.vision_as(rounded()).see(&pixels, &places);
    let heard = fixture.audio_as(rounded()).hear(&features, &present);
    for (found, name) in [(seen, "image_features"), (heard, "audio_features")] {
        let clamped = distance(&found, &reference::<f32, Ix2>("towers.npz", name));
        let plain = distance(&found, &reference::<f32, Ix2>("towers.npz", &format!("plain_{name}")));
        println!("{name}: {clamped} and {plain}");
        assert!(clamped < EIGHT_BITS && 3.0 * clamped < plain, "{name}: {clamped} and {plain}");
    }
}

#[test]
fn a_picture_and_a_clip_in_8_bits_have_the_same_tokens_in_a_batch_and_alone() {
    let fixture = Fixture::whole();
    let (pixels, places) = pictures();
    let mut encoder = fixture.vision_as(rounded());
    let together = encoder.see(&pixels, &places);
    let alone = each_picture(&mut encoder, &pixels, &places);
    assert!(distance(&together, &joined(&alone)) < SAME);
    let (features, present) = clips();
    let mut encoder = fixture.audio_as(rounded());
    let together = encoder.hear(&features, &present);
    let alone = each_clip(&mut encoder, &features, &present);
    assert!(distance(&together, &joined(&alone)) < SAME);
}

#[test]
fn a_missing_tensor_is_named() {
    let fixture = Fixture::with(|config| config, |name| !name.ends_with("layers.1.self_attn.q_norm.weight"));
    let written = towers::vision::write(
        &fixture.checkpoint(),
        &fixture.config(),
        Precision::default(),
        &Output::to(fixture.folder.path()),
    );
    let message = written.expect_err("a tensor is missing").message;
    assert!(message.contains("vision_tower.encoder.layers.1.self_attn.q_norm.weight"), "{message}");
}
