//! As many slots as there is memory for: where those asked for do not fit, half of them are tried, and so on down to one.

use crate::base::Fatal;

/// Why slots were not made.
#[derive(Debug)]
pub(super) enum Unmade {
    /// Memory does not hold so many; fewer may fit.
    Short(Fatal),
    /// Fewer would fare no better.
    Failed(Fatal),
}

/// Makes the slots asked for, or half of them, a quarter and so on, unless they are `fixed`. Returns what was made, and of
/// how many slots.
///
/// # Errors
/// The latest, when not even one can be made.
pub(super) fn fitting<T>(
    asked: usize,
    fixed: bool,
    mut make: impl FnMut(usize) -> Result<T, Unmade>,
) -> Result<(T, usize), Fatal> {
    let mut slots = asked;
    loop {
        match make(slots) {
            Ok(made) => return Ok((made, slots)),
            Err(Unmade::Short(fatal)) if !fixed && slots > 1 => {
                tracing::info!(target: "generate", slots, why = fatal.message, "memory holds fewer slots");
                slots /= 2;
            }
            Err(Unmade::Short(fatal) | Unmade::Failed(fatal)) => return Err(fatal),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What comes of asking for slots where memory holds `room` of them, and what was tried.
    fn asked(slots: usize, fixed: bool, room: usize) -> (Result<usize, String>, Vec<usize>) {
        let mut tried = Vec::new();
        let made = fitting(slots, fixed, |slots| {
            tried.push(slots);
            match slots <= room {
                true => Ok(()),
                false => Err(Unmade::Short(Fatal::new(format!("no memory for {slots} slots"), ""))),
            }
        });
        (made.map(|((), slots)| slots).map_err(|fatal| fatal.message), tried)
    }

    #[test]
    fn slots_are_halved_until_they_fit() {
        assert_eq!(asked(64, false, 64), (Ok(64), vec![64]));
        assert_eq!(asked(64, false, 20), (Ok(16), vec![64, 32, 16]));
        assert_eq!(asked(7, false, 1), (Ok(1), vec![7, 3, 1]));
    }

    #[test]
    fn where_not_even_one_fits_the_last_error_counts() {
        assert_eq!(asked(4, false, 0), (Err("no memory for 1 slots".to_owned()), vec![4, 2, 1]));
    }

    #[test]
    fn slots_that_the_pipeline_names_are_made_or_refused() {
        assert_eq!(asked(64, true, 20), (Err("no memory for 64 slots".to_owned()), vec![64]));
        assert_eq!(asked(8, true, 20), (Ok(8), vec![8]));
    }

    #[test]
    fn what_is_no_want_of_memory_is_not_tried_again() {
        let mut tries = 0;
        let failed: Result<((), usize), Fatal> = fitting(64, false, |_| {
            tries += 1;
            Err(Unmade::Failed(Fatal::new("no such graph", "")))
        });
        assert_eq!((failed.unwrap_err().message.as_str(), tries), ("no such graph", 1));
    }
}
