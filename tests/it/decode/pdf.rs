//! PDF through the real child.

use lapidary::{
    base::{
        Budget, ByteBudget, FaultKind, Kind, Part, Stage, Stop, TextLayer, Unit, Word,
        grid::Grid,
        ladder::{Rung, Rungs},
        visual::for_print,
    },
    decode::{Decoder, Limits, Render, Settings},
};

use super::{Emitted, RENDER, decode, decoder, fixture, item, lane};
use crate::hostile::pdf::Pdf;

fn pdf(name: &str) -> Emitted {
    decode(&Settings::default(), name, Kind::Pdf).unwrap()
}

fn fault(settings: &Settings, name: &str) -> FaultKind {
    let fault = decode(settings, name, Kind::Pdf).err().unwrap();
    assert!(!fault.message.is_empty() && !fault.hint.is_empty(), "{fault:?}");
    fault.kind
}

fn layer(emitted: &Emitted, index: usize) -> &TextLayer {
    emitted.page(index).text.as_ref().unwrap()
}

fn word<'a>(layer: &'a TextLayer, text: &str) -> &'a Word {
    layer.words.iter().find(|word| word.text == text).unwrap_or_else(|| panic!("no `{text}` in {layer:?}"))
}

/// Mean red, green and blue of a box given in fractions of the page.
fn colour(emitted: &Emitted, index: usize, [left, top, right, bottom]: [f32; 4]) -> [f32; 3] {
    let raster = &emitted.page(index).raster;
    let at = |fraction: f32, side: u32| (fraction * side as f32) as usize;
    let (mut sum, mut count) = ([0.0; 3], 0.0);
    for y in at(top, raster.height)..at(bottom, raster.height) {
        for x in at(left, raster.width)..at(right, raster.width) {
            let pixel = &raster.rgb[3 * (y * raster.width as usize + x)..][..3];
            sum.iter_mut().zip(pixel).for_each(|(sum, value)| *sum += f32::from(*value));
            count += 1.0;
        }
    }
    sum.map(|sum| sum / count)
}

#[test]
fn pages_have_exactly_the_size_that_the_budget_asks_for() {
    let emitted = pdf("documents/invoice.pdf");
    assert_eq!((emitted.promised, emitted.pages()), (2, vec![1, 2]));
    let grid = Grid::fit(59528, 84189, RENDER.page_budget.most()).unwrap();
    let raster = &emitted.page(0).raster;
    assert_eq!((raster.width, raster.height), (grid.width, grid.height));
    assert_eq!(raster.rgb.len(), (3 * grid.width * grid.height) as usize);
}

#[test]
fn the_text_layer_comes_along_with_boxes_where_the_ink_is() {
    let emitted = pdf("documents/invoice.pdf");
    let layer = layer(&emitted, 0);
    assert!(layer.text.contains("Granat & Sons, Lapidary Supplies"), "{}", layer.text);
    assert!(layer.text.contains("Diamond file set"), "{}", layer.text);
    let title = word(layer, "2026-0417").bounds;
    let [left, top, right, bottom] = title;
    assert!(0.0 < left && left < right && right < 0.5 && 0.2 < top && top < bottom && bottom < 0.35, "{title:?}");
    let (ink, paper) = (colour(&emitted, 0, title), colour(&emitted, 0, [0.6, 0.9, 0.7, 0.95]));
    assert!(ink[0] < 200.0 && paper[0] > 254.0, "{ink:?} {paper:?}");
}

#[test]
fn a_text_layer_that_is_not_wanted_stays_behind() {
    let settings = Settings { text_layer: false, ..Settings::default() };
    let emitted = decode(&settings, "documents/invoice.pdf", Kind::Pdf).unwrap();
    assert_eq!(emitted.page(0).text, None);
}

#[test]
fn colours_are_red_green_blue() {
    let emitted = pdf("documents/rotated.pdf");
    let [red, green, blue] = colour(&emitted, 0, [0.06, 0.026, 0.13, 0.038]);
    assert!(red > 250.0 && green < 5.0 && blue < 5.0, "{red} {green} {blue}");
}

