use half::f16;
use proptest::prelude::*;
use pulp::Arch;

use super::{
    Product, Rows, Stored, Tile, Vectors, Weights,
    tiles::ROWS,
    weights::{COLUMNS, DEPTH},
};

/// Weights as a graph stores them, and rows.
#[derive(Debug, Clone)]
struct Case {
    outputs: usize,
    inputs: usize,
    codes: Vec<u8>,
    scales: Vec<f32>,
    zeros: Option<Vec<u8>>,
    values: Vec<f32>,
}

fn cases() -> impl Strategy<Value = Case> {
    (1..80_usize, 1..200_usize, 1..20_usize).prop_flat_map(|(outputs, inputs, rows)| {
        let depth = inputs.div_ceil(DEPTH);
        (
            prop::collection::vec(any::<u8>(), outputs * depth * DEPTH / 2),
            prop_oneof![
                prop::collection::vec(-0.1_f32..0.1, outputs * depth),
                prop::collection::vec((-0.1_f32..0.1).prop_map(|scale| f16::from_f32(scale).to_f32()), outputs * depth),
            ],
            prop::option::of(prop::collection::vec(any::<u8>(), outputs * depth.div_ceil(2))),
            prop::collection::vec(-30.0_f32..30.0, rows * inputs),
        )
            .prop_map(move |(codes, scales, zeros, values)| Case {
                outputs,
                inputs,
                codes,
                scales,
                zeros,
                values,
            })
    })
}

impl Case {
    fn product(&self, vectors: Vectors) -> Product {
        let stored = Stored { codes: &self.codes, scales: &self.scales, zeros: self.zeros.as_deref() };
        let weights = Weights::pack(self.outputs, self.inputs, stored).unwrap();
        Product { weights, inputs: self.inputs, vectors, room: std::sync::Arc::default() }
    }

    fn tiles(&self, values: &[f32]) -> Vec<Tile> {
        let depth = self.inputs.div_ceil(DEPTH);
        let rows = Rows { values, width: self.inputs };
        let mut tiles = vec![Tile::EMPTY; rows.count().div_ceil(ROWS) * depth];
        rows.round(Arch::new(), 0, depth, &mut tiles);
        tiles
    }

    /// What the operator gives for these rows, without threads.
    fn made(&self, vectors: Vectors, values: &[f32]) -> Vec<f32> {
        let (product, tiles) = (self.product(vectors), self.tiles(values));
        let rows = values.len() / self.inputs;
        let mut made = vec![f32::NAN; rows * self.outputs];
        let mut tasks = product.tasks(rows, &mut made);
        tasks.iter_mut().for_each(|task| task.run(&product.weights, vectors, &tiles));
        made
    }

    fn weight(&self, output: usize, input: usize) -> f64 {
        let depth = self.inputs.div_ceil(DEPTH);
        let index = output * depth + input / DEPTH;
        let code = self.codes[index * DEPTH / 2 + input % DEPTH / 2] >> (input % 2 * 4) & 15;
        let zero = self
            .zeros
            .as_ref()
            .map_or(8, |zeros| zeros[output * depth.div_ceil(2) + input / DEPTH / 2] >> (input / DEPTH % 2 * 4) & 15);
        (f64::from(code) - f64::from(zero)) * f64::from(self.scales[index])
    }

    /// The product of the weights and a row as it was rounded, in f64, and what its terms add up to without signs.
    fn exact(&self, tiles: &[Tile], row: usize, output: usize) -> (f64, f64) {
        let depth = self.inputs.div_ceil(DEPTH);
        let terms = (0..self.inputs).map(|input| {
            let tile = &tiles[row / ROWS * depth + input / DEPTH];
            let value = f64::from(tile.codes[row % ROWS][input % DEPTH]) * f64::from(tile.scales[row % ROWS]);
            value * self.weight(output, input)
        });
        terms.fold((0.0, 0.0), |(sum, size), term| (sum + term, size + term.abs()))
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn products_are_those_of_the_stored_weights_and_the_rounded_rows(case in cases()) {
        let tiles = case.tiles(&case.values);
        for (index, made) in case.made(Vectors::best(), &case.values).into_iter().enumerate() {
            let (exact, size) = case.exact(&tiles, index / case.outputs, index % case.outputs);
            // Sums of up to 7 blocks in f32; with zero points 8 and the rest cancel.
            let tolerance = 1e-5 * size + 1e-4;
            prop_assert!((f64::from(made) - exact).abs() <= tolerance, "{made} for {exact} at {index}");
        }
    }

    #[test]
    fn all_vectors_and_all_numbers_of_rows_give_the_same_bits(case in cases()) {
        let made: Vec<Vec<f32>> = Vectors::all().map(|vectors| case.made(vectors, &case.values)).collect();
        prop_assert!(made.iter().all(|other| *other == made[0]));
        for (row, together) in case.values.chunks(case.inputs).zip(made[0].chunks(case.outputs)) {
            prop_assert_eq!(&case.made(Vectors::best(), row)[..], together);
        }
    }
}

#[test]
fn many_rows_and_strips_are_all_written() {
    let (outputs, inputs, rows) = (COLUMNS * 5 + 3, DEPTH * 2, 300);
    let case = Case {
        outputs,
        inputs,
        codes: vec![0x99; outputs * inputs / 2],
        scales: vec![1.0; outputs * 2],
        zeros: None,
        values: (0..rows * inputs).map(|index| (index / inputs) as f32).collect(),
    };
    for (index, made) in case.made(Vectors::best(), &case.values).into_iter().enumerate() {
        let exact = (index / outputs * inputs) as f32;
        assert!((made - exact).abs() <= 1e-5 * exact, "{made} for {exact}");
    }
}
