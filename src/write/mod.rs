//! 6: `Extraction` -> Parquet. Columns are the fields of the schema, named as there; the columns that every dataset has
//! begin with `_`. Parts are written aside, synced and renamed, so whatever lies under `extractions/` is whole.
//!
//! ```text
//! OUT/extractions/part-00000.parquet   one row per unit
//! OUT/failures/part-00000.parquet      one row per unit or document that failed
//! OUT/_lapidary/tmp/                   the parts being written
//! OUT/_lapidary/lock                   held by the run that writes
//! OUT/_lapidary/ledger.jsonl           the documents that are through
//! OUT/_lapidary/manifest.json          the parts of a finished dataset
//! ```
//!
//! A run on a folder that holds a dataset goes on with it: what is there is kept, what is outdated goes at the end.

mod asked;
mod books;
mod boxes;
mod columns;
mod continuation;
mod copies;
mod evidence;
mod extractions;
pub mod failpoint;
mod failures;
mod findings;
mod folder;
mod identity;
mod keys;
mod known;
mod ledger;
mod lock;
mod marks;
mod merged;
mod outline;
mod part;
mod publish;
pub mod read;
mod revise;
mod seal;
mod settings;
mod table;
mod timeline;
mod totals;
mod tries;
mod writer;

pub use asked::{Config, RunIdentity};
pub use evidence::Extras;
pub use folder::{Claim, Folder, Over, put_json};
pub use identity::unit_id;
pub use known::{Continuing, Known, Tally};
pub use outline::{Column, outline};
pub use publish::{Address, PublishRequest, Published, Step, publish};
pub use seal::{Listed, Manifest, sealed};
pub use settings::{Compression, Settings};
pub use timeline::{Moment, save as save_timeline};
pub use totals::{Imbalance, Totals};
pub use writer::Writer;
