//! Films through ffmpeg: sampled frames with their true times as one unit, then the sound track as clips.

mod frames;
mod ppm;
mod sampling;
mod survey;

use crate::base::{Fault, FaultKind, Film, Part, Unit};

use super::{
    input::Input,
    order::Order,
    output::{Output, refuse},
    sound,
};
use survey::{Pictures, Survey};

/// Reads the film: a [`Unit::Film`] of its frames, unless none are wanted, and then its sound.
///
/// # Errors
/// `Unsupported` without an ffmpeg, `Corrupt` for a film that is damaged or cut off, `TooLarge` over
/// `[decode.limits] seconds`. Frames that cannot be had are a fault of the film's own unit.
pub fn decode(input: &Input, order: &Order, out: &mut dyn Output) -> Result<(), Fault> {
    let survey = Survey::take(input, out)?;
    if survey.seconds > order.limits.seconds {
        return Err(sound::too_long(order.limits.seconds));
    }
    let pictures = survey.pictures.filter(|_| order.video.frames > 0);
    let sound = survey.has_sound && order.video.sound;
    if let Some(pictures) = &pictures {
        hand_over(input, pictures, order, out)?;
    }
    match (sound, pictures) {
        (true, _) => sound::decode_with_ffmpeg(input, order, out),
        (false, Some(_)) => Ok(()),
        (false, None) => {
            Err(refuse(FaultKind::Empty, "the film has nothing that is asked for", "see `[decode.video]`"))
        }
    }
}

fn hand_over(input: &Input, pictures: &Pictures, order: &Order, out: &mut dyn Output) -> Result<(), Fault> {
    let part = Part::Frames { start: 0.0, end: pictures.end };
    if out.promise(&[part])? == 0 || out.passed_over() {
        return Ok(());
    }
    match frames::read(input, pictures, order, out) {
        Ok(frames) => out.unit(part, Unit::Film(Film { frames })),
        Err(fault) => out.fault(part, fault),
    }
}
