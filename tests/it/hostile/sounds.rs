//! Recordings of no length and of any, at absurd rates, in too many channels.

use lapidary::base::FaultKind::{ChildDied, Corrupt, Deadline, Empty, TooLarge, Unsupported};

use super::{
    case::Family,
    damage::{cut, flipped, overlaid, patched},
    read,
};

/// How broken sound may fail.
const BROKEN: &[lapidary::base::FaultKind] = &[Corrupt, Unsupported, Empty];

pub fn families() -> Vec<Family> {
    vec![waves(), packed(), containers()]
}

/// A recording of PCM, with whatever its header says.
struct Wave {
    format: u16,
    channels: u16,
    rate: u32,
    align: u16,
    bits: u16,
    length: Option<u32>,
}

impl Wave {
    /// 16 bits, mono, 16 kHz.
    const PLAIN: Self = Self { format: 1, channels: 1, rate: 16_000, align: 2, bits: 16, length: None };

    fn bytes(&self, samples: &[u8]) -> Vec<u8> {
        let length = self.length.unwrap_or(samples.len() as u32);
        let shorts = |numbers: [u16; 2]| numbers.map(u16::to_le_bytes).concat();
        [
            &b"RIFF"[..],
            &length.saturating_add(36).to_le_bytes(),
            b"WAVEfmt \x10\0\0\0",
            &shorts([self.format, self.channels]),
            &self.rate.to_le_bytes(),
            &self.rate.wrapping_mul(u32::from(self.align)).to_le_bytes(),
            &shorts([self.align, self.bits]),
            b"data",
            &length.to_le_bytes(),
            samples,
        ]
        .concat()
    }
}

fn waves() -> Family {
    let mut family = Family::new("waves");
    let second = [3; 32_000];
    let plain = |wave: Wave| wave.bytes(&second);
    family.rows("as-it-should-be.wav", plain(Wave::PLAIN));
    family.fails("no-samples.wav", Wave::PLAIN.bytes(b""), BROKEN);
    family.fails("one-sample.wav", Wave::PLAIN.bytes(b"\x01\x02"), &[Empty]);
    family.either("half-a-sample.wav", Wave::PLAIN.bytes(b"\x01"), BROKEN);
    family.rows("without-end.wav", plain(Wave { length: Some(u32::MAX), ..Wave::PLAIN }));
    family.either("no-length.wav", plain(Wave { length: Some(0), ..Wave::PLAIN }), BROKEN);
    family.fails("no-channels.wav", plain(Wave { channels: 0, ..Wave::PLAIN }), BROKEN);
    family.either("65535-channels.wav", plain(Wave { channels: 65_535, align: 65_534, ..Wave::PLAIN }), BROKEN);
    family.fails("rate-of-nothing.wav", plain(Wave { rate: 0, ..Wave::PLAIN }), BROKEN);
    family.either("rate-of-one.wav", plain(Wave { rate: 1, ..Wave::PLAIN }), &[Corrupt, Unsupported, TooLarge]);
    family.either("rate-of-all.wav", plain(Wave { rate: u32::MAX, ..Wave::PLAIN }), BROKEN);
    family.either("bits-of-nothing.wav", plain(Wave { bits: 0, ..Wave::PLAIN }), BROKEN);
    family.either("bits-of-any-number.wav", plain(Wave { bits: 65_535, ..Wave::PLAIN }), BROKEN);
    family.either("frame-of-nothing.wav", plain(Wave { align: 0, ..Wave::PLAIN }), BROKEN);
    family.fails("format-unknown.wav", plain(Wave { format: 0x7777, ..Wave::PLAIN }), BROKEN);
    let float = Wave { format: 3, bits: 32, align: 4, ..Wave::PLAIN };
    family.rows("numbers-that-are-none.wav", float.bytes(&f32::NAN.to_le_bytes().repeat(9000)));
    family.rows("numbers-beyond.wav", float.bytes(&f32::INFINITY.to_le_bytes().repeat(9000)));
    family.fails("header-alone.wav", b"RIFF\xff\xff\xff\xffWAVE".to_vec(), BROKEN);
    family.fails("format-missing.wav", b"RIFF\x10\0\0\0WAVEdata\x04\0\0\0abcd".to_vec(), BROKEN);
    let nested = b"LIST\xf0\xff\xff\x7fINFO".repeat(5000);
    family.fails("lists-in-lists.wav", [&b"RIFF\xff\xff\xff\x7fWAVE"[..], &nested].concat(), BROKEN);
    family
}

