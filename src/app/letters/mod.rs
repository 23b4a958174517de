//! `lapidary failures` without its command line: the dead letters of a dataset, counted, or each in a folder of its own with
//! what failed, what is known of it, and a command that reproduces it.
//!
//! ```text
//! OUT/settings-1/pipeline.toml, schema.json             the settings of then, to run again
//! OUT/00001-decode-corrupt-report-page-3/page-3.pdf    what failed, alone where that fails alike, else the whole document
//!                                        failure.json  all columns, the state of the source, remarks
//!                                        log.txt       what was said then, and what was said now
//!                                        reproduce.sh  the command
//! ```

mod cutter;
mod folder;
mod letter;
mod row;
mod script;
mod settings;
mod source;
mod tally;

use std::path::{Path, PathBuf};

use crate::{
    base::{Fatal, FaultKind, StageName},
    decode::Sandbox,
    write::read::{self, Table},
};
use letter::Office;
pub use letter::{Enclosed, Letter};
use row::Failed;
pub use tally::{Tally, tally};

/// Which failures are meant.
#[derive(Debug, Clone, Copy, Default)]
pub struct Wanted {
    /// Those of this stage.
    pub stage: Option<StageName>,
    /// Those of this kind.
    pub kind: Option<FaultKind>,
}

impl Wanted {
    fn takes(&self, row: &Failed) -> bool {
        self.stage.is_none_or(|stage| row.text("stage") == stage.as_str())
            && self.kind.is_none_or(|kind| row.text("kind") == kind.as_str())
    }
}

/// What to export, and where to.
#[derive(Debug, Clone)]
pub struct Request {
    /// The dataset.
    pub dataset: PathBuf,
    /// A new or empty folder.
    pub out: PathBuf,
    /// Which failures.
    pub wanted: Wanted,
    /// At most so many.
    pub limit: usize,
    /// Documents of more bytes are named and not copied.
    pub largest: u64,
    /// The program that reproduces.
    pub program: PathBuf,
    /// What is wanted of the walls around the decoder children.
    pub sandbox: Sandbox,
}

/// What came of it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Exported {
    /// Folders that were written.
    pub letters: usize,
    /// Those of them that lack what failed, or hold it as it is now and was not then.
    pub partly: usize,
}

/// Writes a folder for each failure, and tells `each` of it.
///
/// # Errors
/// When there is no dataset, it does not tell how it was made, or `out` is taken or cannot be written.
pub fn export(request: &Request, each: &mut dyn FnMut(&Letter)) -> Result<Exported, Fatal> {
    read::parts(&request.dataset, Table::Failures)?;
    folder::create(&request.out)?;
    let mut office = Office::open(request);
    let mut exported = Exported::default();
    failures(&request.dataset, &request.wanted, &mut |row| {
        if exported.letters < request.limit {
            exported.letters += 1;
            let letter = office.write(exported.letters, row)?;
            exported.partly += usize::from(!letter.is_whole());
            each(&letter);
        }
        Ok(exported.letters < request.limit)
    })?;
    Ok(exported)
}

/// Hands over the wanted failures until `each` wants no more.
fn failures(dataset: &Path, wanted: &Wanted, each: &mut dyn FnMut(Failed) -> Result<bool, Fatal>) -> Result<(), Fatal> {
    let request = read::Request { table: Table::Failures, columns: None, limit: usize::MAX };
    let mut more = true;
    read::read(dataset, &request, &mut |batch| {
        for row in read::json(batch).map(Failed::new).filter(|row| wanted.takes(row)) {
            if more {
                more = each(row)?;
            }
        }
        Ok(())
    })
}
