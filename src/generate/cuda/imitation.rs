//! An imitation of the CUDA runtime for tests of its use: two cards, whose memory is the host's. It refuses what CUDA need
//! not notice: memory of another card than the one that was named, and copies beyond its ends.
//!
//! # SAFETY
//! As those that they imitate, the functions are called with pointers that are good for what they are to do. Addresses of
//! cards are looked up among what was allocated before they are read or written.
#![allow(unsafe_code)]

use std::{
    cell::{Cell, RefCell},
    collections::BTreeMap,
    ffi::{c_char, c_int, c_void},
    ptr,
};

use super::api::{Api, SUCCESS};

const CARDS: c_int = 2;

/// What each card has.
const TOTAL: usize = 1 << 34;

const INVALID_VALUE: c_int = 1;
const OUT_OF_MEMORY: c_int = 2;
const INVALID_PITCH: c_int = 12;
const INVALID_DEVICE: c_int = 101;

thread_local! {
    /// The card that calls are for.
    static CHOSEN: Cell<c_int> = const { Cell::new(0) };
    /// The latest failure.
    static LATEST: Cell<c_int> = const { Cell::new(SUCCESS) };
    /// By address: card and bytes.
    static TAKEN: RefCell<BTreeMap<usize, (c_int, usize)>> = const { RefCell::new(BTreeMap::new()) };
}

/// The imitation.
pub(super) fn api() -> &'static Api {
    Box::leak(Box::new(Api {
        set_device,
        memory_info,
        allocate,
        free,
        set,
        copy,
        copy_rows,
        synchronize,
        device_count,
        bus_id,
        driver_version,
        error_text,
        last_error,
        library: None,
    }))
}

/// The failure that the next who asks would be told.
pub(super) fn latest() -> c_int {
    LATEST.get()
}

/// How many blocks this thread has taken and not freed.
pub(super) fn taken() -> usize {
    TAKEN.with_borrow(BTreeMap::len)
}

fn done(code: c_int) -> c_int {
    if code != SUCCESS {
        LATEST.set(code);
    }
    code
}

/// True of memory of the card that is named.
fn is_taken(address: *const c_void, bytes: usize) -> bool {
    TAKEN.with_borrow(|taken| {
        let before = taken.range(..=address.addr()).next_back();
        before.is_some_and(|(start, (card, length))| *card == CHOSEN.get() && address.addr() + bytes <= start + length)
    })
}

unsafe extern "C" fn set_device(device: c_int) -> c_int {
    if !(0..CARDS).contains(&device) {
        return done(INVALID_DEVICE);
    }
    CHOSEN.set(device);
    SUCCESS
}

unsafe extern "C" fn memory_info(free: *mut usize, total: *mut usize) -> c_int {
    let used = TAKEN.with_borrow(|taken| taken.values().map(|(_, bytes)| bytes).sum::<usize>());
    // SAFETY: as promised.
    unsafe { (*free, *total) = (TOTAL - used, TOTAL) };
    SUCCESS
}

unsafe extern "C" fn allocate(address: *mut *mut c_void, bytes: usize) -> c_int {
    if bytes > TOTAL {
        return done(OUT_OF_MEMORY);
    }
    let block = Box::into_raw(vec![0xcd_u8; bytes].into_boxed_slice()).cast::<c_void>();
    TAKEN.with_borrow_mut(|taken| taken.insert(block.addr(), (CHOSEN.get(), bytes)));
    // SAFETY: as promised.
    unsafe { *address = block };
    SUCCESS
}

unsafe extern "C" fn free(address: *mut c_void) -> c_int {
    match TAKEN.with_borrow_mut(|taken| taken.remove(&address.addr())) {
        Some((card, bytes)) if card == CHOSEN.get() => {
            // SAFETY: it was made so, and is nobody's any more.
            drop(unsafe { Box::from_raw(ptr::slice_from_raw_parts_mut(address.cast::<u8>(), bytes)) });
            SUCCESS
        }
        _ => done(INVALID_VALUE),
    }
}

unsafe extern "C" fn set(address: *mut c_void, value: c_int, bytes: usize) -> c_int {
    if !is_taken(address, bytes) {
        return done(INVALID_VALUE);
    }
    // SAFETY: it has just been looked up.
    unsafe { address.cast::<u8>().write_bytes(value as u8, bytes) };
    SUCCESS
}

unsafe extern "C" fn copy(to: *mut c_void, from: *const c_void, bytes: usize, kind: c_int) -> c_int {
    // SAFETY: as promised.
    unsafe { copy_rows(to, bytes, from, bytes, bytes, 1, kind) }
}

unsafe extern "C" fn copy_rows(
    to: *mut c_void,
    to_pitch: usize,
    from: *const c_void,
    from_pitch: usize,
    width: usize,
    height: usize,
    kind: c_int,
) -> c_int {
    let length = |pitch: usize| (height - 1) * pitch + width;
    let (to_card, from_card) = ([1, 3].contains(&kind), [2, 3].contains(&kind));
    if width > to_pitch.min(from_pitch) {
        return done(INVALID_PITCH);
    }
    if (to_card && !is_taken(to, length(to_pitch))) || (from_card && !is_taken(from, length(from_pitch))) {
        return done(INVALID_VALUE);
    }
    for row in 0..height {
        // SAFETY: what lies on a card has just been looked up, of the rest it is promised.
        unsafe {
            let (source, target) = (from.byte_add(row * from_pitch), to.byte_add(row * to_pitch));
            ptr::copy_nonoverlapping(source.cast::<u8>(), target.cast::<u8>(), width);
        }
    }
    SUCCESS
}

unsafe extern "C" fn synchronize(stream: *mut c_void) -> c_int {
    if stream.is_null() { SUCCESS } else { done(INVALID_VALUE) }
}

unsafe extern "C" fn device_count(count: *mut c_int) -> c_int {
    // SAFETY: as promised.
    unsafe { *count = CARDS };
    SUCCESS
}

unsafe extern "C" fn bus_id(text: *mut c_char, length: c_int, device: c_int) -> c_int {
    let told = format!("0000:{device:02x}:00.0\0");
    if told.len() > length as usize {
        return done(INVALID_VALUE);
    }
    // SAFETY: there is room.
    unsafe { ptr::copy_nonoverlapping(told.as_ptr().cast(), text, told.len()) };
    SUCCESS
}

unsafe extern "C" fn driver_version(version: *mut c_int) -> c_int {
    // SAFETY: as promised.
    unsafe { *version = 13020 };
    SUCCESS
}

unsafe extern "C" fn error_text(code: c_int) -> *const c_char {
    let text = match code {
        INVALID_VALUE => c"invalid argument",
        OUT_OF_MEMORY => c"out of memory",
        INVALID_PITCH => c"invalid pitch argument",
        INVALID_DEVICE => c"invalid device ordinal",
        _ => c"unrecognized error code",
    };
    text.as_ptr()
}

unsafe extern "C" fn last_error() -> c_int {
    LATEST.replace(SUCCESS)
}
