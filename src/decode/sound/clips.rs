//! Where 16 kHz samples gather until they make a clip.

use std::ops::{ControlFlow, Range};

use crate::base::{Clip, Fault, FaultKind, Limit, Part, Unit};

use super::{
    super::{
        order::Order,
        output::{Output, refuse},
        settings::{Cut, LONGEST_CLIP},
    },
    pauses::{FRAME, Pauses},
    voice::Listener,
};

/// Samples a second of every clip.
pub const RATE: u32 = 16_000;

/// Most samples of a clip.
pub const LONGEST: usize = LONGEST_CLIP as usize * RATE as usize;

/// Fewest samples that become a soft token of their own: one window of the log-mel.
const SHORTEST: usize = 320;

/// How a recording is cut.
#[derive(Debug)]
enum Knife {
    /// Every so many samples.
    Even(usize),
    /// In the pauses of speech. The frames from `heard` on have not been listened to.
    Pauses { pauses: Pauses, listener: Listener, heard: usize },
}

/// The samples that are not yet handed over, and where they begin.
#[derive(Debug)]
pub struct Clips {
    samples: Vec<f32>,
    /// Samples before those that are held.
    gone: u64,
    knife: Knife,
    /// Samples that came into clips: those that came into two count once.
    covered: u64,
    handed: usize,
    end: u64,
    /// Samples up to which signs of life were given.
    alive: u64,
    /// Samples before a clip that come along with it.
    ahead: u64,
    most: u64,
    seconds: f64,
}

impl Clips {
    /// No samples yet, and at most `[decode.limits] seconds` of them in all.
    pub fn new(order: &Order) -> Self {
        let (sound, seconds) = (&order.sound, order.limits.seconds);
        let knife = match sound.cut {
            Cut::Even => Knife::Even(((sound.longest * f64::from(RATE)) as usize).clamp(1, LONGEST)),
            Cut::Pauses => {
                let (pauses, listener) = (Pauses::new(sound.longest, sound.overlap), Listener::new());
                Knife::Pauses { pauses, listener, heard: 0 }
            }
        };
        let (most, ahead) = ((seconds * f64::from(RATE)) as u64, (order.ahead * f64::from(RATE)) as u64);
        Self { samples: Vec::new(), gone: 0, knife, covered: 0, handed: 0, end: 0, alive: 0, ahead, most, seconds }
    }

    /// Where new samples go. Call [`Clips::flow`] afterwards.
    pub fn room(&mut self) -> &mut Vec<f32> {
        &mut self.samples
    }

    /// Hands over what makes a whole clip; `Break` when no more are wanted.
    ///
    /// A clip is promised when it is complete, because only then its end is known for certain.
    pub fn flow(&mut self, out: &mut dyn Output) -> Result<ControlFlow<()>, Fault> {
        if self.total() > self.most {
            return Err(too_long(self.seconds));
        }
        while let Some(span) = self.next_span() {
            if self.hand_over(span, out)?.is_break() {
                return Ok(ControlFlow::Break(()));
            }
        }
        // Hours may pass without a clip.
        if self.total() - self.alive >= LONGEST as u64 {
            out.heartbeat()?;
            self.alive = self.total();
        }
        self.forget();
        Ok(ControlFlow::Continue(()))
    }

    /// Hands over the rest and says at which second it ends; `None` when no more was wanted. A rest that no soft token
    /// would come of is dropped, unless it is all there is. What nobody speaks in is told as silence.
    pub fn finish(mut self, out: &mut dyn Output) -> Result<Option<f64>, Fault> {
        if self.total() == 0 {
            return Err(nothing());
        }
        if self.flow(out)?.is_break() {
            return Ok(None);
        }
        self.hear_the_rest();
        // The rest of a frame may be what completes a clip, and another may be open behind that.
        while let Some(span) = self.next_span().or_else(|| self.last_span()) {
            if self.hand_over(span, out)?.is_break() {
                return Ok(None);
            }
        }
        let total = self.total();
        if matches!(self.knife, Knife::Pauses { .. }) {
            out.silence(seconds(total - self.covered))?;
            return Ok(Some(seconds(total)));
        }
        Ok(Some(seconds(self.end)))
    }

