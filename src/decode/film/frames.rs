//! The chosen frames of a film: a short film is decoded in one go, in a long one each frame is sought.

use std::ops::Range;

use crate::base::{Fault, FaultKind, Frame, Limit, Raster, grid::Grid};

use super::{
    super::{
        ffmpeg::{Ffmpeg, Notes},
        input::Input,
        order::Order,
        output::{Output, refuse},
        picture::too_large,
        settings::Limits,
    },
    ppm,
    sampling::indices,
    scenes,
    survey::Pictures,
};

/// Seconds of film that are decoded in one go. Beyond that, decoding everything costs more than starting an ffmpeg for each
/// frame (0.2 s each, measured).
const SHORT: f64 = 120.0;

/// How much larger, per side, than what the model sees a frame may stay: the exact resize comes later and wants detail.
const AMPLE: f64 = 4.0;

/// From so many frames on, half of that: a film is one unit in memory.
const MANY: usize = 128;

/// Reads the frames that the order asks for, which are not too large ([`check_size`]), of a span of the film, upright, each
/// with the time at which it is shown.
pub fn read(
    input: &Input,
    pictures: &Pictures,
    span: Range<f64>,
    order: &Order,
    out: &mut dyn Output,
) -> Result<Vec<Frame>, Fault> {
    let within = pictures.within(&span);
    let chosen = match order.video.scenes {
        Some(threshold) => scenes::chosen(&pictures.changes[within.clone()], threshold, order.video.frames as usize),
        None => indices(&pictures.times[within.clone()], span.end, &order.video),
    };
    let wanted: Vec<usize> = chosen.into_iter().map(|index| within.start + index).collect();
    let most = order.limits.pixels;
    let scale = scale(pictures, order.render.frame_budget, wanted.len(), most)?;
    let reader = Reader { input, pictures, scale, most };
    let is_short = span.end - span.start <= SHORT;
    let read = if is_short { reader.in_one_go(&wanted, out) } else { reader.one_by_one(&wanted, out) };
    read.and_then(|frames| check_sum(frames, most))
}

/// Frames as stored that are not too large.
pub fn check_size(pictures: &Pictures, limits: &Limits) -> Result<(), Fault> {
    let (width, height) = (pictures.width, pictures.height);
    if u64::from(width) * u64::from(height) > limits.pixels {
        return Err(too_large(width, height, limits));
    }
    Ok(())
}

/// The filter for so many frames that makes those far over the budget smaller, and all of them so small that together they
/// have at most `most` pixels, but none smaller than the model sees it. It is the same whichever way up the film is.
fn scale(pictures: &Pictures, budget: u32, count: usize, most: u64) -> Result<String, Fault> {
    let (width, height) = (f64::from(pictures.width), f64::from(pictures.height));
    let Some(grid) = Grid::fit(pictures.width, pictures.height, budget) else { return Ok(String::new()) };
    let needed = (f64::from(grid.width) / width).max(f64::from(grid.height) / height);
    // Rounded down to what is written below.
    let fitting = ((most as f64 / (count as f64 * width * height)).sqrt() * 1e6).floor() / 1e6;
    if fitting < needed.min(1.0) {
        return Err(too_many(count, most));
    }
    let ample = if count > MANY { AMPLE / 2.0 } else { AMPLE };
    let factor = fitting.min(ample * needed);
    if factor >= 1.0 {
        return Ok(String::new());
    }
    Ok(format!(",scale=w=max(1\\,trunc(iw*{factor:.6})):h=max(1\\,trunc(ih*{factor:.6})):flags=area"))
}

/// A film may change its size on the way.
fn check_sum(frames: Vec<Frame>, most: u64) -> Result<Vec<Frame>, Fault> {
    let pixels = |frame: &Frame| u64::from(frame.raster.width) * u64::from(frame.raster.height);
    let sum: u64 = frames.iter().map(pixels).sum();
    if sum > most { Err(too_many(frames.len(), most)) } else { Ok(frames) }
}

fn too_many(count: usize, most: u64) -> Fault {
    let message = format!("its {count} frames together have more than {most} pixels");
    let hint = "lower `frames` or set `window` in `[decode.video]`, or raise `[decode.limits] pixels`";
    refuse(FaultKind::TooLarge, message, hint).over(Limit::Pixels)
}

/// Seconds from one frame that is handed out to the next: longer than any frame is shown, since newer versions of ffmpeg
/// double a frame whose duration covers the next one's time.
const APART: u32 = 3600;

/// One film being read.
struct Reader<'a> {
    input: &'a Input,
    pictures: &'a Pictures,
    scale: String,
    most: u64,
}

