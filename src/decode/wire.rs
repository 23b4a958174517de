//! What parent and child say to each other over the child's standard input and output.
//!
//! A message is a `u32` length (little endian), that many bytes of JSON, and after a [`Reply::Unit`] whose
//! bytes are not shared those that its [`Form`](super::form::Form) announces. The parent believes nothing: every length is checked
//! before it is allocated.

use std::io::{self, Read, Write};

use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::base::{Fault, FaultKind, Kind, Limit, Part, StageName};

use super::{
    form::Form,
    order::Order,
    proof::Deed,
    walls::{Reached, Walls},
};

/// Longest JSON of a message: room for the parts of a million units.
pub const MOST_JSON: u32 = 128 << 20;

/// Longest text of a fault that crosses over.
const MOST_WORDS: usize = 2000;

/// Parent to child: what to do next.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "ask", rename_all = "snake_case")]
pub enum Ask {
    /// The walls to raise, before anything else; answered by [`Reply::Raised`]. Where they are raised around a document, its
    /// descriptor follows, and then that of the memory that is shared.
    Raise {
        /// Which.
        walls: Walls,
        /// Memory is shared.
        shares: bool,
    },
    /// Something that the walls must stop; answered by [`Reply::Tried`], if at all.
    Try {
        /// What.
        deed: Deed,
    },
    /// A document, whose descriptor follows unless it came with the walls; answered by replies up to [`Reply::Done`] or [`Reply::DocumentFault`].
    Decode(Box<Request>),
    /// A page to be cut out of its document, the one part that is wanted; its descriptor follows. Answered by [`Reply::Cut`] or
    /// [`Reply::DocumentFault`].
    Cut(Box<Request>),
    /// Whether PDFium can be loaded; answered by [`Reply::Done`] or [`Reply::DocumentFault`].
    Probe,
}

/// A document to decode.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Request {
    /// The file, for systems on which no descriptor can be handed over.
    #[cfg(not(unix))]
    pub path: std::path::PathBuf,
    /// What it is.
    pub kind: Kind,
    /// What is wanted of it.
    pub order: Order,
    /// Units that an earlier child has settled: pass over so many.
    pub settled: usize,
    /// The one part that is wanted; all of them where none is named.
    pub only: Option<Part>,
}

/// Parent to child, while it is at a document.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "answer", rename_all = "snake_case")]
pub enum Answer {
    /// The answer to [`Reply::Promise`].
    Granted {
        /// So many units, from the front, are wanted.
        units: usize,
    },
    /// The unit in the shared memory is taken.
    Taken,
}

/// Child to parent.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "reply", rename_all = "snake_case")]
pub enum Reply {
    /// The walls stand as far as this.
    Raised {
        /// What stands.
        reached: Reached,
    },
    /// What became of the deed.
    Tried {
        /// What stopped it; nothing when it was done.
        stopped: Option<String>,
    },
    /// The page as a document of its own; its bytes follow.
    Cut {
        /// How many.
        bytes: u64,
    },
    /// This document needs a child that may start ffmpeg.
    NeedsFfmpeg,
    /// Units with these parts will follow; waits for [`Answer::Granted`].
    Promise {
        /// In the order in which they will come.
        parts: Vec<Part>,
    },
    /// The next promised unit; its bytes follow, or lie in the shared memory.
    Unit {
        /// The part that was promised.
        of: Part,
        /// Kind and sizes.
        form: Form,
        /// They lie in the shared memory.
        #[serde(default)]
        shared: bool,
    },
    /// The next promised unit cannot be had.
    UnitFault {
        /// The part that was promised.
        of: Part,
        /// Why.
        fault: WireFault,
    },
    /// So much of the document became no unit, since nobody speaks in it; said once, at the end.
    Silence {
        /// Of the recording.
        seconds: f64,
    },
    /// Work goes on.
    Heartbeat,
    /// The document is through.
    Done,
    /// The document as a whole failed.
    DocumentFault {
        /// Why.
        fault: WireFault,
    },
}

impl Reply {
    /// How a document ended.
    pub fn end(outcome: Result<(), Fault>) -> Self {
        outcome.map_or_else(|fault| Self::DocumentFault { fault: fault.into() }, |()| Self::Done)
    }
}