#[test]
fn rotation_is_honoured_in_pixels_and_boxes() {
    let emitted = pdf("documents/rotated.pdf");
    for (index, rotation) in ["0", "90", "180", "270"].into_iter().enumerate() {
        let raster = &emitted.page(index).raster;
        assert_eq!(raster.width > raster.height, index % 2 == 1, "{rotation}");
        let [left, top, right, bottom] = word(layer(&emitted, index), "corner").bounds;
        assert!(left < 0.12 && right < 0.25 && top < 0.1 && bottom < 0.11, "{rotation}: {left} {top} {right} {bottom}");
        let ink = colour(&emitted, index, [left, top, right, bottom]);
        assert!(ink[0] < 220.0, "{rotation}: {ink:?}");
    }
}

#[test]
fn a_scan_has_no_text_layer() {
    let emitted = pdf("documents/scanned.pdf");
    assert_eq!(emitted.page(0).text, None);
    assert!(colour(&emitted, 0, [0.0, 0.0, 1.0, 1.0])[0] < 250.0);
}

#[test]
fn filled_form_fields_are_drawn() {
    let emitted = pdf("documents/form.pdf");
    let field = [45.0 / 297.0, 1.0 - 186.0 / 210.0, 75.0 / 297.0, 1.0 - 176.0 / 210.0];
    let ink = colour(&emitted, 0, field);
    assert!(ink.iter().any(|channel| *channel < 250.0), "{ink:?}");
}

#[test]
fn page_ranges_choose_pages() {
    let settings = Settings { pages: "2-".to_owned(), ..Settings::default() };
    let emitted = decode(&settings, "documents/invoice.pdf", Kind::Pdf).unwrap();
    assert_eq!((emitted.promised, emitted.pages()), (1, vec![2]));
    assert_eq!(emitted.units[0].0, Part::Page { number: 2, of: 2 });
    assert_eq!(
        fault(&Settings { pages: "9".to_owned(), ..Settings::default() }, "documents/invoice.pdf"),
        FaultKind::Empty
    );
}

#[test]
fn passwords_are_tried_in_turn() {
    let with = |passwords: &[&str]| Settings {
        passwords: passwords.iter().map(|password| (*password).to_owned()).collect(),
        ..Settings::default()
    };
    assert_eq!(fault(&with(&[]), "documents/encrypted.pdf"), FaultKind::Encrypted);
    assert_eq!(fault(&with(&["wrong"]), "documents/encrypted.pdf"), FaultKind::Encrypted);
    let emitted = decode(&with(&["wrong", "garnet"]), "documents/encrypted.pdf", Kind::Pdf).unwrap();
    assert_eq!(emitted.pages(), [1, 2]);
}

#[test]
fn damaged_documents_say_what_is_wrong() {
    let settings = Settings::default();
    assert_eq!(fault(&settings, "broken/truncated.pdf"), FaultKind::Corrupt);
    assert_eq!(fault(&settings, "broken/zero-pages.pdf"), FaultKind::Empty);
    assert_eq!(fault(&settings, "broken/text-named.pdf"), FaultKind::Corrupt);
}

#[test]
fn a_page_that_fails_does_not_take_its_document_with_it() {
    let emitted = pdf("broken/one-bad-page.pdf");
    assert!(emitted.balances());
    assert_eq!((emitted.promised, emitted.pages()), (3, vec![1, 3]));
    let (part, fault) = &emitted.faults[0];
    assert_eq!((*part, fault.kind), (Part::Page { number: 2, of: 3 }, FaultKind::Corrupt));
}

