//! The bound on a unit of several pictures: its pages, or the frames of a film, take no more memory together than the
//! largest picture does.

use crate::base::{Fault, FaultKind, Limit};

use super::output::refuse;

/// What a unit has several of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Several {
    /// Pages of a document.
    Pages,
    /// So many frames of a film.
    Frames(usize),
}

impl Several {
    /// Refuses bytes that are more than `most` pixels have.
    pub fn check(self, bytes: u64, most: u64) -> Result<(), Fault> {
        if bytes > most.saturating_mul(3) { Err(self.too_large(most)) } else { Ok(()) }
    }

    /// The fault of having more than `most` pixels.
    pub fn too_large(self, most: u64) -> Fault {
        let (what, remedy) = match self {
            Self::Pages => ("pages".to_owned(), "lower `[decode] pages_per_unit`"),
            Self::Frames(count) => (format!("{count} frames"), "lower `frames` or set `window` in `[decode.video]`"),
        };
        let message = format!("its {what} together have more than {most} pixels");
        refuse(FaultKind::TooLarge, message, format!("{remedy}, or raise `[decode.limits] pixels`")).over(Limit::Pixels)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_several_pictures_have_together_is_bounded_and_the_fault_says_what_to_do() {
        assert_eq!(Several::Pages.check(15, 5), Ok(()));
        assert_eq!(Several::Pages.check(u64::MAX, u64::MAX), Ok(()));
        for (several, message, remedy) in [
            (Several::Pages, "its pages together have more than 5 pixels", "lower `[decode] pages_per_unit`, or raise"),
            (Several::Frames(3), "its 3 frames together have more than 5 pixels", "set `window`"),
        ] {
            let fault = several.check(16, 5).unwrap_err();
            assert_eq!((fault.kind, fault.limit), (FaultKind::TooLarge, Some(Limit::Pixels)));
            assert!(fault.message == message && fault.hint.contains(remedy), "{fault:?}");
        }
    }
}
