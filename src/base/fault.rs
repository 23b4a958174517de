//! How things go wrong: a [`Fault`] costs one item and becomes a row of the failures table, a [`Fatal`] ends the run.

use std::{error::Error, fmt, sync::Arc};

use super::{
    item::{ContentHash, Origin, Part, Source},
    ladder::Try,
    media::Kind,
};

/// The six stages, in data order. The name is the folder, the TOML table, the log target and the
/// value in the failures table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum StageName {
    /// 1: paths to documents.
    Collect,
    /// 2: documents to units.
    Decode,
    /// 3: units to prompts.
    Encode,
    /// 4: prompts to generations.
    Generate,
    /// 5: generations to extractions.
    Parse,
    /// 6: extractions to Parquet.
    Write,
}

impl StageName {
    /// All stages, in data order.
    pub const ALL: [Self; 6] = [Self::Collect, Self::Decode, Self::Encode, Self::Generate, Self::Parse, Self::Write];

    /// The name everywhere.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Collect => "collect",
            Self::Decode => "decode",
            Self::Encode => "encode",
            Self::Generate => "generate",
            Self::Parse => "parse",
            Self::Write => "write",
        }
    }

    /// The stage with that name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|stage| stage.as_str() == name)
    }
}

impl fmt::Display for StageName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What sort of failure: the `kind` column of the failures table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FaultKind {
    /// The file cannot be opened or read.
    Unreadable,
    /// Zero bytes, zero pages, zero samples.
    Empty,
    /// The content is of no kind that we know.
    UnknownKind,
    /// The content contradicts its own format.
    Corrupt,
    /// A password is needed, or the given one is wrong.
    Encrypted,
    /// Over a limit on pixels, pages, bytes or duration.
    TooLarge,
    /// A codec or feature that we do not support, or that the model lacks.
    Unsupported,
    /// The decoder child died or broke the protocol.
    ChildDied,
    /// The decoder child was too slow and was killed, or a run of the model was stuck and was ended.
    Deadline,
    /// The prompt does not fit the context.
    TooLong,
    /// The session failed while running this unit.
    Engine,
    /// The answer is not what the schema demands.
    Invalid,
    /// The best answer went round in circles, and `[ladder] give_up_on` names that.
    Loop,
    /// The best answer was still not good enough, as the pipeline's `[ladder] give_up_on` says.
    Rejected,
    /// Our own mistake.
    Internal,
}

impl FaultKind {
    /// All of them.
    pub const ALL: [Self; 15] = [
        Self::Unreadable,
        Self::Empty,
        Self::UnknownKind,
        Self::Corrupt,
        Self::Encrypted,
        Self::TooLarge,
        Self::Unsupported,
        Self::ChildDied,
        Self::Deadline,
        Self::TooLong,
        Self::Engine,
        Self::Invalid,
        Self::Loop,
        Self::Rejected,
        Self::Internal,
    ];

    /// The name in the failures table.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Unreadable => "unreadable",
            Self::Empty => "empty",
            Self::UnknownKind => "unknown_kind",
            Self::Corrupt => "corrupt",
            Self::Encrypted => "encrypted",
            Self::TooLarge => "too_large",
            Self::Unsupported => "unsupported",
            Self::ChildDied => "child_died",
            Self::Deadline => "deadline",
            Self::TooLong => "too_long",
            Self::Engine => "engine",
            Self::Invalid => "invalid",
            Self::Loop => "loop",
            Self::Rejected => "rejected",
            Self::Internal => "internal",
        }
    }

    /// The kind with that name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == name)
    }
}

/// A limit of the pipeline that an item went over: the `limit` column of the failures table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Limit {
    /// Pixels of a picture, frame or page.
    Pixels,
    /// Pages of a document.
    Pages,
    /// Length of a recording or film.
    Seconds,
    /// Bytes of the file.
    Bytes,
    /// Bytes of a text.
    TextBytes,
    /// Bytes of all that a document becomes.
    DecodedBytes,
    /// Memory of a decoder child.
    Memory,
    /// A sign of progress.
    SecondsWithoutProgress,
    /// Work on a document in all.
    SecondsPerDocument,
    /// Decoder children that a document may cost.
    ChildrenPerDocument,
}

impl Limit {
    /// All of them.
    pub const ALL: [Self; 10] = [
        Self::Pixels,
        Self::Pages,
        Self::Seconds,
        Self::Bytes,
        Self::TextBytes,
        Self::DecodedBytes,
        Self::Memory,
        Self::SecondsWithoutProgress,
        Self::SecondsPerDocument,
        Self::ChildrenPerDocument,
    ];

    /// The setting in a pipeline file, with its tables.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pixels => "decode.limits.pixels",
            Self::Pages => "decode.limits.pages",
            Self::Seconds => "decode.limits.seconds",
            Self::Bytes => "decode.limits.bytes",
            Self::TextBytes => "decode.limits.text_bytes",
            Self::DecodedBytes => "decode.limits.decoded_bytes",
            Self::Memory => "decode.limits.memory",
            Self::SecondsWithoutProgress => "decode.seconds_without_progress",
            Self::SecondsPerDocument => "decode.seconds_per_document",
            Self::ChildrenPerDocument => "decode.children_per_document",
        }
    }

    /// The limit with that name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|limit| limit.as_str() == name)
    }
}

/// Why one item failed: what happened, and what the user can do. Where is the item's [`Origin`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// The stage that gave up.
    pub stage: StageName,
    /// The sort of failure.
    pub kind: FaultKind,
    /// What happened, in one line, with the numbers.
    pub message: String,
    /// What to do about it, in one line.
    pub hint: String,
    /// The limit that it went over.
    pub limit: Option<Limit>,
}

impl Fault {
    /// A fault of `stage`.
    pub fn new(stage: StageName, kind: FaultKind, message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { stage, kind, message: message.into(), hint: hint.into(), limit: None }
    }

    /// The fault of going over `limit`.
    pub fn over(self, limit: Limit) -> Self {
        Self { limit: Some(limit), ..self }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.stage, self.message)
    }
}

impl Error for Fault {}

/// A row of the failures table: a fault and who it happened to.
#[derive(Debug, Clone, PartialEq)]
pub struct Failure {
    /// The file as the user would name it.
    pub source: String,
    /// Unknown when the file could not even be read.
    pub hash: Option<ContentHash>,
    /// Unknown when the content is of no known kind.
    pub kind: Option<Kind>,
    /// Which part of the document.
    pub part: Part,
    /// What happened to it.
    pub fault: Fault,
    /// The document, where it was one.
    pub document: Option<Arc<Source>>,
    /// The unit's other tries, which were no better.
    pub tries: Vec<Try>,
}

impl Failure {
    /// The failure of a collected item.
    pub fn of(origin: &Origin, fault: Fault) -> Self {
        Self {
            source: origin.source.name.clone(),
            hash: Some(origin.source.hash),
            kind: Some(origin.source.kind),
            part: origin.part,
            fault,
            document: Some(origin.source.clone()),
            tries: Vec::new(),
        }
    }
}

/// Why the run as a whole cannot start or go on: what and where in `message`, what now in `hint`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fatal {
    /// What happened and where.
    pub message: String,
    /// What to do about it; may be empty.
    pub hint: String,
}

impl Fatal {
    /// A fatal error with advice.
    pub fn new(message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { message: message.into(), hint: hint.into() }
    }
}

impl fmt::Display for Fatal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl Error for Fatal {}
