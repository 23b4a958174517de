//! Places on the way to the disk where a test has the process die or the disk be full. Only debug builds can be armed.

use std::{
    fmt, io,
    str::FromStr,
    sync::{
        OnceLock,
        atomic::{AtomicU32, Ordering},
    },
};

/// The places, in the order in which a part passes them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Point {
    /// A part is complete aside, and not synced.
    PartWritten,
    /// It is synced, and not renamed.
    PartSynced,
    /// It is where readers look, and its folder is not synced.
    PartRenamed,
    /// It is published, and the ledger does not know.
    PartPublished,
    /// Half a line of the ledger is written.
    LedgerTorn,
    /// Its lines are written and synced.
    LedgerWritten,
    /// An earlier part without its outdated rows is written aside.
    RevisionWritten,
    /// It has taken the place of the earlier part.
    RevisionRenamed,
    /// Everything is published, and the dataset is not sealed.
    Unsealed,
    /// It is sealed, and the report is not written.
    Sealed,
}

impl Point {
    /// All of them.
    pub const ALL: [Self; 10] = [
        Self::PartWritten,
        Self::PartSynced,
        Self::PartRenamed,
        Self::PartPublished,
        Self::LedgerTorn,
        Self::LedgerWritten,
        Self::RevisionWritten,
        Self::RevisionRenamed,
        Self::Unsealed,
        Self::Sealed,
    ];

    fn as_str(self) -> &'static str {
        match self {
            Self::PartWritten => "part-written",
            Self::PartSynced => "part-synced",
            Self::PartRenamed => "part-renamed",
            Self::PartPublished => "part-published",
            Self::LedgerTorn => "ledger-torn",
            Self::LedgerWritten => "ledger-written",
            Self::RevisionWritten => "revision-written",
            Self::RevisionRenamed => "revision-renamed",
            Self::Unsealed => "unsealed",
            Self::Sealed => "sealed",
        }
    }
}

impl fmt::Display for Point {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What happens there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mishap {
    /// The process dies without another word.
    Death,
    /// The disk is full.
    Full,
}

/// One mishap at one place, the n-th time that it is passed.
#[derive(Debug)]
pub struct Failpoint {
    mishap: Mishap,
    point: Point,
    /// Times that are left.
    left: AtomicU32,
}

impl FromStr for Failpoint {
    type Err = String;

    /// `die PLACE N` or `full PLACE N`.
    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("`{text}` is not `die PLACE N` or `full PLACE N`");
        let words: Vec<&str> = text.split_whitespace().collect();
        let [mishap, point, times] = words[..] else { return Err(wrong()) };
        let mishap = match mishap {
            "die" => Mishap::Death,
            "full" => Mishap::Full,
            _ => return Err(wrong()),
        };
        let point = Point::ALL.into_iter().find(|known| known.as_str() == point).ok_or_else(wrong)?;
        let left = times.parse().map_err(|_| wrong())?;
        Ok(Self { mishap, point, left: AtomicU32::new(left) })
    }
}

static ARMED: OnceLock<Failpoint> = OnceLock::new();

/// Arms one failpoint for the life of the process; a second one is not heard.
pub fn arm(failpoint: Failpoint) {
    let _ = ARMED.set(failpoint);
}

/// Passes a place.
///
/// # Errors
/// Where a test wants the disk to be full.
pub fn pass(point: Point) -> io::Result<()> {
    let Some(armed) = ARMED.get().filter(|armed| armed.point == point) else { return Ok(()) };
    if armed.left.fetch_sub(1, Ordering::SeqCst) != 1 {
        return Ok(());
    }
    match armed.mishap {
        Mishap::Death => std::process::abort(),
        Mishap::Full => Err(io::ErrorKind::StorageFull.into()),
    }
}