    fn total(&self) -> u64 {
        self.gone + self.samples.len() as u64
    }

    /// The next clip that is complete, in samples from the start.
    fn next_span(&mut self) -> Option<Range<u64>> {
        let total = self.total();
        match &mut self.knife {
            // One sample more than a clip must be there: then the last clip is never empty.
            Knife::Even(length) => {
                let end = self.end + *length as u64;
                (total > end).then_some(self.end..end)
            }
            Knife::Pauses { pauses, listener, heard } => loop {
                if let Some(span) = pauses.next() {
                    return Some(sample(span.start)..sample(span.end).min(total));
                }
                let from = (sample(*heard) - self.gone) as usize;
                let frame = self.samples.get(from..from + FRAME)?;
                pauses.push(listener.hears(frame));
                *heard += 1;
            },
        }
    }

    /// Listens to what is no whole frame, when no more samples come.
    fn hear_the_rest(&mut self) {
        let Knife::Pauses { pauses, listener, heard } = &mut self.knife else { return };
        let from = (sample(*heard) - self.gone) as usize;
        if let Some(frame) = self.samples.get(from..).filter(|frame| !frame.is_empty()) {
            pauses.push(listener.hears(frame));
            *heard += 1;
        }
    }

    /// The clip that no more samples complete.
    fn last_span(&mut self) -> Option<Range<u64>> {
        let total = self.total();
        match &mut self.knife {
            Knife::Even(_) => {
                let long = total - self.end >= SHORTEST as u64 || self.handed == 0;
                long.then_some(self.end..total)
            }
            Knife::Pauses { pauses, .. } => {
                let span = pauses.finish()?;
                Some(sample(span.start)..sample(span.end).min(total))
            }
        }
    }

    /// Lets go of the samples that no later clip needs.
    fn forget(&mut self) {
        let needed = match &self.knife {
            Knife::Even(_) => self.end,
            Knife::Pauses { pauses, heard, .. } => sample(pauses.first_needed().min(*heard)),
        };
        let free = (needed.saturating_sub(self.ahead).saturating_sub(self.gone) as usize).min(self.samples.len());
        self.samples.drain(..free);
        self.gone += free as u64;
    }

    /// The samples of a span, and those ahead of it; before the beginning of the recording there is silence.
    fn heard(&self, span: Range<u64>) -> Vec<f32> {
        let place = |sample: u64| (sample - self.gone) as usize;
        let from = span.start.saturating_sub(self.ahead);
        let mut samples = vec![0.0; (self.ahead - (span.start - from)) as usize];
        samples.extend_from_slice(&self.samples[place(from)..place(span.end)]);
        samples
    }

    fn hand_over(&mut self, span: Range<u64>, out: &mut dyn Output) -> Result<ControlFlow<()>, Fault> {
        let part = Part::Time { start: seconds(span.start), end: seconds(span.end) };
        if out.promise(&[part])? == 0 {
            return Ok(ControlFlow::Break(()));
        }
        self.covered += span.end - span.start.max(self.end);
        (self.handed, self.end) = (self.handed + 1, span.end);
        if !out.passed_over() {
            out.unit(part, Unit::Clip(Clip { samples: self.heard(span) }))?;
        }
        Ok(ControlFlow::Continue(()))
    }
}

/// The first sample of a frame.
fn sample(frame: usize) -> u64 {
    (frame * FRAME) as u64
}

fn seconds(sample: u64) -> f64 {
    sample as f64 / f64::from(RATE)
}

/// There is not one sample.
pub fn nothing() -> Fault {
    refuse(FaultKind::Empty, "there is no sound in the file", "leave it out")
}

