//! `BlockProducts`: rows of floats times weights in blocks of 4 bits, what `MatMulNBits` gives at accuracy level 4 with blocks
//! of 32. Its weights are constants, which are put in the order of the vectors when the session is opened.

#[cfg(target_arch = "x86_64")]
mod ahead;
#[cfg(target_arch = "x86_64")]
mod avx2;
mod plain;
mod tiles;
mod vectors;
#[cfg(target_arch = "x86_64")]
mod vnni;
mod weights;

#[cfg(test)]
mod tests;

use std::{
    ops::Range,
    sync::{Arc, Mutex, PoisonError},
};

use ort::{
    operator::{ComputeContext, Kernel, KernelContext, Operator, OperatorInput, OperatorOutput},
    value::{
        TensorElementType::{Float32, Uint8},
        TensorValueType,
    },
};
use pulp::Arch;

use super::{floats, input, shape, wrong};
use tiles::{ROWS, Rows, Tile};
use vectors::Vectors;
use weights::{COLUMNS, DEPTH, Stored, Weights};

/// Values whose rounding is worth a task of its own.
const ROUNDED_TOGETHER: usize = 1 << 15;

/// Bytes of weights that are worth a task of their own.
const SHARE: usize = 1 << 16;

/// Tiles that go through a strip before the next, while what they hold is at hand.
const TILES_TOGETHER: usize = 16;

/// The operator; its nodes run one after another and share room for rounded rows.
#[derive(Default)]
pub(super) struct BlockProducts {
    room: Arc<Mutex<Vec<Tile>>>,
}

/// The kernel of one node.
pub(super) struct Product {
    weights: Weights,
    inputs: usize,
    vectors: Vectors,
    room: Arc<Mutex<Vec<Tile>>>,
}

/// The vectors that this processor has.
pub(super) fn describe_vectors() -> &'static str {
    Vectors::best().describe()
}

/// Are there vectors for it?
pub(super) fn are_quick() -> bool {
    !matches!(Vectors::best(), Vectors::Plain(_))
}

impl Operator for BlockProducts {
    type Kernel<'attr> = Product;

    fn name(&self) -> &str {
        "BlockProducts"
    }

    fn inputs(&self) -> impl IntoIterator<Item = OperatorInput> {
        // Rows, codes, scales, zero points.
        let needed = [Float32, Uint8, Float32].map(OperatorInput::required);
        needed.into_iter().chain([OperatorInput::optional(Uint8)])
    }

    fn outputs(&self) -> impl IntoIterator<Item = OperatorOutput> {
        [OperatorOutput::required(Float32)]
    }

    fn create_kernel<'attr>(&self, node: &KernelContext<'attr>) -> ort::Result<Self::Kernel<'attr>> {
        let whole = |name: &str| {
            let value: Option<i64> = node.get(name);
            value.and_then(|value| usize::try_from(value).ok()).ok_or_else(|| wrong(format!("no attribute {name}")))
        };
        let (outputs, inputs) = (whole("N")?, whole("K")?);
        let codes = node.constant_input::<TensorValueType<u8>>(1)?;
        let scales = node.constant_input::<TensorValueType<f32>>(2)?;
        let zeros = match node.inputs()?.get(3) {
            Some(_) => Some(node.constant_input::<TensorValueType<u8>>(3)?),
            None => None,
        };
        let zeros = zeros.as_ref().map(|zeros| zeros.extract_tensor().1);
        let stored = Stored { codes: codes.extract_tensor().1, scales: scales.extract_tensor().1, zeros };
        let weights = Weights::pack(outputs, inputs, stored)
            .ok_or_else(|| wrong(format!("codes and scales are not those of {outputs} x {inputs} weights")))?;
        Ok(Product { weights, inputs, vectors: Vectors::best(), room: Arc::clone(&self.room) })
    }
}

