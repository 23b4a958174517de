//! A heap for tests that stands in for a card's: memory of the host that is reached as a card's is, by copies alone.
//!
//! It panics where a card would give wrong results in silence: a run over memory whose copies are not settled, a copy onto
//! itself, a byte beyond a block's ends. It is full of garbage where a card has zeros, so that what nobody has written
//! shows when it is read. ONNX Runtime is told the truth, that it lies on the host.

use std::{
    cell::RefCell,
    sync::{Arc, Mutex, MutexGuard},
    thread,
};

use super::{DistantBlock, DistantHeap, Failure, Heap, Rows};
use crate::generate::raw::{Memory, Region};

/// Bytes before and behind each block that nobody may touch; a whole number of cache lines.
const GUARD: usize = 256;

/// What they hold.
const UNTOUCHED: u8 = 0xa5;

/// What a new block holds: 51015.28 in f32, 7.277 in f16.
const GARBAGE: u8 = 0x47;

thread_local! {
    static INSTEAD: RefCell<Option<StandIn>> = const { RefCell::new(None) };
}

/// The heap that is to be taken on this thread whatever the device.
pub(super) fn of_this_thread() -> Option<Heap> {
    INSTEAD.with_borrow(Clone::clone).map(StandIn::heap)
}

/// The heap. Its clones are the same one.
#[derive(Clone, Default)]
pub(in crate::generate) struct StandIn(Arc<Mutex<Books>>);

/// What has been done with it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(in crate::generate) struct Books {
    /// Copies from the host.
    pub(in crate::generate) writes: usize,
    /// Copies to the host.
    pub(in crate::generate) reads: usize,
    /// Copies within.
    pub(in crate::generate) copies: usize,
    /// How often it was settled with something to settle.
    pub(in crate::generate) settled: usize,
    /// Regions that runs were given.
    pub(in crate::generate) regions: usize,
    /// Blocks that are not freed.
    pub(in crate::generate) blocks: usize,
    unsettled: bool,
    failing: Option<Failure>,
}

impl Books {
    /// Notes a copy that goes on after it has returned.
    fn begin(&mut self) -> Result<(), Failure> {
        self.unsettled = true;
        self.failing.take().map_or(Ok(()), Err)
    }
}

impl StandIn {
    pub(in crate::generate) fn heap(self) -> Heap {
        Heap::Distant(Arc::new(self))
    }

    /// Makes something whose memory comes from here, whatever its device.
    pub(in crate::generate) fn instead<T>(&self, make: impl FnOnce() -> T) -> T {
        INSTEAD.set(Some(self.clone()));
        let made = make();
        INSTEAD.set(None);
        made
    }

    /// What has been done so far.
    pub(in crate::generate) fn books(&self) -> Books {
        self.lock().clone()
    }

    /// Lets the next copy fail.
    pub(in crate::generate) fn fail_next(&self, what: &str) {
        self.lock().failing = Some(Failure::new(what));
    }

    fn lock(&self) -> MutexGuard<'_, Books> {
        self.0.lock().unwrap()
    }
}

impl DistantHeap for StandIn {
    fn zeroed(&self, bytes: usize) -> Result<Box<dyn DistantBlock>, Failure> {
        let mut memory = Memory::zeroed(bytes + 2 * GUARD).ok_or_else(|| Failure::new("no memory"))?;
        memory.bytes_mut().fill(UNTOUCHED);
        memory.bytes_mut()[GUARD..GUARD + bytes].fill(GARBAGE);
        let mut books = self.lock();
        books.begin()?;
        books.blocks += 1;
        drop(books);
        Ok(Box::new(StandInBlock { heap: self.clone(), memory, bytes }))
    }

    fn settle(&self) -> Result<(), Failure> {
        let mut books = self.lock();
        books.settled += usize::from(books.unsettled);
        books.unsettled = false;
        books.failing.take().map_or(Ok(()), Err)
    }
}

struct StandInBlock {
    heap: StandIn,
    /// The block between its guards.
    memory: Memory,
    bytes: usize,
}

impl StandInBlock {
    fn inside(&mut self) -> &mut [u8] {
        &mut self.memory.bytes_mut()[GUARD..GUARD + self.bytes]
    }
}

impl DistantBlock for StandInBlock {
    fn bytes(&self) -> usize {
        self.bytes
    }

    fn read(&self, rows: Rows, to: &mut [u8]) -> Result<(), Failure> {
        assert_eq!(to.len(), rows.bytes());
        let inside = &self.memory.bytes()[GUARD..GUARD + self.bytes];
        rows.ranges().enumerate().for_each(|(row, range)| {
            to[row * rows.width..(row + 1) * rows.width].copy_from_slice(&inside[range]);
        });
        let mut books = self.heap.lock();
        books.reads += 1;
        books.failing.take().map_or(Ok(()), Err)
    }

    fn write(&mut self, rows: Rows, from: &[u8], pitch: usize) -> Result<(), Failure> {
        let taken = Rows { first: 0, stride: pitch, ..rows };
        assert!(rows.are_within(self.bytes) && taken.are_within(from.len()), "{rows:?} from {taken:?}");
        let inside = self.inside();
        rows.ranges().enumerate().for_each(|(row, range)| {
            inside[range].copy_from_slice(&from[row * pitch..row * pitch + rows.width]);
        });
        let mut books = self.heap.lock();
        books.writes += 1;
        books.begin()
    }

    fn copy(&mut self, rows: Rows, distance: usize) -> Result<(), Failure> {
        assert!(rows.may_go(distance), "{rows:?} are copied onto themselves, {distance} bytes on");
        let inside = self.inside();
        rows.ranges().for_each(|range| {
            let to = range.start - distance;
            inside.copy_within(range, to);
        });
        let mut books = self.heap.lock();
        books.copies += 1;
        books.begin()
    }

    fn region(&mut self, offset: usize, bytes: usize) -> Option<Region<'_>> {
        let mut books = self.heap.lock();
        assert!(!books.unsettled, "a run is given memory with copies under way");
        books.regions += 1;
        drop(books);
        match offset.checked_add(bytes) {
            Some(end) if end <= self.bytes => self.memory.region(GUARD + offset, bytes),
            _ => None,
        }
    }
}

impl Drop for StandInBlock {
    fn drop(&mut self) {
        if thread::panicking() {
            return;
        }
        self.heap.lock().blocks -= 1;
        let bytes = self.memory.bytes();
        let guards = bytes[..GUARD].iter().chain(&bytes[GUARD + self.bytes..]);
        assert!(guards.copied().all(|byte| byte == UNTOUCHED), "somebody wrote beyond a block");
    }
}
