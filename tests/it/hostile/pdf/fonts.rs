//! Fonts that are missing, garbage, or made of themselves.

use super::{super::case::Family, Pdf};

pub fn family() -> Family {
    let mut family = Family::new("pdf-fonts");
    missing(&mut family);
    embedded(&mut family);
    mapped(&mut family);
    family
}

/// A page in a font that cannot be had is drawn in another, or stays white.
fn missing(family: &mut Family) {
    let font = |object: &str| Pdf::page().with(5, object).bytes();
    family.rows("nobody.pdf", Pdf::page().drawing("", "BT /F9 18 Tf 40 100 Td (words) Tj ET").bytes());
    family.rows("no-resources.pdf", Pdf::page().page_entries("").bytes());
    family.rows("null.pdf", font("null"));
    family.rows("a-number.pdf", font("5"));
    family.rows("empty.pdf", font("<< >>"));
    family.rows("unheard-of.pdf", font("<< /Type /Font /Subtype /Type1 /BaseFont /NoSuchFontAnywhere >>"));
    family.rows("unknown-sort.pdf", font("<< /Type /Font /Subtype /Type77 /BaseFont /Helvetica >>"));
    let size = |size: &str| Pdf::page().drawing("", &format!("BT /F1 {size} Tf 40 100 Td (words) Tj ET")).bytes();
    family.rows("size-zero.pdf", size("0"));
    family.rows("size-huge.pdf", size("1e30"));
    family.rows("size-negative.pdf", size("-18"));
    let widths =
        "<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica /FirstChar -5 /LastChar 2147483647 /Widths [1e30] >>";
    family.rows("widths-huge.pdf", font(widths));
}

fn embedded(family: &mut Family) {
    for (name, key, subtype) in
        [("truetype", "FontFile2", "TrueType"), ("type1", "FontFile", "Type1"), ("cff", "FontFile3", "Type1")]
    {
        let font = format!("<< /Type /Font /Subtype /{subtype} /BaseFont /ABCDEF+Own /FontDescriptor 6 0 R >>");
        let descriptor = format!("<< /Type /FontDescriptor /FontName /ABCDEF+Own /Flags 4 /{key} 7 0 R >>");
        let program = |dictionary: &str, data: &[u8]| {
            Pdf::page().with(5, font.as_str()).with(6, descriptor.as_str()).stream(7, dictionary, data).bytes()
        };
        let lengths = "/Length1 2147483647 /Length2 -1 /Length3 9 /Subtype /Type1C";
        family.rows(&format!("{name}-garbage.pdf"), program(lengths, &[0x3c; 2000]));
        family.rows(&format!("{name}-nothing.pdf"), program(lengths, b""));
    }
    // A table of tables that says it has 65535 of them, the first beyond the end.
    let head = [&b"\0\x01\0\0\xff\xff\0\0\0\0\0\0glyf"[..], &[0xff; 12]].concat();
    let font = "<< /Type /Font /Subtype /TrueType /BaseFont /Own /FontDescriptor << /FontName /Own /Flags 4 /FontFile2 7 0 R >> >>";
    family.rows("truetype-tables-beyond.pdf", Pdf::page().with(5, font).stream(7, "", &head).bytes());
}

fn mapped(family: &mut Family) {
    let type3 = "<< /Type /Font /Subtype /Type3 /FontBBox [0 0 9 9] /FontMatrix [1 0 0 1 0 0] /FirstChar 65 /LastChar 65 \
                 /Widths [9] /Encoding << /Differences [65 /a] >> /CharProcs << /a 6 0 R >> /Resources << /Font << /F1 5 0 R >> >> >>";
    let own = Pdf::page().with(5, type3).stream(6, "", b"9 0 d0 BT /F1 9 Tf (A) Tj (A) Tj ET");
    family.rows("glyph-writes-itself.pdf", own.drawing("", "BT /F1 9 Tf 9 9 Td (AAAA) Tj ET").bytes());
    let matrix = "<< /Type /Font /Subtype /Type3 /FontBBox [0 0 0 0] /FontMatrix [0 0 0 0 0 0] /CharProcs << >> >>";
    family.rows("matrix-of-nothing.pdf", Pdf::page().with(5, matrix).bytes());
    let composite = |descendant: &str| {
        let font = "<< /Type /Font /Subtype /Type0 /BaseFont /Own /Encoding 7 0 R /DescendantFonts [6 0 R] /ToUnicode 7 0 R >>";
        let map = "/Type /CMap /CMapName /Own /UseCMap 7 0 R";
        let ranges = b"begincmap 2147483647 begincidrange <0000> <ffffffff> 0 endcidrange \
                       1 beginbfrange <00> <ffffffffff> <0041> endbfrange endcmap";
        Pdf::page().with(5, font).with(6, descendant).stream(7, map, ranges).bytes()
    };
    let wide = "<< /Type /Font /Subtype /CIDFontType2 /BaseFont /Own /DW 1e9 /W [0 2147483647 99] >>";
    family.rows("map-of-itself.pdf", composite(wide));
    family.rows("descends-from-itself.pdf", composite("<< /Type /Font /Subtype /Type0 /DescendantFonts [6 0 R] >>"));
    family.rows("descends-from-nobody.pdf", composite("null"));
    let encoding = format!("/Differences [0 {}]", "/x ".repeat(70_000));
    let font = format!("<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica /Encoding << {encoding} >> >>");
    family.rows("differences-without-end.pdf", Pdf::page().with(5, font).bytes());
}
