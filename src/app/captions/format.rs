//! The forms of captions.
//!
//! SubRip is what players make of it: a number, `hh:mm:ss,mmm --> hh:mm:ss,mmm`, lines, an empty line. WebVTT: W3C, "WebVTT: The
//! Web Video Text Tracks Format", section 4: the same times with a point behind a head of its own, `&` and `<` written out.

use std::fmt::Write;

use super::{
    cues::Segment,
    lines::{Border, borders, lines},
};

/// Characters of a line on a screen.
const LINE: usize = 42;

/// A form of captions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// SubRip.
    Srt,
    /// WebVTT.
    Vtt,
    /// The text alone, a line for each caption.
    Txt,
}

impl Format {
    /// The ending of its files.
    pub fn ending(self) -> &'static str {
        match self {
            Self::Srt => "srt",
            Self::Vtt => "vtt",
            Self::Txt => "txt",
        }
    }

    /// The file of a recording. Times rise: a caption begins no earlier than the one before has ended, and lasts at least a
    /// millisecond.
    pub fn write(self, captions: &[Segment]) -> String {
        let mut text = if self == Self::Vtt { "WEBVTT\n\n".to_owned() } else { String::new() };
        let mut free = 0;
        for (number, caption) in (1..).zip(captions) {
            let start = millis(caption.start).max(free);
            free = millis(caption.end).max(start + 1);
            // Writing to a string does not fail.
            let _ = match self {
                Self::Txt => writeln!(text, "{}", caption.text),
                Self::Srt => {
                    write!(text, "{number}\n{} --> {}\n{}\n\n", time(start, ','), time(free, ','), srt(&caption.text))
                }
                Self::Vtt => write!(text, "{} --> {}\n{}\n\n", time(start, '.'), time(free, '.'), vtt(&caption.text)),
            };
        }
        text
    }
}

fn millis(seconds: f64) -> u64 {
    (seconds.max(0.0) * 1000.0).round() as u64
}

fn time(millis: u64, point: char) -> String {
    let (seconds, millis) = (millis / 1000, millis % 1000);
    format!("{:02}:{:02}:{:02}{point}{millis:03}", seconds / 3600, seconds / 60 % 60, seconds % 60)
}

/// An arrow in the text would begin another caption, however long it is.
fn srt(text: &str) -> String {
    let mut text = text.to_owned();
    while text.contains("-->") {
        // What is left of `--->` is an arrow again.
        text = text.replace("-->", "->");
    }
    screen(&text).join("\n")
}

/// One line, or two of which neither is too long, parted behind a mark where one does, else in the middle; more where none does.
fn screen(text: &str) -> Vec<&str> {
    let length = |text: &str| text.chars().count();
    let whole = length(text);
    if whole <= LINE {
        return vec![text];
    }
    let gaps = borders(text).filter(|(_, border)| *border > Border::Character);
    let halves = gaps.map(|(at, border)| (border, text[..at].trim_end(), text[at..].trim_start()));
    let fitting = halves.filter(|(_, first, second)| length(first) <= LINE && length(second) <= LINE);
    let best = fitting.min_by_key(|(border, first, _)| (*border < Border::Comma, (2 * length(first)).abs_diff(whole)));
    best.map_or_else(|| lines(text, LINE), |(_, first, second)| vec![first, second])
}

fn vtt(text: &str) -> String {
    screen(text).iter().map(|line| escaped(line)).collect::<Vec<_>>().join("\n")
}

fn escaped(line: &str) -> String {
    line.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn captions_have_two_lines_where_they_can() {
        let text = "The wheel is turned by hand. It grinds the stone until each face is flat,";
        assert_eq!(screen(text), ["The wheel is turned by hand. It grinds", "the stone until each face is flat,"]);
        assert_eq!(
            screen("One two three four, five six seven eight nine ten."),
            ["One two three four,", "five six seven eight nine ten."]
        );
        assert_eq!(screen("One two."), ["One two."]);
        let (first, second) = (
            "今日は天気がとても良いので、公園まで散歩に出かけました。途中で友人に会い、",
            "一緒に喫茶店でコーヒーを飲みました。その後、図書館に寄って本を三冊借りました。",
        );
        assert_eq!(screen(&(first.to_owned() + second)), [first, second]);
        assert_eq!(screen(&"x".repeat(90)).len(), 3);
    }

    fn captions() -> Vec<Segment> {
        let long = "The wheel is turned by hand, and it grinds the stone until it is flat.";
        vec![
            Segment { start: 0.25, end: 3.0, text: long.to_owned(), record: None },
            Segment { start: 3.0, end: 3.0001, text: "a --> b <i>&".to_owned(), record: None },
            Segment { start: 3661.5, end: 3662.0, text: "End".to_owned(), record: None },
        ]
    }

    #[test]
    fn subrip_has_numbers_and_commas() {
        let text = Format::Srt.write(&captions());
        let first = "1\n00:00:00,250 --> 00:00:03,000\nThe wheel is turned by hand,\nand it grinds the stone until it is flat.\n\n";
        assert!(text.starts_with(first), "{text}");
        assert!(text.contains("2\n00:00:03,000 --> 00:00:03,001\na -> b <i>&\n\n"), "{text}");
        assert!(text.ends_with("3\n01:01:01,500 --> 01:01:02,000\nEnd\n\n"), "{text}");
    }

    #[test]
    fn no_arrow_of_a_text_is_left_however_long_it_is() {
        let (long, row) = (format!("{}>", "-".repeat(80)), "-->".repeat(28));
        for arrow in ["-->", "--->", "---->", "----->", "-->-->", "--->>", "-- -->->", long.as_str(), row.as_str()] {
            let captions = [Segment { start: 0.0, end: 1.0, text: format!("a {arrow} b"), record: None }];
            for format in [Format::Srt, Format::Vtt] {
                let text = format.write(&captions);
                assert_eq!(text.matches("-->").count(), 1, "{arrow}: {text}");
            }
        }
        assert_eq!(srt("a ---> b"), "a -> b");
    }

    #[test]
    fn webvtt_has_a_head_and_writes_its_own_signs_out() {
        let text = Format::Vtt.write(&captions());
        assert!(text.starts_with("WEBVTT\n\n00:00:00.250 --> 00:00:03.000\nThe wheel"), "{text}");
        assert!(text.contains("00:00:03.000 --> 00:00:03.001\na --&gt; b &lt;i&gt;&amp;\n\n"), "{text}");
    }

    #[test]
    fn plain_text_is_a_line_for_each() {
        assert_eq!(Format::Txt.write(&captions()[1..]), "a --> b <i>&\nEnd\n");
    }
}