#[test]
fn what_is_too_large_names_the_setting() {
    let limited = |limits: Limits| Settings { limits, ..Settings::default() };
    let cases = [
        (limited(Limits { pages: 1, ..Limits::default() }), "pages"),
        (limited(Limits { bytes: 1000, ..Limits::default() }), "bytes"),
    ];
    for (settings, name) in cases {
        let fault = decode(&settings, "documents/invoice.pdf", Kind::Pdf).err().unwrap();
        assert_eq!(fault.kind, FaultKind::TooLarge);
        assert!(fault.hint.contains(&format!("`[decode.limits] {name}`")), "{fault:?}");
    }
    let emitted = pdf("broken/huge-page.pdf");
    assert_eq!(emitted.faults[0].1.kind, FaultKind::TooLarge);
    assert!(emitted.faults[0].1.hint.contains("pixels"), "{:?}", emitted.faults);
}

#[test]
fn a_limit_on_units_is_kept_across_documents() {
    let mut decoder = decoder(&Settings::default());
    let mut emitted = Emitted { most: Some(3), ..Emitted::default() };
    for _ in 0..2 {
        decoder.process(item(&fixture("documents/invoice.pdf"), Kind::Pdf), &mut emitted).unwrap();
    }
    assert_eq!((emitted.promised, emitted.pages()), (3, vec![1, 2, 1]));
    assert!(emitted.balances());
}

#[test]
fn a_child_serves_many_documents_and_is_then_replaced() {
    let mut decoder = decoder(&Settings { recycle_after: 2, ..Settings::default() });
    let mut ids = Vec::new();
    for _ in 0..4 {
        decoder.process(item(&fixture("documents/receipt.pdf"), Kind::Pdf), &mut Emitted::default()).unwrap();
        ids.push(decoder.child_id());
    }
    assert!(ids[0].is_some() && ids[1].is_none() && ids[2].is_some() && ids[3].is_none(), "{ids:?}");
    assert_ne!(ids[0], ids[2]);
}

/// One page at the largest budget fits the memory that a child shares, four do not.
#[test]
fn pages_that_are_shown_together_cross_whole_however_large_they_are() {
    let units = |pages_per_unit| {
        let settings = Settings { pages_per_unit, ..Settings::default() };
        let mut emitted = Emitted::default();
        let render = Render { page_budget: Budget::Tokens(1120), ..RENDER };
        lane(&settings, render).process(item(&fixture("documents/rotated.pdf"), Kind::Pdf), &mut emitted).unwrap();
        emitted.units.into_iter().map(|(_, unit)| unit).collect::<Vec<_>>()
    };
    let alone = units(1);
    assert_eq!(alone.len(), 4);
    assert!(units(4) == [Unit::Pages(alone)], "four pages together are the four pages");
}

#[test]
fn leases_are_taken_page_by_page_and_given_back() {
    let budget = ByteBudget::new(1);
    let mut decoder = Decoder::new(&Settings::default(), RENDER, budget.clone(), Stop::default())
        .with_program(env!("CARGO_BIN_EXE_lapidary"));
    let mut emitted = Emitted::default();
    decoder.process(item(&fixture("documents/invoice.pdf"), Kind::Pdf), &mut emitted).unwrap();
    assert_eq!((emitted.units.len(), budget.in_use()), (2, 0));
}

#[test]
fn texts_are_one_unit() {
    let emitted = decode(&Settings::default(), "broken/text-named.pdf", Kind::Text).unwrap();
    assert_eq!((emitted.promised, emitted.units[0].0), (1, Part::Whole));
    let settings = Settings { limits: Limits { text_bytes: 10, ..Limits::default() }, ..Settings::default() };
    let fault = decode(&settings, "broken/text-named.pdf", Kind::Text).err().unwrap();
    assert_eq!(fault.kind, FaultKind::TooLarge);
}

#[test]
fn a_child_says_beforehand_whether_it_can_read_pdfs() {
    decoder(&Settings::default()).probe().unwrap();
}