impl Reader<'_> {
    fn in_one_go(&self, wanted: &[usize], out: &mut dyn Output) -> Result<Vec<Frame>, Fault> {
        // From the first wanted frame on, where that is not the film's first.
        let first = wanted.first().copied().unwrap_or(0);
        let start = if first == 0 { 0.0 } else { self.before(first) };
        let seek = format!("{start:.6}");
        let before: &[&str] = if first == 0 { &[] } else { &["-ss", &seek] };
        let select: Vec<String> = wanted.iter().map(|index| format!("eq(n\\,{})", index - first)).collect();
        // The output has a fixed rate; the new time stamps fit it, so that no frame is left out or doubled.
        let filter = format!("select={},showinfo{},setpts=N*{APART}/TB", select.join("+"), self.scale);
        let count = wanted.len().to_string();
        let (rasters, notes) = self.run(before, &filter, &count, out)?;
        if rasters.is_empty() {
            return Err(notes.fault());
        }
        let planned = wanted.iter().map(|&index| self.pictures.times[index]);
        // `showinfo` knows better when the decoder left out frames that cannot be decoded.
        let told = notes.times.len() >= rasters.len();
        let shown = notes.times.iter().map(|time| time + start);
        let times: Vec<f64> = if told { shown.collect() } else { planned.collect() };
        let frame = |(time, raster): (f64, Raster)| Frame { time: time.max(0.0), raster };
        Ok(times.into_iter().zip(rasters).map(frame).collect())
    }

    fn one_by_one(&self, wanted: &[usize], out: &mut dyn Output) -> Result<Vec<Frame>, Fault> {
        let (mut frames, mut last) = (Vec::new(), None);
        for &index in wanted {
            let start = format!("{:.6}", self.before(index));
            match self.run(&["-ss", &start], &format!("null{}", self.scale), "1", out) {
                Ok((rasters, notes)) => {
                    let time = self.pictures.times[index];
                    frames.extend(rasters.into_iter().map(|raster| Frame { time, raster }));
                    last = Some(notes.fault());
                }
                Err(fault) => last = Some(fault),
            }
            out.heartbeat()?;
        }
        match last {
            Some(fault) if frames.is_empty() => Err(fault),
            _ => Ok(frames),
        }
    }

    /// A moment after which the frame is the first: halfway from the one before.
    fn before(&self, index: usize) -> f64 {
        let times = &self.pictures.times;
        index.checked_sub(1).map_or(0.0, |previous| f64::midpoint(times[previous], times[index]))
    }

    fn run(
        &self,
        before: &[&str],
        filter: &str,
        count: &str,
        out: &mut dyn Output,
    ) -> Result<(Vec<Raster>, Notes), Fault> {
        let before: Vec<&str> = ["-loglevel", "info"].iter().chain(before).copied().collect();
        let rate = format!("1/{APART}");
        let after = ["-map", "0:V:0", "-an", "-sn", "-dn", "-vf", filter, "-frames:v", count, "-r", &rate];
        let after: Vec<&str> = after.into_iter().chain(["-f", "image2pipe", "-c:v", "ppm", "-"]).collect();
        let mut ffmpeg = Ffmpeg::start(self.input, &before, &after)?;
        let mut rasters = Vec::new();
        while let Some(raster) = ppm::next(&mut ffmpeg, self.most, out)? {
            rasters.push(raster);
        }
        Ok((rasters, ffmpeg.finish()?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MOST: u64 = 400_000_000;

    fn filter(width: u32, height: u32) -> String {
        scale(&Pictures { width, height, ..Pictures::default() }, 70, 32, MOST).unwrap()
    }

    #[test]
    fn only_frames_far_over_the_budget_are_made_smaller() {
        assert_eq!(filter(320, 240), "");
        assert_eq!(filter(1920, 1080), "");
        assert_eq!(filter(3840, 2160), ",scale=w=max(1\\,trunc(iw*0.550000)):h=max(1\\,trunc(ih*0.550000)):flags=area");
        assert_eq!(filter(2160, 3840), filter(3840, 2160));
    }

    #[test]
    fn many_frames_are_made_to_fit_together_but_not_smaller_than_the_model_sees_them() {
        let pictures = Pictures { width: 3840, height: 2160, ..Pictures::default() };
        let of = |count, most| scale(&pictures, 280, count, most);
        assert_eq!(of(48, MOST), Ok(String::new()), "48 x 8,294,400 pixels");
        let filter = of(100, MOST).unwrap();
        assert!(filter.starts_with(",scale=w=max(1\\,trunc(iw*0.694444)):h="), "{filter}");
        // The grid is 1056 x 576, 0.275 of the width.
        assert!(of(100, 62_730_000).unwrap().contains("iw*0.275"));
        let fault = of(100, 62_720_000).unwrap_err();
        assert_eq!((fault.kind, fault.limit), (FaultKind::TooLarge, Some(Limit::Pixels)));
    }

    #[test]
    fn a_film_whose_frames_grow_is_refused_and_not_handed_over() {
        let frame =
            |width: u32| Frame { time: 0.0, raster: Raster { width, height: 1, rgb: vec![0; 3 * width as usize] } };
        assert_eq!(check_sum(vec![frame(2), frame(3)], 5).unwrap().len(), 2);
        assert!(check_sum(vec![frame(2), frame(4)], 5).is_err());
    }
}
