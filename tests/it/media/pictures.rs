//! Pictures of every format, with sizes and pixels known from the script that made them.

use std::fs;

use lapidary::{
    base::{Fault, FaultKind, Part, Raster, Unit},
    decode::{Gathered, Input, Settings, picture},
};
use proptest::prelude::*;

use super::{assert_kind, fault, fixture, gathered, input, order, units};

fn pictures(name: &str, settings: &Settings) -> Vec<Raster> {
    let picture = |unit| match unit {
        Unit::Image(raster) => raster,
        other => panic!("{name} became {other:?}"),
    };
    units(picture::decode, name, settings).into_iter().map(picture).collect()
}

fn picture(name: &str) -> Raster {
    let mut pictures = pictures(name, &Settings::default());
    assert_eq!(pictures.len(), 1, "{name}");
    pictures.remove(0)
}

fn pixel(raster: &Raster, x: u32, y: u32) -> [u8; 3] {
    let at = 3 * (y * raster.width + x) as usize;
    [raster.rgb[at], raster.rgb[at + 1], raster.rgb[at + 2]]
}

/// The gradient of the script: red grows to the right, green downwards, blue is their sum.
fn gradient() -> Raster {
    let rows = (0..48_u8).flat_map(|y| (0..64_u8).flat_map(move |x| [x * 4, y * 5, x + y]));
    Raster { width: 64, height: 48, rgb: rows.collect() }
}

fn mean_difference(a: &Raster, b: &Raster) -> f64 {
    assert_eq!((a.width, a.height), (b.width, b.height));
    let sum: f64 = a.rgb.iter().zip(&b.rgb).map(|(a, b)| f64::from(a.abs_diff(*b))).sum();
    sum / a.rgb.len() as f64
}

fn grey(raster: &Raster) -> Raster {
    let luma = |p: &[u8]| (0.299 * f64::from(p[0]) + 0.587 * f64::from(p[1]) + 0.114 * f64::from(p[2])).round() as u8;
    Raster { rgb: raster.rgb.chunks(3).flat_map(|p| [luma(p); 3]).collect(), ..*raster }
}

#[test]
fn a_bitmap_is_read_exactly() {
    assert!(picture("pictures/gradient.bmp") == gradient());
    assert!(picture("rare/gradient.ppm") == gradient());
    assert_eq!(pixel(&picture("rare/dots.pbm"), 0, 0), [0; 3]);
}

#[test]
fn a_palette_is_looked_up() {
    assert!(mean_difference(&picture("pictures/palette.png"), &gradient()) < 12.0);
}

#[test]
fn sixteen_bit_grey_is_rounded_to_eight() {
    let raster = picture("pictures/grey16.png");
    let expected = (0..64_u32 * 48).flat_map(|index| [((index * 21 + 128) / 257) as u8; 3]);
    assert!(raster.rgb.into_iter().eq(expected));
}

#[test]
fn what_is_transparent_shows_paper() {
    let raster = picture("pictures/diagram.png");
    assert_eq!((raster.width, raster.height), (400, 300));
    assert_eq!(pixel(&raster, 0, 0), [255, 255, 255], "nothing there");
    assert_eq!(pixel(&raster, 25, 25), [200, 30, 30], "opaque");
    assert_eq!(pixel(&raster, 245, 25), [142, 142, 227], "half transparent");
}

#[test]
fn what_ffmpeg_alone_reads_is_read() {
    for (name, most) in [("gradient.jp2", 0.0), ("gradient.jxl", 0.0), ("gradient.avif", 3.0)] {
        let difference = mean_difference(&picture(&format!("rare/{name}")), &gradient());
        assert!(difference <= most, "{name}: {difference}");
    }
}

/// Four tiles of 256 pixels and two of their margins, which lie turned, beside a map of brightness and a thumbnail.
#[test]
fn a_picture_of_a_telephone_is_put_together_and_upright() {
    let picture = picture("pictures/telephone.heic");
    assert_eq!((picture.width, picture.height), (600, 900));
    let difference = mean_difference(&picture, &self::picture("pictures/receipt.jpg"));
    assert!(difference < 6.0, "{difference}");
}

#[test]
fn a_picture_that_takes_ffmpeg_waits_for_a_child_that_has_one() {
    let (order, mut out) = (order(&Settings::default()), Gathered::default());
    assert_eq!(picture::decode_alone(&input("pictures/telephone.heic"), &order, &mut out), Ok(false));
    assert!(out.promised.is_empty());
    assert_eq!(picture::decode_alone(&input("pictures/gradient.bmp"), &order, &mut out), Ok(true));
    assert_eq!(out.units().count(), 1);
}

