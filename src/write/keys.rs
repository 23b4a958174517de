//! Short names for what a dataset holds, to be kept in memory by the million.

use std::{fmt, path::Path};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};

use super::identity;
use crate::base::{ContentHash, Origin, name::plain};

/// A document, by the first half of its content's hash.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct DocumentKey(pub u128);

/// A unit, by the first half of its id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct UnitKey(pub u128);

/// The name of a file, however it is spelled: datasets of before may say `./a.txt` for `a.txt`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct NameKey(u128);

/// Hexadecimal digits of a key.
const DIGITS: usize = 32;

impl DocumentKey {
    /// The key of this content.
    pub fn of(hash: &ContentHash) -> Self {
        let mut half = [0; 16];
        half.copy_from_slice(&hash.0[..16]);
        Self(u128::from_be_bytes(half))
    }

    /// The same from the column `_hash`.
    pub fn read(hash: &str) -> Option<Self> {
        half(hash).map(Self)
    }
}

impl UnitKey {
    /// The key of a collected unit.
    pub fn of(origin: &Origin) -> Option<Self> {
        Self::read(&identity::unit_id(&origin.source.hash, &origin.part))
    }

    /// The same from the column `_unit`.
    pub fn read(unit: &str) -> Option<Self> {
        half(unit).map(Self)
    }
}

impl NameKey {
    /// The key of a file's name.
    pub fn of(name: &str) -> Self {
        let plain = plain(Path::new(name));
        let hash = ContentHash(*blake3::hash(plain.as_os_str().as_encoded_bytes()).as_bytes());
        Self(DocumentKey::of(&hash).0)
    }
}

fn half(hash: &str) -> Option<u128> {
    hash.get(..DIGITS).and_then(|digits| u128::from_str_radix(digits, 16).ok())
}

impl fmt::Debug for DocumentKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

impl Serialize for DocumentKey {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&format_args!("{self:?}"))
    }
}

impl<'de> Deserialize<'de> for DocumentKey {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::read(&text).ok_or_else(|| D::Error::custom("32 hexadecimal digits are expected"))
    }
}
