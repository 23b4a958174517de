//! Where speech is cut: in pauses, as far as there are any, told from which frames hold a voice.

use std::ops::Range;

/// Samples of a frame at 16 kHz: 16 ms.
pub const FRAME: usize = 256;

/// Frames a second.
const RATE: f64 = 16_000.0 / FRAME as f64;

/// Frames in a row with a voice, of which the first begins a clip: 48 ms, more than a click.
const ONSET: usize = 3;

/// Frames that a clip begins before the voice, and ends behind it: 0.32 s, since the quiet ends of words are no voice.
const MARGIN: usize = 20;

/// Frames without a voice that end a clip: 2 s.
const REST: usize = 125;

/// Fewest frames without a voice that are a pause to cut in: 0.16 s.
const PAUSE: usize = 10;

/// Turns frames, as they come, into the spans of clips. What lies between the spans is silence.
#[derive(Debug)]
pub struct Pauses {
    longest: usize,
    overlap: usize,
    /// For each frame whether there is a voice; a byte for 16 ms, so that hours of it are small beside a clip.
    voices: Vec<bool>,
    /// Frames that are looked at.
    at: usize,
    /// Where the clip begins that is not yet at its end.
    open: Option<usize>,
    /// No clip begins before.
    free: usize,
}

impl Pauses {
    /// Clips of at most `longest` seconds. Where there is no pause to cut in, the next one begins `overlap` seconds early.
    pub fn new(longest: f64, overlap: f64) -> Self {
        let frames = |seconds: f64| (seconds * RATE) as usize;
        let longest = frames(longest).max(1);
        Self { longest, overlap: frames(overlap).min(longest - 1), voices: Vec::new(), at: 0, open: None, free: 0 }
    }

    /// The next frame.
    pub fn push(&mut self, voice: bool) {
        self.voices.push(voice);
    }

    /// The next clip that is at its end, in frames.
    pub fn next(&mut self) -> Option<Range<usize>> {
        while self.at < self.voices.len() {
            let Some(start) = self.open else {
                self.look_for_onset();
                continue;
            };
            self.at += 1;
            if let Some(end) = self.end_of_speech(start, self.at) {
                return Some(self.close(start, end, end));
            }
            if self.at - start >= self.longest {
                return Some(self.cut(start));
            }
        }
        None
    }

    /// The clip that is open when no more frames come.
    pub fn finish(&mut self) -> Option<Range<usize>> {
        let start = self.open?;
        let end = (self.last_voice(start, self.voices.len()) + 1 + MARGIN).min(self.voices.len());
        Some(self.close(start, end, end))
    }

    /// The first frame that is still needed. The next one may open a clip, which begins before the onset that it completes.
    pub fn first_needed(&self) -> usize {
        self.open.unwrap_or_else(|| self.beginning((self.at + 1).saturating_sub(ONSET)))
    }

    fn look_for_onset(&mut self) {
        self.at += 1;
        let Some(onset) = self.at.checked_sub(ONSET).filter(|onset| *onset >= self.free) else { return };
        if self.voices[onset..self.at].iter().all(|voice| *voice) {
            self.open = Some(self.beginning(onset));
        }
    }

    /// Where a clip begins whose voice sets in at `onset`.
    fn beginning(&self, onset: usize) -> usize {
        onset.saturating_sub(MARGIN + ONSET).max(self.free)
    }

    fn end_of_speech(&self, start: usize, at: usize) -> Option<usize> {
        let last = self.last_voice(start, at);
        (at - last > REST).then_some(last + 1 + MARGIN)
    }

    fn last_voice(&self, start: usize, end: usize) -> usize {
        let last = self.voices[start..end].iter().rposition(|voice| *voice);
        last.map_or(start, |last| start + last)
    }

    /// A clip that is as long as may be: cut in the middle of the longest pause of its second half, the later of equals.
    fn cut(&mut self, start: usize) -> Range<usize> {
        let end = start + self.longest;
        match self.longest_pause(start + self.longest / 2..end) {
            Some(middle) => self.close(start, middle, middle),
            None => {
                let span = self.close(start, end, end - self.overlap);
                self.open = Some(self.free);
                span
            }
        }
    }

    fn longest_pause(&self, within: Range<usize>) -> Option<usize> {
        let (mut best, mut length): (Option<(usize, usize)>, usize) = (None, 0);
        for frame in within {
            length = if self.voices[frame] { 0 } else { length + 1 };
            if length >= PAUSE && best.is_none_or(|(longest, _)| length >= longest) {
                best = Some((length, frame + 1 - length / 2));
            }
        }
        best.map(|(_, middle)| middle)
    }