#[test]
fn pictures_that_take_ffmpeg_heed_the_limit() {
    let mut settings = Settings::default();
    settings.limits.pixels = 64 * 48 - 1;
    for name in ["pictures/telephone.heic", "rare/gradient.jp2", "rare/gradient.jxl", "rare/gradient.avif"] {
        let fault = fault(picture::decode, &fixture(name), &settings);
        assert_kind(&fault, FaultKind::TooLarge, "[decode.limits] pixels");
        assert!(fault.limit.is_some(), "{name}");
    }
}

/// Values that Pillow reads.
#[test]
fn palettes_and_narrow_greys_of_tiffs_are_looked_up() {
    for (name, values) in [
        ("palette-4", [[30, 30, 13], [94, 95, 42], [186, 210, 88]]),
        ("palette-8", [[6, 7, 3], [118, 105, 50], [246, 230, 107]]),
        ("grey-4", [[0; 3], [85; 3], [221; 3]]),
    ] {
        let picture = picture(&format!("rare/{name}.tif"));
        let read = [(0, 0), (30, 20), (63, 47)].map(|(x, y)| pixel(&picture, x, y));
        assert_eq!(read, values, "{name}");
    }
}

#[test]
fn colours_under_jpeg_in_a_tiff_are_read() {
    let difference = mean_difference(&picture("rare/jpeg.tif"), &gradient());
    assert!(difference < 1.0, "{difference}");
}

#[test]
fn a_fax_of_half_resolution_is_stretched() {
    let fax = picture("rare/fax.tif");
    assert_eq!((fax.width, fax.height), (240, 160));
    assert_eq!([pixel(&fax, 2, 2), pixel(&fax, 2, 15), pixel(&fax, 2, 30)], [[0; 3], [0; 3], [255; 3]]);
}

#[test]
fn faxes_of_all_groups_are_alike() {
    let fax = picture("rare/fax.tif");
    for name in ["fax-group3", "fax-group3-2d", "fax-runs"] {
        let other = picture(&format!("rare/{name}.tif"));
        assert_eq!((other.width, other.height), (fax.width, fax.height), "{name}");
        assert!(other.rgb == fax.rgb, "{name}");
    }
}

#[test]
fn a_fax_of_which_half_is_lost_is_damaged() {
    for name in ["fax-group3", "fax-group3-2d", "fax-runs"] {
        let mut bytes = fs::read(fixture(&format!("rare/{name}.tif"))).unwrap();
        let directory = u32::from_le_bytes(bytes[4..8].try_into().unwrap()) as usize;
        bytes[8 + (directory - 8) / 2..directory].fill(0);
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), &bytes).unwrap();
        let fault = fault(picture::decode, file.path(), &Settings::default());
        assert_kind(&fault, FaultKind::Corrupt, "viewer");
        assert!(fault.message.contains("of the 77 lines of the fax"), "{name}: {}", fault.message);
    }
}

#[test]
fn a_photograph_is_turned_upright() {
    let raster = picture("pictures/receipt.jpg");
    assert_eq!((raster.width, raster.height), (600, 900));
    let webp = picture("pictures/receipt.webp");
    assert_eq!((webp.width, webp.height), (300, 450));
    let half = |x: u32, y: u32| pixel(&raster, 2 * x, 2 * y).map(i32::from);
    for (x, y) in [(10, 10), (150, 30), (290, 440), (150, 400), (20, 440)] {
        let near = half(x, y).iter().zip(pixel(&webp, x, y)).all(|(a, b)| (a - i32::from(b)).abs() < 24);
        assert!(near, "({x}, {y}): {:?} against {:?}", half(x, y), pixel(&webp, x, y));
    }
}

#[test]
fn ink_and_grey_jpegs_are_read() {
    assert!(mean_difference(&picture("pictures/cmyk.jpg"), &gradient()) < 6.0);
    assert!(mean_difference(&picture("pictures/grey-progressive.jpg"), &grey(&gradient())) < 2.0);
}

#[test]
fn of_a_moving_gif_the_first_picture_counts() {
    let raster = picture("pictures/moving.gif");
    assert_eq!((raster.width, raster.height), (160, 120));
    assert_eq!(pixel(&raster, 5, 5), [255, 0, 0]);
}

