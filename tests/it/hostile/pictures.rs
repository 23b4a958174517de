//! Pictures of absurd sizes, with lies in their headers, and bombs.

use lapidary::base::FaultKind::{Corrupt, Empty, TooLarge, UnknownKind, Unsupported};

use super::{
    case::Family,
    damage::{cut, flipped, overlaid, patched},
    pdf::{deflated, deflated_zeros},
    read,
};

/// How a broken picture may fail.
const BROKEN: &[lapidary::base::FaultKind] = &[Corrupt, Unsupported, Empty];

pub fn families() -> Vec<Family> {
    vec![pngs(), jpegs(), tiffs(), others(), damaged()]
}

/// One chunk with its checksum.
fn chunk(kind: &[u8; 4], body: &[u8]) -> Vec<u8> {
    let mut checksum = flate2::Crc::new();
    checksum.update(kind);
    checksum.update(body);
    [&(body.len() as u32).to_be_bytes()[..], kind, body, &checksum.sum().to_be_bytes()].concat()
}

/// A PNG of 8-bit grey with these chunks between header and end.
pub fn png(width: u32, height: u32, chunks: &[Vec<u8>]) -> Vec<u8> {
    with_header(&[&width.to_be_bytes()[..], &height.to_be_bytes(), &[8, 0, 0, 0, 0]].concat(), chunks)
}

fn with_header(header: &[u8], chunks: &[Vec<u8>]) -> Vec<u8> {
    [&b"\x89PNG\r\n\x1a\n"[..], &chunk(b"IHDR", header), &chunks.concat(), &chunk(b"IEND", b"")].concat()
}

/// The pixels of a black picture.
pub fn black(width: usize, height: usize) -> Vec<u8> {
    chunk(b"IDAT", &deflated_zeros((width + 1) * height))
}

fn pngs() -> Family {
    let mut family = Family::new("png");
    let small = black(8, 8);
    family.fails("too-wide.png", png(60_000, 60_000, std::slice::from_ref(&small)), &[TooLarge]);
    family.fails(
        "as-wide-as-can-be.png",
        png(0x7fff_ffff, 0x7fff_ffff, std::slice::from_ref(&small)),
        &[TooLarge, Corrupt],
    );
    family.fails(
        "of-negative-size.png",
        png(0xffff_ffff, 0x8000_0000, std::slice::from_ref(&small)),
        &[TooLarge, Corrupt],
    );
    family.fails("of-no-width.png", png(0, 8, std::slice::from_ref(&small)), BROKEN);
    family.rows("one-pixel-high.png", png(100_000, 1, &[black(100_000, 1)]));
    family.either("no-pixels.png", png(8, 8, &[]), BROKEN);
    family.either("pixels-of-another.png", png(800, 800, std::slice::from_ref(&small)), BROKEN);
    family.either("more-pixels-than-said.png", png(1, 1, &[black(8000, 8000)]), BROKEN);
    family.fails("pixels-garbage.png", png(8, 8, &[chunk(b"IDAT", &[0x5a; 99])]), BROKEN);
    family.fails("end-alone.png", with_header(&[], &[]), BROKEN);
    let depth = |depth: u8, colour: u8, interlaced: u8| {
        with_header(&[0, 0, 0, 8, 0, 0, 0, 8, depth, colour, 0, 0, interlaced], std::slice::from_ref(&small))
    };
    family.fails("depth-of-three.png", depth(3, 0, 0), BROKEN);
    family.fails("colour-of-nine.png", depth(8, 9, 0), BROKEN);
    family.fails("interlaced-somehow.png", depth(8, 0, 7), BROKEN);
    family.fails("palette-missing.png", depth(8, 3, 0), BROKEN);
    let text = chunk(b"zTXt", &[&b"note\0\0"[..], &deflated_zeros(64 << 20)].concat());
    family.rows("text-bomb.png", png(8, 8, &[text, small.clone()]));
    let profile = chunk(b"iCCP", &[&b"profile\0\0"[..], &deflated_zeros(64 << 20)].concat());
    family.rows("profile-bomb.png", png(8, 8, &[profile, small.clone()]));
    let long = [&0xffff_fff0_u32.to_be_bytes()[..], b"tEXt", b"short"].concat();
    family.fails("chunk-without-end.png", png(8, 8, &[long]), BROKEN);
    let whole = png(8, 8, std::slice::from_ref(&small));
    family.either("header-checksum-wrong.png", overlaid(&whole, 29, &[1, 2, 3, 4]), BROKEN);
    family.either("pixel-checksum-wrong.png", overlaid(&whole, whole.len() - 16, &[1, 2, 3, 4]), BROKEN);
    let moving = chunk(b"acTL", &[&u32::MAX.to_be_bytes()[..], &u32::MAX.to_be_bytes()].concat());
    family.either("moving-without-end.png", png(8, 8, &[moving, small]), BROKEN);
    family
}