/// The reference is made by `fixtures/make_pdf_reference.py`. Another build of PDFium may round a pixel differently,
/// so one in a thousand may be off; the text may not.
#[test]
fn pages_are_those_that_pypdfium2_draws() {
    for name in ["invoice", "receipt"] {
        let picture = image::open(fixture(&format!("decode/{name}_b70.png"))).unwrap().to_rgb8();
        let mut emitted = Emitted::default();
        let render = lapidary::decode::Render { page_budget: 70.into(), frame_budget: 70 };
        Decoder::new(&Settings::default(), render, ByteBudget::new(1 << 30), Stop::default())
            .with_program(env!("CARGO_BIN_EXE_lapidary"))
            .process(item(&fixture(&format!("documents/{name}.pdf")), Kind::Pdf), &mut emitted)
            .unwrap();
        let raster = &emitted.page(0).raster;
        assert_eq!((raster.width, raster.height), picture.dimensions(), "{name}");
        let off = raster.rgb.iter().zip(picture.as_raw()).filter(|(ours, theirs)| ours.abs_diff(**theirs) > 2).count();
        assert!(off * 1000 <= raster.rgb.len(), "{name}: {off} values differ");
        let text = std::fs::read_to_string(fixture(&format!("decode/{name}.txt"))).unwrap();
        assert_eq!(layer(&emitted, 0).text, text, "{name}");
    }
}

/// A page as one of the rungs of a ladder shows it.
fn again(rungs: &Rungs, attempt: u8, number: u32) -> Emitted {
    let mut wanted = item(&fixture("documents/invoice.pdf"), Kind::Pdf);
    wanted.attempt = attempt;
    wanted.origin.part = Part::Page { number, of: 2 };
    let mut emitted = Emitted::default();
    decoder(&Settings::default()).with_rungs(rungs.clone()).process(wanted, &mut emitted).unwrap();
    emitted
}

#[test]
fn a_page_that_is_tried_again_comes_alone_as_its_rung_shows_it() {
    let rung = |budget, rotate| Rung { budget, rotate, ..Rung::default() };
    let tiles = Rung { tiles: Some(2), ..Rung::default() };
    let rungs = Rungs::new(vec![rung(Some(560), None), rung(None, Some(90)), tiles]);
    let plain = pdf("documents/invoice.pdf");
    let finer = again(&rungs, 1, 2);
    assert_eq!((finer.promised, finer.pages(), finer.units.len()), (0, vec![2], 1));
    assert!(finer.page(0).raster.rgb.len() > plain.page(1).raster.rgb.len());
    let turned = again(&rungs, 2, 2);
    assert_eq!(turned.page(0).raster, plain.page(1).raster.clone().turned(90));
    assert_eq!(turned.page(0).text, plain.page(1).text, "the text layer keeps its places");
    let (large, plain) = (again(&rungs, 3, 2), &plain.page(1).raster);
    let large = &large.page(0).raster;
    assert_eq!((large.width, large.height), (2 * plain.width, 2 * plain.height));
    assert!(again(&rungs, 1, 7).units.is_empty(), "there is no such page");
}

/// Pages drawn for the budget that each needs.
fn drawn_by_need(name: &str) -> Emitted {
    let render = lapidary::decode::Render { page_budget: Budget::Auto, frame_budget: 70 };
    let mut decoder = Decoder::new(&Settings::default(), render, ByteBudget::new(1 << 30), Stop::default())
        .with_program(env!("CARGO_BIN_EXE_lapidary"));
    let mut emitted = Emitted::default();
    decoder.process(item(&fixture(name), Kind::Pdf), &mut emitted).unwrap();
    emitted
}

#[test]
fn a_page_gets_the_budget_that_its_print_needs() {
    let invoice = drawn_by_need("documents/invoice.pdf");
    let (page, layer) = (invoice.page(0), layer(&invoice, 0));
    let chosen = for_print(layer, 59528, 84189);
    assert!((280..=1120).contains(&chosen), "{chosen} for print of ordinary size");
    let grid = Grid::fit(59528, 84189, chosen).unwrap();
    assert_eq!((page.raster.width, page.raster.height), (grid.width, grid.height));
    let scan = drawn_by_need("documents/scanned.pdf");
    let raster = &scan.page(0).raster;
    let tokens = Grid { width: raster.width, height: raster.height }.soft_tokens();
    assert!(tokens > 560, "a scan comes as large as may be, and its pixels are looked at later: {tokens}");
}