#[test]
fn a_tiff_has_a_unit_for_each_page_in_both_byte_orders() {
    for name in ["pictures/pages.tif", "pictures/pages-msb.tif"] {
        let pages = pictures(name, &Settings::default());
        let sizes: Vec<_> = pages.iter().map(|page| (page.width, page.height)).collect();
        assert_eq!(sizes, [(200, 120), (240, 160), (120, 200)], "{name}");
        let corners: Vec<_> = pages.iter().map(|page| pixel(page, 5, 5)).collect();
        assert_eq!(corners, [[250, 10, 20], [0, 0, 0], [9, 9, 9]], "{name}");
        assert!(pages.iter().all(|page| pixel(page, page.width - 1, page.height - 1) == [255, 255, 255]), "{name}");
    }
}

#[test]
fn only_the_wanted_pages_of_a_tiff_come() {
    let settings = Settings { pages: "3,1".to_owned(), ..Settings::default() };
    let out = gathered(picture::decode, "pictures/pages.tif", &settings);
    assert_eq!(out.promised, [Part::Page { number: 1, of: 3 }, Part::Page { number: 3, of: 3 }]);
    let mut limited = Gathered { limit: Some(1), ..Gathered::default() };
    picture::decode(&input("pictures/pages.tif"), &order(&Settings::default()), &mut limited).unwrap();
    assert_eq!(limited.settled.len(), 1);
}

#[test]
fn pages_behind_a_broken_chain_are_named_and_those_before_come_through() {
    let mut bytes = fs::read(fixture("pictures/pages.tif")).unwrap();
    let number = |bytes: &[u8], at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap()) as usize;
    let next = |bytes: &[u8], at: usize| at + 2 + 12 * usize::from(u16::from_le_bytes([bytes[at], bytes[at + 1]]));
    let second = number(&bytes, next(&bytes, number(&bytes, 4)));
    let end = next(&bytes, second);
    bytes[end..end + 4].copy_from_slice(&0xffff_fff0_u32.to_le_bytes());
    let file = tempfile::NamedTempFile::new().unwrap();
    fs::write(file.path(), &bytes).unwrap();
    let decoded = |pages: &str| {
        let (settings, mut out) = (Settings { pages: pages.to_owned(), ..Settings::default() }, Gathered::default());
        picture::decode(&Input::open(file.path()).unwrap(), &order(&settings), &mut out).map(|()| out.settled)
    };
    let settled = decoded("").unwrap();
    let [(first, Ok(_)), (_, Ok(_)), (lost, Err(fault))] = &settled[..] else { panic!("{settled:?}") };
    assert_eq!((*first, *lost), (Part::Page { number: 1, of: 3 }, Part::Page { number: 3, of: 3 }));
    assert_kind(fault, FaultKind::Corrupt, "leads out of the file after page 2");
    assert_eq!(decoded("1-2").unwrap().len(), 2, "what is not wanted is not missed");
    assert_kind(&decoded("7-").unwrap_err(), FaultKind::Corrupt, "leads out of the file after page 2");
}

/// What becomes of the first unit of a file with these bytes.
fn first_of(bytes: &[u8]) -> Result<Raster, Fault> {
    let (file, mut out) = (tempfile::NamedTempFile::new().unwrap(), Gathered::default());
    fs::write(file.path(), bytes).unwrap();
    picture::decode(&Input::open(file.path()).unwrap(), &order(&Settings::default()), &mut out)?;
    match out.settled.remove(0).1? {
        Unit::Image(raster) => Ok(raster),
        other => panic!("{other:?}"),
    }
}

/// A little-endian TIFF of one strip, which lies at 8, and of these tags.
fn tiff(tags: &[(u16, u32)], strip: &[u8]) -> Vec<u8> {
    let mut bytes = b"II*\0".to_vec();
    bytes.extend((8 + strip.len() as u32).to_le_bytes());
    bytes.extend(strip);
    bytes.extend((tags.len() as u16).to_le_bytes());
    for (tag, value) in tags {
        bytes.extend([tag.to_le_bytes(), 4_u16.to_le_bytes()].concat());
        bytes.extend([1_u32.to_le_bytes(), value.to_le_bytes()].concat());
    }
    bytes.extend([0; 4]);
    bytes
}

