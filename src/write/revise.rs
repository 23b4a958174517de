//! Earlier parts without the rows that do not count any more. A part is written anew aside, synced, and put in the place of
//! the old one; so it is at any moment the one or the other.

use std::{
    fs,
    path::{Path, PathBuf},
};

use arrow::{array::RecordBatch, error::ArrowError};

use super::{
    copies,
    failpoint::{Point, pass},
    findings::{Fate, Findings, Settlement},
    folder,
    known::{Known, Side},
    marks::{self, Mark},
    part::Part,
    read,
    settings::Settings,
    table,
};
use crate::base::Fatal;

/// What is changed in the parts of before.
pub struct Revision<'a> {
    /// What they hold.
    pub known: &'a Known,
    /// What the run has found.
    pub findings: &'a Findings,
    /// What follows from it.
    pub settlement: &'a Settlement,
    /// How parts are written.
    pub settings: &'a Settings,
    /// Where they grow.
    pub aside: &'a Path,
    /// Only what copies have replaced goes.
    pub late: bool,
}

/// What has been changed, in rows.
#[derive(Debug, Clone, Copy, Default)]
pub struct Revised {
    /// Taken out.
    pub removed: u64,
    /// Under another name now.
    pub renamed: u64,
}

impl Revised {
    /// Both.
    pub fn plus(self, other: Self) -> Self {
        Self { removed: self.removed + other.removed, renamed: self.renamed + other.renamed }
    }
}

impl Revision<'_> {
    /// Goes through the parts of one table. Those that lose all rows go.
    ///
    /// # Errors
    /// When one cannot be read, or not be written anew.
    pub fn apply(&self, side: Side, parts: &[PathBuf]) -> Result<Revised, Fatal> {
        let mut all = Revised::default();
        // One that has lost all its rows is gone.
        for (number, part) in parts.iter().enumerate().filter(|(_, part)| !self.late || part.exists()) {
            let (mut revised, mut rows) = (Revised::default(), 0);
            marks::of_part(part, &mut |mark| {
                rows += 1;
                match self.fate(side, number, &mark) {
                    Fate::Stays => {}
                    Fate::Goes => revised.removed += 1,
                    Fate::Renamed(_) | Fate::Doubled(_) => revised.renamed += 1,
                }
            })?;
            match revised.removed {
                0 if revised.renamed == 0 => {}
                removed if removed == rows => remove(part)?,
                _ => self.rewrite(side, number, part)?,
            }
            all = all.plus(revised);
        }
        Ok(all)
    }

    fn fate(&self, side: Side, number: usize, mark: &Mark) -> Fate<'_> {
        match self.late {
            true => self.findings.late_fate(self.settlement, mark),
            false => self.findings.fate(self.settlement, self.known, side, number, mark),
        }
    }

    fn rewrite(&self, side: Side, number: usize, part: &Path) -> Result<(), Fatal> {
        let aside = self.aside.join(part.file_name().unwrap_or_default());
        let (schema, footer) = read::schema_and_footer(part)?;
        let properties = table::properties(self.settings).set_key_value_metadata(footer);
        let mut anew = Part::create(aside, schema, properties.build())?;
        for batch in read::open(part)? {
            let batch = read::checked(part, batch)?;
            anew.write(&self.revised(side, number, &batch).map_err(|error| cannot_revise(part, &error))?)?;
        }
        anew.replace(part).map(drop)
    }

    fn revised(&self, side: Side, number: usize, batch: &RecordBatch) -> Result<RecordBatch, ArrowError> {
        let (mut rows, mut names, mut row) = (Vec::new(), Vec::new(), 0);
        marks::of_batch(batch, &mut |mark| {
            let fate = self.fate(side, number, &mark);
            let own = matches!(fate, Fate::Stays | Fate::Doubled(_)).then_some(mark.source);
            let other = if let Fate::Renamed(name) | Fate::Doubled(name) = fate { Some(name) } else { None };
            for name in own.into_iter().chain(other) {
                rows.push(row);
                names.push(name.to_owned());
            }
            row += 1;
        });
        copies::renamed(batch, rows, names)
    }
}

fn remove(part: &Path) -> Result<(), Fatal> {
    let gone = pass(Point::RevisionWritten).and_then(|()| fs::remove_file(part));
    let gone = gone.and_then(|()| part.parent().map_or(Ok(()), folder::sync));
    gone.and_then(|()| pass(Point::RevisionRenamed)).map_err(|error| folder::cannot_write(part, &error))
}

fn cannot_revise(part: &Path, error: &ArrowError) -> Fatal {
    Fatal::new(
        format!("write: the outdated rows of `{}` cannot be taken out: {error}", part.display()),
        "this is a mistake of ours; please report it",
    )
}
