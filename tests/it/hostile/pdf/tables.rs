//! Cross-references that lie, object streams that hold themselves, and trees of outlines, names and fields with loops.

use lapidary::base::FaultKind::{ChildDied, Corrupt, Empty, TooLarge};

use super::{
    super::{case::Family, damage::patched},
    Pdf,
};

pub fn family() -> Family {
    let mut family = Family::new("pdf-tables");
    cross_references(&mut family);
    object_streams(&mut family);
    side_trees(&mut family);
    wrappings(&mut family);
    family
}

/// PDFium looks for the objects itself where the table is of no use.
fn cross_references(family: &mut Family) {
    let whole = Pdf::page().bytes();
    let text = String::from_utf8_lossy(&whole).into_owned();
    let start = text.rsplit_once("startxref\n").unwrap().1.split_once('\n').unwrap().0.to_owned();
    let pointing =
        |to: &str| patched(&whole, format!("startxref\n{start}").as_bytes(), format!("startxref\n{to}").as_bytes());
    family.rows("start-zero.pdf", pointing("0"));
    family.rows("start-beyond.pdf", pointing("999999999"));
    family.rows("start-negative.pdf", pointing("-1"));
    family.rows("start-a-word.pdf", pointing("here"));
    family.either("start-in-a-stream.pdf", pointing("200"), &[Corrupt]);
    family.rows("table-missing.pdf", [Pdf::page().body().0, b"trailer << /Root 1 0 R >>".to_vec()].concat());
    family.either("objects-alone.pdf", Pdf::page().body().0, &[Corrupt]);
    family.either("table-too-long.pdf", patched(&whole, b"0 6\n", b"0 999999999\n"), &[Corrupt]);
    family.either("table-from-the-middle.pdf", patched(&whole, b"0 6\n", b"4294967290 6\n"), &[Corrupt]);
    let shifted: Vec<u8> = patched(&whole, b"xref\n0 6", b"xref\n1 6");
    family.either("table-shifted.pdf", shifted, &[Corrupt, Empty]);
    for (name, entries) in [
        ("previous-itself", format!("/Root 1 0 R /Prev {start}")),
        ("previous-beyond", "/Root 1 0 R /Prev 99999999999".to_owned()),
        ("hybrid-itself", format!("/Root 1 0 R /XRefStm {start}")),
        ("size-huge", "/Root 1 0 R /Size 2147483647".to_owned()),
        ("size-negative", "/Root 1 0 R /Size -4".to_owned()),
    ] {
        family.either(&format!("{name}.pdf"), Pdf::page().trailer(&entries).bytes(), &[Corrupt]);
    }
}

/// A file whose cross-references are a stream with these entries.
fn with_stream(pdf: &Pdf, entries: &str, data: &[u8]) -> Vec<u8> {
    let (mut file, _) = pdf.body();
    let start = file.len();
    let head = format!("50 0 obj\n<< /Type /XRef /Root 1 0 R /Length {} {entries} >>\nstream\n", data.len());
    file.extend([head.as_bytes(), data, b"\nendstream\nendobj\n"].concat());
    file.extend(format!("startxref\n{start}\n%%EOF\n").bytes());
    file
}

fn object_streams(family: &mut Family) {
    let kinds: &[_] = &[Corrupt, Empty, TooLarge, ChildDied];
    for (name, entries) in [
        ("widths-huge", "/Size 51 /W [2147483647 2147483647 2147483647]"),
        ("widths-negative", "/Size 51 /W [-1 -2 -3]"),
        ("widths-none", "/Size 51 /W [0 0 0]"),
        ("index-huge", "/Size 51 /W [1 4 2] /Index [0 2147483647 2147483647 2147483647]"),
        ("index-negative", "/Size 51 /W [1 4 2] /Index [-9 9]"),
        ("previous-itself", "/Size 51 /W [1 4 2] /Prev 500"),
    ] {
        family.either(&format!("stream-{name}.pdf"), with_stream(&Pdf::page(), entries, &[1; 400]), kinds);
    }
    // All objects are said to lie in number 2 of stream 2, which is one of them.
    let inside: Vec<u8> = (0..51_u8).flat_map(|_| [2, 0, 0, 0, 2, 0, 0]).collect();
    family.either("stream-in-itself.pdf", with_stream(&Pdf::page(), "/Size 51 /W [1 4 2]", &inside), kinds);
    for (name, entries) in [
        ("many", "/Type /ObjStm /N 2147483647 /First 10"),
        ("negative", "/Type /ObjStm /N -1 /First -1"),
        ("extends-itself", "/Type /ObjStm /N 1 /First 4 /Extends 2 0 R"),
    ] {
        let holder = Pdf::page().stream(2, entries, b"2 0 << /Type /Pages /Kids [3 0 R] /Count 1 >>");
        family.either(&format!("holder-{name}.pdf"), with_stream(&holder, "/Size 51 /W [1 4 2]", &inside), kinds);
    }
}

