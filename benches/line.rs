//! The whole line with recorded answers: one-page PDFs at budget 280, from the folder to Parquet. What is left out is
//! the model; everything else is the real program.
//!
//!     cargo bench --bench line              400 documents
//!     cargo bench --bench line -- 2000      as many as said
//!     cargo bench --bench line -- book 1000 one PDF of that many pages, for the memory
//!
//! Prints units per second, the busy seconds of each stage, and the peak memory of the program without its children.

use std::{fs, path::Path, process::Command};

use serde_json::Value;

/// A page of text with a table: what the archive is made of.
const PAGE: &str = "fixtures/documents/receipt.pdf";

const PIPELINE: &str = "name = \"line\"\nmodel = \"ROOT/onnx/tiny\"\n[encode]\nbudget = 280\nprompt = \"Read.\"\n\
    [generate]\nslots = 8\n[parse]\nschema = \"ROOT/schemas/receipt.json\"\n";

const ANSWER: &str =
    r#"[{"merchant":"Corner Shop","date":"2026-03-14","number":"4711","currency":"EUR","total":12.5,"items":[]}]"#;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| !argument.starts_with("--")).collect();
    let folder = tempfile::tempdir().expect("a temporary folder");
    let inputs = folder.path().join("in");
    fs::create_dir_all(&inputs).expect("a folder for the inputs");
    let number = |at: usize| arguments.get(at).and_then(|n| n.parse().ok());
    match arguments.first().map(String::as_str) {
        Some("book") => book(&inputs, number(1).unwrap_or(1000)),
        _ => archive(&inputs, number(0).unwrap_or(400)),
    }
    print(&run(folder.path(), &inputs));
}

fn print(report: &Value) {
    let (units, seconds) = (&report["totals"]["units"], report["seconds"].as_f64().unwrap_or_default());
    println!("{units} units in {seconds:.2} s: {:.1} units/s", report["units_per_second"].as_f64().unwrap_or_default());
    println!("failures: {}, balanced: {}", report["totals"]["failures"], report["totals"]["balanced"]);
    for stage in report["stages"].as_array().into_iter().flatten() {
        let (name, busy) = (stage["stage"].as_str().unwrap_or_default(), stage["busy_seconds"].as_f64());
        println!("  {name:<9} {:>6} items, busy {:.2} s", stage["items"], busy.unwrap_or_default());
    }
    println!("peak memory of the program: {:.0} MB", report["peak_memory_bytes"].as_f64().unwrap_or(0.0) / 1e6);
}

/// The same page again and again; a comment at the end makes each file another content.
fn archive(inputs: &Path, documents: usize) {
    let page = fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join(PAGE)).expect(PAGE);
    for n in 0..documents {
        let bytes = [&page[..], format!("\n% {n}\n").as_bytes()].concat();
        fs::write(inputs.join(format!("{n:05}.pdf")), bytes).expect("an input");
    }
}

/// One document of many pages of text, written by hand: PDF needs little.
fn book(inputs: &Path, pages: usize) {
    let kids: Vec<String> = (0..pages).map(|n| format!("{} 0 R", 4 + 2 * n)).collect();
    let mut objects = vec![
        "<< /Type /Catalog /Pages 2 0 R >>".to_owned(),
        format!("<< /Type /Pages /Count {pages} /Kids [{}] >>", kids.join(" ")),
        "<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>".to_owned(),
    ];
    for n in 0..pages {
        let line = |l: usize| format!("(Page {n}, line {l}: forty characters of plain text) Tj T* ");
        let stream = format!("BT /F1 11 Tf 14 TL 50 800 Td {} ET", (0..50).map(line).collect::<String>());
        let resources = "/Resources << /Font << /F1 3 0 R >> >>";
        let contents = 5 + 2 * n;
        objects.push(format!(
            "<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Contents {contents} 0 R {resources} >>"
        ));
        objects.push(format!("<< /Length {} >>\nstream\n{stream}\nendstream", stream.len()));
    }
    fs::write(inputs.join("book.pdf"), pdf(&objects)).expect("an input");
}

fn pdf(objects: &[String]) -> String {
    let (mut text, mut offsets) = ("%PDF-1.7\n".to_owned(), Vec::new());
    for (n, object) in objects.iter().enumerate() {
        offsets.push(text.len());
        text += &format!("{} 0 obj\n{object}\nendobj\n", n + 1);
    }
    let start = text.len();
    text += &format!("xref\n0 {}\n0000000000 65535 f \n", objects.len() + 1);
    text.extend(offsets.iter().map(|offset| format!("{offset:010} 00000 n \n")));
    text + &format!("trailer << /Size {} /Root 1 0 R >>\nstartxref\n{start}\n%%EOF\n", objects.len() + 1)
}

fn run(folder: &Path, inputs: &Path) -> Value {
    let (pipeline, answers, out) = (folder.join("line.toml"), folder.join("answers.json"), folder.join("out"));
    fs::write(&pipeline, PIPELINE.replace("ROOT", env!("CARGO_MANIFEST_DIR"))).expect("a pipeline");
    fs::write(&answers, ANSWER).expect("answers");
    let mut command = Command::new(env!("CARGO_BIN_EXE_lapidary"));
    command.arg("run").arg(&pipeline).arg(inputs).arg("--output").arg(&out).arg("--replay").arg(&answers);
    let status = command.arg("--quiet").status().expect("lapidary starts");
    assert!(status.success(), "the run ended with {status}");
    serde_json::from_slice(&fs::read(out.join("run.json")).expect("run.json")).expect("JSON")
}
