//! The chosen frames of a film: a short film is decoded in one go, in a long one each frame is sought.

use std::ops::Range;

use crate::base::{Fault, FaultKind, Frame, Raster, grid::Grid};

use super::{
    super::{
        ffmpeg::Ffmpeg,
        input::Input,
        notes::{Notes, SEEN, TOLD},
        order::Order,
        output::{Output, refuse},
        picture::too_large,
        settings::Limits,
        several::Several,
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
        return Err(Several::Frames(count).too_large(most));
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
    let bytes = frames.iter().map(|frame| frame.raster.rgb.len() as u64).sum();
    Several::Frames(frames.len()).check(bytes, most).map(|()| frames)
}

/// Seconds from one frame that is handed out to the next: longer than any frame is shown, since newer versions of ffmpeg
/// double a frame whose duration covers the next one's time.
const APART: u32 = 3600;

/// Most seconds by which a time that ffmpeg tells may differ from the packet's: it has six digits.
const ROUNDED: f64 = 1e-3;

/// Seconds by which it is sought earlier, at first and at last, where decoding begins behind the wanted frame: groups
/// of pictures are seldom longer than ten, and of a short film the last is its beginning.
const EARLIER: [f64; 2] = [15.0, SHORT];

/// One film being read.
struct Reader<'a> {
    input: &'a Input,
    pictures: &'a Pictures,
    scale: String,
    most: u64,
}

/// What one ffmpeg has made of a film.
struct Found {
    /// The number of the frame that it has sought: it counts seconds from there.
    begin: usize,
    rasters: Vec<Raster>,
    notes: Notes,
}

impl Reader<'_> {
    fn in_one_go(&self, wanted: &[usize], out: &mut dyn Output) -> Result<Vec<Frame>, Fault> {
        // From the first wanted frame on, where that is not the film's first.
        let first = wanted.first().copied().unwrap_or(0);
        let numbers: Vec<usize> = wanted.iter().map(|index| index - first).collect();
        let Found { begin, rasters, notes } = self.find(first, &numbers, out)?;
        if rasters.is_empty() {
            return Err(notes.fault());
        }
        // Where a film changes its size, ffmpeg counts anew and drops frames that it has told of: which, nobody knows.
        if rasters.len() != notes.times.len() {
            return self.one_by_one(wanted, out);
        }
        let frame = |(raster, told)| Frame { time: self.shown(begin, told), raster };
        Ok(rasters.into_iter().zip(notes.times).map(frame).collect())
    }

    fn one_by_one(&self, wanted: &[usize], out: &mut dyn Output) -> Result<Vec<Frame>, Fault> {
        let (mut frames, mut last): (Vec<Frame>, Option<Fault>) = (Vec::new(), None);
        for &index in wanted {
            match self.one(index, out) {
                Ok(frame) if frames.last().is_none_or(|before| before.time < frame.time) => frames.push(frame),
                // Behind what is damaged, several find the same.
                Ok(_) => {}
                Err(fault) if fault.kind == FaultKind::Corrupt => last = Some(fault),
                // A limit, or an end from outside, is not what this one frame is like.
                Err(fault) => return Err(fault),
            }
            out.heartbeat()?;
        }
        match last {
            Some(fault) if frames.is_empty() => Err(fault),
            _ => Ok(frames),
        }
    }

    /// The frame of that number, or the next one that can be decoded.
    fn one(&self, index: usize, out: &mut dyn Output) -> Result<Frame, Fault> {
        let Found { begin, rasters, notes } = self.find(index, &[0], out)?;
        let raster = rasters.into_iter().next().ok_or_else(|| notes.fault())?;
        let told = notes.times.first().ok_or_else(timeless)?;
        Ok(Frame { time: self.shown(begin, *told), raster })
    }

    /// When a frame is shown of which ffmpeg tells after it has sought `begin`. What it tells is rounded, so the packet's own
    /// time is taken: just before a full second the model would be told the second before.
    fn shown(&self, begin: usize, told: f64) -> f64 {
        let time = self.origin(begin) + told;
        let packet = self.pictures.shown_at(time).map(|index| self.pictures.times[index]);
        packet.filter(|packet| (packet - time).abs() < ROUNDED).unwrap_or(time).max(0.0)
    }

    /// From when on ffmpeg counts seconds after it has sought `begin`: from that frame on, since it rounds to ticks, which may be
    /// as long as a frame.
    fn origin(&self, begin: usize) -> f64 {
        if begin == 0 { 0.0 } else { self.pictures.times[begin] }
    }

    /// The frames with these numbers, counted from `first`. Where an index is missing (MPEG-PS) ffmpeg lands amid a group of
    /// pictures and decodes from the next on, which may lie behind `first`: then it is sought earlier.
    fn find(&self, first: usize, numbers: &[usize], out: &mut dyn Output) -> Result<Found, Fault> {
        let mut found = self.run(first, first, numbers, out)?;
        for seconds in EARLIER {
            if !self.is_behind(first, found.begin, found.notes.seen) {
                break;
            }
            found = self.run(self.earlier(first, seconds), first, numbers, out)?;
        }
        Ok(found)
    }

    /// True where what is decoded after `begin` was sought begins behind a frame, at `seen`, and could begin earlier. Where
    /// it begins before, and the frame does not come, the frame is damaged.
    fn is_behind(&self, first: usize, begin: usize, seen: Option<f64>) -> bool {
        let times = &self.pictures.times;
        let halfway = f64::midpoint(times[first], times.get(first + 1).copied().unwrap_or(self.pictures.end));
        begin > 0 && seen.is_none_or(|seen| self.origin(begin) + seen > halfway)
    }

    /// The frame that lies so many seconds before another, at least the one before it.
    fn earlier(&self, first: usize, seconds: f64) -> usize {
        let times = &self.pictures.times;
        times.partition_point(|time| *time < times[first] - seconds).min(first.saturating_sub(1))
    }

    /// The frames with these numbers, counted from `first`, and what ffmpeg says of them, after it has sought `begin`.
    fn run(&self, begin: usize, first: usize, numbers: &[usize], out: &mut dyn Output) -> Result<Found, Fault> {
        let (start, filter) = (format!("{:.6}", self.origin(begin)), self.filter(begin, first, numbers));
        // To a place from which it can be decoded: the filter drops what comes before `first`, when it has seen it.
        let seek: &[&str] = if begin == 0 { &[] } else { &["-noaccurate_seek", "-ss", &start] };
        let (count, rate) = (numbers.len().to_string(), format!("1/{APART}"));
        let after = ["-map", "0:V:0", "-an", "-sn", "-dn", "-vf", &filter, "-frames:v", &count, "-r", &rate];
        // Films of more than eight bits too: those would come with two bytes for each sample.
        let form = ["-pix_fmt", "rgb24", "-c:v", "ppm", "-f", "image2pipe", "-"];
        let after: Vec<&str> = after.into_iter().chain(form).collect();
        // With levels, since at `info` the file's own words are among what is said.
        let mut ffmpeg = Ffmpeg::start(self.input, &[&["-loglevel", "level+info"][..], seek].concat(), &after)?;
        let mut rasters = Vec::new();
        while let Some(raster) = ppm::next(&mut ffmpeg, self.most, out)? {
            rasters.push(raster);
        }
        Ok(Found { begin, rasters, notes: ffmpeg.finish()? })
    }

    /// Sees every frame, and lets through those with these numbers, counted from `first`.
    fn filter(&self, begin: usize, first: usize, numbers: &[usize]) -> String {
        let start = |before: f64| format!(",select=gte(t\\,{:.6})", before - self.origin(begin));
        let start = self.before(first).map(start).unwrap_or_default();
        let chosen: Vec<String> = numbers.iter().map(|number| format!("eq(n\\,{number})")).collect();
        // The output has a fixed rate; the new time stamps fit it, so that no frame is left out or doubled.
        format!("{SEEN}{start},select={},{TOLD}{},setpts=N*{APART}/TB", chosen.join("+"), self.scale)
    }

    /// Halfway, in seconds of the film, from a frame back to the one before.
    fn before(&self, index: usize) -> Option<f64> {
        let times = &self.pictures.times;
        index.checked_sub(1).map(|previous| f64::midpoint(times[previous], times[index]))
    }
}