fn jpegs() -> Family {
    let mut family = Family::new("jpeg");
    let whole = read("pictures/cmyk.jpg");
    let frame = whole.windows(2).position(|marker| marker == [0xff, 0xc0]).unwrap();
    let sized =
        |height: u16, width: u16| overlaid(&whole, frame + 5, &[height.to_be_bytes(), width.to_be_bytes()].concat());
    family.fails("too-wide.jpg", sized(65_535, 65_535), &[TooLarge]);
    family.fails("of-no-size.jpg", sized(0, 0), BROKEN);
    family.either("height-said-later.jpg", sized(0, 64), BROKEN);
    family.either("larger-than-it-is.jpg", sized(4000, 4000), BROKEN);
    family.either("of-255-colours.jpg", overlaid(&whole, frame + 9, &[255]), BROKEN);
    family.either("of-nine-bits.jpg", overlaid(&whole, frame + 4, &[9]), BROKEN);
    family.fails("start-alone.jpg", vec![0xff, 0xd8, 0xff], BROKEN);
    family.fails("start-and-end.jpg", vec![0xff, 0xd8, 0xff, 0xd9], BROKEN);
    family.fails("segment-of-no-length.jpg", [0xff, 0xd8, 0xff, 0xe0, 0, 0, 0xff, 0xd9].repeat(50), BROKEN);
    family.fails("fill-without-end.jpg", [vec![0xff, 0xd8], vec![0xff; 200_000]].concat(), BROKEN);
    let tables = [0xff, 0xc4, 0, 19, 0, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255];
    family.fails("tables-overfull.jpg", [&whole[..2], &tables, &whole[2..]].concat(), BROKEN);
    let exif = |body: &[u8]| {
        let length = (body.len() as u16 + 8).to_be_bytes();
        [&[0xff, 0xd8, 0xff, 0xe1][..], &length, b"Exif\0\0", body, &whole[2..]].concat()
    };
    // A directory whose successor is itself, and one whose only entry is a directory that is itself.
    family.rows("exif-next-is-itself.jpg", exif(b"II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x06\0\0\0\x08\0\0\0"));
    family.rows("exif-in-itself.jpg", exif(b"II*\0\x08\0\0\0\x01\0\x69\x87\x04\0\x01\0\0\0\x08\0\0\0\0\0\0\0"));
    family.rows("exif-turned-somehow.jpg", exif(b"II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x63\0\0\0\0\0\0\0"));
    family.rows("exif-beyond.jpg", exif(b"II*\0\xff\xff\xff\x7f"));
    family.rows("exif-of-many.jpg", exif(b"MM\0*\0\0\0\x08\xff\xff\x01\x12\0\x03\xff\xff\xff\xff\xff\xff\xff\xff"));
    let progressive = read("pictures/grey-progressive.jpg");
    let scan = progressive.windows(2).rposition(|marker| marker == [0xff, 0xda]).unwrap();
    let last = &progressive[scan..progressive.len() - 2];
    let scans = [&progressive[..progressive.len() - 2], &last.repeat(3000), &[0xff, 0xd9]].concat();
    family.either("three-thousand-scans.jpg", scans, BROKEN);
    family
}

/// A little-endian TIFF of one directory of `(tag, type, count, value)`, whose successor is `next`.
fn tiff(entries: &[(u16, u16, u32, u32)], next: u32) -> Vec<u8> {
    let mut bytes = b"II*\0\x08\0\0\0".to_vec();
    bytes.extend((entries.len() as u16).to_le_bytes());
    for (tag, kind, count, value) in entries {
        bytes.extend([tag.to_le_bytes(), kind.to_le_bytes()].concat());
        bytes.extend([count.to_le_bytes(), value.to_le_bytes()].concat());
    }
    bytes.extend(next.to_le_bytes());
    bytes.extend([0x77; 64]);
    bytes
}

