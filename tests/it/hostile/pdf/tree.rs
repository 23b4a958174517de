//! Page trees that lead nowhere, into themselves or astray, and pages of no size or of any.

use lapidary::base::FaultKind::{Corrupt, Empty, TooLarge};

use super::{super::case::Family, Pdf};

pub fn family() -> Family {
    let mut family = Family::new("pdf-tree");
    loops(&mut family);
    counts(&mut family);
    wrong_types(&mut family);
    sizes(&mut family);
    family
}

fn loops(family: &mut Family) {
    let tree = |object: &str| Pdf::page().with(2, object).bytes();
    family.fails("root-is-its-own-kid.pdf", tree("<< /Type /Pages /Kids [2 0 R] /Count 1 >>"), &[Corrupt, Empty]);
    let two = Pdf::page()
        .with(2, "<< /Type /Pages /Kids [6 0 R] /Count 1 >>")
        .with(6, "<< /Type /Pages /Parent 2 0 R /Kids [2 0 R] /Count 1 >>");
    family.fails("two-nodes-hold-each-other.pdf", two.bytes(), &[Corrupt, Empty]);
    let page = "<< /Type /Page /Parent 3 0 R /Contents 4 0 R >>";
    family.either("page-inherits-from-itself.pdf", Pdf::page().with(3, page).bytes(), &[Corrupt]);
    family.either("same-page-thrice.pdf", tree("<< /Type /Pages /Kids [3 0 R 3 0 R 3 0 R] /Count 3 >>"), &[Corrupt]);
    let mut deep = Pdf::page().with(2, "<< /Type /Pages /Kids [10 0 R] /Count 1 >>");
    for level in 10..3000 {
        let below = level + 1;
        deep = deep.with(level, format!("<< /Type /Pages /Parent 2 0 R /Kids [{below} 0 R] /Count 1 >>"));
    }
    family.either(
        "three-thousand-levels.pdf",
        deep.with(3000, "<< /Type /Pages /Kids [3 0 R] /Count 1 >>").bytes(),
        &[Corrupt, Empty],
    );
}

fn counts(family: &mut Family) {
    let count = |count: &str| Pdf::page().with(2, format!("<< /Type /Pages /Kids [3 0 R] /Count {count} >>")).bytes();
    family.either("count-negative.pdf", count("-1"), &[Corrupt, Empty]);
    family.either("count-zero.pdf", count("0"), &[Corrupt, Empty]);
    family.both("count-three-of-one.pdf", count("3"), &[Corrupt]);
    family.either("count-two-thousand-million.pdf", count("2147483647"), &[TooLarge, Empty]);
    family.either("count-beyond-numbers.pdf", count("99999999999999999999"), &[TooLarge, Empty, Corrupt]);
    family.either("count-a-name.pdf", count("/Many"), &[Corrupt, Empty]);
    family.fails("count-a-million.pdf", count("1000000"), &[TooLarge]);
}

fn wrong_types(family: &mut Family) {
    let tree = |object: &str| Pdf::page().with(2, object).bytes();
    let catalog = |object: &str| Pdf::page().with(1, object).bytes();
    let page = |object: &str| Pdf::page().with(3, object).bytes();
    let none: &[_] = &[Corrupt, Empty];
    family.either("kids-a-number.pdf", tree("<< /Type /Pages /Kids 3 /Count 1 >>"), none);
    family.either("kids-nobody.pdf", tree("<< /Type /Pages /Kids [99 0 R] /Count 1 >>"), none);
    family.either("kids-nulls.pdf", tree("<< /Type /Pages /Kids [null null] /Count 2 >>"), none);
    family.either("kids-names.pdf", tree("<< /Type /Pages /Kids [/A (b) 1.5 true] /Count 4 >>"), none);
    family.either("tree-an-array.pdf", tree("[3 0 R]"), none);
    family.either("tree-a-page.pdf", catalog("<< /Type /Catalog /Pages 3 0 R >>"), none);
    family.either("pages-a-string.pdf", catalog("<< /Type /Catalog /Pages (none) >>"), none);
    family.either("catalog-empty.pdf", catalog("<< >>"), none);
    family.either("catalog-a-stream.pdf", Pdf::page().stream(1, "/Type /Catalog", b"x").bytes(), none);
    family.either("page-a-number.pdf", page("42"), none);
    family.either("page-empty.pdf", page("<< >>"), none);
    family.either("root-missing.pdf", Pdf::page().trailer("").bytes(), none);
    family.either("root-nobody.pdf", Pdf::page().trailer("/Root 77 0 R").bytes(), none);
    family.either("root-a-page.pdf", Pdf::page().trailer("/Root 3 0 R").bytes(), none);
}

fn sizes(family: &mut Family) {
    let sized = |name: &str, entries: &str| (format!("{name}.pdf"), Pdf::page().page_entries(entries).bytes());
    let boxes = [
        ("box-zero", "/MediaBox [0 0 0 0]"),
        ("box-upside-down", "/MediaBox [300 200 0 0]"),
        ("box-of-one-number", "/MediaBox [7]"),
        ("box-of-words", "/MediaBox [(a) (b) (c) (d)]"),
        ("box-itself", "/MediaBox 3 0 R"),
        ("box-beyond-numbers", "/MediaBox [-1e38 -1e38 1e38 1e38]"),
        ("box-of-nothing", "/MediaBox [0 0 0.000001 0.000001]"),
        ("box-a-hair", "/MediaBox [0 0 100000 0.01]"),
        ("box-long", "/MediaBox [0 0 0.5 399999999]"),
        ("crop-elsewhere", "/CropBox [5000 5000 6000 6000]"),
        ("unit-huge", "/UserUnit 1e30"),
        ("unit-negative", "/UserUnit -5"),
        ("turned-by-45", "/Rotate 45"),
        ("turned-by-words", "/Rotate (left)"),
        ("turned-often", "/Rotate 2147483647"),
    ];
    for (name, entries) in boxes {
        let (name, bytes) = sized(name, entries);
        family.either(&name, bytes, &[Corrupt, TooLarge]);
    }
    let (name, bytes) = sized("box-a-world", "/MediaBox [0 0 14400000 14400000]");
    family.fails(&name, bytes, &[TooLarge]);
}