impl Kernel for Product {
    fn compute(&mut self, context: &ComputeContext) -> ort::Result<()> {
        let value = input(context, 0)?;
        let (mut lengths, values) = floats(&value)?;
        match lengths.last_mut() {
            Some(last) if *last == self.inputs => *last = self.weights.outputs(),
            _ => return Err(wrong(format!("rows of {} are wanted, not {lengths:?}", self.inputs))),
        }
        let mut made = context.output(0, shape(&lengths))?.ok_or_else(|| wrong("no place for the products"))?;
        let made = made.try_extract_tensor_mut::<f32>()?.1;
        let rows = Rows { values, width: self.inputs };
        let mut room = self.room.lock().unwrap_or_else(PoisonError::into_inner);
        let tiles = self.rounded(context, rows, &mut room)?;
        self.multiply(context, tiles, rows.count(), made)
    }
}

impl Product {
    /// The blocks of all rows, tile after tile.
    fn rounded<'a>(&self, context: &ComputeContext, rows: Rows, room: &'a mut Vec<Tile>) -> ort::Result<&'a [Tile]> {
        let depth = self.weights.depth();
        let count = rows.count().div_ceil(ROWS) * depth;
        room.resize(room.len().max(count), Tile::EMPTY);
        let tiles = &mut room[..count];
        let together = (ROUNDED_TOGETHER / DEPTH / rows.count().clamp(1, ROWS)).max(1);
        let work: Vec<_> = tiles.chunks_mut(together).map(Mutex::new).collect();
        let arch = Arch::new();
        context.par_for(work.len(), 0, |index| {
            let Ok(mut tiles) = work[index].lock() else { return };
            rows.round(arch, index * together, depth, &mut tiles);
        })?;
        drop(work);
        Ok(&room[..count])
    }

    fn multiply(&self, context: &ComputeContext, tiles: &[Tile], rows: usize, made: &mut [f32]) -> ort::Result<()> {
        let tasks: Vec<_> = self.tasks(rows, made).into_iter().map(Mutex::new).collect();
        context.par_for(tasks.len(), 0, |index| {
            let Ok(mut task) = tasks[index].lock() else { return };
            task.run(&self.weights, self.vectors, tiles);
        })
    }

    /// All the work: each task some strips, and some tiles that go through them.
    fn tasks<'a>(&self, rows: usize, made: &'a mut [f32]) -> Vec<Task<'a>> {
        let outputs = self.weights.outputs();
        let together = match rows {
            0..=ROWS => (SHARE / self.weights.strip_bytes()).max(1),
            _ => 1,
        };
        let mut tasks = Vec::new();
        for (group, made) in made.chunks_mut(outputs * ROWS * TILES_TOGETHER).enumerate() {
            let begun = tasks.len();
            let strips = (0..outputs.div_ceil(COLUMNS)).step_by(together);
            tasks.extend(strips.map(|first| Task { first, tile: group * TILES_TOGETHER, rows: Vec::new() }));
            for row in made.chunks_exact_mut(outputs) {
                let parts = row.chunks_mut(together * COLUMNS);
                tasks[begun..].iter_mut().zip(parts).for_each(|(task, part)| task.rows.push(part));
            }
        }
        tasks
    }
}

/// Some rows of some strips.
struct Task<'a> {
    /// The first strip.
    first: usize,
    /// The first tile.
    tile: usize,
    /// Where the products go, row by row: as many columns as the strips have.
    rows: Vec<&'a mut [f32]>,
}

impl Task<'_> {
    fn run(&mut self, weights: &Weights, vectors: Vectors, tiles: &[Tile]) {
        let columns = self.rows.first().map_or(0, |row| row.len());
        for (strip, first) in (self.first..).zip((0..columns).step_by(COLUMNS)) {
            let strip = weights.strip(strip);
            let of = first..columns.min(first + COLUMNS);
            for (tile, rows) in (self.tile..).zip(self.rows.chunks_mut(ROWS)) {
                let tiles = &tiles[tile * weights.depth()..(tile + 1) * weights.depth()];
                let mut made = vectors::Made::default();
                vectors.multiply(strip, tiles, rows.len(), &mut made);
                put(&made, rows, of.clone());
            }
        }
    }
}

fn put(made: &vectors::Made, rows: &mut [&mut [f32]], columns: Range<usize>) {
    for (made, row) in made.iter().zip(rows) {
        row[columns.clone()].copy_from_slice(&made.as_flattened()[..columns.len()]);
    }
}