/// The entries of an 8 x 8 picture of 8-bit grey whose one strip is the 64 bytes behind its directory, with changes.
fn grey(changes: &[(u16, u32)]) -> Vec<(u16, u16, u32, u32)> {
    const FIELDS: [(u16, u32); 9] =
        [(256, 8), (257, 8), (258, 8), (259, 1), (262, 1), (273, 122), (277, 1), (278, 8), (279, 64)];
    let changed = |tag: u16| changes.iter().find(|(changed, _)| *changed == tag).map(|(_, value)| *value);
    FIELDS.iter().map(|&(tag, value)| (tag, 4, 1, changed(tag).unwrap_or(value))).collect()
}

fn tiffs() -> Family {
    let mut family = Family::new("tiff");
    let changed = |changes: &[(u16, u32)]| tiff(&grey(changes), 0);
    family.rows("as-it-should-be.tif", changed(&[]));
    family.fails("next-is-itself.tif", tiff(&grey(&[]), 8), BROKEN);
    family.both("next-is-beyond.tif", tiff(&grey(&[]), 0xffff_fff0), &[Corrupt]);
    family.fails("first-is-beyond.tif", [&b"II*\0\xf0\xff\xff\xff"[..], &[0; 64]].concat(), &[UnknownKind, Corrupt]);
    family.fails("no-directory.tif", [&b"II*\0"[..], &[0; 64]].concat(), &[UnknownKind, Corrupt]);
    family.fails("half-a-header.tif", b"MM\0*\0\0".to_vec(), &[Corrupt]);
    family.fails("too-wide.tif", changed(&[(256, 60_000), (257, 60_000)]), &[TooLarge, Corrupt]);
    family.fails("as-wide-as-can-be.tif", changed(&[(256, u32::MAX), (257, u32::MAX)]), &[TooLarge, Corrupt]);
    family.fails("of-no-size.tif", changed(&[(256, 0)]), BROKEN);
    family.fails("pixels-beyond.tif", changed(&[(273, 0xffff_ff00)]), BROKEN);
    family.either("strip-of-no-rows.tif", changed(&[(278, 0)]), BROKEN);
    family.either("strip-without-end.tif", changed(&[(279, u32::MAX)]), &[Corrupt, Unsupported, TooLarge]);
    family.fails("of-255-bits.tif", changed(&[(258, 255)]), BROKEN);
    family.fails("of-65535-colours.tif", changed(&[(277, 65_535)]), &[Corrupt, Unsupported, TooLarge]);
    family.fails("packed-somehow.tif", changed(&[(259, 31_337)]), BROKEN);
    family.fails("pixels-garbage.tif", changed(&[(259, 5)]), BROKEN);
    family.fails(
        "sample-of-many.tif",
        tiff(&[(256, 4, u32::MAX, 8), (257, 4, u32::MAX, 8), (273, 4, u32::MAX, 8)], 0),
        &[Corrupt, TooLarge],
    );
    let many = [&b"II+\0\x08\0\0\0\x10\0\0\0\0\0\0\0"[..], &[0xff; 8]].concat();
    family.fails("directory-of-all-entries.tif", many, &[UnknownKind, Corrupt]);
    let tiles: Vec<_> =
        grey(&[]).into_iter().chain([(322, 4, 1, 0), (323, 4, 1, 0), (324, 4, 1, 8), (325, 4, 1, 9)]).collect();
    family.either("tiles-of-no-size.tif", tiff(&tiles, 0), BROKEN);
    family
}

