//! What a file is, told by its first bytes, whatever its name says.

use std::path::Path;

use crate::base::{Kind, picture};

/// Bytes of a file's beginning that are looked at.
pub const HEAD: usize = 1 << 16;

/// What the content turned out to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Content {
    /// A kind that we read.
    Known(Kind),
    /// An MP4 or QuickTime container: sound or film, as its tracks say.
    Container,
    /// A format that we know by name but do not read.
    Foreign(&'static str),
    /// No format that we know.
    Unknown,
}

/// Looks at the beginning of a file (`HEAD` bytes, or all of it when it is shorter).
pub fn recognise(head: &[u8]) -> Content {
    if is_pdf(head) {
        return Content::Known(Kind::Pdf);
    }
    if picture::takes_ffmpeg(head) || is_netpbm(head) {
        return Content::Known(Kind::Image);
    }
    if is_text(head) {
        return Content::Known(Kind::Text);
    }
    if head.get(4..8) == Some(b"ftyp") {
        return Content::Container;
    }
    binary(head)
}

/// The kind that the extension of a name promises.
pub fn promised(path: &Path) -> Option<Kind> {
    let extension = path.extension()?.to_str()?.to_ascii_lowercase();
    Some(match extension.as_str() {
        "pdf" => Kind::Pdf,
        "jpg" | "jpeg" | "png" | "webp" | "tif" | "tiff" | "gif" | "bmp" | "pnm" | "pbm" | "pgm" | "ppm" => Kind::Image,
        "heic" | "heif" | "hif" | "avif" | "jp2" | "j2k" | "jpx" | "jpf" | "jxl" => Kind::Image,
        "wav" | "mp3" | "m4a" | "aac" | "flac" | "ogg" | "oga" | "opus" => Kind::Audio,
        "mp4" | "mov" | "mkv" | "webm" | "avi" | "m4v" => Kind::Video,
        "txt" | "md" | "markdown" => Kind::Text,
        _ => return None,
    })
}

/// A PDF may have other bytes before its header (most readers allow 1024), but a text that only speaks of it is none.
fn is_pdf(head: &[u8]) -> bool {
    const HEADER: &[u8] = b"%PDF-";
    let start = head.strip_prefix(b"\xef\xbb\xbf").unwrap_or(head).trim_ascii_start();
    let near = &head[..head.len().min(1024)];
    start.starts_with(HEADER) || (!is_text(head) && near.windows(HEADER.len()).any(|window| window == HEADER))
}

/// UTF-8, or UTF-16 with a byte order mark, without control characters that no text has.
fn is_text(head: &[u8]) -> bool {
    match head {
        [] => false,
        [0xff, 0xfe, rest @ ..] => is_utf16(rest, u16::from_le_bytes),
        [0xfe, 0xff, rest @ ..] => is_utf16(rest, u16::from_be_bytes),
        _ => is_utf8(head),
    }
}

fn is_utf8(head: &[u8]) -> bool {
    let valid = match std::str::from_utf8(head) {
        Ok(text) => text,
        // The head may end inside a character.
        Err(error) if error.error_len().is_none() && head.len() == HEAD => {
            std::str::from_utf8(&head[..error.valid_up_to()]).unwrap_or_default()
        }
        Err(_) => return false,
    };
    !valid.chars().any(is_stray_control)
}

fn is_utf16(bytes: &[u8], unit: fn([u8; 2]) -> u16) -> bool {
    let pairs = bytes.chunks_exact(2).filter_map(|pair| pair.try_into().ok().map(unit));
    let whole = bytes.len().is_multiple_of(2) && !bytes.is_empty();
    let last = bytes.len() / 2;
    let mut decoded = char::decode_utf16(pairs).enumerate();
    whole && decoded.all(|(index, c)| c.map_or(index + 1 >= last, |c| !is_stray_control(c)))
}

fn is_stray_control(c: char) -> bool {
    c.is_ascii_control() && !matches!(c, '\t' | '\n' | '\r' | '\x0c' | '\x1b')
}

fn binary(head: &[u8]) -> Content {
    if is_mpeg_audio(head) || is_plain_sound(head) || is_ac3(head) {
        return Content::Known(Kind::Audio);
    }
    if is_tiff(head) {
        return Content::Known(Kind::Image);
    }
    let Some(format) = infer::get(head) else { return Content::Unknown };
    match (format.mime_type(), format.matcher_type()) {
        ("video/x-matroska" | "video/webm", _) => Content::Known(matroska(head)),
        ("audio/ogg", _) if holds(head, b"theora") => Content::Known(Kind::Video),
        ("video/quicktime", _) => Content::Container,
        (_, infer::MatcherType::Image) => Content::Known(Kind::Image),
        (_, infer::MatcherType::Audio) => Content::Known(Kind::Audio),
        (_, infer::MatcherType::Video) => Content::Known(Kind::Video),
        (name, _) => Content::Foreign(name),
    }
}

