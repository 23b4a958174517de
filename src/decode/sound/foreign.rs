//! The sound of any file through ffmpeg: what Symphonia cannot read, and the sound tracks of films.

use crate::base::Fault;

use super::{
    super::{ffmpeg::Ffmpeg, input::Input, order::Order, output::Output},
    clips::Clips,
};

/// Samples read at a time.
const BLOCK: usize = 1 << 14;

/// Hands over the first sound track as clips.
///
/// # Errors
/// As [`super::decode`], and `Unsupported` without an ffmpeg.
pub fn decode(input: &Input, order: &Order, out: &mut dyn Output) -> Result<(), Fault> {
    // `-ac 1` averages two channels; of more it leaves out the bass channel and weighs the others.
    let after = ["-map", "0:a:0", "-vn", "-sn", "-dn", "-ac", "1", "-ar", "16000", "-f", "f32le", "-"];
    let mut ffmpeg = Ffmpeg::start(input, &["-loglevel", "error"], &after)?;
    let mut clips = Clips::new(order);
    let mut bytes = vec![0; 4 * BLOCK];
    let mut whole = true;
    while whole {
        let count = fill(&mut ffmpeg, &mut bytes, out)?;
        whole = count == bytes.len();
        clips.room().extend(bytes[..count].chunks_exact(4).map(sample));
        if clips.flow(out)?.is_break() {
            return Ok(());
        }
    }
    ffmpeg.finish()?;
    clips.finish(out).map(drop)
}

fn fill(ffmpeg: &mut Ffmpeg, bytes: &mut [u8], out: &mut dyn Output) -> Result<usize, Fault> {
    let mut filled = 0;
    while filled < bytes.len() {
        match ffmpeg.read(&mut bytes[filled..], out)? {
            0 => break,
            count => filled += count,
        }
    }
    Ok(filled)
}

/// Codecs of floats can carry anything; the model must not see what is no number.
fn sample(bytes: &[u8]) -> f32 {
    let value = bytes.try_into().map_or(0.0, f32::from_le_bytes);
    if value.is_finite() { value.clamp(-1.0, 1.0) } else { 0.0 }
}