fn side_trees(family: &mut Family) {
    let catalog = |entries: &str| Pdf::page().with(1, format!("<< /Type /Catalog /Pages 2 0 R {entries} >>"));
    let outlines = catalog("/Outlines 6 0 R")
        .with(6, "<< /Type /Outlines /First 7 0 R /Last 7 0 R /Count 1 >>")
        .with(7, "<< /Title (again) /Parent 7 0 R /Next 7 0 R /Prev 7 0 R /First 7 0 R /Last 6 0 R >>");
    family.rows("outline-of-itself.pdf", outlines.bytes());
    let names =
        catalog("/Names << /Dests 6 0 R /JavaScript 6 0 R >> /Dests 6 0 R").with(6, "<< /Kids [6 0 R 6 0 R] >>");
    family.rows("names-in-names.pdf", names.bytes());
    let fields = catalog("/AcroForm << /Fields [6 0 R] /CO [6 0 R] /XFA 6 0 R >>")
        .with(6, "<< /FT /Tx /T (a) /Kids [6 0 R 6 0 R] /Parent 6 0 R /V 6 0 R >>")
        .page_entries("/Annots [6 0 R]");
    family.rows("fields-of-themselves.pdf", fields.bytes());
    let structure = catalog("/StructTreeRoot 6 0 R /MarkInfo << /Marked true >>")
        .with(6, "<< /Type /StructTreeRoot /K [6 0 R] /ParentTree 6 0 R /RoleMap << /A /B /B /A >> >>");
    family.rows("structure-of-itself.pdf", structure.bytes());
    let labels = catalog("/PageLabels 6 0 R").with(6, "<< /Kids [6 0 R] /Nums [0 6 0 R] >>");
    family.rows("labels-of-themselves.pdf", labels.bytes());
    let actions = catalog("/OpenAction << /S /JavaScript /JS (while(true){}) /Next 6 0 R >>")
        .with(6, "<< /S /Launch /F (/bin/sh) /Next 6 0 R >>");
    family.rows("actions-on-opening.pdf", actions.bytes());
    let layers = catalog("/OCProperties << /OCGs [6 0 R] /D << /Order [6 0 R] >> >>").with(6, "[6 0 R]");
    family.rows("layers-of-themselves.pdf", layers.bytes());
}

fn wrappings(family: &mut Family) {
    let whole = Pdf::page().bytes();
    let none: &[_] = &[Corrupt, Empty];
    family.fails("header-alone.pdf", b"%PDF-1.7\n".to_vec(), none);
    family.fails("header-and-end.pdf", b"%PDF-1.7\n%%EOF\n".to_vec(), none);
    family.rows("version-of-the-future.pdf", patched(&whole, b"%PDF-1.7", b"%PDF-9.9"));
    family.either("behind-junk.pdf", [&[0xfe; 1000][..], &whole].concat(), none);
    family.rows("before-junk.pdf", [&whole[..], &[0; 4000]].concat());
    family.rows("two-in-one.pdf", [&whole[..], &whole].concat());
    family.either(
        "all-line-ends-bare.pdf",
        whole.iter().map(|&byte| if byte == b'\n' { b'\r' } else { byte }).collect::<Vec<u8>>(),
        none,
    );
    let pages = "3 0 obj << /Type /Page /MediaBox [0 0 9 9] >> endobj\n".repeat(3000);
    family.either(
        "one-number-three-thousand-times.pdf",
        patched(&whole, b"3 0 obj", format!("{pages}3 0 obj").as_bytes()),
        none,
    );
}
