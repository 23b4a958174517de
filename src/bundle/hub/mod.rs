//! Models from a hub that speaks Hugging Face's protocol: which files, fetched and checked, in a cache that is shared
//! with huggingface_hub.

mod address;
mod cache;
mod choose;
mod client;
mod download;
mod layout;
mod listing;
mod part;
mod pull;
mod repository;
mod retry;
mod settings;
mod space;

use std::time::Duration;

pub use cache::origin;
pub use choose::Kind;
pub use listing::{Entry, Listing};
pub use pull::{PullRequest, Pulled, Use, pull};
pub use repository::Repository;
pub use settings::{Hub, Patience, Token};

/// What a pull tells whoever watches it.
#[derive(Debug, Clone, Copy)]
pub enum Step<'a> {
    /// The files are known, and the bytes that are not yet here.
    Planned {
        /// How many files the pull is about.
        files: usize,
        /// Their bytes.
        bytes: u64,
        /// Those that must come.
        missing: u64,
    },
    /// A file begins.
    Fetching {
        /// In the repository.
        path: &'a str,
        /// Its size.
        bytes: u64,
        /// What an earlier run has brought.
        have: u64,
    },
    /// So many bytes have come.
    Received(u64),
    /// So many bytes that had come must come again.
    Lost(u64),
    /// A request failed and is repeated after a pause.
    Pausing {
        /// What went wrong.
        why: &'a str,
        /// How long.
        pause: Duration,
    },
}
