//! Encoders in 8 bits: their features against those of transformers, for all four shapes of the family.

use lapidary::{bundle::Recipe, generate::Settings};
use ndarray::{Array2, ArrayView1};

use super::member::{MEMBERS, Member, engine};

/// Norm of the difference over the norm of what transformers gives; 0.014 to 0.026 were measured.
const APART: f32 = 0.04;

/// The least cosine of any token's features; 0.9984 was measured.
const ALONG: f32 = 0.997;

#[test]
fn features_of_encoders_in_8_bits_stay_near_those_of_transformers() {
    for member in MEMBERS.map(Member) {
        let exported = member.export_as(Recipe::find("cpu-int8").unwrap().precision);
        let (pictures, sound) = engine(&exported, &Settings { context: Some(140), ..Settings::default() })
            .features(&member.prompt())
            .unwrap();
        assert_near(member, "image_features", pictures);
        if member.has("audio_features") {
            assert_near(member, "audio_features", sound);
        }
    }
}

fn assert_near(member: Member, name: &str, found: Vec<f32>) {
    let expected: Array2<f32> = member.vector(name);
    let found = Array2::from_shape_vec(expected.dim(), found).unwrap();
    let apart = norm((&found - &expected).iter()) / norm(expected.iter());
    let along = found.rows().into_iter().zip(expected.rows()).map(|(one, other)| cosine(one, other));
    let along = along.fold(1.0, f32::min);
    println!("{} {name}: {apart} apart, worst cosine {along}", member.0);
    assert!(apart > 1e-4, "{} {name}: nothing was rounded", member.0);
    assert!(apart < APART && along > ALONG, "{} {name}: {apart} apart, worst cosine {along}", member.0);
}

fn norm<'a>(values: impl Iterator<Item = &'a f32>) -> f32 {
    values.map(|value| value * value).sum::<f32>().sqrt()
}

fn cosine(one: ArrayView1<f32>, other: ArrayView1<f32>) -> f32 {
    one.dot(&other) / (one.dot(&one) * other.dot(&other)).sqrt()
}
