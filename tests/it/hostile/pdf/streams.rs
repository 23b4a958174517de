//! Streams of wrong lengths and filters, decompression bombs, and content that nests or draws itself.

use lapidary::base::FaultKind::{ChildDied, Corrupt, Empty, TooLarge};

use super::{super::case::Family, Pdf, deflated, deflated_zeros};

pub fn family() -> Family {
    let mut family = Family::new("pdf-streams");
    lengths(&mut family);
    filters(&mut family);
    bombs(&mut family);
    nesting(&mut family);
    recursion(&mut family);
    pictures(&mut family);
    family
}

/// A broken content stream leaves its page white; the page itself can still be seen.
fn lengths(family: &mut Family) {
    for (name, length) in
        [("long", "/Length 99999"), ("negative", "/Length -5"), ("missing", ""), ("own", "/Length 4 0 R")]
    {
        let bytes = Pdf::page().raw_stream(4, length, b"0 0 100 100 re f").bytes();
        family.either(&format!("length-{name}.pdf"), bytes, &[Corrupt]);
    }
    family.rows("content-nobody.pdf", Pdf::page().page_entries("/Contents 88 0 R").bytes());
    family.rows("content-itself.pdf", Pdf::page().with(4, "[4 0 R 4 0 R]").bytes());
    family.rows("content-the-page.pdf", Pdf::page().page_entries("/Contents 3 0 R").bytes());
}

fn filters(family: &mut Family) {
    let filtered = |dictionary: &str, data: &[u8]| Pdf::page().stream(4, dictionary, data).bytes();
    let garbage = [0x5a; 300];
    for filter in ["FlateDecode", "LZWDecode", "ASCII85Decode", "RunLengthDecode", "DCTDecode", "JPXDecode"] {
        family.rows(&format!("garbage-{filter}.pdf"), filtered(&format!("/Filter /{filter}"), &garbage));
    }
    family.rows("filter-unknown.pdf", filtered("/Filter /Nonsense", b"0 0 9 9 re f"));
    family.rows("filter-a-number.pdf", filtered("/Filter 17", b"0 0 9 9 re f"));
    let chain = format!("/Filter [{}]", "/ASCIIHexDecode ".repeat(5000));
    family.rows("filter-chain.pdf", filtered(&chain, b"00>"));
    let predictor = "/Filter /FlateDecode /DecodeParms << /Predictor 15 /Columns 2147483647 /Colors 32 >>";
    family.rows("predictor-wide.pdf", filtered(predictor, &deflated(&[7; 999])));
    // A stream that would be read from another file: nobody may do that.
    family.rows("content-of-another-file.pdf", filtered("/F (/etc/passwd) /FFilter /FlateDecode", b""));
}

fn bombs(family: &mut Family) {
    let zeros = deflated_zeros(64 << 20);
    family.rows("bomb-flate.pdf", Pdf::page().stream(4, "/Filter /FlateDecode", &zeros).bytes());
    let twice = deflated(&deflated_zeros(512 << 20));
    let dictionary = "/Filter [/FlateDecode /FlateDecode]";
    family.either("bomb-flate-twice.pdf", Pdf::page().stream(4, dictionary, &twice).bytes(), &[TooLarge, ChildDied]);
    let runs: Vec<u8> = [129, 7].repeat(1 << 18);
    let runs = Pdf::page().stream(4, "/Filter [/FlateDecode /RunLengthDecode]", &deflated(&runs));
    family.rows("bomb-run-lengths.pdf", runs.bytes());
    let fields = deflated(" 0 0 9 9 re".repeat(200_000).as_bytes());
    family.rows("two-hundred-thousand-boxes.pdf", Pdf::page().stream(4, "/Filter /FlateDecode", &fields).bytes());
}

fn nesting(family: &mut Family) {
    let deep = |open: &str, close: &str| open.repeat(50_000) + &close.repeat(50_000);
    let kinds: &[_] = &[Corrupt, ChildDied];
    family.either("nested-arrays.pdf", Pdf::page().page_entries(&format!("/X {}", deep("[", "]"))).bytes(), kinds);
    let dictionaries = Pdf::page().with(6, deep("<</A ", ">>")).trailer("/Root 6 0 R");
    family.either("nested-dictionaries.pdf", dictionaries.bytes(), &[Corrupt, Empty]);
    family.either("nested-strings.pdf", Pdf::page().page_entries(&format!("/X {}", deep("(", ")"))).bytes(), kinds);
    family.rows("states-never-restored.pdf", Pdf::page().drawing("", &"q ".repeat(100_000)).bytes());
    family.rows("texts-never-ended.pdf", Pdf::page().drawing("", &"BT ".repeat(50_000)).bytes());
    family.rows("arrays-in-content.pdf", Pdf::page().drawing("", &deep("[", "]")).bytes());
    family.rows("marks-never-ended.pdf", Pdf::page().drawing("", &"/A BMC ".repeat(5000)).bytes());
    family.rows("a-long-name.pdf", Pdf::page().page_entries(&format!("/{} 1", "n".repeat(1 << 20))).bytes());
    family.rows("digits.pdf", Pdf::page().drawing("", &format!("{} 0 m", "9".repeat(1 << 18))).bytes());
}