fn timeless() -> Fault {
    refuse(FaultKind::Corrupt, "nothing says when its frames are shown", "convert the film anew")
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::base::Limit;

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

    #[test]
    fn a_frame_is_shown_when_its_packet_says_and_not_in_the_second_before() {
        let input = Input::open(&Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/video/shapes.mp4")).unwrap();
        let times = (0..72).map(|frame| f64::from(frame) / 24.0).collect();
        let pictures = Pictures { times, ..Pictures::default() };
        let reader = Reader { input: &input, pictures: &pictures, scale: String::new(), most: MOST };
        // From 1.958333 s on; what is told has lost two thirds of a microsecond.
        assert_eq!(reader.shown(47, 0.041_666), 2.0);
        assert_eq!(reader.shown(0, 1.0), 1.0);
        assert_eq!(reader.shown(0, 1.02), 1.02, "no packet has that time");
    }

    #[test]
    fn what_is_decoded_from_behind_a_frame_on_is_sought_earlier() {
        let input = Input::open(&Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/video/shapes.mp4")).unwrap();
        let pictures = Pictures { times: (0..200).map(f64::from).collect(), end: 200.0, ..Pictures::default() };
        let reader = Reader { input: &input, pictures: &pictures, scale: String::new(), most: MOST };
        let behind = |begin, seen| reader.is_behind(100, begin, seen);
        assert!(behind(100, Some(0.6)) && behind(100, None) && behind(85, Some(15.6)));
        assert!(!behind(100, Some(0.4)) && !behind(85, Some(14.0)) && !behind(0, None));
        let earlier = [(100, 15.0), (100, 0.5), (100, 120.0), (1, 15.0)].map(|(first, by)| reader.earlier(first, by));
        assert_eq!(earlier, [85, 99, 0, 0]);
        assert!(reader.filter(85, 100, &[0, 3]).contains(",select=gte(t\\,14.500000),select=eq(n\\,0)+eq(n\\,3),"));
    }
}
