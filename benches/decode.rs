//! Rasterising PDF pages and reading their text layers, through the child processes as `run` does it.
//!
//!     cargo bench --bench decode                        pages per second with one and with two children
//!     cargo bench --bench decode -- against PYTHON      ratio to pypdfium2 in one process, taken in turns in one run
//!     cargo bench --bench decode -- walls               seconds in a child, with and without walls, over seconds in this process
//!     cargo bench --bench decode -- memory 1000         peak memory of this program for a PDF of so many pages
//!
//! PYTHON is an interpreter with pypdfium2 and numpy; what the peer does stands in `peers/rasterise.py`. The pages are
//! synthetic: 45 lines of text, a ruled table and a few filled shapes each.

#[path = "decode/pages.rs"]
mod pages;

use std::{
    path::{Path, PathBuf},
    process::Command,
    sync::{Arc, Mutex},
    time::Instant,
};

use lapidary::{
    base::{
        ByteBudget, ContentHash, Document, Emit, Fault, Item, Kind, Lease, Origin, Part, Source, Stage, Stop, Unit,
        grid::Grid,
    },
    decode::{Decoder, Input, Order, Output, PdfReader, Render, Sandbox, Settings},
};

/// What documents are read with.
const BUDGET: u32 = 280;

/// Documents and pages of each: 100 pages in all, as an archive has them.
const ARCHIVE: (usize, usize) = (10, 10);

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        ["against", python, ..] => against(python),
        ["walls", ..] => walls(),
        ["memory", count, ..] => memory(count.parse().expect("a number of pages")),
        _ => divan::main(),
    }
}

#[divan::bench(args = [1, 2], sample_count = 5, sample_size = 1)]
fn hundred_pages(bencher: divan::Bencher<'_, '_>, children: usize) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let files = pages::archive(folder.path(), ARCHIVE.0, ARCHIVE.1);
    let mut lanes = lanes(children);
    bencher.counter(divan::counter::ItemsCount::new(100_usize)).bench_local(|| decode(&mut lanes, &files));
}

/// Three rounds each, in turns, so that a busy machine is busy for both.
fn against(python: &str) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let files = pages::archive(folder.path(), ARCHIVE.0, ARCHIVE.1);
    let mut lanes = lanes(2);
    decode(&mut lanes, &files);
    let (mut ours, mut text, mut boxes) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..3 {
        text.push(peer(python, "text", &files));
        ours.push(timed(|| decode(&mut lanes, &files)));
        boxes.push(peer(python, "boxes", &files));
    }
    let (ours, text, boxes) = (median(ours), median(text), median(boxes));
    println!("lapidary, 2 children, pixels + text + word boxes: {:.1} pages/s", 100.0 / ours);
    println!("pypdfium2, 1 process, pixels + text:              {:.1} pages/s, ratio {:.2}", 100.0 / text, text / ours);
    println!(
        "pypdfium2, 1 process, pixels + text + word boxes: {:.1} pages/s, ratio {:.2}",
        100.0 / boxes,
        boxes / ours
    );
}

/// What a child and its walls cost: seven rounds each, in turns, one lane, since PDFium bears one in a process.
fn walls() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let files = pages::archive(folder.path(), ARCHIVE.0, ARCHIVE.1);
    let (reader, mut within) = (PdfReader::load().expect("PDFium"), lanes(1));
    let mut without: Vec<Decoder> = lanes(1).into_iter().map(|lane| lane.with_sandbox(Sandbox::OFF)).collect();
    let reached = within[0].probe().expect("a child");
    let (mut here, mut open, mut walled) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..8 {
        here.push(timed(|| decode_here(&reader, &files)));
        open.push(timed(|| decode(&mut without, &files)));
        walled.push(timed(|| decode(&mut within, &files)));
    }
    // The first round starts the children.
    let [here, open, walled] = [here, open, walled].map(|seconds| median(seconds[1..].to_vec()));
    println!("in this process:        {:.1} pages/s", 100.0 / here);
    println!("in a child:             {:.1} pages/s, time {:.3}", 100.0 / open, open / here);
    println!("in a child, walls {reached}: {:.1} pages/s, time {:.3}", 100.0 / walled, walled / here);
}

