//! Where keys and values lie: in memory of the host, which is read and written where it is, or in that of a card, which
//! is reached by copies alone.
//!
//! Copies on a card go on while the host does other things, and runs do not wait for them by themselves: who has copied
//! settles the heap ([`Heap::settle`]) before the next run, once for all copies.

mod rows;

#[cfg(test)]
mod stand_in;
#[cfg(test)]
pub(super) mod trials;

use std::{error::Error, fmt, sync::Arc};

pub(super) use rows::Rows;

use super::{
    cuda::runtime::Card,
    raw::{Memory, Region},
    runtime::Place,
};
use crate::base::Fatal;

/// Why memory was not to be had, or could not be reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Failure(String);

impl Failure {
    pub(super) fn new(what: impl Into<String>) -> Self {
        Self(what.into())
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.0)
    }
}

impl Error for Failure {}

/// Memory that blocks are taken from.
#[derive(Clone)]
pub(super) enum Heap {
    Host,
    Distant(Arc<dyn DistantHeap>),
}

/// Memory that the processor cannot reach.
pub(super) trait DistantHeap: Send + Sync {
    /// A block of zeros, which may still be on their way.
    fn zeroed(&self, bytes: usize) -> Result<Box<dyn DistantBlock>, Failure>;

    /// Waits until all copies are done.
    fn settle(&self) -> Result<(), Failure>;
}

/// A block of such memory. What begins later is done later; of what is written the host's copy may be reused at once.
pub(super) trait DistantBlock: Send {
    /// How long it is.
    fn bytes(&self) -> usize;

    /// Copies rows to the host, one behind the other, and waits for them.
    fn read(&self, rows: Rows, to: &mut [u8]) -> Result<(), Failure>;

    /// Copies rows from the host, where they begin `pitch` bytes from one another.
    fn write(&mut self, rows: Rows, from: &[u8], pitch: usize) -> Result<(), Failure>;

    /// Copies rows to places `distance` bytes nearer to the front that they do not overlap ([`Rows::may_go`]).
    fn copy(&mut self, rows: Rows, distance: usize) -> Result<(), Failure>;

    /// A part of it, to be read and written by ONNX Runtime. `None` beyond the end.
    fn region(&mut self, offset: usize, bytes: usize) -> Option<Region<'_>>;
}

impl Heap {
    /// The memory of the device that a session runs on.
    ///
    /// # Errors
    /// When there is no such card, or the CUDA runtime cannot be loaded.
    pub(super) fn of(place: Place) -> Result<Self, Fatal> {
        #[cfg(test)]
        if let Some(heap) = stand_in::of_this_thread() {
            return Ok(heap);
        }
        match place.is_card() {
            true => Ok(Self::Distant(Arc::new(Card::open(place.ordinal)?))),
            false => Ok(Self::Host),
        }
    }

    /// A block of zeros.
    ///
    /// # Errors
    /// When there is not that much memory.
    pub(super) fn zeroed(&self, bytes: usize) -> Result<Block, Failure> {
        match self {
            Self::Host => {
                let memory = Memory::zeroed(bytes);
                memory.map(Block::Host).ok_or_else(|| Failure::new(format!("the system gives no {bytes} bytes more")))
            }
            Self::Distant(heap) => heap.zeroed(bytes).map(Block::Distant),
        }
    }

    /// Waits until what was written and moved is where it ought to be.
    ///
    /// # Errors
    /// When a copy has failed, or the card has.
    pub(super) fn settle(&self) -> Result<(), Failure> {
        match self {
            Self::Host => Ok(()),
            Self::Distant(heap) => heap.settle(),
        }
    }
}

/// A block of memory. It is freed when it is dropped.
pub(super) enum Block {
    Host(Memory),
    Distant(Box<dyn DistantBlock>),
}

/// Bytes of a pattern that go to a distant block at once.
const PIECE: usize = 1 << 20;

impl Block {
    /// Repeats a pattern, which is not empty, over all of it.
    ///
    /// # Errors
    /// When a card fails. So of all below.
    pub(super) fn fill(&mut self, pattern: &[u8]) -> Result<(), Failure> {
        match self {
            Self::Host(memory) => {
                let places = memory.bytes_mut().chunks_exact_mut(pattern.len());
                places.for_each(|place| place.copy_from_slice(pattern));
                Ok(())
            }
            Self::Distant(block) => {
                let piece = pattern.repeat((PIECE / pattern.len()).max(1));
                let pieces = Rows::one(0..block.bytes()).pieces(piece.len());
                pieces.into_iter().try_for_each(|place| block.write(place, &piece, piece.len()))
            }
        }
    }

    /// Adds the bytes of rows to `to`, row after row.
    pub(super) fn read(&self, rows: Rows, to: &mut Vec<u8>) -> Result<(), Failure> {
        match self {
            Self::Host(memory) => {
                let bytes = memory.bytes();
                rows.ranges().for_each(|range| to.extend_from_slice(&bytes[range]));
                Ok(())
            }
            Self::Distant(block) => {
                let before = to.len();
                to.resize(before + rows.bytes(), 0);
                block.read(rows, &mut to[before..])
            }
        }
    }

    /// Writes rows, which begin `pitch` bytes from one another in `from`.
    pub(super) fn write(&mut self, rows: Rows, from: &[u8], pitch: usize) -> Result<(), Failure> {
        match self {
            Self::Host(memory) => {
                let bytes = memory.bytes_mut();
                let places = rows.ranges().enumerate();
                places.for_each(|(row, range)| bytes[range].copy_from_slice(&from[row * pitch..][..rows.width]));
                Ok(())
            }
            Self::Distant(block) => block.write(rows, from, pitch),
        }
    }

    /// Moves rows towards the front by `distance` bytes, each within what belongs to it.
    pub(super) fn shift(&mut self, rows: Rows, distance: usize) -> Result<(), Failure> {
        match self {
            Self::Host(memory) => {
                let bytes = memory.bytes_mut();
                rows.ranges().for_each(|range| {
                    let to = range.start - distance;
                    bytes.copy_within(range, to);
                });
                Ok(())
            }
            // Pieces no longer than the distance overlap nothing, and from the front on each takes the place of what has
            // gone already.
            Self::Distant(block) => rows.pieces(distance).into_iter().try_for_each(|piece| block.copy(piece, distance)),
        }
    }

    /// A part of it, to be read and written by ONNX Runtime. `None` beyond the end.
    pub(super) fn region(&mut self, offset: usize, bytes: usize) -> Option<Region<'_>> {
        match self {
            Self::Host(memory) => memory.region(offset, bytes),
            Self::Distant(block) => block.region(offset, bytes),
        }
    }
}
