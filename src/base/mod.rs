//! The words that all rooms share. Nothing in here knows a stage, and nothing in here imports another room.

pub mod answer;
pub mod budget;
pub mod clock;
pub mod dataset;
pub mod evidence;
pub mod fault;
pub mod grid;
pub mod item;
pub mod ladder;
pub mod limit;
pub mod lock;
pub mod media;
pub mod model;
pub mod name;
pub mod native;
pub mod picture;
pub mod place;
pub mod prompt;
pub mod record;
pub mod shape;
pub mod stage;
pub mod stop;
pub mod tensors;
pub mod visual;

pub use answer::{
    Confined, Effort, Extraction, Finish, Generation, Output, PageBox, PromptFacts, Thought, Timing, Tokens,
};
pub use budget::{ByteBudget, Lease};
pub use evidence::{Agreement, Confidence, Evidence, Grounds, Passage, Verdict};
pub use fault::{Failure, Fatal, Fault, FaultKind, Limit, StageName};
pub use item::{ContentHash, Document, Item, Origin, Part, Source};
pub use limit::UnitQuota;
pub use media::{Clip, Film, Frame, Kind, PAGE_BREAK, Page, Raster, TextLayer, Unit, Word};
pub use model::Model;
pub use prompt::{Features, ImagePatches, LogMel, Prompt};
pub use record::{Conflict, Merged, MergedPart, RECORDS, RecordOf};
pub use shape::Shape;
pub use stage::{Emit, Kept, Outcome, Stage};
pub use stop::Stop;
pub use visual::Budget;
