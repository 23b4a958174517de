//! Text documents: the whole text is one unit.

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
    if out.promise(&[Part::Whole])? == 1 && !out.passed_over() {
        out.unit(Part::Whole, Unit::Text(text))?;
    }
    Ok(())
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
    use super::*;

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
