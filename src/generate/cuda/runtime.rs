//! Cards and their memory, through the CUDA runtime.
//!
//! All copies go through the stream that CUDA has by default. They begin in order, and may go on after they have returned;
//! ONNX Runtime's own streams do not wait for them, so a card must be settled before a run.
//!
//! # SAFETY
//! - Which card is meant is a state of each thread: every call here names its card first ([`Card::call`]).
//! - A [`CardBlock`] owns its memory, and gives it out as a [`Region`] that borrows it mutably. Addresses on a card are
//!   never read here, only handed to CUDA and to ONNX Runtime.
//! - Rows are checked against both ends of a copy before it begins. Of memory of the host CUDA holds no pointer when a copy
//!   returns: it waits for copies to the host, and what comes from the host it has taken aside by then (CUDA runtime API,
//!   "API synchronization behavior", of memory that is not page-locked, as ours is not).
#![allow(unsafe_code)]

use std::{
    ffi::{c_int, c_void},
    fmt,
    ptr::{self, NonNull},
    sync::Arc,
};

use super::api::{Api, SUCCESS};
use crate::{
    base::Fatal,
    generate::{
        heap::{DistantBlock, DistantHeap, Failure, Rows},
        raw::Region,
    },
};

/// What to do where there is no card.
const NO_CARD: &str = "install an NVIDIA driver, 580 or newer (in a container: `--gpus all`), or choose `--device cpu`; \
                       `lapidary doctor` shows driver and cards";

/// `cudaMemcpyKind`.
const TO_CARD: c_int = 1;
const TO_HOST: c_int = 2;
const WITHIN: c_int = 3;

/// The stream that CUDA has by default.
const DEFAULT_STREAM: *mut c_void = ptr::null_mut();

/// The memory of a card.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CardMemory {
    /// Bytes that nobody has taken.
    pub free: u64,
    /// Bytes of all.
    pub total: u64,
}

/// What a card has, by its number as CUDA counts cards; `None` where there is no such card.
pub fn card_memory(ordinal: u32) -> Option<CardMemory> {
    let memory = Card::open(ordinal).map(|card| card.memory());
    match memory {
        Ok(Ok(memory)) => Some(memory),
        Ok(Err(failure)) => {
            tracing::debug!(target: "generate", ordinal, why = %failure, "a card does not tell its memory");
            None
        }
        Err(fatal) => {
            tracing::debug!(target: "generate", ordinal, why = fatal.message, "no card");
            None
        }
    }
}

/// A card that is there.
#[derive(Clone)]
pub(in crate::generate) struct Card {
    api: &'static Api,
    ordinal: u32,
    bus: Arc<str>,
}

/// `cuda:0 at 0000:17:00.0`
impl fmt::Display for Card {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "cuda:{}", self.ordinal)?;
        if self.bus.is_empty() { Ok(()) } else { write!(out, " at {}", self.bus) }
    }
}

impl Card {
    /// # Errors
    /// When the CUDA runtime cannot be loaded, there is no driver, or there are fewer cards.
    pub(in crate::generate) fn open(ordinal: u32) -> Result<Self, Fatal> {
        Self::of(Api::load()?, ordinal)
    }

    fn of(api: &'static Api, ordinal: u32) -> Result<Self, Fatal> {
        let count = api.count().map_err(|failure| Fatal::new(format!("no card can be used: {failure}"), NO_CARD))?;
        if ordinal >= count {
            let message = format!("there is no card cuda:{ordinal}, CUDA counts {count} from 0 on");
            return Err(Fatal::new(message, "`lapidary doctor` lists the cards; CUDA_VISIBLE_DEVICES can hide some"));
        }
        Ok(Self { api, ordinal, bus: api.bus(ordinal).into() })
    }

    /// Where it sits on the bus, as `0000:17:00.0`; empty where CUDA does not tell.
    pub(in crate::generate) fn bus(&self) -> &str {
        &self.bus
    }

    /// # Errors
    /// When the card does not answer.
    fn memory(&self) -> Result<CardMemory, Failure> {
        let (mut free, mut total) = (0, 0);
        // SAFETY: two numbers are written.
        self.call("cudaMemGetInfo", |api| unsafe { (api.memory_info)(&raw mut free, &raw mut total) })?;
        Ok(CardMemory { free: free as u64, total: total as u64 })
    }

    /// Calls a function for this card.
    fn call(&self, name: &str, function: impl FnOnce(&Api) -> c_int) -> Result<(), Failure> {
        // SAFETY: takes any number.
        let chosen = unsafe { (self.api.set_device)(self.ordinal.cast_signed()) };
        let code = if chosen == SUCCESS { function(self.api) } else { chosen };
        self.api.judge(code, || format!("{name} on {self}"))
    }
}