    fn close(&mut self, start: usize, end: usize, free: usize) -> Range<usize> {
        (self.open, self.free, self.at) = (None, free, free);
        start..end
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The spans of a recording told as seconds of voice and of silence, in turn.
    fn spans(longest: f64, overlap: f64, turns: &[f64]) -> Vec<(f64, f64)> {
        let mut pauses = Pauses::new(longest, overlap);
        let mut found = Vec::new();
        for (place, seconds) in turns.iter().enumerate() {
            for _ in 0..(seconds * RATE) as usize {
                pauses.push(place % 2 == 0);
                found.extend(std::iter::from_fn(|| pauses.next()));
            }
        }
        found.extend(pauses.finish());
        let seconds = |frame: usize| (frame as f64 / RATE * 10.0).round() / 10.0;
        found.into_iter().map(|span| (seconds(span.start), seconds(span.end))).collect()
    }

    #[test]
    fn silence_belongs_to_no_clip() {
        assert_eq!(spans(30.0, 1.0, &[0.0, 100.0]), []);
        assert_eq!(spans(30.0, 1.0, &[0.0, 10.0, 2.0, 10.0, 3.0, 9.0]), [(9.6, 12.3), (21.6, 25.3)]);
        assert_eq!(spans(30.0, 1.0, &[0.03, 5.0]), [], "a click");
    }

    #[test]
    fn short_pauses_stay_inside_and_long_clips_are_cut_in_the_longest_of_their_second_half() {
        assert_eq!(spans(30.0, 1.0, &[5.0, 1.0, 5.0]), [(0.0, 11.0)]);
        let turns = [10.0, 1.5, 8.0, 0.3, 4.0, 0.6, 9.0];
        // The pause of 1.5 s lies in the first half; that of 0.6 s is cut in its middle, at 24.1 s.
        assert_eq!(spans(30.0, 1.0, &turns), [(0.0, 24.1), (24.1, 33.4)]);
    }

    #[test]
    fn speech_without_a_pause_is_cut_with_an_overlap() {
        assert_eq!(spans(30.0, 1.0, &[75.0]), [(0.0, 30.0), (29.0, 59.0), (58.0, 75.0)]);
        assert_eq!(spans(30.0, 0.0, &[65.0]), [(0.0, 30.0), (30.0, 60.0), (60.0, 65.0)]);
    }

    proptest! {
        #[test]
        fn no_clip_begins_before_what_was_needed_last(turns in proptest::collection::vec(1_usize..200, 1..60)) {
            let (mut pauses, mut needed) = (Pauses::new(10.0, 2.0), 0);
            for (place, frames) in turns.into_iter().enumerate() {
                for _ in 0..frames {
                    pauses.push(place % 2 == 1);
                    while let Some(span) = pauses.next() {
                        prop_assert!(span.start >= needed, "{span:?}, but {needed} was the first that is needed");
                    }
                    needed = needed.max(pauses.first_needed());
                }
            }
            prop_assert!(pauses.finish().is_none_or(|span| span.start >= needed));
        }

        #[test]
        fn no_voice_is_lost_and_no_clip_is_too_long(turns in proptest::collection::vec(0.1_f64..20.0, 1..40)) {
            let (mut pauses, mut voices, mut found) = (Pauses::new(30.0, 0.5), Vec::new(), Vec::new());
            for (place, seconds) in turns.iter().enumerate() {
                for _ in 0..(seconds * RATE) as usize {
                    voices.push(place % 2 == 0);
                    pauses.push(place % 2 == 0);
                    prop_assert!(pauses.first_needed() <= voices.len());
                    while let Some(span) = pauses.next() {
                        prop_assert!(pauses.first_needed() >= span.start);
                        found.push(span);
                    }
                }
            }
            found.extend(pauses.finish());
            let longest = (30.0 * RATE) as usize;
            for span in &found {
                prop_assert!(span.start < span.end && span.end <= voices.len() && span.len() <= longest + MARGIN);
            }
            for pair in found.windows(2) {
                prop_assert!(pair[0].start < pair[1].start && pair[0].end < pair[1].end);
            }
            for (frame, _) in voices.iter().enumerate().filter(|(_, voice)| **voice) {
                prop_assert!(found.iter().any(|span| span.contains(&frame)), "the voice at frame {frame} is in no clip");
            }
        }
    }
}
