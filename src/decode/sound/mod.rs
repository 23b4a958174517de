//! Sound: recordings of any common format become clips of at most 30 s, mono at 16 kHz.
//!
//! Symphonia decodes and rubato resamples what they can; Opus and rarer codecs go through an ffmpeg process. Either way
//! the samples flow: memory is bounded by one clip, however long the recording is. Clips end every so many seconds, or in the
//! pauses of speech; then what nobody speaks in becomes no clip.

mod clips;
mod edit;
mod foreign;
mod lag;
mod pauses;
mod resample;
mod track;
mod voice;
mod wave;

use crate::base::{Fault, FaultKind, Part};

use super::{
    input::Input,
    order::Order,
    output::{Output, lose, refuse},
};
use clips::Clips;
use resample::Resampler;
use track::Track;

pub use clips::too_long;
pub use foreign::decode as decode_with_ffmpeg;

/// Reads the recording: [`crate::base::Unit::Clip`]s with the spans of time that they cover.
///
/// # Errors
/// When nothing can be decoded, when there is no sound in the file, or when it is longer than
/// `[decode.limits] seconds`.
pub fn decode(input: &Input, order: &Order, out: &mut dyn Output) -> Result<(), Fault> {
    match Track::open(input, order.sound.track) {
        Ok(track) => match read(track, order, out)? {
            None => Ok(()),
            Some(fault) => decode_with_ffmpeg(input, order, out).map_err(|other| nearer(fault, other)),
        },
        Err(fault) if settles(&fault) => Err(fault),
        Err(fault) => decode_with_ffmpeg(input, order, out).map_err(|other| plainer(fault, other)),
    }
}

/// The same without an ffmpeg; false when it takes one, and nothing has been promised.
pub fn decode_alone(input: &Input, order: &Order, out: &mut dyn Output) -> Result<bool, Fault> {
    match Track::open(input, order.sound.track) {
        Ok(track) => read(track, order, out).map(|fault| fault.is_none()),
        Err(fault) if settles(&fault) => Err(fault),
        Err(_) => Ok(false),
    }
}

/// True when no other program could do better.
fn settles(fault: &Fault) -> bool {
    matches!(fault.kind, FaultKind::Unreadable | FaultKind::Empty)
}

/// Without an ffmpeg, what Symphonia said of a broken file says more than that ffmpeg is missing.
fn plainer(own: Fault, foreign: Fault) -> Fault {
    match (own.kind, foreign.kind) {
        (FaultKind::Corrupt, FaultKind::Unsupported) => own,
        _ => foreign,
    }
}

/// Of a file that Symphonia opened and could not read, ffmpeg's complaints of the same say less.
fn nearer(own: Fault, foreign: Fault) -> Fault {
    match foreign.kind {
        FaultKind::Corrupt | FaultKind::Empty | FaultKind::Unsupported => own,
        _ => foreign,
    }
}

/// Hands over all of it; gives the fault of one of which nothing could be had or promised: another program may.
fn read(mut track: Track, order: &Order, out: &mut dyn Output) -> Result<Option<Fault>, Fault> {
    let mut clips = Clips::new(order);
    let mut resampler = Resampler::idle();
    loop {
        let block = match track.next() {
            Ok(Some(block)) => block,
            Ok(None) => break,
            Err(fault) if track.is_mute() && !settles(&fault) => return Ok(Some(fault)),
            Err(fault) => return Err(fault),
        };
        resampler.push(block.rate, &block.samples, clips.room())?;
        if clips.flow(out)?.is_break() {
            return Ok(None);
        }
    }
    resampler.finish(clips.room())?;
    if track.is_mute() {
        return Ok(Some(track.check_noise().err().unwrap_or_else(clips::nothing)));
    }
    track.check_noise()?;
    let Some(end) = clips.finish(out)? else { return Ok(None) };
    if let Some(fault) = track.loss(end) {
        lose_the_rest(end, fault, out)?;
    }
    Ok(None)
}

/// Recordings of floats can carry anything; the model must not see what is no number.
fn finite(sample: f32) -> f32 {
    if sample.is_finite() { sample.clamp(-1.0, 1.0) } else { 0.0 }
}

/// Why there is no more of a recording than these seconds.
fn breaks_off(seconds: f64, why: &str) -> Fault {
    let message = format!("the recording breaks off after {seconds:.2} s: {why}");
    refuse(FaultKind::Corrupt, message, "fetch the file again; what came before is extracted")
}

/// What cannot be read of a recording is a unit of its own.
fn lose_the_rest(from: f64, fault: Fault, out: &mut dyn Output) -> Result<(), Fault> {
    lose(Part::Time { start: from, end: from }, fault, out)
}
