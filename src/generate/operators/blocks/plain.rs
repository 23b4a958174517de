//! The product of a strip and a tile in loops that any processor runs; the compiler makes vectors of them where it can.

use pulp::cast;

use super::{
    tiles::Tile,
    vectors::Made,
    weights::{GROUP, Strip},
};

/// Pairs of bytes in a quarter of a group.
const LANES: usize = 2 * GROUP;

/// The first `rows` rows of a tile times a strip. The other kinds of vectors give the same bits.
#[inline(always)]
pub(super) fn multiply(strip: Strip, tiles: &[Tile], rows: usize, made: &mut Made) {
    for (row, made) in made.iter_mut().enumerate().take(rows) {
        *made = [[0.0; GROUP]; 2];
        for (place, (codes, tile)) in strip.codes.iter().zip(tiles).enumerate() {
            for (group, made) in made.iter_mut().enumerate() {
                let dots = dots(&codes.0[group], &tile.codes[row], tile.starts[row]);
                for ((made, dot), scale) in made.iter_mut().zip(dots).zip(strip.scales(place, group)) {
                    *made = (dot as f32).mul_add(scale * tile.scales[row], *made);
                }
                for (made, shift) in made.iter_mut().zip(strip.shifts.get(place).map_or(&[][..], |all| &all[group])) {
                    *made = shift.mul_add(tile.sums[row], *made);
                }
            }
        }
    }
}

/// The dots of one row with the columns of a group. 16 products meet in 16 bits, each 15 times 127 at most.
#[inline(always)]
fn dots(codes: &[[u8; 4 * GROUP]; 4], row: &[i8], start: i32) -> [i32; GROUP] {
    let mut sums = [0_i16; LANES];
    for (codes, row) in codes.iter().zip(row.as_chunks::<8>().0) {
        let pairs: [u16; LANES] = cast(*codes);
        let [even, odd] = [[row[0], row[2]], [row[1], row[3]]].map(repeated);
        let [even_high, odd_high] = [[row[4], row[6]], [row[5], row[7]]].map(repeated);
        for (lane, sum) in sums.iter_mut().enumerate() {
            let code = |shift: u32| (u16::from_le(pairs[lane]) >> shift & 15) as i16;
            *sum += code(0) * even[lane] + code(4) * even_high[lane] + code(8) * odd[lane] + code(12) * odd_high[lane];
        }
    }
    let mut dots = [start; GROUP];
    for (dot, sums) in dots.iter_mut().zip(sums.as_chunks::<2>().0) {
        *dot += i32::from(sums[0]) + i32::from(sums[1]);
    }
    dots
}

/// Two numbers for each column.
#[inline(always)]
fn repeated(numbers: [i8; 2]) -> [i16; LANES] {
    cast([numbers.map(i16::from); GROUP])
}
