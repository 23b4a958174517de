//! The ladder of a run: units whose answer is not good enough are sent up to be tried in another way.
//!
//! The judge sits before `write`. What it sends back goes to `decode` as a document of which one part is wanted, with the
//! attempt that it stands on; what it holds are records and failures, which are small, never media.

mod judge;
mod settings;

pub use judge::{Judge, Weighed};
pub use settings::{Reason, Settings};
