//! Pictures that ffmpeg alone reads, told by their first bytes.

/// Bytes that tell.
pub const HEAD: usize = 12;

/// Major brands of still pictures in HEIF, where AVIF belongs too (ISO/IEC 23008-12, annex B; AV1 Image File Format, section 6).
/// Those of moving ones are left to films.
const STILL: [&[u8]; 8] = [b"heic", b"heix", b"heim", b"heis", b"mif1", b"mif2", b"miaf", b"avif"];

/// JPEG 2000 as a file, and as a bare codestream (ITU-T T.800, sections I.5.1 and A.4); JPEG XL likewise (ISO/IEC 18181-2,
/// section 5, and 18181-1, annex D).
const SIGNATURES: [&[u8]; 4] =
    [b"\0\0\0\x0cjP  \r\n\x87\n", b"\xff\x4f\xff\x51", b"\0\0\0\x0cJXL \r\n\x87\n", b"\xff\x0a"];

/// True for HEIF, AVIF, JPEG 2000 and JPEG XL.
pub fn takes_ffmpeg(head: &[u8]) -> bool {
    is_heif(head) || SIGNATURES.iter().any(|signature| head.starts_with(signature))
}

/// True for a still picture in HEIF, as telephones write it.
pub fn is_heif(head: &[u8]) -> bool {
    head.get(4..8) == Some(b"ftyp") && head.get(8..12).is_some_and(|brand| STILL.contains(&brand))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn still_pictures_are_told_from_films_and_from_what_is_read_without() {
        for head in [
            b"\0\0\0\x18ftypheic",
            b"\0\0\0\x1cftypavif",
            b"\0\0\0\x0cjP  \r\n\x87\n",
            b"\xff\x0a\x30\x54\x04\xc0\x88\x06\x20\x10\x03\x00",
        ] {
            assert!(takes_ffmpeg(head), "{}", head.escape_ascii());
        }
        for head in [
            b"\0\0\0\x20ftypisom",
            b"\0\0\0\x18ftyphevc",
            b"\x89PNG\r\n\x1a\n\0\0\0\r",
            b"\xff\xd8\xff\xe0\0\x10JFIF\0\x01",
        ] {
            assert!(!takes_ffmpeg(head), "{}", head.escape_ascii());
        }
        assert!(!takes_ffmpeg(b"") && !is_heif(b"\0\0\0\x18ftyp"));
    }
}
