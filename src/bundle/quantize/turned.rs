//! A weight in 8 bits, turned: `[outputs, inputs]` in, codes `[inputs, outputs]` out, as the product wants them.
//!
//! Rows come in chunks. Each chunk is turned and laid down, then bands of inputs are gathered from all chunks; so even
//! the head of 31B takes two bands of memory and not 1.4 GB. Small weights lie in memory meanwhile, large ones in
//! a file without a name.

use std::{
    fs::{self, File},
    io::{self, Write},
    os::unix::fs::FileExt,
    path::Path,
};

use rayon::prelude::*;

use super::{Loss, int8_rows};
use crate::bundle::Tensor;

/// The most codes that lie in memory, whole or as one band.
const RESIDENT: usize = 128 << 20;

/// Rows and columns that are turned at a time.
const TILE: usize = 64;

/// Bytes of disk that a weight of so many codes takes meanwhile.
pub fn aside(codes: u64) -> u64 {
    if codes > RESIDENT as u64 { codes } else { 0 }
}

/// Writes the codes of a whole weight. `aside` is a folder with room for the codes of a large one. Returns one scale
/// per output.
pub fn write_turned(tensor: &Tensor, aside: &Path, out: &mut dyn Write) -> io::Result<(Vec<f32>, Loss)> {
    let (outputs, inputs) = (tensor.rows(), tensor.row_length());
    let (mut heap, mut scales, mut loss) =
        (Heap::create(outputs * inputs, aside)?, Vec::with_capacity(outputs), Loss::default());
    let mut chunks = Vec::new();
    for chunk in tensor.chunks() {
        let (first, values) = chunk.map_err(io::Error::other)?;
        let (codes, of_rows, more) = int8_rows(tensor.name(), &values, inputs)?;
        heap.put(first * inputs, &turn(&codes, inputs))?;
        chunks.push((first, of_rows.len()));
        scales.extend(of_rows);
        loss = loss.plus(more);
    }
    let band = (RESIDENT / outputs.max(1)).clamp(1, inputs);
    (0..inputs).step_by(band).try_for_each(|from| {
        let count = band.min(inputs - from);
        out.write_all(&gather(&heap, &chunks, [inputs, outputs], from, count)?)
    })?;
    Ok((scales, loss))
}

/// `[rows, inputs]` to `[inputs, rows]`, tile by tile, so that what is read stays in the cache until all is used.
pub fn turn(codes: &[i8], inputs: usize) -> Vec<u8> {
    let rows = codes.len() / inputs;
    let mut turned = vec![0; codes.len()];
    turned.par_chunks_mut(rows * TILE).enumerate().for_each(|(band, columns)| {
        for first in (0..rows).step_by(TILE) {
            for (column, places) in columns.chunks_mut(rows).enumerate() {
                let from = codes[band * TILE + column..].iter().step_by(inputs).skip(first);
                places[first..].iter_mut().zip(from).take(TILE).for_each(|(place, code)| *place = code.cast_unsigned());
            }
        }
    });
    turned
}

/// Some inputs of all outputs, `[count, outputs]`, out of chunks that were turned each for itself.
fn gather(
    heap: &Heap,
    chunks: &[(usize, usize)],
    [inputs, outputs]: [usize; 2],
    from: usize,
    count: usize,
) -> io::Result<Vec<u8>> {
    let mut band = vec![0; count * outputs];
    for &(first, rows) in chunks {
        let piece = heap.get(first * inputs + from * rows, count * rows)?;
        let places = band.par_chunks_mut(outputs).zip(piece.par_chunks(rows));
        places.for_each(|(row, piece)| row[first..first + rows].copy_from_slice(piece));
    }
    Ok(band)
}

/// Bytes that are put down once and read in another order.
enum Heap {
    Memory(Vec<u8>),
    File(File),
}

impl Heap {
    fn create(bytes: usize, aside: &Path) -> io::Result<Self> {
        if bytes <= RESIDENT {
            return Ok(Self::Memory(vec![0; bytes]));
        }
        let path = aside.join(".turned");
        let file = File::options().read(true).write(true).create(true).truncate(true).open(&path)?;
        // Without a name it is gone when it is closed, however that comes about.
        fs::remove_file(path)?;
        Ok(Self::File(file))
    }

    fn put(&mut self, place: usize, bytes: &[u8]) -> io::Result<()> {
        match self {
            Self::Memory(all) => {
                all[place..place + bytes.len()].copy_from_slice(bytes);
                Ok(())
            }
            Self::File(file) => file.write_all_at(bytes, place as u64),
        }
    }

    fn get(&self, place: usize, count: usize) -> io::Result<Vec<u8>> {
        match self {
            Self::Memory(all) => Ok(all[place..place + count].to_vec()),
            Self::File(file) => {
                let mut bytes = vec![0; count];
                file.read_exact_at(&mut bytes, place as u64)?;
                Ok(bytes)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bands_of_chunks_in_memory_and_in_a_file_give_the_whole_turned() {
        let (inputs, outputs) = (5, 7);
        let codes: Vec<i8> = (0..35).collect();
        let folder = std::env::temp_dir();
        for mut heap in [Heap::Memory(vec![0; 35]), Heap::create(RESIDENT + 1, &folder).unwrap()] {
            let chunks = [(0, 3), (3, 3), (6, 1)];
            for (first, rows) in chunks {
                heap.put(first * inputs, &turn(&codes[first * inputs..(first + rows) * inputs], inputs)).unwrap();
            }
            let bands = [(0, 2), (2, 2), (4, 1)]
                .map(|(from, count)| gather(&heap, &chunks, [inputs, outputs], from, count).unwrap());
            let expected: Vec<u8> = (0..5).flat_map(|input| (0..7).map(move |output| output * 5 + input)).collect();
            assert_eq!(bands.concat(), expected);
        }
    }
}
