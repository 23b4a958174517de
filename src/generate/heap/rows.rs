//! Rows of bytes at even distances within a block: the same positions of each head of a slot.

use std::ops::Range;

/// Which bytes of a block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::generate) struct Rows {
    /// Where the first begins.
    pub(in crate::generate) first: usize,
    /// From the beginning of one to that of the next.
    pub(in crate::generate) stride: usize,
    /// How many.
    pub(in crate::generate) count: usize,
    /// Bytes of each.
    pub(in crate::generate) width: usize,
}

impl Rows {
    /// One row.
    pub(super) fn one(range: Range<usize>) -> Self {
        Self { first: range.start, stride: range.len(), count: 1, width: range.len() }
    }

    /// Bytes of all.
    pub(in crate::generate) fn bytes(self) -> usize {
        self.count * self.width
    }

    /// True when they do not overlap and the last ends within so many bytes.
    pub(in crate::generate) fn are_within(self, bytes: usize) -> bool {
        let last = self.count.saturating_sub(1).checked_mul(self.stride).and_then(|at| at.checked_add(self.first));
        let end = last.and_then(|at| at.checked_add(self.width));
        (self.count < 2 || self.width <= self.stride) && end.is_some_and(|end| end <= bytes)
    }

    /// Where each stands.
    pub(super) fn ranges(self) -> impl Iterator<Item = Range<usize>> {
        (0..self.count).map(move |row| {
            let start = self.first + row * self.stride;
            start..start + self.width
        })
    }

    /// The same bytes in rows no wider than `most`, from the front of each on; none where that is nothing.
    pub(super) fn pieces(self, most: usize) -> Vec<Self> {
        let width = if most == 0 { 0 } else { self.width };
        let starts = (0..width).step_by(most.max(1));
        starts.map(|at| Self { first: self.first + at, width: most.min(self.width - at), ..self }).collect()
    }

    /// True when their places `distance` bytes nearer to the front are within the block and overlap none of them.
    pub(in crate::generate) fn may_go(self, distance: usize) -> bool {
        let apart = self.count < 2 || self.width + distance <= self.stride;
        self.width <= distance && distance <= self.first && apart
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two rows of 10 bytes, at 8 and at 40.
    const ROWS: Rows = Rows { first: 8, stride: 32, count: 2, width: 10 };

    #[test]
    fn rows_are_cut_from_the_front_and_nothing_is_left_out() {
        let ranges = |rows: Rows| rows.ranges().collect::<Vec<_>>();
        assert_eq!((ranges(ROWS), ROWS.bytes()), (vec![8..18, 40..50], 20));
        let pieces: Vec<_> = ROWS.pieces(4).into_iter().map(ranges).collect();
        assert_eq!(pieces, [[8..12, 40..44], [12..16, 44..48], [16..18, 48..50]]);
        assert_eq!((ROWS.pieces(10), ROWS.pieces(99)), (vec![ROWS], vec![ROWS]));
        assert!(ROWS.pieces(0).is_empty() && Rows { width: 0, ..ROWS }.pieces(4).is_empty());
        assert_eq!(Rows { count: 0, ..ROWS }.bytes(), 0);
    }

    #[test]
    fn rows_are_within_a_block_as_far_as_the_end_of_the_last() {
        assert!(ROWS.are_within(50) && !ROWS.are_within(49));
        assert!(!Rows { width: 33, ..ROWS }.are_within(1000), "they overlap");
        assert!(Rows { width: 33, count: 1, ..ROWS }.are_within(41));
        assert!(!Rows { stride: usize::MAX, ..ROWS }.are_within(usize::MAX), "further than can be counted");
    }

    #[test]
    fn rows_may_not_go_where_one_of_them_stands_nor_before_the_block() {
        let narrow = Rows { width: 4, ..ROWS };
        assert!(narrow.may_go(4) && narrow.may_go(8));
        assert!(!narrow.may_go(3), "its own row");
        assert!(!narrow.may_go(9), "before the block");
        let late = Rows { first: 40, ..narrow };
        assert!(late.may_go(28) && !late.may_go(29), "the row before it ends 28 bytes before");
        assert!(Rows { count: 1, ..late }.may_go(29));
    }
}
