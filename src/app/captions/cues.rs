//! Segments of a transcript as captions: in order, each thing said once, in pieces that can be read at a glance.

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
}

/// The captions of a recording. Within a span a piece lasts as long as its share of the characters; spans that overlap are
/// parted in the middle of what they share.
pub fn tidied(mut segments: Vec<Segment>) -> Vec<Segment> {
    segments.sort_by(|one, other| one.start.total_cmp(&other.start).then(one.end.total_cmp(&other.end)));
    for segment in &mut segments {
        segment.text = segment.text.split_whitespace().collect::<Vec<_>>().join(" ");
    }
    for place in 1..segments.len() {
        let (before, after) = segments.split_at_mut(place);
        part(&mut before[place - 1], &mut after[0]);
    }
    let said = segments.into_iter().filter(|segment| !segment.text.is_empty() && segment.start < segment.end);
    said.flat_map(pieces).collect()
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
    let border = second.start + shared / 2.0;
    (first.end, second.start) = (border.min(second.end), border.min(second.end));
}

fn pieces(segment: Segment) -> Vec<Segment> {
    let Segment { start, end, text } = segment;
    let pieces = lines(&text, LONGEST);
    let length = |piece: &str| piece.chars().count() as f64;
    let all: f64 = pieces.iter().map(|piece| length(piece)).sum();
    let mut passed = 0.0;
    let at = |passed: f64| start + (end - start) * passed / all.max(1.0);
    let timed = pieces.into_iter().map(|piece| {
        let from = passed;
        passed += length(piece);
        Segment { start: at(from), end: at(passed), text: piece.to_owned() }
    });
    timed.collect()
}

/// A text in lines of at most so many characters: at the end of a sentence where one lies in the last half, else at a comma,
/// else between words, else anywhere.
pub fn lines(text: &str, longest: usize) -> Vec<&str> {
    let (mut lines, mut rest) = (Vec::new(), text.trim());
    while let Some((cut, _)) = rest.char_indices().nth(longest) {
        let (head, half) = (&rest[..cut], cut / 2);
        let ends = rest[cut..].starts_with(' ');
        let last = |marks: &[char]| {
            let behind = |(at, mark): (usize, &str)| at + mark.len();
            let mut places = head.match_indices(marks).map(behind).filter(|at| *at >= half);
            places.rfind(|at| rest[*at..].starts_with(' '))
        };
        let sentence = last(&['.', '!', '?', '。', '！', '？']);
        let word = || if ends { Some(cut) } else { head.rfind(' ') };
        let at =
            sentence.or_else(|| last(&[',', ';', ':', '、', '，'])).or_else(word).filter(|at| *at > 0).unwrap_or(cut);
        lines.push(rest[..at].trim_end());
        rest = rest[at..].trim_start();
    }
    lines.extend((!rest.is_empty()).then_some(rest));
    lines
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn segment(start: f64, end: f64, text: &str) -> Segment {
        Segment { start, end, text: text.to_owned() }
    }

    #[test]
    fn spans_that_overlap_are_parted_and_say_nothing_twice() {
        let found = tidied(vec![segment(28.0, 40.0, "two three\n four"), segment(0.0, 30.0, "one two three")]);
        assert_eq!(found, [segment(0.0, 29.0, "one two three"), segment(29.0, 40.0, "four")]);
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
        assert_eq!(lines(&"x".repeat(100), 84).len(), 2, "a word without end");
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
    }
}