/// It is over `[decode.limits] seconds`.
pub fn too_long(limit: f64) -> Fault {
    let message = format!("it is longer than {limit} s, the limit");
    refuse(FaultKind::TooLarge, message, "raise `[decode.limits] seconds` or cut the file").over(Limit::Seconds)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decode::{Gathered, Limits, Render, Settings, SoundSettings};

    fn order(seconds: f64) -> Order {
        let limits = Limits { seconds, ..Limits::default() };
        Order::new(&Settings { limits, ..Settings::default() }, Render::SMALLEST).unwrap()
    }

    fn lengths(total: usize, step: usize, limit: Option<usize>) -> Vec<usize> {
        let mut out = Gathered { limit, ..Gathered::default() };
        let mut clips = Clips::new(&order(1e6));
        let mut left = total;
        while left > 0 {
            let count = step.min(left);
            clips.room().extend(std::iter::repeat_n(0.5, count));
            left -= count;
            if clips.flow(&mut out).unwrap().is_break() {
                break;
            }
        }
        clips.finish(&mut out).unwrap();
        assert_eq!(out.promised.len(), out.settled.len());
        let length = |unit: &Unit| if let Unit::Clip(clip) = unit { clip.samples.len() } else { 0 };
        out.units().map(length).collect()
    }

    #[test]
    fn sound_is_cut_into_clips_of_thirty_seconds() {
        assert_eq!(lengths(480_000, 1000, None), [480_000]);
        assert_eq!(lengths(1_000_000, 700_000, None), [480_000, 480_000, 40_000]);
        assert_eq!(lengths(1_000_000, 7_000, Some(1)), [480_000]);
    }

    #[test]
    fn a_rest_without_a_soft_token_is_dropped_unless_it_is_all() {
        assert_eq!(lengths(480_319, 1000, None), [480_000]);
        assert_eq!(lengths(480_320, 1000, None), [480_000, 320]);
        assert_eq!(lengths(7, 1000, None), [7]);
    }

    #[test]
    fn clips_that_end_in_pauses_are_as_long_as_their_spans_and_the_rest_is_silence() {
        let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/sound/letter.mp3");
        let input = crate::decode::Input::open(&path).unwrap();
        let sound = SoundSettings { cut: Cut::Pauses, longest: 12.0, overlap: 1.0, ..SoundSettings::default() };
        let (order, mut out) = (Order { sound, ..order(1e6) }, Gathered::default());
        assert!(super::super::decode_alone(&input, &order, &mut out).unwrap());
        let mut covered = 0.0;
        let mut before: f64 = 0.0;
        for (part, unit) in &out.settled {
            let (Part::Time { start, end }, Ok(Unit::Clip(clip))) = (part, unit) else { panic!("{part}: {unit:?}") };
            assert_eq!(((end - start) * f64::from(RATE)).round() as usize, clip.samples.len());
            assert!(end - start <= 12.5 && *start >= before, "{part}");
            covered += end - start;
            before = *end;
        }
        // Seventeen sentences with a quarter of a second between them: each clip ends between two.
        assert!((6..=9).contains(&out.settled.len()), "{}", out.settled.len());
        assert!((covered + out.silence.unwrap() - 71.57).abs() < 0.1, "{covered} and {:?}", out.silence);
    }

    /// The first seconds of a letter that is read out.
    fn spoken(seconds: usize) -> Vec<f32> {
        let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/sound/letter.mp3");
        let (input, mut out) = (crate::decode::Input::open(&path).unwrap(), Gathered::default());
        assert!(super::super::decode_alone(&input, &order(1e6), &mut out).unwrap());
        let Some(Unit::Clip(clip)) = out.units().next() else { panic!("{:?}", out.promised) };
        clip.samples[..seconds * RATE as usize].to_vec()
    }

    #[test]
    fn a_voice_that_sets_in_after_silence_comes_with_what_was_before_it_however_few_samples_come_at_once() {
        let recording = [vec![0.0; 64_000], spoken(8)].concat();
        for step in [FRAME, 100, 4000] {
            let sound = SoundSettings { cut: Cut::Pauses, ..SoundSettings::default() };
            let (mut clips, mut out) = (Clips::new(&Order { sound, ..order(1e6) }), Gathered::default());
            for block in recording.chunks(step) {
                clips.room().extend_from_slice(block);
                assert!(clips.flow(&mut out).unwrap().is_continue());
            }
            clips.finish(&mut out).unwrap();
            let (Part::Time { start, end }, Ok(Unit::Clip(clip))) = &out.settled[0] else {
                panic!("{:?}", out.promised)
            };
            assert!((3.3..4.7).contains(start), "steps of {step}: it begins at {start} s");
            let [from, to] = [start, end].map(|second| (second * f64::from(RATE)).round() as usize);
            assert!(clip.samples == recording[from..to], "steps of {step}: {start} s to {end} s");
        }
    }

    #[test]
    fn a_shifted_clip_begins_earlier_and_before_the_recording_there_is_silence() {
        let mut out = Gathered::default();
        let sound = SoundSettings { longest: 10.0, ..SoundSettings::default() };
        let mut clips = Clips::new(&Order { sound, ahead: 2.0, ..order(1e6) });
        for second in 0..25_u16 {
            clips.room().extend(std::iter::repeat_n(f32::from(second + 1), 16_000));
            assert!(clips.flow(&mut out).unwrap().is_continue());
        }
        clips.finish(&mut out).unwrap();
        let heard: Vec<Vec<f32>> = out
            .units()
            .map(|unit| {
                if let Unit::Clip(clip) = unit {
                    clip.samples.chunks(16_000).map(|one| one[0]).collect()
                } else {
                    vec![]
                }
            })
            .collect();
        let seconds = |range: Range<u16>| range.map(f32::from).collect::<Vec<_>>();
        assert_eq!(heard, [[vec![0.0, 0.0], seconds(1..11)].concat(), seconds(9..21), seconds(19..26)]);
        assert_eq!(out.promised[1], Part::Time { start: 10.0, end: 20.0 }, "the unit is the same");
    }

    #[test]
    fn a_clip_that_the_rest_of_a_frame_completes_is_not_the_last() {
        // A voice without a pause, up to one frame before the longest clip; then a hundred samples.
        let (mut pauses, frames) = (Pauses::new(1.0, 0.2), 61);
        (0..frames).for_each(|_| pauses.push(true));
        let knife = Knife::Pauses { pauses, listener: Listener::new(), heard: frames };
        let mut clips = Clips { knife, ..Clips::new(&order(1e6)) };
        clips.room().resize(frames * FRAME + 100, 0.0);
        let mut out = Gathered::default();
        clips.finish(&mut out).unwrap();
        let spans = |frames: usize| seconds((frames * FRAME) as u64);
        let end = seconds((frames * FRAME + 100) as u64);
        let expected = [Part::Time { start: 0.0, end }, Part::Time { start: spans(62 - 12), end }];
        assert_eq!(out.promised, expected);
        assert_eq!(out.silence, Some(0.0));
    }

    #[test]
    fn a_recording_of_nothing_is_silence_and_no_clip() {
        let mut out = Gathered::default();
        let sound = SoundSettings { cut: Cut::Pauses, ..SoundSettings::default() };
        let mut clips = Clips::new(&Order { sound, ..order(1e6) });
        for _ in 0..100 {
            clips.room().extend(std::iter::repeat_n(0.0, 16_000));
            assert!(clips.flow(&mut out).unwrap().is_continue());
            assert!(clips.room().len() < 32_000, "what is not needed is let go");
        }
        clips.finish(&mut out).unwrap();
        assert_eq!((out.promised.len(), out.silence), (0, Some(100.0)));
        assert_eq!(out.heartbeats, 3);
    }

    #[test]
    fn silence_of_no_length_is_empty_and_too_much_names_the_limit() {
        let mut out = Gathered::default();
        assert_eq!(Clips::new(&order(9.0)).finish(&mut out).unwrap_err().kind, FaultKind::Empty);
        let mut clips = Clips::new(&order(1.0));
        clips.room().resize(16_001, 0.0);
        let fault = clips.flow(&mut out).unwrap_err();
        assert_eq!(fault.kind, FaultKind::TooLarge);
        assert!(fault.hint.contains("[decode.limits] seconds"));
    }
}
