//! What an answer will probably say next, told from what was said before: drafts, for the model to check many tokens
//! in one run.
//!
//! A draft is only a guess. The generator feeds it behind the token that is certain and takes of it what the model
//! would have chosen itself, so answers are the same with drafts and without; only their number of steps differs.

mod copyist;
mod drafter;
mod habits;
mod length;
mod page;
mod shelf;
mod strings;
mod trail;

pub use drafter::Drafter;
pub use habits::Habits;
pub use shelf::Shelf;
