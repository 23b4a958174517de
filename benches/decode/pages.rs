//! Synthetic PDFs, written by hand: A4 pages of text with a ruled table and filled shapes.

use std::{
    fmt::Write,
    fs,
    path::{Path, PathBuf},
};

const WORDS: [&str; 16] = [
    "quartz", "garnet", "beryl", "opal", "agate", "topaz", "zircon", "spinel", "jasper", "onyx", "pyrite", "galena",
    "talc", "mica", "gypsum", "halite",
];

/// Writes `documents` files of `pages` pages each.
pub fn archive(folder: &Path, documents: usize, pages: usize) -> Vec<PathBuf> {
    let file = |number: usize| {
        let path = folder.join(format!("{number:04}.pdf"));
        fs::write(&path, document(number * pages, pages)).expect("a file");
        path
    };
    (0..documents).map(file).collect()
}

/// Objects 1 to 3 are the catalogue, the page tree and the font; then a page and its content in turns.
fn document(first: usize, pages: usize) -> Vec<u8> {
    let kids: String = (0..pages).map(|page| format!("{} 0 R ", 4 + 2 * page)).collect();
    let mut objects = vec![
        "<< /Type /Catalog /Pages 2 0 R >>".to_owned(),
        format!("<< /Type /Pages /Kids [{kids}] /Count {pages} >>"),
        "<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>".to_owned(),
    ];
    for page in 0..pages {
        let content = content(first + page);
        let resources = "/Resources << /Font << /F 3 0 R >> >>";
        objects.push(format!(
            "<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595.28 841.89] {resources} /Contents {} 0 R >>",
            5 + 2 * page
        ));
        objects.push(format!("<< /Length {} >>\nstream\n{content}\nendstream", content.len()));
    }
    assemble(&objects)
}

fn assemble(objects: &[String]) -> Vec<u8> {
    let (mut out, mut table) = ("%PDF-1.4\n".to_owned(), "0000000000 65535 f \n".to_owned());
    for (index, object) in objects.iter().enumerate() {
        let _ = writeln!(table, "{:010} 00000 n ", out.len());
        let _ = write!(out, "{} 0 obj\n{object}\nendobj\n", index + 1);
    }
    let (start, size) = (out.len(), objects.len() + 1);
    let _ = write!(out, "xref\n0 {size}\n{table}trailer\n<< /Size {size} /Root 1 0 R >>\nstartxref\n{start}\n%%EOF\n");
    out.into_bytes()
}

fn content(seed: usize) -> String {
    let mut out = String::from("0.12 0.43 0.54 rg 56 780 90 24 re f 0.9 0.93 0.94 rg 160 780 380 24 re f 0 g\n");
    for row in 0..9 {
        let _ = writeln!(out, "0.5 w 56 {0} m 540 {0} l S", 120 + 18 * row);
    }
    let _ = writeln!(out, "BT /F 9.5 Tf 12.5 TL 56 760 Td");
    for line in 0..45 {
        let words: Vec<&str> = (0..11).map(|at| WORDS[(seed * 7 + line * 5 + at * at * 3) % WORDS.len()]).collect();
        let _ = writeln!(out, "({} {}.) Tj T*", words.join(" "), seed * 45 + line);
    }
    out + "ET"
}
