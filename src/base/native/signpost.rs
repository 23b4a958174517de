//! A shared library without code that shows TensorRT the way to its builders.
//!
//! While TensorRT builds an engine it opens a library for the card at hand by file name, such as
//! `libnvinfer_builder_resource_sm90.so.10.16.1`. That library calls itself
//! `do_not_link_against_nvinfer_builder_resource_sm90`, so to have loaded it before does not help: the loader does not know
//! it by the other name. And `libnvinfer.so.10` of NVIDIA's archives has no path of its own, so the loader looks in the system's
//! folders and in `LD_LIBRARY_PATH`, as that was when the process began.
//!
//! But the loader also walks the path (`DT_RPATH`) of whoever has brought a library in (ld.so(8)). So this one brings
//! `libnvinfer.so.10` in, and its path is the folder in which both lie. Only the builder that is asked for is then loaded: each
//! is hundreds of megabytes. Tried with glibc 2.36 and a library that opens another by such a name.

/// Its file and its name.
pub const NAME: &str = "liblapidary_tensorrt.so";

/// The folder in which the library itself lies, in the words of the loader.
const HERE: &str = "$ORIGIN";

// Sizes of the tables of a 64-bit ELF file, in bytes: System V ABI, chapters 4 and 5.
const HEADER: u64 = 64;
const SEGMENT: u64 = 56;
const SEGMENTS: u16 = 3;
const SYMBOL: u64 = 24;
const ENTRY: u64 = 16;

/// Hash table of one bucket and one symbol, which is none.
const HASHES: [u32; 4] = [1, 1, 0, 0];

/// The segment that is mapped, the one that tells the loader what to do, and the one that says that no stack runs code:
/// without it the loader would have to allow just that.
const LOAD: u32 = 1;
const DYNAMIC: u32 = 2;
const STACK: u32 = 0x6474_e551;

/// Readable and writable: older loaders write addresses into the table that tells them what to do.
const READ_WRITE: u32 = 6;

/// The library, for Linux on x86-64: it needs the one called `needed`, and looks for it beside itself.
pub fn library(needed: &str) -> Vec<u8> {
    let names = format!("\0{NAME}\0{needed}\0{HERE}\0");
    let own = 1;
    let other = own + NAME.len() as u64 + 1;
    let path = other + needed.len() as u64 + 1;

    let symbols = HEADER + u64::from(SEGMENTS) * SEGMENT;
    let hashes = symbols + SYMBOL;
    let texts = hashes + size_of_val(&HASHES) as u64;
    let table = (texts + names.len() as u64).next_multiple_of(8);
    // DT_NEEDED, DT_SONAME, DT_RPATH, DT_HASH, DT_STRTAB, DT_SYMTAB, DT_STRSZ, DT_SYMENT, DT_NULL.
    let entries = [
        [1, other],
        [14, own],
        [15, path],
        [4, hashes],
        [5, texts],
        [6, symbols],
        [10, names.len() as u64],
        [11, SYMBOL],
        [0, 0],
    ];
    let told = entries.len() as u64 * ENTRY;

    let mut file = header();
    file.extend(segment(LOAD, 0, table + told, 4096));
    file.extend(segment(DYNAMIC, table, told, 8));
    file.extend(segment(STACK, 0, 0, 16));
    file.extend([0; SYMBOL as usize]);
    file.extend(HASHES.iter().flat_map(|word| word.to_le_bytes()));
    file.extend(names.bytes());
    file.resize(table as usize, 0);
    file.extend(entries.as_flattened().iter().flat_map(|word| word.to_le_bytes()));
    file
}

/// 64 bits, lowest byte first, version 1; a shared library for x86-64 with its segments behind the header and no sections.
fn header() -> Vec<u8> {
    let mut header = b"\x7fELF\x02\x01\x01".to_vec();
    header.resize(16, 0);
    header.extend([3u16, 62].iter().flat_map(|word| word.to_le_bytes()));
    header.extend(1u32.to_le_bytes());
    header.extend([0, HEADER, 0].iter().flat_map(|word| word.to_le_bytes()));
    header.extend(0u32.to_le_bytes());
    let sizes = [HEADER as u16, SEGMENT as u16, SEGMENTS, 64, 0, 0];
    header.extend(sizes.iter().flat_map(|word| word.to_le_bytes()));
    header
}

/// A segment that lies in memory as it does in the file.
fn segment(kind: u32, at: u64, size: u64, align: u64) -> Vec<u8> {
    let first = [kind, READ_WRITE].into_iter().flat_map(u32::to_le_bytes);
    first.chain([at, at, at, size, size, align].into_iter().flat_map(u64::to_le_bytes)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tables_stand_where_the_header_says() {
        let file = library("libnvinfer.so.10");
        let long = |at: usize| u64::from_le_bytes(file[at..at + 8].try_into().unwrap()) as usize;
        let segment = |number: usize| 64 + 56 * number;
        assert_eq!((&file[..4], long(32)), (&b"\x7fELF"[..], 64));
        // The mapped segment is the whole file; the table is its end.
        assert_eq!((long(segment(0) + 8), long(segment(0) + 32)), (0, file.len()));
        let (table, told) = (long(segment(1) + 8), long(segment(1) + 32));
        assert_eq!(table + told, file.len());
        let entry =
            |kind: u64| (table..file.len()).step_by(16).find(|at| long(*at) as u64 == kind).map(|at| long(at + 8));
        let text = |at: usize| {
            let from = entry(5).unwrap() + at;
            String::from_utf8(file[from..].iter().copied().take_while(|byte| *byte != 0).collect()).unwrap()
        };
        let told = [1, 14, 15].map(|kind| text(entry(kind).unwrap()));
        assert_eq!(told, ["libnvinfer.so.10", NAME, "$ORIGIN"]);
        assert!(entry(29).is_none(), "a DT_RUNPATH would not be walked for others");
    }

    /// The loader takes it, finds what it needs beside it, and refuses where that is missing.
    #[cfg(all(target_os = "linux", target_arch = "x86_64"))]
    #[test]
    fn the_loader_finds_beside_it_what_it_needs() {
        let folder = tempfile::tempdir().unwrap();
        let (path, stone) = (folder.path().join(NAME), folder.path().join("liblapidary_stone.so.10"));
        std::fs::write(&path, library("liblapidary_stone.so.10")).unwrap();
        let run = || std::process::Command::new("true").env("LD_PRELOAD", &path).output().unwrap();
        let without = run();
        assert!(!without.status.success());
        assert!(String::from_utf8_lossy(&without.stderr).contains("liblapidary_stone.so.10"), "{without:?}");
        std::fs::write(&stone, library("libc.so.6")).unwrap();
        let with = run();
        assert!(with.status.success() && with.stderr.is_empty(), "{with:?}");
    }
}
