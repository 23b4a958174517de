//! Two transcripts of spans of sound that overlap, made into one: what both say of the overlap is kept once.
//!
//! Where the first span breaks off and the second sets in, words are cut, so the last words of the one and the first of the
//! other are the least certain. The longest run of words that both have near the border is looked for; the first text is
//! taken up to its end, the second from there on.

use std::ops::Range;

use crate::parse::evidence::{is_spaceless, plain};

/// Words, or characters of scripts without blanks, that a second of speech may have.
const FASTEST: f64 = 8.0;

/// Words beside those of the overlap that are looked at.
const SPARE: usize = 4;

/// Where two texts are joined.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Seam {
    /// The bytes of the first text that are kept.
    pub first: usize,
    /// The byte from which the second is kept.
    pub second: usize,
}

/// The seam of two texts of spans that share so many seconds; what both lack is not lost where they share no words.
pub fn seam(first: &str, second: &str, seconds: f64) -> Seam {
    let whole = Seam { first: first.len(), second: 0 };
    if seconds <= 0.0 {
        return whole;
    }
    let reach = (seconds * FASTEST).ceil() as usize + SPARE;
    let (ends, begins) = (last_pieces(first, reach), pieces(second));
    let tail = &ends[ends.len().saturating_sub(reach)..];
    let head = &begins[..begins.len().min(reach)];
    let Some(run) = longest_run(first, tail, second, head) else { return whole };
    // Where the run ends with the last piece that is looked at, the text may go on.
    let behind = begins.get(run.head + run.length).map_or(second.len(), |piece| piece.start);
    Seam { first: tail[run.tail + run.length - 1].end, second: behind }
}

/// Adds the second text to the first at their seam.
pub fn join(first: &mut String, second: &str, seconds: f64) {
    let seam = seam(first, second, seconds);
    first.truncate(seam.first);
    let rest = second[seam.second..].trim_start();
    let tight = first.chars().next_back().is_none_or(is_spaceless) || rest.chars().next().is_none_or(is_spaceless);
    if !tight {
        first.push(' ');
    }
    first.push_str(rest);
}

/// At least so many of the last pieces of a text, unless words are very long; the text before them may be hours of speech.
fn last_pieces(text: &str, count: usize) -> Vec<Range<usize>> {
    const LONG: usize = 64;
    let from = text.floor_char_boundary(text.len().saturating_sub((count + 1) * LONG));
    let mut last = pieces(&text[from..]);
    if from > 0 && !last.is_empty() {
        last.remove(0); // a part of a word, maybe
    }
    last.into_iter().map(|piece| from + piece.start..from + piece.end).collect()
}

/// The words of a text; of scripts that are written without blanks the characters. A mark, of tone or of punctuation, belongs to
/// what it stands behind: alone it could be compared with nothing, and would part what both texts say.
fn pieces(text: &str) -> Vec<Range<usize>> {
    let (mut pieces, mut word): (Vec<Range<usize>>, bool) = (Vec::new(), false);
    for (at, c) in text.char_indices() {
        let (end, mark) = (at + c.len_utf8(), !c.is_alphanumeric());
        match pieces.last_mut().filter(|last| last.end == at) {
            _ if c.is_whitespace() => {}
            Some(last) if mark || (word && !is_spaceless(c)) => {
                last.end = end;
                word = word && !is_spaceless(c);
            }
            _ => {
                pieces.push(at..end);
                word = !is_spaceless(c);
            }
        }
    }
    pieces
}

struct Run {
    tail: usize,
    head: usize,
    length: usize,
}

/// The run of pieces in both that is worth most: two for each piece, less the pieces that are dropped for it behind it in the
/// tail and before it in the head. `None` where none is worth anything: a single word may be the same by chance.
fn longest_run(first: &str, tail: &[Range<usize>], second: &str, head: &[Range<usize>]) -> Option<Run> {
    let bare = |text: &str, piece: &Range<usize>| -> String {
        plain(&text[piece.clone()]).chars().filter(|c| c.is_alphanumeric()).collect()
    };
    let ends: Vec<String> = tail.iter().map(|piece| bare(first, piece)).collect();
    let begins: Vec<String> = head.iter().map(|piece| bare(second, piece)).collect();
    let (mut best, mut most) = (None, 0);
    let mut above = vec![0; begins.len() + 1];
    for (row, end) in ends.iter().enumerate() {
        let mut lengths = vec![0; begins.len() + 1];
        for (column, begin) in begins.iter().enumerate() {
            if end != begin || end.is_empty() {
                continue;
            }
            let length = above[column] + 1;
            lengths[column + 1] = length;
            let (tail, head) = (row + 1 - length, column + 1 - length);
            let worth = (2 * length) as i64 - (ends.len() - row - 1 + head) as i64;
            if worth > most {
                (best, most) = (Some(Run { tail, head, length }), worth);
            }
        }
        above = lengths;
    }
    best
}

