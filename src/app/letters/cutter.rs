//! The failed part alone: cut out of its document, and kept only where it behaves as it did in there.

use std::{path::Path, sync::Arc};

use super::{Failed, source};
use crate::{
    app::{make, one::One, pipeline::Pipeline},
    base::{ByteBudget, Document, Fault, FaultKind, Item, Kind, Lease, Origin, Part, Source, Stop, Unit},
    decode::{self, Decoder, Input, Sandbox, Slice, Slicer},
};

/// Cuts parts out and tries them.
pub struct Cutter {
    slicer: Slicer,
    decoder: Decoder,
}

/// A part alone, and how its decoder behaved in its document.
pub struct Cut {
    /// The file.
    pub slice: Slice,
    /// What the part decodes to in its document; nothing where decoding it is what failed.
    before: Option<Unit>,
}

impl Cutter {
    /// Cuts under the limits of `pipeline`; slices of more than `largest` bytes are refused.
    pub fn new(pipeline: &Pipeline, sandbox: Sandbox, largest: u64) -> Self {
        // The wanted part was chosen by the run; alone it has another number.
        let settings = decode::Settings { pages: String::new(), pages_per_unit: 1, ..pipeline.decode.clone() };
        let budget = ByteBudget::new(u64::MAX);
        let decoder = Decoder::new(&settings, make::render(pipeline), budget, Stop::default());
        Self { slicer: Slicer::new(&settings, sandbox, largest), decoder: decoder.with_sandbox(sandbox) }
    }

    /// The part that failed as a file of its own.
    ///
    /// # Errors
    /// Why there is none, as the end of a sentence.
    pub fn cut(&mut self, row: &Failed, source: &Arc<Source>) -> Result<Cut, String> {
        let part = row.part();
        if let Part::Pages { .. } = part {
            return Err(unsliced(source.kind, part).message);
        }
        let before = match row.was_decoded() {
            true => Some(self.decode(source, part).map_err(|fault| format!("it is not decoded any more: {fault}"))?),
            false => None,
        };
        let slice = match (source.kind, &before) {
            (Kind::Pdf, _) => Input::open(&source.path).and_then(|input| self.slicer.page(&input, part)),
            (_, Some(unit)) => Slice::of(unit).ok_or_else(|| unsliced(source.kind, part)),
            (kind, None) => Err(unsliced(kind, part)),
        };
        Ok(Cut { slice: slice.map_err(|fault| fault.message)?, before })
    }

    /// Whether the part, which lies alone at `path`, behaves as in its document. `Ok` is what was said of it.
    ///
    /// # Errors
    /// How it behaves instead, as the end of a sentence.
    pub fn try_alone(&mut self, row: &Failed, cut: &Cut, path: &Path) -> Result<String, String> {
        if row.fault_kind() == Some(FaultKind::Deadline) && !row.was_decoded() {
            return Ok("not decoded again, since that was what took too long".to_owned());
        }
        let alone = source::source(path, row.text("_source"), cut.slice.kind, cut.slice.bytes.len() as u64);
        match (self.decode(&Arc::new(alone), Part::Whole), &cut.before) {
            (Ok(now), Some(before)) if now == *before => Ok("decodes to the same alone".to_owned()),
            (Ok(_), Some(_)) => Err("it decodes to something else than in its document".to_owned()),
            (Err(fault), None) if fault.kind.as_str() == row.text("kind") => Ok(format!("fails alike alone: {fault}")),
            (Err(fault), _) => Err(format!("it fails otherwise: {fault}")),
            (Ok(_), None) => Err("it can be decoded".to_owned()),
        }
    }

    fn decode(&mut self, source: &Arc<Source>, part: Part) -> Result<Unit, Fault> {
        let origin = Origin { source: source.clone(), part };
        let item = Item { origin, attempt: 0, lease: Lease::none(), body: Document };
        One::through(&mut self.decoder, item).map(|item| item.body)
    }
}

fn unsliced(kind: Kind, part: Part) -> Fault {
    decode::refuse(FaultKind::Unsupported, format!("{kind} has no file of its own for {part}"), "")
}
