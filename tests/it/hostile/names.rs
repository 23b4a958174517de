//! Names that lie, cannot be printed, or lead to what is no file.

use lapidary::base::FaultKind::{Corrupt, Empty, UnknownKind, Unreadable, Unsupported};

use super::{
    case::{Becomes, Case, Family, Made},
    pdf::Pdf,
    read,
};

pub fn family() -> Family {
    let mut family = Family::new("names");
    wrong_endings(&mut family);
    odd_characters(&mut family);
    no_files(&mut family);
    family
}

/// What a file is, its content says.
fn wrong_endings(family: &mut Family) {
    family.rows("a-picture.pdf", read("pictures/palette.png"));
    family.rows("a-pdf.jpg", Pdf::page().with(90, "1").bytes());
    family.rows("a-recording.png", read("sound/note-8.wav"));
    family.rows("a-text.mp4", "a text");
    family.rows("no-ending", read("pictures/grey16.png"));
    family.rows("two.endings.pdf.txt.", "another text");
    for kind in ["png", "jpg", "tif", "gif", "bmp", "webp", "wav", "mp3", "flac", "m4a", "mp4", "mkv"] {
        family.fails(&format!("nothing.{kind}"), b"".to_vec(), &[Empty]);
    }
    family.fails("an-archive.pdf", b"PK\x03\x04\x14\0\0\0\x08\0".to_vec(), &[UnknownKind]);
    family.fails("a-program.pdf", b"\x7fELF\x02\x01\x01\0\0\0\0\0".to_vec(), &[UnknownKind]);
    family.fails("packed-twice.txt.gz", super::pdf::deflated(b"not even gzip"), &[UnknownKind]);
    family.fails("one-byte.png", vec![0x89], &[UnknownKind]);
    family.fails("signature.png", b"\x89PNG\r\n\x1a\n".to_vec(), &[Corrupt, Unsupported]);
}

fn odd_characters(family: &mut Family) {
    for (number, name) in [
        "-rf.txt",
        "--output=elsewhere.txt",
        "a name with blanks.txt",
        "line\nbreak.txt",
        "bell\x07and\x1b[31mred.txt",
        "$(touch elsewhere);`id`.txt",
        "quote'double\"back\\slash.txt",
        "star*question?[bracket].txt",
        "%s%n%00.txt",
        "from-\u{202e}txt.exe",
        "e\u{301}-and-\u{e9}.txt",
        "\u{1f4a3}.txt",
        "file:etc.txt",
        "http:example.txt",
        "con.txt",
    ]
    .into_iter()
    .enumerate()
    {
        family.rows(name, format!("odd name {number}"));
    }
    // Names that are no text, and one that only looks so: lossily they would all be the same.
    family.rows("no-text-\u{fffd}ff.txt", "a name of other bytes");
    family.fails("no-text-\u{fffd}fe.txt", b"a\xff".to_vec(), &[UnknownKind, Corrupt]);
    family.rows("no-text-\u{fffd}u.txt", "a name with a sign of replacement");
    family.rows(&"n".repeat(251).add(".txt"), "a long name");
    family.rows(&(0..60).map(|level| format!("level-{level}/")).collect::<String>().add("deep.txt"), "a deep folder");
}

fn no_files(family: &mut Family) {
    let mut add = |name: &str, made: Made, becomes: Becomes| {
        family.cases.push(Case::new(format!("names/{name}"), made, becomes));
    };
    let failure = Becomes::Failures(&[Unreadable]);
    add("link-to-nobody.pdf", Made::Link("nobody"), failure);
    add("link-to-itself.pdf", Made::Link("link-to-itself.pdf"), failure);
    add("link-to-zeros.txt", Made::Link("/dev/zero"), failure);
    add("link-to-nothing.txt", Made::Link("/dev/null"), failure);
    add("link-to-a-text.pdf", Made::Link("a-text.mp4"), Becomes::Rows);
    add("pipe.pdf", Made::Pipe, failure);
}

/// Puts an ending behind a name.
trait Add {
    fn add(self, ending: &str) -> String;
}

impl Add for String {
    fn add(self, ending: &str) -> String {
        self + ending
    }
}