fn packed() -> Family {
    let mut family = Family::new("packed-sound");
    let flac = read("sound/note.flac");
    // Behind the mark and the head of the first block: sizes, then 20 bits of rate, 3 of channels, 5 of bits, 36 of length.
    family.fails("mark-alone.flac", b"fLaC\0\0\0\x22".to_vec(), BROKEN);
    family.fails("header-alone.flac", flac[..42].to_vec(), BROKEN);
    family.either("rate-of-nothing.flac", overlaid(&flac, 18, &[0, 0, flac[20] & 15]), BROKEN);
    family.either("length-of-all.flac", overlaid(&flac, 21, &[0xff; 5]), BROKEN);
    family.either("blocks-of-nothing.flac", overlaid(&flac, 8, &[0; 4]), BROKEN);
    family.either("block-without-end.flac", overlaid(&flac, 43, &[0xff; 3]), BROKEN);
    family.both("cut.flac", cut(&flac, 2, 3), &[Corrupt]);
    let mp3 = read("sound/note.mp3");
    family.fails("tag-alone.mp3", b"ID3\x04\0\0\x7f\x7f\x7f\x7f".to_vec(), BROKEN);
    family.either("tag-without-end.mp3", [&b"ID3\x04\0\0\x7f\x7f\x7f\x7f"[..], &mp3].concat(), BROKEN);
    family.rows("a-tag-of-noise.mp3", [&b"ID3\x04\0\0\0\0\x01\0"[..], &[0x99; 128], &mp3].concat());
    family.either("one-frame.mp3", mp3[..600].to_vec(), BROKEN);
    family.fails("frames-of-nothing.mp3", b"\xff\xfb\x90\x64\0\0\0\0".repeat(3000), BROKEN);
    let ogg = read("sound/note.ogg");
    family.fails("mark-alone.ogg", b"OggS\0\x02\0\0".to_vec(), BROKEN);
    family.fails("page-of-nothing.ogg", [&b"OggS\0\x02"[..], &[0; 20], &[0]].concat(), BROKEN);
    family.either("page-of-any-length.ogg", overlaid(&ogg, 26, &[255]), BROKEN);
    family.either("cut.ogg", cut(&ogg, 1, 2), BROKEN);
    family.either("page-lost.ogg", [&ogg[..4000], &ogg[8000..]].concat(), BROKEN);
    family.fails("cut.opus", cut(&read("sound/note.opus"), 1, 400), BROKEN);
    for (seed, name) in (1..).zip(["note.flac", "note.mp3", "note.ogg", "note-8.wav", "note-alac.m4a", "note.m4a"]) {
        let bytes = flipped(&read(&format!("sound/{name}")), 12, 40, seed);
        family.either(&format!("flipped-{name}"), bytes, BROKEN);
    }
    family
}

/// A box of an MP4 file.
fn boxed(kind: &[u8; 4], body: &[u8]) -> Vec<u8> {
    [&(body.len() as u32 + 8).to_be_bytes()[..], kind, body].concat()
}

fn containers() -> Family {
    let mut family = Family::new("containers");
    let kinds: &[_] = &[Corrupt, Unsupported, Empty, TooLarge, ChildDied, Deadline];
    let head = boxed(b"ftyp", b"M4A \0\0\0\0isom");
    let with = |boxes: &[u8]| [&head[..], boxes].concat();
    family.fails("head-alone.m4a", head.clone(), BROKEN);
    family.fails("half-a-head.m4a", head[..11].to_vec(), BROKEN);
    family.fails("movie-empty.m4a", with(&boxed(b"moov", b"")), BROKEN);
    family.fails("movie-of-all.m4a", with(b"\0\0\0\x01moov\xff\xff\xff\xff\xff\xff\xff\xff"), BROKEN);
    family.fails("movie-to-the-end.m4a", with(b"\0\0\0\0moov"), BROKEN);
    family.fails("box-of-no-length.m4a", with(&b"\0\0\0\x01free\0\0\0\0\0\0\0\0".repeat(3000)), BROKEN);
    let mut nested = boxed(b"trak", b"");
    for _ in 0..5000 {
        nested = boxed(b"moov", &nested);
    }
    family.fails("movies-in-movies.m4a", with(&nested), kinds);
    let many = boxed(b"moov", &boxed(b"trak", b"").repeat(20_000));
    family.fails("twenty-thousand-tracks.m4a", with(&many), kinds);
    let note = read("sound/note-alac.m4a");
    let after = |kind: &[u8; 4], bytes: usize, new: &[u8]| {
        let place = note.windows(4).position(|window| window == kind).unwrap();
        overlaid(&note, place + 4 + bytes, new)
    };
    family.fails(
        "codec-unknown.m4a",
        patched(&note, b"stsd\0\0\0\0\0\0\0\x01\0\0\0Halac", b"stsd\0\0\0\0\0\0\0\x01\0\0\0Hxxxx"),
        BROKEN,
    );
    family.either("ticks-of-nothing.m4a", after(b"mdhd", 12, &[0; 4]), BROKEN);
    family.either("length-of-all.m4a", after(b"mdhd", 16, &[0xff; 4]), kinds);
    family.either("samples-of-all.m4a", after(b"stsz", 8, &[0xff; 4]), kinds);
    family.either("sizes-of-all.m4a", after(b"stsz", 12, &[0xff; 8]), kinds);
    family.either("chunks-of-all.m4a", after(b"stco", 4, &[0xff; 4]), kinds);
    family.either("chunks-beyond.m4a", after(b"stco", 8, &[0xff; 4]), kinds);
    family.either("runs-of-all.m4a", after(b"stts", 4, &[0xff; 12]), kinds);
    family.either("edits-of-all.m4a", after(b"elst", 4, &[0xff; 12]), kinds);
    family.either("cut.m4a", cut(&note, 1, 2), BROKEN);
    family
}