/// A fault on its way to the parent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WireFault {
    kind: String,
    message: String,
    hint: String,
    limit: Option<String>,
}

impl From<Fault> for WireFault {
    fn from(fault: Fault) -> Self {
        let limit = fault.limit.map(|limit| limit.as_str().to_owned());
        Self { kind: fault.kind.as_str().to_owned(), message: fault.message, hint: fault.hint, limit }
    }
}

impl From<WireFault> for Fault {
    fn from(wire: WireFault) -> Self {
        let kind = FaultKind::from_name(&wire.kind).unwrap_or(FaultKind::Internal);
        let limit = wire.limit.and_then(|name| Limit::from_name(&name));
        Self { limit, ..Self::new(StageName::Decode, kind, printable(&wire.message), printable(&wire.hint)) }
    }
}

/// One line without control characters: the words may come from a hostile file.
fn printable(words: &str) -> String {
    words.chars().take(MOST_WORDS).map(|c| if c.is_control() { ' ' } else { c }).collect()
}

/// Writes one message, all of it at once.
///
/// # Errors
/// When the other side is gone.
pub fn send(to: &mut (impl Write + ?Sized), message: &impl Serialize) -> io::Result<()> {
    let mut whole = vec![0; size_of::<u32>()];
    serde_json::to_writer(&mut whole, message)?;
    let (length, json) = whole.split_at_mut(size_of::<u32>());
    let bytes = u32::try_from(json.len()).ok().filter(|bytes| *bytes <= MOST_JSON);
    let bytes = bytes.ok_or_else(|| io::Error::other("a message is too long"))?;
    length.copy_from_slice(&bytes.to_le_bytes());
    to.write_all(&whole)
}

/// Reads one message. `None` when the other side has ended between two messages.
///
/// # Errors
/// When it ended within one, or sent what is none.
pub fn receive<T: DeserializeOwned>(from: &mut (impl Read + ?Sized)) -> io::Result<Option<T>> {
    let mut length = [0; 4];
    match from.read(&mut length)? {
        0 => return Ok(None),
        count => from.read_exact(&mut length[count..])?,
    }
    let length = u32::from_le_bytes(length);
    if length > MOST_JSON {
        return Err(io::Error::other(format!("a message of {length} bytes")));
    }
    // Grows as the bytes come, so that a lie about the length costs nothing.
    let mut json = Vec::new();
    from.take(u64::from(length)).read_to_end(&mut json)?;
    if json.len() < length as usize {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok(Some(serde_json::from_slice(&json)?))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_is_sent_is_received() {
        let of = Part::Page { number: 3, of: 9 };
        let fault = Fault::new(StageName::Decode, FaultKind::Corrupt, "no\npage", "none");
        let replies = [
            Reply::Promise { parts: vec![of, Part::Whole, Part::Time { start: 0.1, end: 30.3 }] },
            Reply::Promise { parts: vec![Part::Frames { start: 0.0, end: 2.01 }] },
            Reply::Unit { of, form: Form::Image { width: 3, height: 4 }, shared: false },
            Reply::Unit { of, form: Form::Clip { samples: 3 }, shared: true },
            Reply::UnitFault { of, fault: fault.into() },
            Reply::Done,
        ];
        let mut pipe = Vec::new();
        replies.iter().for_each(|reply| send(&mut pipe, reply).unwrap());
        let mut from = pipe.as_slice();
        for reply in replies {
            assert_eq!(receive::<Reply>(&mut from).unwrap(), Some(reply));
        }
        assert_eq!(receive::<Reply>(&mut from).unwrap(), None);
    }

    #[test]
    fn the_words_of_a_fault_are_one_printable_line() {
        let words = format!("a\n\x1b[31m{}", "x".repeat(5000));
        let wire = WireFault { kind: "nonsense".into(), message: words, hint: String::new(), limit: None };
        let fault = Fault::from(wire);
        assert_eq!(fault.kind, FaultKind::Internal);
        assert!(fault.message.len() <= MOST_WORDS && !fault.message.contains(['\n', '\x1b']));
    }

    proptest! {
        #[test]
        fn any_bytes_are_a_message_or_an_error(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = receive::<Reply>(&mut bytes.as_slice());
            let _ = receive::<Ask>(&mut bytes.as_slice());
        }
    }
}
