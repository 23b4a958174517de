//! Pictures of every format, with sizes and pixels known from the script that made them.

use std::fs;

use lapidary::{
    base::{FaultKind, Part, Raster, Unit},
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
    settings.limits.pages = 2;
    let pages = fault(picture::decode, &fixture("pictures/pages.tif"), &settings);
    assert_kind(&pages, FaultKind::TooLarge, "[decode.limits] pages");
}

#[test]
fn a_picture_cut_in_half_is_corrupt_in_every_format() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("half");
    for entry in fs::read_dir(fixture("pictures")).unwrap() {
        let whole = fs::read(entry.as_ref().unwrap().path()).unwrap();
        fs::write(&path, &whole[..whole.len() / 8]).unwrap();
        let fault = fault(picture::decode, &path, &Settings::default());
        assert_eq!(fault.kind, FaultKind::Corrupt, "{:?}: {}", entry.unwrap().file_name(), fault.message);
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
    assert_eq!(fault(picture::decode, &path, &Settings::default()).kind, FaultKind::Unsupported);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn damage_never_takes_the_decoder_down(
        which in 0_usize..9,
        cut in 0.0_f64..1.3,
        flips in prop::collection::vec((0.0_f64..1.0, 0_u8..8), 0..12),
    ) {
        const NAMES: [&str; 9] = ["cmyk.jpg", "grey-progressive.jpg", "diagram.png", "palette.png", "receipt.webp",
            "moving.gif", "gradient.bmp", "pages.tif", "pages-msb.tif"];
        let mut bytes = fs::read(fixture("pictures").join(NAMES[which])).unwrap();
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
