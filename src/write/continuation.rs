//! How a run goes on with a dataset: what it holds, what the run finds, and what follows from both at the end.

use std::{collections::HashMap, path::Path, sync::Arc};

use super::{
    asked::RunIdentity,
    books::Through,
    columns,
    copies::Copies,
    findings::{Findings, Settlement},
    folder::Folder,
    keys::DocumentKey,
    known::{Continuing, Known, Side},
    ledger::{self, Entry, Ledger},
    read,
    revise::{Revised, Revision},
    settings::Settings,
};
use crate::base::{Fatal, Source};

use arrow::datatypes::SchemaRef;

/// What is remembered between runs.
#[derive(Debug)]
pub struct Continuation {
    known: Arc<Known>,
    run: RunIdentity,
    /// What comes to light.
    pub findings: Findings,
    ledger: Ledger,
    /// Documents that are through, whose rows may not be published yet.
    ready: Vec<Entry>,
    /// The same of documents of which the dataset holds outdated rows, until those are gone.
    late: Vec<Entry>,
    /// Something could not be written.
    lost: bool,
}

/// What was done at the end, and what is left to do.
#[derive(Debug)]
pub struct Settled {
    settlement: Settlement,
    /// What was changed in earlier parts.
    pub revised: Revised,
}

impl Settled {
    /// Rows to be written once more under other names.
    pub fn copies(&self) -> &Copies {
        &self.settlement.copies
    }
}

impl Continuation {
    /// Reads what a dataset holds, whose columns must be those of this run.
    ///
    /// # Errors
    /// When it has other columns, or cannot be read.
    pub fn open(
        folder: &Folder,
        columns: [&SchemaRef; 2],
        run: RunIdentity,
        manner: Continuing,
    ) -> Result<Self, Fatal> {
        let (extractions, failures) = folder.parts()?;
        for (parts, columns) in [&extractions, &failures].into_iter().zip(columns) {
            parts.iter().try_for_each(|part| refuse_other_columns(part, columns))?;
        }
        let (ledger, entries) = Ledger::open(&folder.ledger)?;
        let known = Known::read(run.clone(), manner, entries, extractions, failures)?;
        let findings = Findings::new(known.is_empty());
        let (ready, late) = Default::default();
        Ok(Self { known: Arc::new(known), run, findings, ledger, ready, late, lost: false })
    }

    /// What the dataset held when the run began.
    pub fn known(&self) -> &Arc<Known> {
        &self.known
    }

    /// A document is through.
    pub fn through(&mut self, source: &Source, through: Through) {
        let document = DocumentKey::of(&source.hash);
        self.findings.through(&source.name, document);
        let Through { units, rows, failures, .. } = through;
        let (asked, chances) = (ledger::asked(&self.run, source.kind), ledger::chances(&self.run, source.kind));
        let entry = Entry { document, asked, chances, units, rows, failures };
        if self.leaves_nothing_outdated(document, source, &through) { &mut self.ready } else { &mut self.late }
            .push(entry);
    }

    /// True when all that the dataset held of a document was kept as it is.
    fn leaves_nothing_outdated(&self, document: DocumentKey, source: &Source, through: &Through) -> bool {
        match self.known.names(document) {
            [] => true,
            [one] => {
                let kept = one.rows == through.kept.rows && one.failures == through.kept.failures;
                kept && *one.name == *source.name && one.others == 0 && !self.known.is_untidy()
            }
            _ => false,
        }
    }

    /// Rows or failures could not be written: which documents they are about is not known, so none is through.
    pub fn lose(&mut self) {
        self.lost = true;
    }

    /// All rows and failures so far are published.
    ///
    /// # Errors
    /// When the ledger cannot be written.
    pub fn published(&mut self) -> Result<(), Fatal> {
        let ready = std::mem::take(&mut self.ready);
        if self.lost { Ok(()) } else { self.ledger.append(&ready) }
    }

    /// The run is complete and everything is published: takes what is outdated out of the earlier parts, but for what stands
    /// there until [`Self::settle_copies`].
    ///
    /// # Errors
    /// When a part cannot be read or written.
    pub fn settle(&mut self, folder: &Folder, settings: &Settings) -> Result<Settled, Fatal> {
        let settlement = self.findings.settle(&self.known);
        let mut revised = Revised::default();
        if !self.findings.is_new() && !self.findings.leaves_all(&settlement, &self.known) {
            revised = self.revise(&settlement, folder, settings, false)?;
        }
        Ok(Settled { settlement, revised })
    }

    /// The copies are there: takes out what they replace, and says in the ledger which documents are through with that. Before
    /// that a run would begin with them again.
    ///
    /// # Errors
    /// When a part cannot be read or written.
    pub fn settle_copies(&mut self, settled: &Settled, folder: &Folder, settings: &Settings) -> Result<Revised, Fatal> {
        let replaces = settled.settlement.replaces();
        let revised = replaces.then(|| self.revise(&settled.settlement, folder, settings, true)).transpose()?;
        self.ledger.append(&self.late)?;
        self.late.clear();
        Ok(revised.unwrap_or_default())
    }

    fn revise(
        &self,
        settlement: &Settlement,
        folder: &Folder,
        settings: &Settings,
        late: bool,
    ) -> Result<Revised, Fatal> {
        let (known, findings, aside) = (&*self.known, &self.findings, &*folder.aside);
        let revision = Revision { known, findings, settlement, settings, aside, late };
        let (extractions, failures) = known.parts();
        let rows = revision.apply(Side::Rows, extractions)?;
        Ok(rows.plus(revision.apply(Side::Failures, failures)?))
    }
}

/// What is said about columns may differ from part to part: a question that is put in other words has the same columns.
fn refuse_other_columns(part: &Path, wanted: &SchemaRef) -> Result<(), Fatal> {
    let (there, _) = read::schema_and_footer(part)?;
    let (ours, theirs) = (columns::undescribed(wanted.fields()), columns::undescribed(there.fields()));
    if ours == theirs {
        return Ok(());
    }
    let ours: HashMap<_, _> = ours.iter().map(|field| (field.name(), field)).collect();
    let theirs: HashMap<_, _> = theirs.iter().map(|field| (field.name(), field)).collect();
    let differs = |name: &&&String| ours.get(**name) != theirs.get(**name);
    let mut names: Vec<&String> = ours.keys().chain(theirs.keys()).filter(differs).copied().collect();
    names.sort();
    names.dedup();
    let names: Vec<String> = names.into_iter().map(|name| format!("`{name}`")).collect();
    let which = if names.is_empty() { "their order".to_owned() } else { names.join(", ") };
    Err(Fatal::new(
        format!("write: `{}` has other columns than this run would write: {which}", part.display()),
        "another schema, or other columns of evidence and checks, need another `--output`",
    ))
}