impl DistantHeap for Card {
    fn zeroed(&self, bytes: usize) -> Result<Box<dyn DistantBlock>, Failure> {
        let mut address = ptr::null_mut();
        let name = format!("cudaMalloc of {bytes} bytes");
        // SAFETY: one address is written.
        self.call(&name, |api| unsafe { (api.allocate)(&raw mut address, bytes.max(1)) })?;
        let start =
            NonNull::new(address.cast()).ok_or_else(|| Failure::new(format!("{name} on {self} gave nothing")))?;
        let block = CardBlock { card: self.clone(), start, bytes };
        // SAFETY: the block is so long, and nobody else's.
        self.call("cudaMemset", |api| unsafe { (api.set)(block.address(0).cast(), 0, bytes) })?;
        Ok(Box::new(block))
    }

    fn settle(&self) -> Result<(), Failure> {
        // SAFETY: the stream is there as long as the process is. It alone: others of the card are the encoders', which
        // nobody need wait for.
        self.call("cudaStreamSynchronize", |api| unsafe { (api.synchronize)(DEFAULT_STREAM) })
    }
}

/// Memory of a card.
struct CardBlock {
    card: Card,
    start: NonNull<u8>,
    bytes: usize,
}

// SAFETY: the memory is owned, and CUDA may be called for it from any thread.
unsafe impl Send for CardBlock {}

/// One end of a copy: where the first row begins, and how far it is to the next.
#[derive(Clone, Copy)]
struct End {
    start: *mut u8,
    pitch: usize,
}

impl CardBlock {
    fn address(&self, offset: usize) -> *mut u8 {
        self.start.as_ptr().wrapping_add(offset)
    }

    /// The end of a copy that lies in this block.
    ///
    /// # Errors
    /// When the rows do not.
    fn end(&self, rows: Rows) -> Result<End, Failure> {
        match rows.are_within(self.bytes) {
            true => Ok(End { start: self.address(rows.first), pitch: rows.stride }),
            false => Err(Failure::new(format!("{rows:?} are not within a block of {} bytes", self.bytes))),
        }
    }

    /// # Safety
    /// The rows must be within what `to` and `from` point to, and `from` must not overlap `to`.
    unsafe fn transfer(&self, rows: Rows, to: End, from: End, kind: c_int) -> Result<(), Failure> {
        let (target, source) = (to.start.cast(), from.start.cast_const().cast());
        match rows.count {
            _ if rows.bytes() == 0 => Ok(()),
            // SAFETY: as promised.
            1 => self.card.call("cudaMemcpy", |api| unsafe { (api.copy)(target, source, rows.width, kind) }),
            // SAFETY: as promised.
            count => self.card.call("cudaMemcpy2D", |api| unsafe {
                (api.copy_rows)(target, to.pitch, source, from.pitch, rows.width, count, kind)
            }),
        }
    }
}

impl DistantBlock for CardBlock {
    fn bytes(&self) -> usize {
        self.bytes
    }

    fn read(&self, rows: Rows, to: &mut [u8]) -> Result<(), Failure> {
        let from = self.end(rows)?;
        if !dense(rows, rows.width).are_within(to.len()) {
            return Err(Failure::new(format!("no place for {rows:?} in {} bytes", to.len())));
        }
        // SAFETY: both ends have been looked at.
        unsafe { self.transfer(rows, End { start: to.as_mut_ptr(), pitch: rows.width }, from, TO_HOST) }
    }

    fn write(&mut self, rows: Rows, from: &[u8], pitch: usize) -> Result<(), Failure> {
        let to = self.end(rows)?;
        if !dense(rows, pitch).are_within(from.len()) {
            return Err(Failure::new(format!("{} bytes do not hold {rows:?}", from.len())));
        }
        // SAFETY: both ends have been looked at.
        unsafe { self.transfer(rows, to, End { start: from.as_ptr().cast_mut(), pitch }, TO_CARD) }
    }

    fn copy(&mut self, rows: Rows, distance: usize) -> Result<(), Failure> {
        let from = self.end(rows)?;
        if !rows.may_go(distance) {
            return Err(Failure::new(format!("{rows:?} overlap their places {distance} bytes before")));
        }
        // SAFETY: both ends are within the block, and do not overlap.
        unsafe { self.transfer(rows, End { start: self.address(rows.first - distance), ..from }, from, WITHIN) }
    }

    fn region(&mut self, offset: usize, bytes: usize) -> Option<Region<'_>> {
        let end = offset.checked_add(bytes)?;
        let start = NonNull::new(self.address(offset)).filter(|_| end <= self.bytes)?;
        // SAFETY: the part is allocated, and borrowed mutably for as long as the region lives.
        Some(unsafe { Region::on_card(start, bytes, self.card.ordinal) })
    }
}