#[cfg(test)]
mod tests {
    use super::*;

    fn joined(first: &str, second: &str, seconds: f64) -> String {
        let mut text = first.to_owned();
        join(&mut text, second, seconds);
        text
    }

    #[test]
    fn what_both_say_is_said_once() {
        assert_eq!(
            joined("The wheel turns slowly and", "slowly and grinds the stone.", 1.0),
            "The wheel turns slowly and grinds the stone."
        );
        assert_eq!(
            joined("It was Monday, the third", "Monday the third of May", 1.0),
            "It was Monday, the third of May"
        );
        assert_eq!(joined("all of it", "all of it", 1.0), "all of it");
    }

    #[test]
    fn words_that_the_border_cuts_are_taken_from_the_text_that_has_them_whole() {
        assert_eq!(joined("he went to the mar", "ent to the market on foot", 1.0), "he went to the market on foot");
        assert_eq!(
            joined("one two three fo", "ee four five", 1.0),
            "one two three fo ee four five",
            "no word in common"
        );
    }

    #[test]
    fn nothing_is_dropped_where_nothing_is_shared() {
        assert_eq!(joined("the end", "the beginning of it", 0.0), "the end the beginning of it");
        assert_eq!(
            joined("I saw the man and his dog", "then the cat came by", 1.0),
            "I saw the man and his dog then the cat came by"
        );
        assert_eq!(joined("", "words", 1.0), "words");
        assert_eq!(joined("words", "", 1.0), "words");
        assert_eq!(joined("the word", " ", 1.0), "the word");
    }

    #[test]
    fn what_follows_a_shared_run_longer_than_is_looked_at_is_kept() {
        let many = ["no"; 25].join(" ");
        let text = joined(&many, &format!("{many} said the miller"), 1.0);
        assert!(text.ends_with(" no said the miller"), "{text}");
        let (twelve, fourteen) = ("a b c d e f g h i j k l", "a b c d e f g h i j k l m n");
        assert_eq!(joined(twelve, fourteen, 1.0), fourteen, "as many as are looked at");
    }

    #[test]
    fn scripts_without_blanks_are_joined_by_their_characters() {
        assert_eq!(joined("今日は天気が", "天気がいいです", 1.0), "今日は天気がいいです");
        assert_eq!(pieces("a今日 b").len(), 4);
    }

    #[test]
    fn marks_of_tone_and_punctuation_do_not_part_what_both_say() {
        let both = "ผู้ที่เข้าร่วมต้องนั่งที่นี่ก่อน";
        assert_eq!(
            joined(&format!("สวัสดีครับ{both}"), &format!("{both}แล้วเราจะเริ่ม"), 2.0),
            format!("สวัสดีครับ{both}แล้วเราจะเริ่ม")
        );
        let both = "ຜູ້ເຂົ້າຮ່ວມຕ້ອງນັ່ງຢູ່ນີ້ກ່ອນ";
        assert_eq!(joined(&format!("ສະບາຍດີ{both}"), &format!("{both}ແລ້ວ"), 2.0), format!("ສະບາຍດີ{both}ແລ້ວ"));
        assert_eq!(joined("数えます。一、二、三、四、", "一、二、三、四、五。", 1.0), "数えます。一、二、三、四、五。");
        assert_eq!(pieces("「今日」、a. b").len(), 5);
        assert_eq!(pieces("GPT・BERT・T5").len(), 3, "the dot is of a script without blanks");
        assert_eq!(joined("GPT・BERT・T5", "BERT・T5があります", 1.0), "GPT・BERT・T5があります");
    }
}