/// The same as a BigTIFF, whose strip lies at 16.
fn big_tiff(tags: &[(u16, u32)], strip: &[u8]) -> Vec<u8> {
    let mut bytes = b"II+\0\x08\0\0\0".to_vec();
    bytes.extend((16 + strip.len() as u64).to_le_bytes());
    bytes.extend(strip);
    bytes.extend((tags.len() as u64).to_le_bytes());
    for (tag, value) in tags {
        bytes.extend([tag.to_le_bytes(), 4_u16.to_le_bytes()].concat());
        bytes.extend([1_u64.to_le_bytes(), u64::from(*value).to_le_bytes()].concat());
    }
    bytes.extend([0; 8]);
    bytes
}

#[test]
fn a_tiff_whose_bits_lie_the_other_way_round_shows_the_same() {
    let shown = |side: u32, compression: u32, order: u32, strip: &[u8]| {
        let length = strip.len() as u32;
        let size: [(u16, u32); 6] = [(256, side), (257, side), (258, 1), (259, compression), (262, 0), (266, order)];
        first_of(&tiff(&[&size[..], &[(273, 8), (277, 1), (278, side), (279, length)]].concat(), strip)).unwrap()
    };
    let group_4: Vec<u8> = [&[0x35_u8, 0x03, 0x57][..], &[0xff; 23], &[0xe0, 0x02, 0x00, 0x20]].concat();
    let plain: [u8; 8] = [0x0f, 0x35, 0x01, 0x80, 0xff, 0x00, 0xaa, 0x13];
    for (side, compression, strip) in [(64, 4, &group_4[..]), (8, 1, &plain[..])] {
        let mirrored: Vec<u8> = strip.iter().map(|byte| byte.reverse_bits()).collect();
        let raster = shown(side, compression, 1, strip);
        assert!(raster == shown(side, compression, 2, &mirrored), "compression {compression}");
        assert_ne!(pixel(&raster, 1, 0), pixel(&raster, side / 2, 0), "compression {compression} is not blank");
    }
}

#[test]
fn a_big_tiff_is_a_tiff() {
    let tags = [(256, 2), (257, 1), (258, 8), (259, 1), (262, 2), (273, 16), (277, 3), (278, 1), (279, 6)];
    assert_eq!(first_of(&big_tiff(&tags, &[10, 20, 30, 40, 50, 60])).unwrap().rgb, [10, 20, 30, 40, 50, 60]);
}

#[test]
fn a_fourth_channel_that_nobody_filled_hides_nothing() {
    let tags = [(256, 1), (257, 1), (258, 8), (259, 1), (262, 2), (273, 8), (277, 4), (278, 1), (279, 4)];
    assert_eq!(first_of(&tiff(&tags, &[10, 20, 30, 0])).unwrap().rgb, [10, 20, 30]);
    let bitmap = |alphas: [u8; 2]| {
        let header = [108, 2, 1, (32 << 16) | 1, 3, 8, 0, 0, 0, 0, 0xff_0000, 0xff00, 0xff, 0xff00_0000_u32];
        let mut bytes = b"BM\x82\0\0\0\0\0\0\0\x7a\0\0\0".to_vec();
        bytes.extend(header.iter().flat_map(|number| number.to_le_bytes()));
        bytes.extend([0; 52]);
        bytes.extend(alphas.iter().flat_map(|alpha| [30, 20, 10, *alpha]));
        first_of(&bytes).unwrap().rgb
    };
    assert_eq!(bitmap([0, 0]), [10, 20, 30, 10, 20, 30]);
    assert_eq!(bitmap([0, 255]), [255, 255, 255, 10, 20, 30], "one that is filled is transparency");
}

#[test]
fn pixels_of_a_tiff_that_are_not_read_are_named_with_a_way_out() {
    let tags = [(256, 1), (257, 1), (258, 8), (259, 1), (262, 8), (273, 8), (277, 3), (278, 1), (279, 3)];
    let fault = first_of(&tiff(&tags, &[76, 85, 255])).unwrap_err();
    assert_kind(&fault, FaultKind::Unsupported, "`tiff2rgba IN OUT`");
}

#[test]
fn a_tiff_without_the_wanted_pages_is_empty() {
    let settings = Settings { pages: "4-".to_owned(), ..Settings::default() };
    let nothing = fault(picture::decode, &fixture("pictures/pages.tif"), &settings);
    assert_kind(&nothing, FaultKind::Empty, "it has 3 pages, and `pages = \"4-\"` is none of them");
}