/// Netpbm's formats: a number of magic, then width and height (pbm(5), pgm(5), ppm(5)). A list of points may begin so too, so a
/// text must say the number alone on its line.
fn is_netpbm(head: &[u8]) -> bool {
    let [b'P', b'1'..=b'6', end, rest @ ..] = head else { return false };
    let lines = rest.split(|byte| *byte == b'\n').map(|line| line.split(|byte| *byte == b'#').next().unwrap_or(line));
    let words = lines.flat_map(|line| line.split(u8::is_ascii_whitespace)).filter(|word| !word.is_empty());
    let sizes = words.take(2).filter(|word| word.len() < 10 && word.iter().all(u8::is_ascii_digit)).count();
    sizes == 2 && (*end == b'\n' || (end.is_ascii_whitespace() && !is_text(head)))
}

/// `infer` wants certain bytes behind the first directory's place, where a TIFF may have anything (TIFF 6.0, section 2), and
/// knows no BigTIFF.
fn is_tiff(head: &[u8]) -> bool {
    matches!(head.get(..4), Some(b"II*\0" | b"MM\0*" | b"II+\0" | b"MM\0+"))
}

/// Matroska names its codecs `V_...` and `A_...` near the beginning.
fn matroska(head: &[u8]) -> Kind {
    let named = |sort: &[u8]| (0..head.len()).any(|place| is_codec(&head[place..], sort));
    if named(b"A_") && !named(b"V_") { Kind::Audio } else { Kind::Video }
}

/// True where a name that begins so stands in an element `CodecID` (RFC 9559, section 5.1.4.1): two letters alone are soon
/// found in packed sound.
fn is_codec(element: &[u8], sort: &[u8]) -> bool {
    const CODEC_ID: u8 = 0x86;
    let [CODEC_ID, length @ 0x80..=0xff, rest @ ..] = element else { return false };
    let name = rest.get(..usize::from(length & 0x7f)).unwrap_or_default();
    name.starts_with(sort) && name.iter().all(u8::is_ascii_graphic)
}

fn holds(head: &[u8], needle: &[u8]) -> bool {
    head.windows(needle.len()).any(|window| window == needle)
}

/// The header of an MPEG audio frame with no reserved field, in any layer: `infer` knows only some of them.
fn is_mpeg_audio(head: &[u8]) -> bool {
    let [0xff, second, third, _, ..] = head else { return false };
    let sync = second & 0xe0 == 0xe0;
    let (version, layer) = ((second >> 3) & 3, (second >> 1) & 3);
    let (bit_rate, sample_rate) = (third >> 4, (third >> 2) & 3);
    sync && version != 1 && layer != 0 && bit_rate != 15 && bit_rate != 0 && sample_rate != 3
}

/// Containers of sound that `infer` does not know: RF64 (EBU 3306), Wave64, CAF and AU.
fn is_plain_sound(head: &[u8]) -> bool {
    const WAVE64: &[u8] = b"riff\x2e\x91\xcf\x11\xa5\xd6\x28\xdb\x04\xc1\0\0";
    let starts = |sign: &[u8]| head.starts_with(sign);
    (starts(b"RF64") && head.get(8..12) == Some(b"WAVE"))
        || starts(WAVE64)
        || starts(b"caff\0\x01")
        || starts(b".snd\0\0")
}