fn others() -> Family {
    let mut family = Family::new("other-pictures");
    let (bitmap, gif, webp) =
        (read("pictures/gradient.bmp"), read("pictures/moving.gif"), read("pictures/receipt.webp"));
    let sized = |width: i32, height: i32| overlaid(&bitmap, 18, &[width.to_le_bytes(), height.to_le_bytes()].concat());
    family.fails("too-wide.bmp", sized(60_000, 60_000), &[TooLarge]);
    family.fails("of-negative-width.bmp", sized(-64, 48), BROKEN);
    family.either("downwards-without-end.bmp", sized(64, i32::MIN), &[Corrupt, TooLarge, Unsupported]);
    family.either("larger-than-it-is.bmp", sized(4000, 4000), BROKEN);
    family.either("pixels-beyond.bmp", overlaid(&bitmap, 10, &[0xff; 4]), BROKEN);
    family.fails("header-of-any-length.bmp", overlaid(&bitmap, 14, &[0xff; 4]), BROKEN);
    family.fails("of-77-bits.bmp", overlaid(&bitmap, 28, &[77, 0]), BROKEN);
    family.either("packed-somehow.bmp", overlaid(&bitmap, 30, &[9, 0, 0, 0]), BROKEN);
    family.either("colours-without-end.bmp", overlaid(&overlaid(&bitmap, 28, &[8, 0]), 46, &[0xff; 4]), BROKEN);
    family.fails("too-wide.gif", overlaid(&gif, 6, &[0xff; 4]), &[TooLarge]);
    family.fails("no-frames.gif", b"GIF89a\x08\0\x08\0\0\0\0;".to_vec(), BROKEN);
    family.either(
        "frame-beside-the-screen.gif",
        b"GIF89a\x08\0\x08\0\0\0\0,\xff\xff\xff\xff\xff\xff\xff\xff\0\x02\x02L\x01\0;".to_vec(),
        &[Corrupt, TooLarge, Unsupported],
    );
    family.either(
        "codes-of-twelve-bits.gif",
        b"GIF89a\x08\0\x08\0\x80\0\0\0\0\0\xff\xff\xff,\0\0\0\0\x08\0\x08\0\0\x0c\x02L\x01\0;".to_vec(),
        BROKEN,
    );
    family.either("length-of-nothing.webp", overlaid(&webp, 4, &[0; 4]), BROKEN);
    family.either("length-without-end.webp", overlaid(&webp, 4, &[0xff; 4]), BROKEN);
    family.fails(
        "canvas-alone.webp",
        b"RIFF\x16\0\0\0WEBPVP8X\x0a\0\0\0\x02\0\0\0\xff\xff\xff\xff\xff\xff".to_vec(),
        &[Corrupt, TooLarge, Unsupported],
    );
    family.fails("lossless-too-wide.webp", b"RIFF\x11\0\0\0WEBPVP8L\x05\0\0\0\x2f\xff\xff\xff\x0f\0".to_vec(), BROKEN);
    family.fails("a-new-format.heic", b"\0\0\0\x18ftypheic\0\0\0\0mif1heic".to_vec(), BROKEN);
    family.fails("layers.psd", b"8BPS\0\x01\0\0\0\0\0\0\0\x03\0\0\x75\x30\0\0\x75\x30\0\x08\0\x03".to_vec(), BROKEN);
    family.fails("sign.ico", [&b"\0\0\x01\0\x01\0"[..], &[0xff; 16]].concat(), BROKEN);
    family
}

fn damaged() -> Family {
    let mut family = Family::new("damaged-pictures");
    for name in ["cmyk.jpg", "diagram.png", "palette.png", "receipt.webp", "moving.gif", "gradient.bmp", "pages.tif"] {
        let bytes = read(&format!("pictures/{name}"));
        family.fails(&format!("cut-{name}"), cut(&bytes, 1, 9), BROKEN);
        for seed in 1..3 {
            let bytes = flipped(&bytes, 12, 9, seed);
            family.either(&format!("flipped-{seed}-{name}"), bytes, &[Corrupt, Unsupported, Empty, TooLarge]);
        }
    }
    let comment = [&[0x21, 0xfe][..], &[&[255][..], &[b'x'; 255]].concat().repeat(4000), &[0]].concat();
    let gif = read("pictures/moving.gif");
    family.rows("a-million-of-comment.gif", [&gif[..gif.len() - 1], &comment, b";"].concat());
    let zipped = patched(&png(8, 8, &[black(8, 8)]), b"IEND", b"IDAT");
    family.fails("never-ends.png", [zipped, deflated(b"more")].concat(), BROKEN);
    family
}
