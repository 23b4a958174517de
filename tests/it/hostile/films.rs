//! Films that end early, claim too much, or would have other files read in their place.

use lapidary::base::FaultKind::{ChildDied, Corrupt, Deadline, Empty, TooLarge, UnknownKind, Unsupported};

use super::{
    case::Family,
    damage::{cut, flipped, overlaid, patched},
    read,
};

const BROKEN: &[lapidary::base::FaultKind] = &[Corrupt, Unsupported, Empty];

pub fn family() -> Family {
    let mut family = Family::new("films");
    let kinds: &[_] = &[Corrupt, Unsupported, Empty, TooLarge, ChildDied, Deadline];
    let matroska = read("video/shapes.webm");
    family.fails("head-alone.mkv", matroska[..40].to_vec(), &[Corrupt, UnknownKind]);
    family.fails(
        "parts-of-unknown-length.mkv",
        [&matroska[..40], &b"\x18\x53\x80\x67\x01\xff\xff\xff\xff\xff\xff\xff".repeat(2000)].concat(),
        BROKEN,
    );
    family.fails("cut-early.webm", cut(&matroska, 1, 60), BROKEN);
    family.either("cut.webm", cut(&matroska, 1, 2), kinds);
    family.either("flipped.webm", flipped(&matroska, 400, 60, 5), kinds);
    let avi = read("video/shapes.avi");
    family.fails("head-alone.avi", avi[..12].to_vec(), BROKEN);
    family.either("cut.avi", cut(&avi, 1, 2), kinds);
    let header = avi.windows(4).position(|window| window == b"avih").unwrap() + 8;
    family.either("no-time-between-frames.avi", overlaid(&avi, header, &[0; 4]), kinds);
    family.either("frames-of-all.avi", overlaid(&avi, header + 16, &[0xff; 4]), kinds);
    let format = avi.windows(4).position(|window| window == b"strf").unwrap() + 8;
    family.either("too-wide.avi", overlaid(&avi, format + 4, &[0xff, 0xff, 0, 0, 0xff, 0xff, 0, 0]), kinds);
    family.either("lists-in-lists.avi", [&avi[..12], &b"LIST\xf0\xff\xff\x7fhdrl".repeat(3000)].concat(), kinds);
    let quick = read("video/turned.mov");
    family.fails("cut.mov", cut(&quick, 1, 2), BROKEN);
    family.either("flipped.mov", flipped(&quick, 32, 40, 9), kinds);
    let tall = quick.windows(4).position(|window| window == b"avc1").unwrap() + 28;
    family.either("too-wide.mov", overlaid(&quick, tall, &[0xff; 4]), kinds);
    let elsewhere = patched(&quick, b"url \0\0\0\x01", b"alis\0\0\0\0");
    family.either("pictures-in-another-file.mov", elsewhere, kinds);
    let stream = [&b"\x47\x40\0\x10"[..], &[0xff; 184]].concat();
    family.fails("packets-of-nothing.ts", stream.repeat(300), &[Corrupt, Unsupported, Empty, UnknownKind]);
    family.fails("flash.flv", b"FLV\x01\x05\0\0\0\x09\0\0\0\0\x12\xff\xff\xff\0\0\0\0\0\0\0".to_vec(), BROKEN);
    // What ffmpeg would take for lists of other files is a text to us.
    family.rows("playlist.m3u8", "#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\nfile:///etc/passwd\n#EXT-X-ENDLIST\n");
    family.rows("concat.mkv", "ffconcat version 1.0\nfile '/etc/passwd'\n");
    family.rows("session.avi", "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=video 9 RTP/AVP 96\n");
    family
}
