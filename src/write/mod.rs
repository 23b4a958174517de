//! 6: `Extraction` -> Parquet. Columns are the fields of the schema, named as there; the columns that every dataset has
//! begin with `_`. Parts are written aside, synced and renamed, so whatever lies under `extractions/` is whole.
//!
//! ```text
//! OUT/extractions/part-00000.parquet   one row per unit
//! OUT/failures/part-00000.parquet      one row per unit or document that failed
//! OUT/_lapidary/tmp/                   the parts being written
//! ```

mod books;
mod boxes;
mod columns;
mod copies;
mod evidence;
mod extractions;
mod failures;
mod folder;
mod identity;
mod merged;
mod outline;
mod part;
pub mod read;
mod settings;
mod table;
mod totals;
mod tries;
mod writer;

pub use evidence::Extras;
pub use identity::unit_id;
pub use outline::{Column, outline};
pub use settings::{Compression, Settings};
pub use totals::{Imbalance, Totals};
pub use writer::{RunIdentity, Writer};