fn recursion(family: &mut Family) {
    let form = "/Type /XObject /Subtype /Form /BBox [0 0 300 200]";
    let itself = format!("{form} /Resources << /XObject << /X 6 0 R >> >>");
    let drawn = |pdf: Pdf| pdf.drawing("/XObject << /X 6 0 R >>", "/X Do").bytes();
    family.rows("form-draws-itself.pdf", drawn(Pdf::page().stream(6, &itself, b"/X Do")));
    let other = format!("{form} /Resources << /XObject << /X 7 0 R >> >>");
    let pair = Pdf::page().stream(6, &other, b"/X Do").stream(7, &itself, b"/X Do");
    family.rows("forms-draw-each-other.pdf", drawn(pair));
    let tiling = "/Type /Pattern /PatternType 1 /PaintType 1 /TilingType 1 /BBox [0 0 9 9] /XStep 0.01 /YStep 0.01";
    let pattern = Pdf::page().stream(6, tiling, b"0 0 9 9 re f");
    let painted = pattern.drawing("/Pattern << /P 6 0 R >>", "/Pattern cs /P scn 0 0 9 9 re f");
    family.rows("pattern-a-million-times.pdf", painted.bytes());
    let mask = "/ExtGState << /G << /SMask << /S /Luminosity /G 6 0 R >> >> >>";
    let masked =
        Pdf::page().stream(6, &format!("{form} /Group << /S /Transparency >> /Resources << {mask} >>"), b"/G gs");
    family.rows("mask-masks-itself.pdf", masked.drawing(mask, "/G gs 0 0 99 99 re f").bytes());
    let spaces = Pdf::page()
        .with(6, "[/Indexed 6 0 R 255 (abc)]")
        .drawing("/ColorSpace << /C 6 0 R >>", "/C cs 3 sc 0 0 9 9 re f");
    family.rows("colours-of-themselves.pdf", spaces.bytes());
    let function = Pdf::page()
        .with(6, "<< /FunctionType 3 /Domain [0 1] /Functions [6 0 R 6 0 R] /Bounds [0.5] /Encode [0 1 0 1] >>");
    let shading = "/Shading << /S << /ShadingType 2 /ColorSpace /DeviceGray /Coords [0 0 9 9] /Function 6 0 R >> >>";
    family.rows("function-of-itself.pdf", function.drawing(shading, "/S sh").bytes());
    let annotation =
        "<< /Type /Annot /Subtype /Stamp /Rect [0 0 99 99] /AP << /N 6 0 R >> /Popup 7 0 R /Parent 7 0 R >>";
    let annotated = Pdf::page().stream(6, &itself, b"/X Do").with(7, annotation).page_entries("/Annots [7 0 R 7 0 R]");
    family.rows("annotation-of-itself.pdf", annotated.bytes());
}

fn pictures(family: &mut Family) {
    let picture = |entries: &str, data: &[u8]| {
        let dictionary = format!("/Type /XObject /Subtype /Image {entries}");
        Pdf::page().stream(6, &dictionary, data).drawing("/XObject << /I 6 0 R >>", "300 0 0 200 0 0 cm /I Do").bytes()
    };
    let grey = "/ColorSpace /DeviceGray /BitsPerComponent 8";
    let kinds: &[_] = &[TooLarge, ChildDied];
    family.either("picture-huge.pdf", picture(&format!("/Width 2147483647 /Height 2147483647 {grey}"), b"x"), kinds);
    family.either("picture-negative.pdf", picture(&format!("/Width -1 /Height -1 {grey}"), b"x"), kinds);
    family.either("picture-no-bits.pdf", picture("/Width 9 /Height 9 /BitsPerComponent 0", b"x"), kinds);
    let flat = deflated_zeros(12_000 * 12_000);
    family.either(
        "picture-bomb.pdf",
        picture(&format!("/Width 12000 /Height 12000 {grey} /Filter /FlateDecode"), &flat),
        kinds,
    );
    family.rows("picture-masks-itself.pdf", picture(&format!("/Width 2 /Height 2 {grey} /SMask 6 0 R"), b"abcd"));
    let codecs = ["JBIG2Decode", "JPXDecode", "DCTDecode", "CCITTFaxDecode"];
    for codec in codecs {
        let entries =
            format!("/Width 5000 /Height 5000 {grey} /Filter /{codec} /DecodeParms << /K -1 /Columns 5000 >>");
        family.rows(&format!("picture-garbage-{codec}.pdf"), picture(&entries, &[0xa7; 900]));
    }
    let inline = "BI /W 99999 /H 99999 /BPC 8 /CS /G /F /Fl ID xxxx EI";
    family.either("picture-inline-huge.pdf", Pdf::page().drawing("", inline).bytes(), kinds);
}
