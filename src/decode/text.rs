//! Text documents: the whole text is one unit, or a long one is parted where its own parts end.

use std::io::Read;

use crate::base::{Fault, FaultKind, Limit, Part, Unit};

use super::{
    input::Input,
    order::Order,
    output::{Output, refuse},
};

/// Reads UTF-8, or UTF-16 with a byte order mark.
///
/// # Errors
/// A text over `limits.text_bytes`, of white space alone, or in no such encoding.
pub fn decode(input: &Input, order: &Order, out: &mut dyn Output) -> Result<(), Fault> {
    let text = unicode(&read(input, order.limits.text_bytes)?)?;
    if text.trim().is_empty() {
        return Err(refuse(FaultKind::Empty, "the text is nothing but white space", "leave it out"));
    }
    let pieces = order.text.longest.map_or(vec![text.as_str()], |longest| pieces(&text, longest as usize));
    let parts = parts(&pieces);
    let granted = out.promise(&parts)?;
    for (part, piece) in parts.into_iter().zip(pieces).take(granted) {
        if !out.passed_over() {
            out.unit(part, Unit::Text(piece.to_owned()))?;
        }
    }
    Ok(())
}

/// Which part each piece is.
fn parts(pieces: &[&str]) -> Vec<Part> {
    if let [_] = pieces {
        return vec![Part::Whole];
    }
    let mut end = 0;
    let mut next = |piece: &&str| {
        let start = end;
        end += piece.chars().count() as u64;
        Part::Text { start, end }
    };
    pieces.iter().map(&mut next).collect()
}

/// The text in pieces of at most so many characters, nothing left out. Each ends behind a paragraph, else a line, a sentence or a
/// word, as late as may be in its second half, else anywhere. White space alone is no piece: it stands before the next, or, at the
/// end, behind the last.
fn pieces(text: &str, longest: usize) -> Vec<&str> {
    const ENDS: [&[&str]; 4] = [&["\n\n", "\r\n\r\n"], &["\n"], &[". ", "! ", "? ", "。", "！", "？"], &[" "]];
    let (mut cuts, mut start, end) = (vec![0], 0, text.trim_end().len());
    while let Some((length, _)) = text[start..].char_indices().nth(longest) {
        let head = &text[start..start + length];
        let half = head.char_indices().nth(longest / 2).map_or(0, |(at, _)| at);
        let last = |ends: &&[&str]| ends.iter().filter_map(|end| Some(head.rfind(end)? + end.len())).max();
        let length = ENDS.iter().find_map(|ends| last(ends).filter(|at| *at > half)).unwrap_or(length);
        if start + length >= end {
            break;
        }
        if !text[start..start + length].trim().is_empty() {
            cuts.push(start + length);
        }
        start += length;
    }
    cuts.push(text.len());
    cuts.windows(2).map(|pair| &text[pair[0]..pair[1]]).collect()
}

fn read(input: &Input, most: u64) -> Result<Vec<u8>, Fault> {
    let unreadable = |error: std::io::Error| refuse(FaultKind::Unreadable, error.to_string(), "check its permissions");
    let mut bytes = Vec::new();
    input.reader()?.take(most.saturating_add(1)).read_to_end(&mut bytes).map_err(unreadable)?;
    if bytes.len() as u64 > most {
        let message = format!("the text has more than {most} bytes");
        return Err(refuse(FaultKind::TooLarge, message, "raise `[decode.limits] text_bytes` or split the text")
            .over(Limit::TextBytes));
    }
    Ok(bytes)
}

fn unicode(bytes: &[u8]) -> Result<String, Fault> {
    let hint = "convert it to UTF-8";
    match bytes {
        [0xff, 0xfe, rest @ ..] => utf16(rest, u16::from_le_bytes),
        [0xfe, 0xff, rest @ ..] => utf16(rest, u16::from_be_bytes),
        [0xef, 0xbb, 0xbf, rest @ ..] | rest => String::from_utf8(rest.to_vec()).map_err(|error| error.to_string()),
    }
    .map_err(|what| refuse(FaultKind::Corrupt, format!("the text is not Unicode: {what}"), hint))
}

fn utf16(bytes: &[u8], unit: fn([u8; 2]) -> u16) -> Result<String, String> {
    let (pairs, rest) = bytes.as_chunks::<2>();
    if !rest.is_empty() {
        return Err("half a UTF-16 unit at the end".to_owned());
    }
    let units: Vec<u16> = pairs.iter().map(|pair| unit(*pair)).collect();
    String::from_utf16(&units).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn long_texts_are_cut_where_their_own_parts_end() {
        let text = "One. Two two.\n\nThree three three. Four four four four four";
        assert_eq!(pieces(text, 100), [text]);
        assert_eq!(pieces(text, 20), ["One. Two two.\n\n", "Three three three. ", "Four four four four ", "four"]);
        assert_eq!(pieces("xxxxxxxxxx", 4), ["xxxx", "xxxx", "xx"]);
        assert_eq!(parts(&["ab", "ü"]), [Part::Text { start: 0, end: 2 }, Part::Text { start: 2, end: 3 }]);
        assert_eq!(parts(&["ab"]), [Part::Whole]);
    }

    proptest! {
        #[test]
        fn no_character_is_lost_and_no_piece_is_blank(text in "[a-zü .\n]{1,300}", longest in 2_usize..50) {
            prop_assume!(!text.trim().is_empty());
            let pieces = pieces(&text, longest);
            prop_assert_eq!(pieces.concat(), text.clone());
            for (place, piece) in pieces.iter().enumerate() {
                prop_assert!(place == 0 || !piece.trim().is_empty(), "{:?}", pieces);
                prop_assert!(piece.trim().chars().count() <= longest, "{:?}", pieces);
            }
        }
    }

    #[test]
    fn texts_are_read_in_the_encodings_that_they_name() {
        assert_eq!(unicode("Grüße".as_bytes()).unwrap(), "Grüße");
        assert_eq!(unicode(b"\xef\xbb\xbfa").unwrap(), "a");
        assert_eq!(unicode(b"\xff\xfea\0\xfc\0").unwrap(), "aü");
        assert_eq!(unicode(b"\xfe\xff\0a\0\xfc").unwrap(), "aü");
        for wrong in [&b"\xff\xfea"[..], b"\xff\xfe\0\xd8", b"a\xc3"] {
            assert_eq!(unicode(wrong).unwrap_err().kind, FaultKind::Corrupt);
        }
    }
}
