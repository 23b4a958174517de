//! The ladder: other ways to try a unit whose answer was not good enough.
//!
//! A run's [`Rungs`] are few and known to all stages; an item says with its `attempt` on which it stands, and each stage
//! takes from the rung what concerns it. Attempt 0 stands on the ground: the pipeline's own settings.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{item::Part, media::Kind};

/// How one more try differs from the pipeline's own settings; what is left out stays as it is there.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rung {
    /// Soft tokens of a page or picture.
    pub budget: Option<u32>,
    /// Degrees by which a page or picture is turned clockwise: 90, 180 or 270.
    pub rotate: Option<u32>,
    /// A page or picture is shown in so many tiles along each side, each with the whole budget: 2 or 3.
    pub tiles: Option<u32>,
    /// The sampler's temperature.
    pub temperature: Option<f32>,
    /// Seconds by which a clip of sound begins earlier, so that what is heard stands elsewhere in its window.
    pub shift: Option<f64>,
}

impl Rung {
    /// True when it makes a difference to such a unit.
    pub fn concerns(&self, kind: Kind, part: &Part) -> bool {
        let pictures = matches!(kind, Kind::Pdf | Kind::Image);
        let sees = self.budget.is_some() || self.rotate.is_some() || self.tiles.is_some();
        let sounds = matches!(part, Part::Time { .. });
        self.temperature.is_some() || (pictures && sees) || (sounds && self.shift.is_some())
    }
}

/// The rungs of a run, lowest first. Cheap to clone.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Rungs(Arc<Vec<Rung>>);

impl Rungs {
    /// These, in this order.
    pub fn new(rungs: Vec<Rung>) -> Self {
        Self(Arc::new(rungs))
    }

    /// What holds for an attempt.
    pub fn at(&self, attempt: u8) -> Rung {
        let place = usize::from(attempt).checked_sub(1);
        place.and_then(|place| self.0.get(place)).cloned().unwrap_or_default()
    }

    /// The budget, and the number of tiles, in which a picture is shown on the ground, where `budget` holds, and on each rung.
    pub fn pictures(&self, budget: u32) -> impl Iterator<Item = (u32, u32)> + '_ {
        let shown = move |rung: &Rung| (rung.budget.unwrap_or(budget), rung.tiles.unwrap_or(1).pow(2));
        std::iter::once((budget, 1)).chain(self.0.iter().map(shown))
    }

    /// The attempt after `attempt` that makes a difference to such a part of a document.
    pub fn above(&self, attempt: u8, kind: Kind, part: &Part) -> Option<u8> {
        let next = usize::from(attempt)..self.0.len();
        next.into_iter()
            .find(|place| self.0[*place].concerns(kind, part))
            .and_then(|place| u8::try_from(place + 1).ok())
    }

    /// All of them.
    pub fn all(&self) -> &[Rung] {
        &self.0
    }
}

/// An earlier try of a unit, and why it was not good enough.
#[derive(Debug, Clone, PartialEq)]
pub struct Try {
    /// In words of the `[ladder]` table: `invalid`, `closed`, and so on.
    pub why: Vec<&'static str>,
    /// On which rung it stood.
    pub attempt: u8,
    /// What held there.
    pub rung: Rung,
    /// New tokens that it took.
    pub tokens: u32,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_unit_climbs_over_the_rungs_that_make_no_difference_to_it() {
        let budget = Rung { budget: Some(1120), ..Rung::default() };
        let temperature = Rung { temperature: Some(0.4), ..Rung::default() };
        let shift = Rung { shift: Some(2.0), ..Rung::default() };
        let rungs = Rungs::new(vec![budget.clone(), Rung { rotate: Some(90), ..Rung::default() }, temperature, shift]);
        let (sound, frames) = (Part::Time { start: 0.0, end: 9.0 }, Part::Frames { start: 0.0, end: 9.0 });
        assert_eq!(rungs.above(3, Kind::Video, &frames), None, "frames are not shifted");
        assert_eq!(rungs.above(0, Kind::Pdf, &Part::Whole), Some(1));
        assert_eq!(rungs.above(1, Kind::Image, &Part::Whole), Some(2));
        assert_eq!(rungs.above(0, Kind::Audio, &sound), Some(3), "sound has no budget and cannot be turned");
        assert_eq!((rungs.above(3, Kind::Audio, &sound), rungs.above(4, Kind::Audio, &sound)), (Some(4), None));
        assert_eq!(rungs.above(3, Kind::Pdf, &Part::Whole), None, "only sound can be shifted");
        assert_eq!((rungs.at(0), rungs.at(1)), (Rung::default(), budget));
    }
}
