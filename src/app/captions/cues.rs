//! Segments of a transcript as captions: in order, each thing said once, in pieces that can be read at a glance.

use super::{lines::lines, numbered::Numbered};
use crate::parse::{Seam, seam};

/// Characters of a caption: two lines of a screen.
pub const LONGEST: usize = 84;

/// What is said in a span of a recording.
#[derive(Debug, Clone, PartialEq)]
pub struct Segment {
    /// Seconds from the start of the recording.
    pub start: f64,
    /// End of the span.
    pub end: f64,
    /// What is said.
    pub text: String,
    /// Which record of a list it is, where clips list records.
    pub record: Option<Numbered>,
}

impl Segment {
    /// Says more in the same span.
    fn add(&mut self, text: &str) {
        if !self.text.is_empty() && !text.is_empty() {
            self.text.push(' ');
        }
        self.text.push_str(text);
    }

    /// Takes in the next record of its own list.
    fn list(&mut self, next: &mut Self) -> bool {
        let follows = self.record.as_ref().zip(next.record.as_ref()).is_some_and(|(one, other)| other.follows(one));
        if follows {
            self.add(&next.text);
            self.record = next.record.take();
        }
        follows
    }

    /// Takes in what else is said in its very span, and what both say once.
    fn agree(&mut self, next: &Self) -> bool {
        let same = (self.start, self.end) == (next.start, next.end);
        if same && self.text != next.text {
            let Seam { first, second } = seam(&self.text, &next.text, self.end - self.start);
            self.text.truncate(first);
            self.add(next.text[second..].trim_start());
        }
        same
    }
}

/// The captions of a recording. Within a span a piece lasts as long as its share of the characters; spans that overlap are
/// parted in the middle of what they share. What a clip lists is said in its order. Any other rows of one span answer the same unit
/// anew, as where a run with changed settings is not through: what they share is said once.
pub fn tidied(mut segments: Vec<Segment>) -> Vec<Segment> {
    segments.sort_by(|one, other| one.start.total_cmp(&other.start).then(one.end.total_cmp(&other.end)));
    for segment in &mut segments {
        segment.text = segment.text.split_whitespace().collect::<Vec<_>>().join(" ");
    }
    segments.dedup_by(|next, last| last.list(next));
    segments.dedup_by(|next, last| last.agree(next));
    let parted = segments.into_iter().fold(Vec::new(), followed);
    let said = parted.into_iter().filter(|segment| !segment.text.is_empty() && segment.start < segment.end);
    said.flat_map(pieces).collect()
}

/// What was said, and what follows it. Where all of the next span lies in those before, nothing of it is left, and its text goes
/// to the last of them.
fn followed(mut said: Vec<Segment>, mut next: Segment) -> Vec<Segment> {
    let Some(last) = said.last_mut() else { return vec![next] };
    part(last, &mut next);
    if next.start < next.end {
        said.push(next);
    } else {
        last.add(&next.text);
    }
    said
}

fn part(first: &mut Segment, second: &mut Segment) {
    let shared = first.end - second.start;
    if shared <= 0.0 {
        return;
    }
    let Seam { first: kept, second: from } = seam(&first.text, &second.text, shared);
    first.text.truncate(kept);
    second.text.replace_range(..from, "");
    second.text = second.text.trim_start().to_owned();
    // Spans that lie in one another share no more than the shorter; the first may begin later, since it was parted itself.
    let (from, to) = (first.start.max(second.start), first.end.min(second.end));
    if from < to {
        let border = f64::midpoint(from, to);
        (first.end, second.start) = (border, border);
    } else {
        second.start = second.end;
    }
}

