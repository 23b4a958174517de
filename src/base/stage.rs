//! The contract of the ordinary stages, and what reaches the last one.

use std::sync::Arc;

use super::{
    answer::Extraction,
    fault::{Failure, Fault},
    item::{Item, Origin, Part, Source},
};

/// One item in, any number of items out. A stage knows no threads and no channels; `app` runs lanes of it.
pub trait Stage: Send {
    /// The body that comes in.
    type In: Send;
    /// The body that goes out.
    type Out: Send;

    /// Works on one item. An error means that the item as a whole failed: it becomes one failure.
    fn process(&mut self, item: Item<Self::In>, emit: &mut dyn Emit<Self::Out>) -> Result<(), Fault>;
}

/// Where a stage puts what it makes. Waiting for room in the next channel happens inside.
pub trait Emit<T> {
    /// Asks, before they are emitted, how many of these further units of a document are wanted, from the front, and promises
    /// those: each must be followed by an [`Emit::item`] or an [`Emit::fault`]. Where that is fewer than asked, the document
    /// ends with them. Only `decode` promises.
    fn promise(&mut self, _source: &Arc<Source>, parts: &[Part]) -> usize {
        parts.len()
    }

    /// Hands an item to the next stage.
    fn item(&mut self, item: Item<T>);

    /// Reports that one item failed, and that the stage goes on with the others.
    fn fault(&mut self, origin: &Origin, fault: Fault);

    /// Says of a document, once at most, how many of its seconds became no unit because nobody speaks in them. Only `decode`
    /// knows. A document of nothing else has no units.
    fn silence(&mut self, _source: &Arc<Source>, _seconds: f64) {}

    /// False once the run is being aborted: what is emitted now goes nowhere, so stop working.
    fn open(&self) -> bool;
}

/// What a dataset holds of a document, or of a unit, that needs no asking.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Kept {
    /// Units.
    pub units: u64,
    /// Their rows.
    pub rows: u64,
    /// Units that have failed.
    pub failures: u64,
}

/// What walks to `write`, from every stage.
#[derive(Debug)]
pub enum Outcome {
    /// `collect` found a document; its units are to come.
    Found(Arc<Source>),
    /// `collect` found a document with the content of an earlier one: its rows and failures are
    /// copied from that one's at the end.
    Duplicate(Arc<Source>),
    /// `decode` promises that many more units of the document.
    Promise(Arc<Source>, u64),
    /// So many seconds of the document became no unit, since nobody speaks in them.
    Silence(Arc<Source>, f64),
    /// `decode` has promised all units of the document that it ever will.
    Decoded {
        /// The document.
        source: Arc<Source>,
        /// None of its units was left out for a limit or an end of the run.
        whole: bool,
    },
    /// The dataset holds the document already, and it is not looked at.
    Kept(Arc<Source>, Kept),
    /// The dataset holds one promised unit already.
    KeptUnit(Box<Origin>, Kept),
    /// One unit came through, and is a row.
    Row(Box<Item<Extraction>>),
    /// One unit came through; what it said is in rows of its document, or is several rows.
    Answered(Box<Item<Extraction>>),
    /// A row that is made of units told as [`Outcome::Answered`].
    Record(Box<Item<Extraction>>),
    /// One unit, or one whole document, did not.
    Failure(Box<Failure>),
}
