//! Films through ffmpeg: sampled frames with their true times as one unit, or one for each stretch of so many seconds, then
//! the sound track as clips.

mod alike;
mod frames;
mod ppm;
mod sampling;
mod scenes;
mod survey;

use crate::base::{Fault, FaultKind, Film, Part, Unit};

use super::{
    input::Input,
    order::Order,
    output::{Output, lose, refuse},
    sound,
};
use survey::{Pictures, Survey};

/// Reads the film: a [`Unit::Film`] of its frames, or several, unless none are wanted, and then its sound.
///
/// # Errors
/// `Unsupported` without an ffmpeg, `Corrupt` for a film that is damaged or cut off, `TooLarge` over
/// `[decode.limits] seconds`. Frames that cannot be had are a fault of the film's own unit.
pub fn decode(input: &Input, order: &Order, out: &mut dyn Output) -> Result<(), Fault> {
    let survey = Survey::take(input, out)?;
    if survey.seconds > order.limits.seconds {
        return Err(sound::too_long(order.limits.seconds));
    }
    let has_sound = order.video.sound && survey.is_heard(order.sound.track);
    let (seconds, wanted) = (survey.seconds, order.video.frames > 0);
    match (survey.pictures.filter(|_| wanted), survey.damage.filter(|_| wanted)) {
        (Some(mut pictures), _) => hand_over(input, &mut pictures, order, out)?,
        (None, Some(damage)) if has_sound => lose_the_frames(seconds, damage, out)?,
        (None, Some(damage)) => return Err(damage),
        (None, None) if has_sound => {}
        (None, None) => return Err(nothing()),
    }
    if has_sound { sound::decode_with_ffmpeg(input, order, out) } else { Ok(()) }
}

fn nothing() -> Fault {
    refuse(FaultKind::Empty, "the film has nothing that is asked for", "see `[decode.video]`")
}

/// Frames of which none can be had are a unit of their own.
fn lose_the_frames(seconds: f64, damage: Fault, out: &mut dyn Output) -> Result<(), Fault> {
    lose(Part::Frames { start: 0.0, end: microseconds(seconds) }, damage, out)
}

fn hand_over(input: &Input, pictures: &mut Pictures, order: &Order, out: &mut dyn Output) -> Result<(), Fault> {
    let spans = spans(pictures, order.video.window);
    let parts: Vec<Part> = spans.iter().map(|&(start, end)| Part::Frames { start, end }).collect();
    let granted = out.promise(&parts)?;
    let mut told = None;
    for (part, (start, end)) in parts.into_iter().zip(spans).take(granted) {
        if out.passed_over() {
            continue;
        }
        // Once, and only where a unit wants it; what goes wrong then concerns all of them.
        let told = told.get_or_insert_with(|| look_at(input, pictures, order, out)).clone();
        match told.and_then(|()| frames::read(input, pictures, start..end, order, out)) {
            Ok(frames) => {
                out.unit(part, Unit::Film(Film { frames: alike::without(frames, order.video.least_change) }))?
            }
            Err(fault) => out.fault(part, fault)?,
        }
    }
    Ok(())
}

/// Looks at the size of the frames before any is decoded, and where scenes are asked for at how much each differs from the one
/// before.
fn look_at(input: &Input, pictures: &mut Pictures, order: &Order, out: &mut dyn Output) -> Result<(), Fault> {
    frames::check_size(pictures, &order.limits)?;
    if order.video.scenes.is_some() {
        pictures.changes = scenes::scores(input, pictures, out)?;
    }
    Ok(())
}

/// The film as a whole, or in stretches of equal length of at most `window` seconds; those in which no frame begins are left
/// out.
fn spans(pictures: &Pictures, window: Option<f64>) -> Vec<(f64, f64)> {
    let end = pictures.end;
    let count = window.map_or(1.0, |window| (end / window).ceil().max(1.0));
    let at = |place: u32| microseconds(end * f64::from(place) / count);
    let span = |place: u32| (at(place), at(place + 1));
    let spans = (0..count as u32).map(span);
    let shown = |&(start, end): &(f64, f64)| !pictures.within(&(start..end)).is_empty();
    spans.filter(shown).collect()
}

/// To the microsecond, as a container has it, and none before the end; what is rounded up to nothing has no sign.
fn microseconds(seconds: f64) -> f64 {
    (seconds * 1e6 - 1e-3).ceil().abs() / 1e6
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_end_at_whole_microseconds_and_not_before_the_film() {
        let ending = |end: f64| spans(&Pictures { times: vec![0.0, end], end, ..Pictures::default() }, None)[0].1;
        assert_eq!(ending(5.999_999_999_999_999), 6.0);
        assert!(ending(1.234_567_1) >= 1.234_567_1);
        assert_eq!(ending(3.000_000_000_000_000_4), 3.0);
    }

    #[test]
    fn long_films_are_parted_in_equal_stretches() {
        let times: Vec<f64> = (0..130).map(f64::from).filter(|time| !(60.0..100.0).contains(time)).collect();
        let pictures = Pictures { times, end: 130.0, ..Pictures::default() };
        assert_eq!(spans(&pictures, None), [(0.0, 130.0)]);
        assert!(spans(&pictures, None)[0].0.is_sign_positive());
        assert_eq!(spans(&pictures, Some(200.0)), [(0.0, 130.0)]);
        assert_eq!(spans(&pictures, Some(65.0)), [(0.0, 65.0), (65.0, 130.0)]);
        assert_eq!(spans(&pictures, Some(20.0)).len(), 6, "of seven stretches one lies where no frame begins");
    }
}
