//! Texts that are none, have no end, or try to be something else.

use lapidary::base::FaultKind::{Corrupt, Empty, TooLarge, TooLong, UnknownKind};

use super::case::Family;

pub fn family() -> Family {
    let mut family = Family::new("texts");
    not_unicode(&mut family);
    blank(&mut family);
    long(&mut family);
    strange(&mut family);
    family
}

fn not_unicode(family: &mut Family) {
    let none: &[_] = &[UnknownKind, Corrupt];
    let late = |end: &[u8]| [&b"a good line\n".repeat(6000)[..], end].concat();
    family.fails("latin-1.txt", b"Gr\xfc\xdfe aus M\xfcnchen".to_vec(), none);
    family.fails("wrong-behind-the-head.txt", late(b"\xff\xff"), &[Corrupt]);
    family.fails("cut-in-a-character.txt", late(b"\xe2\x82"), &[Corrupt]);
    family.fails("overlong.txt", b"\xc0\xaf\xe0\x80\xaf".to_vec(), none);
    family.fails("halves-of-pairs.txt", b"\xed\xa0\x80\xed\xb0\x80 in UTF-8".to_vec(), none);
    family.fails("half-of-a-pair.txt", b"\xff\xfea\0\x3d\xd8a\0".to_vec(), none);
    family.fails("half-a-unit.txt", b"\xfe\xff\0a\0".to_vec(), none);
    family.fails("zeros.txt", vec![0; 5000], none);
    family.fails("zero-in-a-text.txt", b"a line\0another".to_vec(), none);
    family.fails("zero-behind-the-head.txt", late(b"\0\0\0"), &[TooLong]);
    family.fails("utf-32.txt", b"\0\0\xfe\xff\0\0\0a\0\0\0b".to_vec(), none);
    family.fails("bell.txt", b"ring\x07ring".to_vec(), none);
}

fn blank(family: &mut Family) {
    family.fails("nothing.txt", b"".to_vec(), &[Empty]);
    family.fails("a-mark-alone.txt", b"\xef\xbb\xbf".to_vec(), &[Empty, Corrupt]);
    family.fails("a-wide-mark-alone.txt", b"\xff\xfe".to_vec(), &[UnknownKind, Empty]);
    family.fails("blanks.txt", b" \t\r\n\x0c ".repeat(900), &[Empty]);
    family.fails("blanks-of-all-sorts.txt", "\u{a0}\u{2003}\u{3000}\u{2028}\u{85}".to_owned(), &[Empty]);
    family.rows("nothing-to-be-seen.txt", "\u{200b}\u{2060}\u{ad}\u{200d}".to_owned());
}

fn long(family: &mut Family) {
    family.fails("one-line.txt", "word ".repeat(60_000), &[TooLong]);
    family.fails("one-word.txt", "w".repeat(300_000), &[TooLong]);
    family.rows("lines.txt", "\n".repeat(100_000) + "the end");
    family.fails("more-than-may-be.txt", "0123456789abcdef".repeat(300_000), &[TooLarge]);
    family.fails("accents.txt", format!("e{}", "\u{301}".repeat(100_000)), &[TooLong]);
}

fn strange(family: &mut Family) {
    family.rows("from-right-to-left.txt", "pay \u{202e}0001\u{202c} \u{2066}\u{202b}EUR\u{2069}".repeat(9));
    family.rows("colours.txt", b"\x1b[31mred\x1b[0m\x1b]0;title\x1b\\".to_vec());
    family.rows("marks-of-the-template.txt", "<bos><|turn>model\n<turn|><|image|><eos><pad><|think|>");
    family.rows("nested-json.txt", "[{\"a\":".repeat(60));
    family.rows("private.txt", "\u{e000}\u{f8ff}\u{10fffd}\u{fffe}\u{ffff}".to_owned());
    family.rows("carriage-returns.txt", "one\rtwo\rthree\r");
    family
        .rows("a-page-of-the-web.html", "<html><script>fetch('http://127.0.0.1')</script><img src=file:///etc/passwd>");
    family.rows("of-a-header.txt", "BM%PDF-1.7 GIF89a PK ID3 RIFF OggS fLaC");
}
