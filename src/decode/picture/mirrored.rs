//! Where a TIFF stores its bits the other way round (`FillOrder` 2): the stretches of the file in which each byte is
//! mirrored.

use std::ops::Range;

/// Stretches of a file, in order and apart.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Mirrored(Vec<Range<u64>>);

impl Mirrored {
    /// Of offsets and lengths in any order. Where two overlap, a byte is mirrored once.
    pub fn new(stretches: impl IntoIterator<Item = (u64, u64)>) -> Self {
        let stretch = |(offset, length): (u64, u64)| offset..offset.saturating_add(length);
        let mut stretches: Vec<_> = stretches.into_iter().map(stretch).collect();
        stretches.sort_unstable_by_key(|stretch| stretch.start);
        stretches.dedup_by(|next, before| {
            let joins = next.start <= before.end;
            if joins {
                before.end = before.end.max(next.end);
            }
            joins
        });
        Self(stretches)
    }

    /// Turns those of `bytes`, which stand at `position` in the file, that lie in a stretch.
    pub fn turn(&self, position: u64, bytes: &mut [u8]) {
        let end = position.saturating_add(bytes.len() as u64);
        let first = self.0.partition_point(|stretch| stretch.end <= position);
        for stretch in self.0[first..].iter().take_while(|stretch| stretch.start < end) {
            let from = (stretch.start.max(position) - position) as usize;
            let to = (stretch.end.min(end) - position) as usize;
            bytes[from..to].iter_mut().for_each(|byte| *byte = byte.reverse_bits());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Which of the bytes at `position` are turned.
    fn turned(stretches: &[(u64, u64)], position: u64) -> [u8; 6] {
        let mut bytes = [0x80; 6];
        Mirrored::new(stretches.iter().copied()).turn(position, &mut bytes);
        bytes.map(|byte| u8::from(byte == 1))
    }

    #[test]
    fn bytes_in_a_stretch_are_turned_once_wherever_reading_begins() {
        assert_eq!(turned(&[], 0), [0, 0, 0, 0, 0, 0]);
        assert_eq!(turned(&[(4, 1), (1, 2)], 0), [0, 1, 1, 0, 1, 0]);
        assert_eq!(turned(&[(4, 1), (1, 2)], 2), [1, 0, 1, 0, 0, 0]);
        assert_eq!(turned(&[(1, 3), (2, 1), (3, 2), (1, 3)], 0), [0, 1, 1, 1, 1, 0]);
        assert_eq!(turned(&[(3, u64::MAX), (u64::MAX, 9), (1, 0)], 1), [0, 0, 1, 1, 1, 1]);
        assert_eq!(turned(&[(0, u64::MAX)], u64::MAX - 3), [1, 1, 1, 0, 0, 0], "nothing lies behind the last offset");
    }
}
