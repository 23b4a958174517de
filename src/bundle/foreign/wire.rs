//! Reads protobuf where it lies: the fields of a message one by one, so that a file of any content takes no more memory
//! than its bytes.

use prost::encoding::{WireType, decode_key, decode_varint};

/// The fields of a message, in order.
pub(super) struct Fields<'a>(pub(super) &'a [u8]);

/// What a field holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Content<'a> {
    /// A number or an enum.
    Number(u64),
    /// A string, bytes or a message.
    Bytes(&'a [u8]),
    /// A fixed-width number; nothing that we read.
    Other,
}

/// The bytes are no protobuf.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Broken;

impl<'a> Fields<'a> {
    /// The messages, strings or bytes of field `number`.
    pub(super) fn bytes(self, number: u32) -> impl Iterator<Item = Result<&'a [u8], Broken>> {
        self.filter_map(move |field| match field {
            Ok((found, Content::Bytes(bytes))) if found == number => Some(Ok(bytes)),
            Ok(_) => None,
            Err(broken) => Some(Err(broken)),
        })
    }

    /// The last string of field `number`, empty without.
    pub(super) fn text(self, number: u32) -> Result<String, Broken> {
        let last = self.bytes(number).try_fold(&[][..], |_, bytes| bytes)?;
        Ok(String::from_utf8_lossy(last).into_owned())
    }

    /// The last number of field `number`, 0 without.
    pub(super) fn number(mut self, number: u32) -> Result<u64, Broken> {
        self.try_fold(0, |last, field| match field? {
            (found, Content::Number(value)) if found == number => Ok(value),
            _ => Ok(last),
        })
    }

    fn take(&mut self, count: u64) -> Result<&'a [u8], Broken> {
        let count = usize::try_from(count).ok().filter(|count| *count <= self.0.len()).ok_or(Broken)?;
        let (bytes, rest) = self.0.split_at(count);
        self.0 = rest;
        Ok(bytes)
    }

    fn field(&mut self) -> Result<(u32, Content<'a>), Broken> {
        let (number, kind) = decode_key(&mut self.0).map_err(|_| Broken)?;
        let content = match kind {
            WireType::Varint => Content::Number(decode_varint(&mut self.0).map_err(|_| Broken)?),
            WireType::LengthDelimited => {
                let length = decode_varint(&mut self.0).map_err(|_| Broken)?;
                Content::Bytes(self.take(length)?)
            }
            WireType::SixtyFourBit => self.take(8).map(|_| Content::Other)?,
            WireType::ThirtyTwoBit => self.take(4).map(|_| Content::Other)?,
            WireType::StartGroup | WireType::EndGroup => return Err(Broken),
        };
        Ok((number, content))
    }
}

impl<'a> Iterator for Fields<'a> {
    type Item = Result<(u32, Content<'a>), Broken>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.0.is_empty() {
            return None;
        }
        let field = self.field();
        if field.is_err() {
            self.0 = &[];
        }
        Some(field)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_strings_are_found_by_their_field() {
        let message = [0x08, 0x96, 0x01, 0x12, 0x02, b'h', b'i', 0x1d, 1, 2, 3, 4];
        assert_eq!(Fields(&message).number(1), Ok(150));
        assert_eq!(Fields(&message).text(2).as_deref(), Ok("hi"));
        assert_eq!(Fields(&message).text(9).as_deref(), Ok(""));
    }

    #[test]
    fn a_message_that_ends_too_early_is_broken() {
        for message in [&[0x12, 0x05, b'h'][..], &[0x08], &[0x0b], &[0x12, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]] {
            assert_eq!(Fields(message).number(1), Err(Broken), "{message:?}");
        }
    }
}