#[test]
fn a_bomb_is_refused_before_it_is_decoded() {
    let fault = fault(picture::decode, &fixture("broken/png-bomb.png"), &Settings::default());
    assert_kind(&fault, FaultKind::TooLarge, "[decode.limits] pixels");
    assert_kind(&fault, FaultKind::TooLarge, "60000 x 60000");
}

#[test]
fn pictures_over_a_limit_name_it() {
    let mut settings = Settings::default();
    settings.limits.pixels = 64 * 48 - 1;
    let pixels = fault(picture::decode, &fixture("pictures/gradient.bmp"), &settings);
    assert_kind(&pixels, FaultKind::TooLarge, "[decode.limits] pixels");
    for name in ["rare/palette-4.tif", "rare/jpeg.tif"] {
        let fault = fault(picture::decode, &fixture(name), &settings);
        assert_kind(&fault, FaultKind::TooLarge, "[decode.limits] pixels");
        assert!(fault.limit.is_some(), "{name}");
    }
    settings.limits.pages = 2;
    let pages = fault(picture::decode, &fixture("pictures/pages.tif"), &settings);
    assert_kind(&pages, FaultKind::TooLarge, "[decode.limits] pages");
}

#[test]
fn a_picture_cut_in_half_is_corrupt_in_every_format() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("half");
    let entries = ["pictures", "rare"].map(|folder| fs::read_dir(fixture(folder)).unwrap());
    let films = ["avi", "mpg"].map(Some);
    for entry in entries.into_iter().flatten() {
        let entry = entry.unwrap();
        if films.contains(&entry.path().extension().and_then(|ending| ending.to_str())) {
            continue;
        }
        let whole = fs::read(entry.path()).unwrap();
        fs::write(&path, &whole[..whole.len() / 8]).unwrap();
        let fault = fault(picture::decode, &path, &Settings::default());
        assert_eq!(fault.kind, FaultKind::Corrupt, "{:?}: {}", entry.file_name(), fault.message);
    }
    let fault = fault(picture::decode, &fixture("broken/truncated.jpg"), &Settings::default());
    assert_kind(&fault, FaultKind::Corrupt, "ends");
}

#[test]
fn no_picture_at_all_has_its_own_faults() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("picture.png");
    assert_eq!(fault(picture::decode, &path, &Settings::default()).kind, FaultKind::Unreadable);
    fs::write(&path, b"").unwrap();
    assert_eq!(fault(picture::decode, &path, &Settings::default()).kind, FaultKind::Empty);
    fs::write(&path, b"\0\0\0\x20ftypheic").unwrap();
    assert_eq!(fault(picture::decode, &path, &Settings::default()).kind, FaultKind::Corrupt);
    fs::write(&path, b"8BPS\0\x01\0\0\0\0\0\0\0\x03").unwrap();
    assert_eq!(fault(picture::decode, &path, &Settings::default()).kind, FaultKind::Unsupported);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn damage_never_takes_the_decoder_down(
        which in 0_usize..17,
        cut in 0.0_f64..1.3,
        flips in prop::collection::vec((0.0_f64..1.0, 0_u8..8), 0..12),
    ) {
        const NAMES: [&str; 17] = ["pictures/cmyk.jpg", "pictures/grey-progressive.jpg", "pictures/diagram.png",
            "pictures/palette.png", "pictures/receipt.webp", "pictures/moving.gif", "pictures/gradient.bmp",
            "pictures/pages.tif", "pictures/pages-msb.tif", "rare/gradient.ppm", "rare/palette-4.tif",
            "rare/palette-8.tif", "rare/jpeg.tif", "rare/fax.tif", "rare/fax-group3.tif", "rare/fax-group3-2d.tif",
            "rare/fax-runs.tif"];
        let mut bytes = fs::read(fixture(NAMES[which])).unwrap();
        for (place, bit) in flips {
            let at = (place * bytes.len() as f64) as usize;
            bytes[at] ^= 1 << bit;
        }
        bytes.truncate((cut * bytes.len() as f64) as usize);
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), &bytes).unwrap();
        let mut settings = Settings::default();
        settings.limits.pixels = 1 << 20;
        let mut out = Gathered::default();
        let _ = picture::decode(&Input::open(file.path()).unwrap(), &order(&settings), &mut out);
        for unit in out.units() {
            let Unit::Image(raster) = unit else { panic!("{unit:?}") };
            prop_assert_eq!(raster.rgb.len(), 3 * raster.width as usize * raster.height as usize);
        }
    }
}
