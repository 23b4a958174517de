//! Tests of `decode` from outside: documents through real child processes.

mod pdf;
#[cfg(unix)]
mod unruly;
#[cfg(target_os = "linux")]
mod walls;

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use lapidary::{
    base::{
        Budget, ByteBudget, ContentHash, Document, Emit, Fault, Item, Kind, Lease, Origin, Page, Part, Source, Stage,
        Stop, TextLayer, Unit,
    },
    decode::{Decoder, Render, Settings},
};

const RENDER: Render = Render { page_budget: Budget::Tokens(280), frame_budget: 70 };

/// What a lane emitted.
#[derive(Default)]
struct Emitted {
    /// Units that it wants; all when absent.
    most: Option<usize>,
    promised: u64,
    units: Vec<(Part, Unit)>,
    faults: Vec<(Part, Fault)>,
    /// Called after every unit.
    watcher: Option<Box<dyn FnMut(Part)>>,
}

impl Emit<Unit> for Emitted {
    fn promise(&mut self, _source: &Arc<Source>, parts: &[Part]) -> usize {
        let wanted = self.most.map_or(parts.len(), |most| parts.len().min(most - self.promised as usize));
        self.promised += wanted as u64;
        wanted
    }

    fn item(&mut self, item: Item<Unit>) {
        if let Some(watcher) = &mut self.watcher {
            watcher(item.origin.part);
        }
        self.units.push((item.origin.part, item.body));
    }

    fn fault(&mut self, origin: &Origin, fault: Fault) {
        self.faults.push((origin.part, fault));
    }

    fn open(&self) -> bool {
        true
    }
}

impl Emitted {
    /// Every promise is kept.
    fn balances(&self) -> bool {
        self.promised == (self.units.len() + self.faults.len()) as u64
    }

    fn pages(&self) -> Vec<u32> {
        let number = |(part, _): &(Part, Unit)| match part {
            Part::Page { number, .. } => *number,
            _ => 0,
        };
        self.units.iter().map(number).collect()
    }

    fn page(&self, index: usize) -> &Page {
        let (_, Unit::Page(page)) = &self.units[index] else { panic!("no page at {index}") };
        page
    }
}

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures").join(name)
}

fn item(path: &Path, kind: Kind) -> Item<Document> {
    let bytes = path.metadata().unwrap().len();
    let name = path.display().to_string();
    let source = Arc::new(Source {
        name,
        path: path.to_owned(),
        hash: ContentHash([0; 32]),
        kind,
        bytes,
        ordinal: 0,
        modified: None,
    });
    Item { origin: Origin { source, part: Part::Whole }, attempt: 0, lease: Lease::none(), body: Document }
}

fn decoder(settings: &Settings) -> Decoder {
    lane(settings, RENDER)
}

fn lane(settings: &Settings, render: Render) -> Decoder {
    Decoder::new(settings, render, ByteBudget::new(1 << 30), Stop::default())
        .with_program(env!("CARGO_BIN_EXE_lapidary"))
}

/// One document through a fresh lane.
fn decode(settings: &Settings, name: &str, kind: Kind) -> Result<Emitted, Fault> {
    let mut emitted = Emitted::default();
    decoder(settings).process(item(&fixture(name), kind), &mut emitted).map(|()| emitted)
}

/// The text layer of the first page of a PDF of the fixtures.
pub fn layer_of(name: &str) -> TextLayer {
    decode(&Settings::default(), name, Kind::Pdf).unwrap().page(0).text.clone().unwrap()
}
