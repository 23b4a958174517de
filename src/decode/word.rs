//! What a word of a child means to the parent, once it has been held against what was promised and what is allowed.

use crate::base::{Fault, Kind, Part};

use super::{
    course::{Course, admit, too_much},
    form::Form,
    settings::Limits,
    wire::Reply,
};

/// A word that is believed.
pub enum Word {
    /// The child is at work.
    Alive,
    /// It has promised units.
    Promise {
        /// How many it may give.
        granted: usize,
    },
    /// A unit follows; when it is read, [`Course::settle`] is due.
    Unit {
        /// Whose.
        of: Part,
        /// Its sizes.
        form: Form,
        /// It lies in the shared memory, not behind the word.
        shared: bool,
        /// The bytes to lease for it.
        bytes: u64,
    },
    /// A promised unit failed, and is settled.
    UnitFault {
        /// Whose.
        of: Part,
        /// Why.
        fault: Fault,
    },
    /// So many seconds became no unit.
    Silence(f64),
    /// The document takes a child that may start ffmpeg.
    NeedsFfmpeg,
    /// It is through, or the document as a whole failed.
    End(Result<(), Fault>),
}

/// Why a word leads nowhere.
pub enum Refused {
    /// It cannot be true.
    Lie(String),
    /// It goes over a limit.
    Excess(Fault),
}

impl From<String> for Refused {
    fn from(what: String) -> Self {
        Self::Lie(what)
    }
}

impl Word {
    /// What `reply` means for a document of `kind`, taken down in its `course`. `take` says how many of the units that it
    /// promises are wanted, from the front.
    pub fn of(
        reply: Reply,
        kind: Kind,
        limits: &Limits,
        course: &mut Course,
        take: impl FnOnce(&[Part]) -> usize,
    ) -> Result<Self, Refused> {
        Ok(match reply {
            Reply::Heartbeat => Self::Alive,
            Reply::Promise { parts } => Self::Promise { granted: course.promise(&parts, take)? },
            Reply::Unit { of, form, shared } => {
                let bytes = admit(&form, kind, limits)?;
                if !course.spend_bytes(bytes) {
                    return Err(Refused::Excess(too_much(limits.decoded_bytes)));
                }
                Self::Unit { of, form, shared, bytes }
            }
            Reply::UnitFault { of, fault } => {
                course.settle(of)?;
                Self::UnitFault { of, fault: fault.into() }
            }
            Reply::Silence { seconds } if !(0.0..=limits.seconds).contains(&seconds) => {
                return Err(Refused::Lie(format!("it told of {seconds} silent seconds")));
            }
            Reply::Silence { seconds } if course.hear_silence() => Self::Silence(seconds),
            Reply::Silence { .. } => Self::Alive,
            Reply::NeedsFfmpeg => Self::NeedsFfmpeg,
            Reply::Done => Self::End(Ok(())),
            Reply::DocumentFault { fault } => Self::End(Err(fault.into())),
            Reply::Raised { .. } | Reply::Tried { .. } | Reply::Cut { .. } => {
                return Err(Refused::Lie("it answered another question".to_owned()));
            }
        })
    }
}