fn pieces(segment: Segment) -> Vec<Segment> {
    let Segment { start, end, text, .. } = segment;
    let pieces = lines(&text, LONGEST);
    let length = |piece: &str| piece.chars().count() as f64;
    let all: f64 = pieces.iter().map(|piece| length(piece)).sum();
    let mut passed = 0.0;
    let at = |passed: f64| start + (end - start) * passed / all.max(1.0);
    let timed = pieces.into_iter().map(|piece| {
        let from = passed;
        passed += length(piece);
        Segment { start: at(from), end: at(passed), text: piece.to_owned(), record: None }
    });
    timed.collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn segment(start: f64, end: f64, text: &str) -> Segment {
        Segment { start, end, text: text.to_owned(), record: None }
    }

    /// A record of what a run with these settings lists of the first clip.
    fn record(number: i64, config: &str, text: &str) -> Segment {
        let record = Numbered::of(&json!({ "_unit": "u", "_model": "m", "_config": config, "_record": number }));
        Segment { record, ..segment(0.0, 30.0, text) }
    }

    #[test]
    fn spans_that_overlap_are_parted_and_say_nothing_twice() {
        let found = tidied(vec![segment(28.0, 40.0, "two three\n four"), segment(0.0, 30.0, "one two three")]);
        assert_eq!(found, [segment(0.0, 29.0, "one two three"), segment(29.0, 40.0, "four")]);
    }

    #[test]
    fn the_records_that_a_clip_lists_are_all_said_in_their_order() {
        let texts = ["Good morning.", "It is ready.", "Let us begin.", "Let us begin."];
        let mut segments: Vec<Segment> = (0..).zip(texts).map(|(number, text)| record(number, "c", text)).collect();
        segments.push(segment(28.0, 58.0, "us begin. Now."));
        let said = "Good morning. It is ready. Let us begin. Let us begin.";
        assert_eq!(tidied(segments), [segment(0.0, 29.0, said), segment(29.0, 58.0, "Now.")]);
    }

    #[test]
    fn a_list_that_stands_there_twice_is_said_once() {
        for (first, second) in [("c", "c"), ("old", "new")] {
            let lists = [first, second].map(|config| [record(0, config, "Yes."), record(1, config, "No.")]);
            assert_eq!(tidied(lists.concat()), [segment(0.0, 30.0, "Yes. No.")], "{first} {second}");
        }
    }

    #[test]
    fn rows_that_answer_one_unit_anew_say_once_what_they_share() {
        let said = |texts: &[&str]| tidied(texts.iter().map(|text| segment(0.0, 30.0, text)).collect());
        for texts in [&["One two.", "One two."][..], &["Yes.", "Yes.", "Yes."], &["", "Yes.", "Yes."]] {
            assert_eq!(said(texts), [segment(0.0, 30.0, texts[1])], "{texts:?}");
        }
        assert_eq!(said(&["One two three.", "two three. Four."]), [segment(0.0, 30.0, "One two three. Four.")]);
        assert_eq!(said(&["One two.", "Eins zwei."]), [segment(0.0, 30.0, "One two. Eins zwei.")]);
    }

    #[test]
    fn spans_that_lie_in_one_another_lose_nothing() {
        let found = tidied(vec![segment(0.0, 30.0, "one"), segment(10.0, 20.0, "two"), segment(10.5, 12.0, "three")]);
        assert_eq!(found, [segment(0.0, 15.0, "one"), segment(15.0, 20.0, "two three")]);
    }

    #[test]
    fn long_texts_are_cut_at_the_ends_of_sentences() {
        let text = "The wheel is turned by hand. It grinds the stone until each face is flat, and then it is polished for an hour.";
        let found = tidied(vec![segment(10.0, 20.0, text)]);
        let texts: Vec<&str> = found.iter().map(|piece| piece.text.as_str()).collect();
        assert_eq!(
            texts,
            [
                "The wheel is turned by hand. It grinds the stone until each face is flat,",
                "and then it is polished for an hour."
            ]
        );
        assert_eq!((found[0].start, found[1].end, found[0].end), (10.0, 20.0, found[1].start));
        assert!((found[0].end - 16.7).abs() < 0.1, "{found:?}");
    }

    proptest! {
        #[test]
        fn times_rise_and_no_word_is_lost(spans in proptest::collection::vec((0.0_f64..500.0, 0.0_f64..30.0, "[a-z. ]{0,200}"), 0..20)) {
            let segments: Vec<Segment> =
                spans.iter().map(|(start, length, text)| segment(*start, start + length, text)).collect();
            let apart = segments.len() < 2;
            let words = segments.iter().flat_map(|one| one.text.split_whitespace().map(str::to_owned)).collect::<Vec<_>>();
            let found = tidied(segments);
            for piece in &found {
                prop_assert!(piece.start < piece.end && piece.text.chars().count() <= LONGEST, "{piece:?}");
            }
            if apart && !found.is_empty() {
                let said: String = found.iter().map(|piece| piece.text.replace(' ', "")).collect();
                prop_assert_eq!(said, words.concat());
            }
        }

        #[test]
        fn spans_that_are_the_same_or_share_much_keep_all_their_words(
            spans in proptest::collection::vec((0_u8..4, 1_u8..4, 1_usize..40), 1..20)
        ) {
            let spelt = |(number, (start, length, words)): (usize, &(u8, u8, usize))| {
                let text = (0..*words).map(|word| format!("w{number}x{word}")).collect::<Vec<_>>().join(" ");
                let start = f64::from(*start) * 10.0;
                segment(start, start + f64::from(*length) * 10.0, &text)
            };
            let words = |segments: &[Segment]| {
                let mut words: Vec<String> =
                    segments.iter().flat_map(|one| one.text.split(' ').map(str::to_owned)).collect();
                words.sort();
                words
            };
            let segments: Vec<Segment> = spans.iter().enumerate().map(spelt).collect();
            let said = words(&segments);
            let found = tidied(segments);
            prop_assert_eq!(words(&found), said);
            for pair in found.windows(2) {
                prop_assert!(pair[0].end <= pair[1].start + 1e-9, "{pair:?}");
            }
        }
    }
}
