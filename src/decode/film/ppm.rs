//! Pictures from a pipe: binary PPM says its own size, so rotated films and films that change size need no guessing.

use crate::base::{Fault, FaultKind, Limit, Raster};

use super::super::{
    ffmpeg::Ffmpeg,
    output::{Output, refuse},
};

/// The next picture, or `None` at the end. `most` is the largest number of pixels.
pub fn next(ffmpeg: &mut Ffmpeg, most: u64, out: &mut dyn Output) -> Result<Option<Raster>, Fault> {
    let Some(magic) = ffmpeg.line(out)? else { return Ok(None) };
    let (size, depth) = (ffmpeg.line(out)?.unwrap_or_default(), ffmpeg.line(out)?.unwrap_or_default());
    let (width, height) = parse(&size).filter(|_| magic == "P6" && depth == "255").ok_or_else(garbled)?;
    let pixels = u64::from(width) * u64::from(height);
    if pixels > most {
        let message = format!("a frame is {width} x {height} = {pixels} pixels, the limit is {most}");
        return Err(refuse(FaultKind::TooLarge, message, "raise `[decode.limits] pixels`").over(Limit::Pixels));
    }
    let mut rgb = vec![0; 3 * pixels as usize];
    // The end in the middle of a picture is the end of the film: ffmpeg's exit status says whether it is a fault.
    let whole = ffmpeg.fill(&mut rgb, out)? == rgb.len();
    Ok(whole.then_some(Raster { width, height, rgb }))
}

fn parse(size: &str) -> Option<(u32, u32)> {
    let (width, height) = size.split_once(' ')?;
    Some((width.parse().ok()?, height.parse().ok()?))
}

fn garbled() -> Fault {
    refuse(FaultKind::Internal, "ffmpeg sent something that is no picture", "run `lapidary runtime install`")
}
