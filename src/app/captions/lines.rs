//! Where a text may be parted into lines: behind a sentence, else behind a comma, else between words, else between characters.

use unicode_segmentation::UnicodeSegmentation;

/// Marks that end a sentence where a blank follows.
const SENTENCE: [char; 3] = ['.', '!', '?'];

/// Marks that end a part of one where a blank follows.
const COMMA: [char; 3] = [',', ';', ':'];

/// The same in scripts that put no blank there.
const WIDE_SENTENCE: [char; 4] = ['。', '！', '？', '｡'];
const WIDE_COMMA: [char; 5] = ['、', '，', '；', '：', '､'];

/// Signs that close what was opened, and stand behind the mark of what they close.
const CLOSING: [char; 7] = ['」', '』', '）', '】', '》', '”', ')'];

/// What ends at a place where a text may be parted; the later in this list, the better the place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Border {
    /// A character with all that stands on it.
    Character,
    /// A word.
    Word,
    /// A part of a sentence.
    Comma,
    /// A sentence.
    Sentence,
}

impl Border {
    /// `None` where a line would begin with a mark that belongs to the one before.
    fn between(before: &str, behind: &str) -> Option<Self> {
        if behind.starts_with(CLOSING) || behind.starts_with(WIDE_SENTENCE) || behind.starts_with(WIDE_COMMA) {
            return None;
        }
        let (said, blank) = (before.trim_end_matches(CLOSING), behind.starts_with(' '));
        let ends = |wide: &[char], narrow: &[char]| said.ends_with(wide) || (blank && said.ends_with(narrow));
        Some(if ends(&WIDE_SENTENCE, &SENTENCE) {
            Self::Sentence
        } else if ends(&WIDE_COMMA, &COMMA) {
            Self::Comma
        } else if blank {
            Self::Word
        } else {
            Self::Character
        })
    }
}

/// The places, in bytes and rising, at which a text may be parted. A word ends before its blank.
pub fn borders(text: &str) -> impl Iterator<Item = (usize, Border)> {
    let places = text.grapheme_indices(true).map(|(at, _)| at).skip(1);
    places.filter_map(move |at| Some((at, Border::between(&text[..at], &text[at..])?)))
}

/// A text in lines of at most so many characters: at the end of a sentence where one lies in the last half, else at a comma,
/// else between words, else anywhere that cuts no character from what stands on it.
pub fn lines(text: &str, longest: usize) -> Vec<&str> {
    let (mut lines, mut rest) = (Vec::new(), text.trim());
    while let Some((most, next)) = rest.char_indices().nth(longest) {
        let (line, behind) = rest.split_at(end(&rest[..most + next.len_utf8()], most));
        lines.push(line.trim_end());
        rest = behind.trim_start();
    }
    lines.extend((!rest.is_empty()).then_some(rest));
    lines
}

/// Where the first line of a text ends that has room for so many bytes.
fn end(text: &str, most: usize) -> usize {
    let worth = |(at, border): &(usize, Border)| {
        let border = if *at < most / 2 { Border::Word.min(*border) } else { *border };
        (border, *at)
    };
    // A character may have more marks on it than fit.
    borders(text).filter(|(at, _)| *at <= most).max_by_key(worth).map_or(most, |(at, _)| at)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_ends_with_its_sentence_else_with_a_comma_else_with_a_word() {
        assert_eq!(lines("Turn the wheel. It grinds, slowly.", 28), ["Turn the wheel.", "It grinds, slowly."]);
        assert_eq!(lines("Turn the wheel, it grinds slowly.", 28), ["Turn the wheel,", "it grinds slowly."]);
        assert_eq!(lines("No. Turn the wheel it grinds", 20), ["No. Turn the wheel", "it grinds"], "too early");
        assert_eq!(lines("Pi is 3.14159 or so", 15), ["Pi is 3.14159", "or so"]);
        assert_eq!(lines("(He has said it.) She has not.", 22), ["(He has said it.)", "She has not."]);
        assert_eq!(lines(&"x".repeat(100), 84).len(), 2, "a word without end");
    }

    #[test]
    fn marks_of_scripts_without_blanks_need_none_behind_them() {
        assert_eq!(lines("今日は晴れです。明日も晴れます", 12), ["今日は晴れです。", "明日も晴れます"]);
        assert_eq!(lines("今日は晴れですが、明日は雨です", 12), ["今日は晴れですが、", "明日は雨です"]);
        assert_eq!(lines("彼は「晴れです。」と言った", 11), ["彼は「晴れです。」", "と言った"]);
        assert_eq!(lines("今日は晴れです。明日", 7), ["今日は晴れで", "す。明日"], "no line begins with a mark");
    }

    #[test]
    fn no_character_is_cut_from_what_stands_on_it() {
        let thai = "ก".to_owned() + &"ที่".repeat(50);
        for line in lines(&thai, 84) {
            assert!(line.starts_with(['ก', 'ท']) && line.chars().count() <= 84, "{line}");
        }
        let family = "👩\u{200d}👩\u{200d}👧";
        assert_eq!(lines(&family.repeat(2), 6), [family; 2]);
        assert_eq!(lines(&("e".to_owned() + &"\u{301}".repeat(20)), 8).len(), 3, "more marks than fit");
        assert_eq!(lines(&"）".repeat(20), 8).len(), 3, "nothing but marks");
    }
}