/// A document that a test has put together, drawn for this budget.
fn drawn(pdf: &Pdf, page_budget: Budget) -> Emitted {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("made.pdf");
    std::fs::write(&path, pdf.bytes()).unwrap();
    let mut emitted = Emitted::default();
    lane(&Settings::default(), Render { page_budget, ..RENDER }).process(item(&path, Kind::Pdf), &mut emitted).unwrap();
    emitted
}

#[test]
fn characters_that_are_two_halves_of_utf_16_are_read_whole() {
    let font = "<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica /ToUnicode 6 0 R >>";
    let map = "/CIDInit /ProcSet findresource begin 12 dict begin begincmap /CMapName /X def /CMapType 2 def \
               1 begincodespacerange <00> <FF> endcodespacerange 2 beginbfchar <41> <D842DFB7> <42> <91CE> endbfchar \
               endcmap end end";
    let pdf = Pdf::page().with(5, font).stream(6, "", map.as_bytes());
    let emitted = drawn(&pdf.drawing("", "BT /F1 18 Tf 40 100 Td (AB) Tj ET"), RENDER.page_budget);
    let layer = layer(&emitted, 0);
    assert_eq!(layer.text, "𠮷野");
    let [left, top, right, bottom] = word(layer, "𠮷野").bounds;
    assert!(0.12 < left && left < right && right < 0.25 && 0.4 < top && top < bottom && bottom < 0.51, "{layer:?}");
}

#[test]
fn text_that_is_cropped_away_is_not_the_pages() {
    let both = "BT /F1 18 Tf 20 100 Td (Invoice 4711) Tj 160 0 Td (Invoice 9922) Tj ET";
    let cropped = "/CropBox [0 0 150 200] /Resources << /Font << /F1 5 0 R >> >>";
    let emitted = drawn(&Pdf::page().drawing("", both).page_entries(cropped), RENDER.page_budget);
    let layer = layer(&emitted, 0);
    assert_eq!((layer.text.as_str(), layer.words.len()), ("Invoice 4711", 2), "{layer:?}");
}

#[test]
fn print_in_forms_strips_and_lines_is_looked_at_like_a_scan() {
    let image = "/Type /XObject /Subtype /Image /Width 1 /Height 1 /ColorSpace /DeviceGray /BitsPerComponent 8";
    let form = "/Type /XObject /Subtype /Form /BBox [0 0 300 200] /Resources << /XObject << /I 6 0 R >> >>";
    let pdf = Pdf::page().stream(6, image, b"\x80").stream(7, form, b"q 300 0 0 200 0 0 cm /I Do Q");
    let tokens = |operators: &str| {
        let operators = format!("{operators} BT /F1 18 Tf 40 100 Td (Received) Tj ET");
        let emitted = drawn(&pdf.clone().drawing("/XObject << /I 6 0 R /F 7 0 R >>", &operators), Budget::Auto);
        let raster = &emitted.page(0).raster;
        Grid { width: raster.width, height: raster.height }.soft_tokens()
    };
    let strips: String = (0..10).map(|strip| format!("q 300 0 0 20 0 {} cm /I Do Q ", 20 * strip)).collect();
    let lines: String = (0..600).map(|line| format!("{} 0 m 300 200 l S ", line % 300)).collect();
    for (name, operators) in [("form", "/F Do"), ("strips", strips.as_str()), ("lines", lines.as_str())] {
        let tokens = tokens(operators);
        assert!(tokens > 560, "{name}: {tokens}");
    }
    let plain = tokens("q 30 0 0 20 0 0 cm /I Do Q 0 0 m 300 200 l S");
    assert!(plain <= 280, "a small picture and a line leave the page to its text: {plain}");
}
