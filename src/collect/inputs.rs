//! What the user names as input, and which share of it this run takes.

use std::{fmt, path::PathBuf, str::FromStr};

use crate::base::ContentHash;

/// The inputs of a run.
#[derive(Debug, Clone, Default)]
pub struct Inputs {
    /// Files, folders and patterns (`scans/**/*.pdf`).
    pub paths: Vec<String>,
    /// A file with one path a line; `-` is standard input.
    pub list: Option<PathBuf>,
    /// The share of the documents that this run takes.
    pub shard: Option<Shard>,
}

/// One of several shares: `2/5` is the second of five. Which document belongs to which share is decided by its
/// content alone, so that runs on several machines need not agree on an order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shard {
    index: u64,
    count: u64,
}

impl Shard {
    /// Share `index`, from 1, of `count`.
    ///
    /// # Errors
    /// When there is no such share.
    pub fn new(index: u64, count: u64) -> Result<Self, String> {
        if (1..=count).contains(&index) {
            return Ok(Self { index, count });
        }
        Err(format!("there is no shard {index} of {count}; the first is `1/{count}`, the last `{count}/{count}`"))
    }

    /// True when the document with this hash belongs to the share.
    pub fn holds(self, hash: ContentHash) -> bool {
        let mut first = [0; 8];
        first.copy_from_slice(&hash.0[..8]);
        u64::from_be_bytes(first) % self.count == self.index - 1
    }
}

impl FromStr for Shard {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("`{text}` is no shard; write for example `1/4`");
        let (index, count) = text.split_once('/').ok_or_else(wrong)?;
        Self::new(index.parse().map_err(|_| wrong())?, count.parse().map_err(|_| wrong())?)
    }
}

impl fmt::Display for Shard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.index, self.count)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn every_document_belongs_to_exactly_one_shard(hash in any::<[u8; 32]>(), count in 1_u64..40) {
            let holding = (1..=count).filter(|&index| Shard::new(index, count).unwrap().holds(ContentHash(hash)));
            prop_assert_eq!(holding.count(), 1);
        }
    }

    #[test]
    fn a_shard_is_read_as_it_is_written() {
        assert_eq!("2/5".parse::<Shard>().unwrap().to_string(), "2/5");
        for wrong in ["0/5", "6/5", "1/0", "1", "a/b", "-1/2"] {
            assert!(wrong.parse::<Shard>().is_err(), "{wrong}");
        }
    }
}
