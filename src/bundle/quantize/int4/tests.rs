//! What blocks of 4 bits keep and what they lose.

use half::{bf16, f16};
use proptest::prelude::*;

use super::*;

const FORM: Int4 = Int4 { scales: Element::F32, asymmetric: false };

fn codes_of(rows: &Int4Rows) -> Vec<i8> {
    rows.codes.iter().flat_map(|byte| [byte & 15, byte >> 4]).map(|code| code.cast_signed() - 8).collect()
}

/// Steps less the largest number that divides them all, since a grid twice as coarse may fit as well.
fn lowest(steps: &[i8]) -> Vec<i8> {
    let divisor = steps.iter().fold(0, |a: i8, &b| {
        let (mut a, mut b) = (a.abs(), b.abs());
        while b != 0 {
            (a, b) = (b, a % b);
        }
        a
    });
    steps.iter().map(|step| step / divisor.max(1)).collect()
}

/// A block whose steps have no common divisor, and with it the largest size of a step: any from 1 to 8.
fn steps() -> impl Strategy<Value = Vec<i8>> {
    (1_i8..=8).prop_flat_map(|largest| prop::collection::vec(-largest..=largest.min(7), BLOCK)).prop_map(|s| lowest(&s))
}

/// A step that an f16 holds, of either sign where the steps tell it.
fn scale() -> impl Strategy<Value = f32> {
    (0x0400_u16..0x5000).prop_map(|bits| f16::from_bits(bits).to_f32())
}

proptest! {
    #[test]
    fn a_block_on_a_grid_keeps_its_codes_and_values(steps in steps(), scale in scale(), asymmetric: bool, half: bool) {
        let values: Vec<f32> = steps.iter().map(|&step| scale * f32::from(step)).collect();
        let form = Int4 { scales: if half { Element::F16 } else { Element::F32 }, asymmetric };
        let rows = int4_rows("w", &values, BLOCK, BLOCK / 2, form).unwrap();
        let restored = rows.values(BLOCK);
        prop_assert!(restored.iter().zip(&values).all(|(a, b)| a.to_bits() == b.to_bits() || (*a == 0.0 && *b == 0.0)));
        prop_assert_eq!(codes_of(&rows), steps);
        prop_assert!(rows.scales[0] == scale || values.iter().all(|value| *value == 0.0));
    }

    /// As llama.cpp writes it: the extreme has the code 0, whatever its sign, so that the scale may be negative.
    #[test]
    fn a_negative_scale_is_kept_too(mut steps in steps(), scale in scale()) {
        steps[5] = -8;
        steps[6] = 1;
        let values: Vec<f32> = steps.iter().map(|&step| -scale * f32::from(step)).collect();
        let rows = int4_rows("w", &values, BLOCK, BLOCK / 2, FORM).unwrap();
        prop_assert_eq!(codes_of(&rows), steps);
        prop_assert_eq!(rows.scales[0], -scale);
    }

    #[test]
    fn a_grid_rounded_to_bf16_keeps_its_codes(steps in steps(), scale in scale(), half: bool) {
        let round = |step: &i8| bf16::from_f32(scale * f32::from(*step)).to_f32();
        let values: Vec<f32> = steps.iter().map(round).collect();
        let form = Int4 { scales: if half { Element::F16 } else { Element::F32 }, asymmetric: false };
        prop_assert_eq!(codes_of(&int4_rows("w", &values, BLOCK, BLOCK / 2, form).unwrap()), steps);
    }

    #[test]
    fn the_error_is_never_above_that_of_the_plain_scale(values in prop::collection::vec(-1.0_f32..1.0, BLOCK)) {
        let block: Block = values.clone().try_into().unwrap();
        let extreme = values.iter().copied().fold(0.0, |a: f32, b| if b.abs() > a.abs() { b } else { a });
        let plain = Fit::of(&block, extreme / -8.0, MIDDLE, Element::F32);
        let symmetric = symmetric(&block, extreme, Element::F32);
        prop_assert!(symmetric.error <= plain.error);
        let both = int4_rows("w", &values, BLOCK, BLOCK / 2, Int4 { asymmetric: true, ..FORM }).unwrap();
        prop_assert!(both.loss.relative() <= int4_rows("w", &values, BLOCK, BLOCK / 2, FORM).unwrap().loss.relative());
    }
}

#[test]
fn zeros_and_numbers_near_zero_stay_zero() {
    let values = [vec![0.0; 32], vec![1e-42; 32]].concat();
    for asymmetric in [false, true] {
        let rows = int4_rows("w", &values, 64, 32, Int4 { asymmetric, ..FORM }).unwrap();
        assert!(rows.values(64).iter().all(|value| value.abs() <= 1e-42));
    }
}

#[test]
fn a_row_that_ends_within_a_block_is_filled_with_zeros() {
    let rows = int4_rows("w", &[0.5; 37], 37, 32, FORM).unwrap();
    assert_eq!(rows.scales.len(), 2);
    assert_eq!(rows.values(37), [0.5; 37]);
    assert!(codes_of(&rows)[37..].iter().all(|&step| step == 0));
}

#[test]
fn a_shifted_block_is_better_with_a_zero_point() {
    let values: Vec<f32> = (0..BLOCK).map(|place| 0.3 + (place as f32 * 0.7).sin() * 0.31).collect();
    let loss =
        |asymmetric| int4_rows("w", &values, BLOCK, BLOCK / 2, Int4 { asymmetric, ..FORM }).unwrap().loss.relative();
    assert!(loss(true) < 0.6 * loss(false), "{} {}", loss(true), loss(false));
}

#[test]
fn a_number_that_is_not_finite_is_refused_by_the_name_of_its_tensor() {
    let error = int4_rows("layers.3.up", &[f32::NAN; 32], 32, 16, FORM).err().unwrap();
    assert!(error.to_string().contains("layers.3.up"));
}
