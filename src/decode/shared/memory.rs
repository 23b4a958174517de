//! The memory itself. The parent makes it, gives it its size for good, and only ever reads it as a file: what a hostile child does
//! to it meanwhile changes bytes, which are not believed anyway. The child maps it.
//!
//! # Safety
//! The unsafe calls map the memory and make a slice of it. The slice is as long as the file, whose size [`SharedMemory::new`] has
//! sealed, so no access goes beyond its end; the mapping lives as long as [`Mapping`], which owns it and lends it mutably, and no
//! other mapping of it is made in this process. The parent has none at all.
#![allow(unsafe_code)]

use std::{
    fs::File,
    io::{self, Read},
};

use rustix::{
    fs::{MemfdFlags, SealFlags, fcntl_add_seals, ftruncate, memfd_create},
    io::pread,
    mm::{MapFlags, ProtFlags, mmap, munmap},
};

use super::BYTES;

/// The parent's side.
#[derive(Debug)]
pub struct SharedMemory(File);

/// The child's side.
pub struct Mapping {
    first: *mut u8,
}

/// What lies in the memory, from its beginning.
struct Reader<'a> {
    file: &'a File,
    at: u64,
}

impl SharedMemory {
    /// Pages of memory are taken only as they are filled.
    ///
    /// # Errors
    /// Where the system has no such memory.
    pub fn new() -> io::Result<Self> {
        let file = memfd_create("units", MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING)?;
        ftruncate(&file, BYTES as u64)?;
        fcntl_add_seals(&file, SealFlags::SHRINK | SealFlags::GROW | SealFlags::SEAL)?;
        Ok(Self(file.into()))
    }

    /// What goes to the child.
    pub fn file(&self) -> &File {
        &self.0
    }

    /// What lies in it.
    pub fn reader(&self) -> impl Read + '_ {
        Reader { file: &self.0, at: 0 }
    }
}

impl Read for Reader<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = pread(self.file, buffer, self.at)?;
        self.at += count as u64;
        Ok(count)
    }
}

impl Mapping {
    /// That which a parent has handed over.
    ///
    /// # Errors
    /// When it cannot be mapped.
    pub fn of(file: &File) -> io::Result<Self> {
        if file.metadata()?.len() != BYTES as u64 {
            return Err(io::Error::other("the shared memory is not as large as it should be"));
        }
        let (anywhere, access) = (std::ptr::null_mut(), ProtFlags::READ | ProtFlags::WRITE);
        // SAFETY: the system chooses a free place, and the file is as long as the mapping; see the head of this file.
        let first = unsafe { mmap(anywhere, BYTES, access, MapFlags::SHARED, file, 0)? };
        Ok(Self { first: first.cast() })
    }

    /// All of it.
    pub fn bytes(&mut self) -> &mut [u8] {
        // SAFETY: the mapping is so long, and is lent mutably; see the head of this file.
        unsafe { std::slice::from_raw_parts_mut(self.first, BYTES) }
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: the mapping is ours, and nothing borrows from it any more.
        let _ = unsafe { munmap(self.first.cast(), BYTES) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_child_lays_down_is_what_the_parent_reads() {
        let shared = SharedMemory::new().unwrap();
        let mut mapping = Mapping::of(shared.file()).unwrap();
        mapping.bytes().fill(1);
        mapping.bytes()[..3].copy_from_slice(b"new");
        let mut all = Vec::new();
        shared.reader().read_to_end(&mut all).unwrap();
        assert!(all.len() == BYTES && all.starts_with(b"new") && all[3..].iter().all(|byte| *byte == 1));
    }

    #[test]
    fn its_size_is_for_good() {
        let shared = SharedMemory::new().unwrap();
        assert!(shared.file().set_len(1).is_err());
        assert!(shared.file().set_len(1 << 30).is_err());
        assert!(Mapping::of(&tempfile::tempfile().unwrap()).is_err());
    }
}
