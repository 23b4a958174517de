//! Random numbers by place: any value of a tensor can be made without those before it, on any thread, always the same.

use std::{f64::consts::TAU, sync::LazyLock};

use half::bf16;
use rayon::prelude::*;

/// Values that one thread makes at a time.
const PIECE: usize = 1 << 16;

/// A normal distribution in as many steps, by Box and Muller over a square of 64 x 64 midpoints; the largest is 3.1.
static NORMAL: LazyLock<[f32; 4096]> = LazyLock::new(|| {
    std::array::from_fn(|place| {
        let [radius, angle] = [place / 64, place % 64].map(|step| (step as f64 + 0.5) / 64.0);
        ((-2.0 * radius.ln()).sqrt() * (TAU * angle).cos()) as f32
    })
});

/// How one tensor is drawn: `mean + deviation * normal`, rounded to bf16 as checkpoints are.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Drawing {
    /// Tells tensors apart.
    seed: u64,
    mean: f32,
    deviation: f32,
}

impl Drawing {
    /// The tensor of that name in the model of that seed.
    pub fn new(seed: u64, name: &str, mean: f32, deviation: f32) -> Self {
        let seed = name.bytes().fold(mixed(seed), |seed, byte| mixed(seed ^ u64::from(byte)));
        Self { seed, mean, deviation }
    }

    /// `count` values from place `start` on.
    pub fn values(&self, start: usize, count: usize) -> Vec<f32> {
        let table = NORMAL.map(|normal| bf16::from_f32(self.mean + self.deviation * normal).to_f32());
        let mut values = vec![0.0; count];
        values.par_chunks_mut(PIECE).enumerate().for_each(|(piece, values)| {
            self.fill(&table, start + piece * PIECE, values);
        });
        values
    }

    /// Four values come from each number.
    fn fill(&self, table: &[f32; 4096], start: usize, values: &mut [f32]) {
        let skipped = (start.next_multiple_of(4) - start).min(values.len());
        let (front, rest) = values.split_at_mut(skipped);
        front.iter_mut().enumerate().for_each(|(at, value)| *value = self.one(table, start + at));
        let start = start + skipped;
        let (fours, back) = rest.as_chunks_mut::<4>();
        let behind = start + 4 * fours.len();
        for (group, four) in fours.iter_mut().enumerate() {
            let word = self.word(start / 4 + group);
            *four = [0, 1, 2, 3].map(|lane| pick(table, word, lane));
        }
        back.iter_mut().enumerate().for_each(|(at, value)| *value = self.one(table, behind + at));
    }

    fn one(&self, table: &[f32; 4096], place: usize) -> f32 {
        pick(table, self.word(place / 4), place % 4)
    }

    fn word(&self, group: usize) -> u64 {
        mixed(self.seed.wrapping_add((group as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15)))
    }
}

fn pick(table: &[f32; 4096], word: u64, lane: usize) -> f32 {
    table[(word >> (16 * lane)) as usize & 4095]
}

/// SplitMix64's finaliser (Steele, Lea and Flood 2014).
fn mixed(mut word: u64) -> u64 {
    word = (word ^ (word >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    word = (word ^ (word >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    word ^ (word >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_is_a_part_of_the_whole() {
        let drawing = Drawing::new(7, "w", 0.0, 1.0);
        let whole = drawing.values(0, 200_000);
        for (start, count) in [(0, 9), (3, 10), (65_530, 100_003), (199_999, 1)] {
            assert_eq!(drawing.values(start, count), whole[start..start + count]);
        }
    }

    #[test]
    fn numbers_are_normal_and_depend_on_seed_and_name() {
        let values = Drawing::new(7, "w", 2.0, 0.5).values(0, 100_000);
        let mean = values.iter().map(|value| f64::from(*value)).sum::<f64>() / 1e5;
        let variance = values.iter().map(|value| (f64::from(*value) - mean).powi(2)).sum::<f64>() / 1e5;
        assert!((mean - 2.0).abs() < 0.01 && (variance.sqrt() - 0.5).abs() < 0.01, "{mean} {variance}");
        let neighbours = values.windows(2).map(|two| f64::from((two[0] - 2.0) * (two[1] - 2.0))).sum::<f64>() / 1e5;
        assert!(neighbours.abs() < 0.005, "{neighbours}");
        assert_ne!(values[..9], Drawing::new(8, "w", 2.0, 0.5).values(0, 9));
        assert_ne!(values[..9], Drawing::new(7, "v", 2.0, 0.5).values(0, 9));
    }
}
