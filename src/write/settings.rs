//! The `[write]` table of a pipeline: when a part is closed, and how it is compressed.

use parquet::basic::{Compression as Codec, ZstdLevel};
use serde::Deserialize;

/// What `[write]` may say. A part is closed when any of its three limits is reached.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// Rows in a part.
    pub rows_per_part: u64,
    /// Compressed mebibytes in a part.
    pub mebibytes_per_part: u64,
    /// Age of a part, from its first row: a killed run loses no more than this.
    pub seconds_per_part: u64,
    /// Codec of all columns.
    pub compression: Compression,
}

/// A codec of Parquet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Compression {
    /// Small files; the default.
    Zstd,
    /// Faster, larger.
    Snappy,
    /// As it is.
    None,
}

impl Default for Settings {
    fn default() -> Self {
        Self { rows_per_part: 10_000, mebibytes_per_part: 256, seconds_per_part: 300, compression: Compression::Zstd }
    }
}

impl Settings {
    /// What is wrong with the numbers. `seconds_per_part` is judged with what has no effect, since datasets remember a 0.
    pub fn validate(&self) -> Vec<String> {
        let limits = [("rows_per_part", self.rows_per_part), ("mebibytes_per_part", self.mebibytes_per_part)];
        let zero = limits.into_iter().filter(|(_, value)| *value == 0);
        zero.map(|(name, _)| format!("write.{name}: 0 would make a part of each row; write 1 or more")).collect()
    }
}

impl Compression {
    /// The codec in Parquet's words.
    pub fn codec(self) -> Codec {
        match self {
            Self::Zstd => Codec::ZSTD(ZstdLevel::default()),
            Self::Snappy => Codec::SNAPPY,
            Self::None => Codec::UNCOMPRESSED,
        }
    }
}