impl Drop for CardBlock {
    fn drop(&mut self) {
        // SAFETY: it comes from `cudaMalloc`, and nobody has it any more. CUDA waits for what still uses it.
        let freed = self.card.call("cudaFree", |api| unsafe { (api.free)(self.address(0).cast()) });
        if let Err(failure) = freed {
            tracing::debug!(target: "generate", why = %failure, "memory of a card was not freed");
        }
    }
}

/// As many rows as wide in memory of the host.
fn dense(rows: Rows, pitch: usize) -> Rows {
    Rows { first: 0, stride: pitch, ..rows }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::generate::{
        cuda::imitation,
        heap::{Heap, trials},
    };

    fn imitated(ordinal: u32) -> Card {
        Card::of(imitation::api(), ordinal).unwrap()
    }

    fn one_row(start: usize, width: usize) -> Rows {
        Rows { first: start, stride: width, count: 1, width }
    }

    #[test]
    fn rows_come_onto_a_card_and_within_it_and_back_as_they_do_on_the_host() {
        trials::assert_like_the_host(&Heap::Distant(Arc::new(imitated(1))));
        assert_eq!((imitation::taken(), imitation::latest()), (0, SUCCESS), "all is freed, and nothing was refused");
    }

    #[test]
    fn each_call_is_for_its_own_card_whichever_was_the_last_on_this_thread() {
        let mut blocks = [imitated(0), imitated(1)].map(|card| card.zeroed(64).unwrap());
        for turn in 0..4_u8 {
            blocks.iter_mut().for_each(|block| block.write(one_row(8, 8), &[turn; 8], 8).unwrap());
            for block in &blocks {
                let mut bytes = [9; 16];
                block.read(one_row(4, 16), &mut bytes).unwrap();
                assert_eq!((bytes[3], bytes[4], bytes[11], bytes[12]), (0, turn, turn, 0));
            }
        }
        assert_eq!(imitated(1).memory().unwrap().total - imitated(0).memory().unwrap().free, 128);
    }

    #[test]
    fn what_does_not_fit_is_refused_before_it_is_asked_for() {
        let mut block = imitated(0).zeroed(64).unwrap();
        assert!(block.write(one_row(60, 8), &[0; 8], 8).is_err() && block.write(one_row(0, 8), &[0; 7], 8).is_err());
        assert!(block.read(one_row(0, 8), &mut [0; 7]).is_err() && block.read(one_row(64, 1), &mut [0; 1]).is_err());
        assert!(block.copy(one_row(4, 8), 4).is_err() && block.copy(one_row(4, 4), 8).is_err());
        assert!(block.region(0, 65).is_none() && block.region(usize::MAX, 2).is_none());
        assert!(block.region(8, 56).is_some());
        assert_eq!(imitation::latest(), SUCCESS);
    }

    #[test]
    fn a_failure_says_what_failed_on_which_card_and_is_not_left_for_others_to_find() {
        let failure = imitated(1).zeroed(1 << 50).err().unwrap().to_string();
        let words = "cudaMalloc of 1125899906842624 bytes on cuda:1 at 0000:01:00.0: CUDA failure 2: out of memory";
        assert_eq!((failure.as_str(), imitation::latest()), (words, SUCCESS));
    }

    #[test]
    fn a_card_beyond_the_last_is_refused_with_their_number() {
        let fatal = Card::of(imitation::api(), 2).err().unwrap();
        assert!(fatal.message.contains("cuda:2") && fatal.message.contains("CUDA counts 2"), "{}", fatal.message);
        assert!(fatal.hint.contains("CUDA_VISIBLE_DEVICES"), "{}", fatal.hint);
    }

    #[test]
    fn a_card_tells_its_memory_and_one_that_is_not_there_says_what_to_do() {
        match Card::open(0) {
            Ok(card) => {
                let memory = card.memory().unwrap();
                assert!(memory.free <= memory.total && memory.total > 1 << 30, "{memory:?}");
                assert!(card.to_string().starts_with("cuda:0 at "), "{card}");
                assert!(card_memory(0).is_some());
            }
            Err(fatal) => {
                assert!(fatal.hint.contains("--device cpu"), "{} / {}", fatal.message, fatal.hint);
                assert_eq!(card_memory(0), None);
            }
        }
        assert_eq!(card_memory(u32::MAX), None);
    }

    #[test]
    fn more_memory_than_a_real_card_has_is_refused_in_cudas_own_words_and_the_card_goes_on() {
        let Ok(card) = Card::open(0) else { return };
        let failure = card.zeroed(1 << 50).err().unwrap().to_string();
        assert!(failure.contains("CUDA failure 2: out of memory") && failure.contains("cuda:0"), "{failure}");
        card.zeroed(1 << 20).map(drop).unwrap();
        card.settle().unwrap();
    }
}