/// Two frames of AC-3, one behind the other (ATSC A/52, sections 5.4.1 and table 5.18).
fn is_ac3(head: &[u8]) -> bool {
    const SYNC: &[u8] = &[0x0b, 0x77];
    const KILOBITS: [usize; 19] =
        [32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384, 448, 512, 576, 640];
    let [0x0b, 0x77, _, _, code, ..] = head else { return false };
    let Some(rate) = KILOBITS.get(usize::from(code & 0x3f) / 2) else { return false };
    let words = match code >> 6 {
        0 => rate * 2,
        1 => rate * 320 / 147 + usize::from(code & 1),
        2 => rate * 3,
        _ => return false,
    };
    head.get(words * 2..).is_some_and(|rest| rest.starts_with(SYNC))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn assert_all(heads: &[&[u8]], kind: Kind) {
        for head in heads {
            assert_eq!(recognise(head), Content::Known(kind), "{}", head.escape_ascii());
        }
    }

    #[test]
    fn kinds_are_told_by_content() {
        let known = |kind| Content::Known(kind);
        let cases: [(&[u8], Content); 16] = [
            (b"%PDF-1.7\n", known(Kind::Pdf)),
            (b"\xef\xbb\xbf\n%PDF-1.4", known(Kind::Pdf)),
            (b"\x00\x01junk\xff%PDF-1.4\n\xe2\xe3", known(Kind::Pdf)),
            (b"a text about %PDF-1.7", known(Kind::Text)),
            (b"BM is how bitmaps begin", known(Kind::Text)),
            ("Grüße".as_bytes(), known(Kind::Text)),
            (b"\xff\xfeH\x00i\x00", known(Kind::Text)),
            (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", known(Kind::Image)),
            (b"II*\0\x08\0\0\0\x43\0\0\x01\x03\0", known(Kind::Image)),
            (b"II*\0\x90\x52\0\0\xff\x52\xff\xff\xff\xff", known(Kind::Image)),
            (b"MM\0*\0\0\x52\x43\x43\x52\x01\0\0\x03", known(Kind::Image)),
            (b"MM\0*\0\0\0\x08", known(Kind::Image)),
            (b"RIFF\0\0\0\0WAVEfmt ", known(Kind::Audio)),
            (b"\xff\xfb\x90\x64\0\0", known(Kind::Audio)),
            (b"\0\0\0\x20ftypisom\0\0", Content::Container),
            (b"PK\x03\x04\x14\0\0\0", Content::Foreign("application/zip")),
        ];
        for (head, content) in cases {
            assert_eq!(recognise(head), content, "{}", head.escape_ascii());
        }
        assert_eq!(recognise(&[0x13, 0x99, 0x00, 0xfe, 0x42]), Content::Unknown);
    }

    #[test]
    fn sound_that_has_no_common_name_is_known() {
        let heads: [&[u8]; 4] = [
            b"RF64\xff\xff\xff\xffWAVEds64",
            b"riff\x2e\x91\xcf\x11\xa5\xd6\x28\xdb\x04\xc1\0\0\xe0\x32\x02\0",
            b"caff\0\x01\0\0desc\0\0\0\0",
            b".snd\0\0\0\x20\0\x02\x32\x74",
        ];
        assert_all(&heads, Kind::Audio);
        // 192 kbit/s at 48 kHz: 768 bytes a frame.
        let mut frames = vec![0; 1000];
        frames[..5].copy_from_slice(&[0x0b, 0x77, 0x12, 0x34, 0x14]);
        assert_eq!(recognise(&frames), Content::Unknown, "one frame alone may be chance");
        frames[768..770].copy_from_slice(&[0x0b, 0x77]);
        assert_eq!(recognise(&frames), Content::Known(Kind::Audio));
    }

    #[test]
    fn matroska_is_sound_unless_pictures_are_named() {
        let codec = |name: &str| [&[0x86, 0x80 | name.len() as u8][..], name.as_bytes()].concat();
        let kind = |parts: &[&[u8]]| matroska(&parts.concat());
        let (sound, pictures) = (codec("A_OPUS"), codec("V_MPEG4/ISO/AVC"));
        assert_eq!(kind(&[b"\x1a\x45", &sound, b"more"]), Kind::Audio);
        assert_eq!(kind(&[&sound, b"\xd7\x81\x02", &pictures]), Kind::Video);
        assert_eq!(kind(&[&sound, b"\x13V_\x86\x85V_\0\0\0\x86\x02V_\x86\xffV_"]), Kind::Audio, "packed sound");
        assert_eq!(kind(&[b"nothing is named"]), Kind::Video);
    }

    #[test]
    fn big_tiffs_are_pictures_in_both_byte_orders() {
        assert_all(&[b"II+\0\x08\0\0\0\x10\0\0\0\0\0\0\0", b"MM\0+\0\x08\0\0\0\0\0\0\0\0\0\x10"], Kind::Image);
    }

    #[test]
    fn bitmaps_of_netpbm_are_pictures_and_lists_of_points_are_texts() {
        let pictures: [&[u8]; 5] = [
            b"P6\n# made by a scanner\n640 480\n255\n\x01\xff",
            b"P4\n8 1\n\xaa",
            b"P5 2 1 255 \x80\xff",
            b"P3\n1 1\n255\n10 20 30\n",
            b"P6\n#\n1\n# high\n1\n255\nabc",
        ];
        assert_all(&pictures, Kind::Image);
        assert_all(&[b"P1 10 20\nP2 30 40\n", b"P5\nfive players\n", b"P6", b"P9\n1 1\n"], Kind::Text);
    }

    #[test]
    fn pictures_of_telephones_are_no_films() {
        assert_eq!(recognise(b"\0\0\0\x18ftypheic\0\0\0\0"), Content::Known(Kind::Image));
        assert_eq!(recognise(b"\0\0\0\x18ftyphevc\0\0\0\0"), Content::Container, "a burst of them");
        assert_eq!(recognise(b"\xff\x0a\xfa\x1f\x41\x91"), Content::Known(Kind::Image));
        for name in ["a.HEIC", "b.jp2", "c.jxl", "d.pgm"] {
            assert_eq!(promised(Path::new(name)), Some(Kind::Image), "{name}");
        }
    }

    #[test]
    fn a_text_cut_inside_a_character_is_still_text() {
        let mut head = vec![b'a'; HEAD - 1];
        head.push(0xc3);
        assert_eq!(recognise(&head), Content::Known(Kind::Text));
    }
}
