//! Each limit that a file goes over has its name in the column `limit` of the failures.

use std::collections::BTreeMap;

use lapidary::base::{FaultKind, Limit};

use super::{
    case::{Becomes, Case, Made},
    fates,
    pdf::Pdf,
    pictures::{black, png},
    read, text,
    watched::run,
};

/// Lays files of these names and runs over them; gives the limits in each file's failures, with their kinds.
fn limits_hit(files: &[(&str, Vec<u8>)], decode: &str) -> BTreeMap<String, Vec<(String, String, String)>> {
    let folder = tempfile::tempdir().unwrap();
    let inputs = folder.path().join("in");
    for (name, bytes) in files {
        Case::new(*name, Made::File(bytes.clone()), Becomes::Failures(&[])).lay(&inputs);
    }
    let ran = run(folder.path(), "set", decode);
    assert_eq!((ran.code, &ran.report["totals"]["balanced"]), (1, &true.into()), "{}", ran.said);
    let fates = fates(&folder.path().join("set"));
    let told = |name: &str| {
        let (_, failures) = fates.get(text(&inputs.join(name))).cloned().unwrap_or_default();
        let column = |failure: &serde_json::Value, name: &str| failure[name].as_str().unwrap_or_default().to_owned();
        failures
            .iter()
            .map(|failure| (column(failure, "limit"), column(failure, "kind"), column(failure, "message")))
            .collect()
    };
    files.iter().map(|(name, _)| ((*name).to_owned(), told(name))).collect()
}

/// Every failure of each file is of that limit and kind.
fn assert_limits(files: &[(&str, Vec<u8>)], decode: &str, expected: &[(&str, Limit, FaultKind)]) {
    let hit = limits_hit(files, decode);
    for (name, limit, kind) in expected {
        let told = &hit[*name];
        assert!(!told.is_empty(), "{name} came through");
        for (column, named, message) in told {
            assert_eq!((column.as_str(), named.as_str()), (limit.as_str(), kind.as_str()), "{name}: {message}");
        }
    }
}

/// Forms that each draw the next ten times over: ten thousand million boxes from one kilobyte.
fn slow() -> Vec<u8> {
    let mut pdf = Pdf::page().drawing("/XObject << /X 10 0 R >>", "/X Do");
    for level in 10..20 {
        let form = "/Type /XObject /Subtype /Form /BBox [0 0 300 200]";
        let next = format!("{form} /Resources << /XObject << /X {} 0 R >> >>", level + 1);
        pdf = pdf.stream(level, &next, "/X Do ".repeat(10).as_bytes());
    }
    pdf.stream(20, "/Type /XObject /Subtype /Form /BBox [0 0 300 200]", b"0 0 300 200 re f").bytes()
}

/// A picture under the limit of pixels that takes half a gigabyte.
fn large() -> Vec<u8> {
    png(16_000, 16_000, &[black(16_000, 16_000)])
}

#[test]
fn limits_on_sizes_are_named() {
    let files = [
        ("pixels.bmp", read("pictures/gradient.bmp")),
        ("pages.pdf", read("documents/rotated.pdf")),
        ("pages.tif", read("pictures/pages.tif")),
        ("seconds.flac", read("sound/note.flac")),
        ("seconds.mp4", read("video/shapes.mp4")),
        ("bytes.wav", read("sound/note-24.wav")),
        ("text.txt", b"More than a few words.".to_vec()),
        ("all.pdf", read("documents/invoice.pdf")),
    ];
    let decode = "video = { frames = 2 }\nlimits = { pixels = 3000, pages = 2, seconds = 2.0, bytes = 200000, \
                  text_bytes = 20, decoded_bytes = 200000 }\n";
    let pages_of_any_size = decode.replace("pixels = 3000", "pixels = 1000000");
    let large = FaultKind::TooLarge;
    assert_limits(&files[..1], decode, &[("pixels.bmp", Limit::Pixels, large)]);
    assert_limits(
        &files[1..],
        &pages_of_any_size,
        &[
            ("pages.pdf", Limit::Pages, large),
            ("pages.tif", Limit::Pages, large),
            ("seconds.flac", Limit::Seconds, large),
            ("seconds.mp4", Limit::Seconds, large),
            ("bytes.wav", Limit::Bytes, large),
            ("text.txt", Limit::TextBytes, large),
            ("all.pdf", Limit::DecodedBytes, large),
        ],
    );
}

/// A form that draws itself twice over: each level takes memory, and there are so many of them.
fn endless() -> Vec<u8> {
    let form = "/Type /XObject /Subtype /Form /BBox [0 0 300 200] /Resources << /XObject << /X 6 0 R >> >>";
    Pdf::page().stream(6, form, b"/X Do /X Do").drawing("/XObject << /X 6 0 R >>", "/X Do").bytes()
}

/// Room for a child at rest and a little work.
const LITTLE_MEMORY: &str = "limits = { memory = 600000000 }\n";

#[test]
fn the_limit_on_memory_is_named() {
    let files = [("memory.png", large()), ("memory.pdf", endless())];
    let expected =
        [("memory.png", Limit::Memory, FaultKind::TooLarge), ("memory.pdf", Limit::Memory, FaultKind::TooLarge)];
    assert_limits(&files, LITTLE_MEMORY, &expected);
}

#[test]
fn limits_on_what_a_document_may_cost_are_named() {
    let endless = [("memory.pdf", endless())];
    let children = format!("children_per_document = 1\n{LITTLE_MEMORY}");
    assert_limits(&endless, &children, &[("memory.pdf", Limit::ChildrenPerDocument, FaultKind::TooLarge)]);
    let slow = [("slow.pdf", slow())];
    let expected = |limit| [("slow.pdf", limit, FaultKind::Deadline)];
    assert_limits(&slow, "seconds_without_progress = 3\n", &expected(Limit::SecondsWithoutProgress));
    assert_limits(&slow, "seconds_per_document = 3\n", &expected(Limit::SecondsPerDocument));
}
