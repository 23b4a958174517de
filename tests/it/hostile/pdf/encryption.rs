//! Encrypted PDFs: every revision with the right password and with none that fits, and dictionaries that lie.

use std::fs;

use lapidary::base::FaultKind::{Corrupt, Encrypted, Unsupported};

use super::super::{case::Family, damage::patched, fixture};

/// Opens half of the files here: `fixtures/make_encrypted.py`.
pub const PASSWORD: &str = "garnet";

/// All revisions that there are.
const REVISIONS: [&str; 8] = [
    "r2-rc4-40",
    "r3-rc4-128",
    "r4-rc4-128",
    "r4-aes-128",
    "r4-aes-128-clear-metadata",
    "r5-aes-256",
    "r6-aes-256",
    "r6-aes-256-clear-metadata",
];

pub fn family() -> Family {
    let mut family = Family::new("pdf-encryption");
    for name in REVISIONS {
        let bytes = encrypted(name);
        family.rows(&format!("{name}.pdf"), bytes.clone());
        // What the password is checked against is another: none fits any more.
        let place = bytes.windows(4).rposition(|window| window == b"/U <").unwrap() + 4;
        let other = if bytes[place] == b'0' { b'1' } else { b'0' };
        family.fails(
            &format!("{name}-other-password.pdf"),
            super::super::damage::overlaid(&bytes, place, &[other]),
            &[Encrypted],
        );
    }
    for name in ["open-r3-rc4-128", "open-r6-aes-256"] {
        family.rows(&format!("{name}.pdf"), encrypted(name));
    }
    lies(&mut family);
    family
}

fn lies(family: &mut Family) {
    let (plain, aes) = (encrypted("r3-rc4-128"), encrypted("r6-aes-256"));
    let kinds: &[_] = &[Corrupt, Encrypted, Unsupported];
    for (name, old, new) in [
        ("handler-of-somebody", &b"/Filter /Standard"[..], &b"/Filter /Somebody"[..]),
        ("revision-of-the-future", b"/R 3", b"/R 9"),
        ("version-of-the-future", b"/V 2", b"/V 7"),
        ("key-of-no-length", b"/Length 128", b"/Length 000"),
        ("key-of-any-length", b"/Length 128", b"/Length 999"),
        ("dictionary-missing", b"/Encrypt ", b"/Encrypt 9"),
        ("identity-missing", b"/ID [", b"/XX ["),
    ] {
        family.either(&format!("{name}.pdf"), patched(&plain, old, new), kinds);
    }
    for (name, old, new) in [
        ("method-unknown", &b"/AESV3"[..], &b"/AESV9"[..]),
        ("filter-missing", b"/StdCF <<", b"/NoSuch <<"),
        ("perms-gone", b"/Perms", b"/Porms"),
    ] {
        family.either(&format!("{name}.pdf"), patched(&aes, old, new), kinds);
    }
}

fn encrypted(name: &str) -> Vec<u8> {
    fs::read(fixture(&format!("encrypted/{name}.pdf"))).unwrap()
}