/// The same without a child, without a look at the file's length and without a lease.
fn decode_here(reader: &PdfReader, files: &[PathBuf]) {
    let order = Order::new(&Settings::default(), render()).expect("good settings");
    for path in files {
        let input = Input::open(path).expect("a file");
        reader.decode(&input, &order, &mut Sink).expect("pages");
    }
}

fn peer(python: &str, what: &str, files: &[PathBuf]) -> f64 {
    let grid = Grid::fit(59528, 84189, BUDGET).expect("a page with area");
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/peers/rasterise.py");
    let mut command = Command::new(python);
    command.arg(script).arg(what).args([grid.width, grid.height].map(|side| side.to_string())).args(files);
    let answer = command.output().expect("python runs");
    let told = String::from_utf8_lossy(&answer.stdout);
    told.trim().parse().unwrap_or_else(|_| panic!("{told}{}", String::from_utf8_lossy(&answer.stderr)))
}

fn memory(count: usize) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let files = pages::archive(folder.path(), 1, count);
    let seconds = timed(|| decode(&mut lanes(1), &files));
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let peak = status.lines().find(|line| line.starts_with("VmHWM")).unwrap_or("VmHWM unknown");
    println!("{count} pages in {seconds:.1} s; parent {peak}");
}

fn lanes(children: usize) -> Vec<Decoder> {
    let settings = Settings::default();
    let budget = ByteBudget::new(256 << 20);
    let lane = |_| {
        Decoder::new(&settings, render(), budget.clone(), Stop::default()).with_program(env!("CARGO_BIN_EXE_lapidary"))
    };
    (0..children).map(lane).collect()
}

fn render() -> Render {
    Render { page_budget: BUDGET.into(), frame_budget: 70 }
}

fn decode(lanes: &mut [Decoder], files: &[PathBuf]) {
    let todo = Mutex::new(files.iter());
    std::thread::scope(|scope| {
        for lane in lanes {
            scope.spawn(|| {
                while let Some(path) = { todo.lock().expect("no panic").next() } {
                    lane.process(item(path), &mut Sink).expect("a page");
                }
            });
        }
    });
}

fn item(path: &Path) -> Item<Document> {
    let bytes = path.metadata().expect("a file").len();
    let source = Source {
        name: String::new(),
        path: path.to_owned(),
        hash: ContentHash([0; 32]),
        kind: Kind::Pdf,
        bytes,
        ordinal: 0,
        modified: None,
    };
    let origin = Origin { source: Arc::new(source), part: Part::Whole };
    Item { origin, attempt: 0, lease: Lease::none(), body: Document }
}

/// Looks at each page and drops it.
struct Sink;

impl Emit<Unit> for Sink {
    fn item(&mut self, item: Item<Unit>) {
        look(item.body);
    }

    fn fault(&mut self, origin: &Origin, fault: Fault) {
        panic!("{origin}: {fault}");
    }

    fn open(&self) -> bool {
        true
    }
}

impl Output for Sink {
    fn promise(&mut self, parts: &[Part]) -> Result<usize, Fault> {
        Ok(parts.len())
    }

    fn passed_over(&mut self) -> bool {
        false
    }

    fn unit(&mut self, _part: Part, unit: Unit) -> Result<(), Fault> {
        look(unit);
        Ok(())
    }

    fn fault(&mut self, part: Part, fault: Fault) -> Result<(), Fault> {
        panic!("{part:?}: {fault}");
    }

    fn silence(&mut self, _: f64) -> Result<(), Fault> {
        Ok(())
    }

    fn heartbeat(&mut self) -> Result<(), Fault> {
        Ok(())
    }
}

fn look(unit: Unit) {
    let Unit::Page(page) = unit else { panic!("no page") };
    assert!(page.text.is_some_and(|layer| layer.words.len() > 300));
}

fn timed(work: impl FnOnce()) -> f64 {
    let start = Instant::now();
    work();
    start.elapsed().as_secs_f64()
}

fn median(mut seconds: Vec<f64>) -> f64 {
    seconds.sort_by(f64::total_cmp);
    seconds[seconds.len() / 2]
}
