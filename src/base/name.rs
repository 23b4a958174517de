//! What a file is called in the dataset: its path, where that is text. No two paths have the same name, whatever bytes are
//! in them, because the books are kept by name.

use std::path::{Component, Path, PathBuf};

/// Stands before what is not text in a path; where the path itself has one, `u` follows it.
const MARK: char = char::REPLACEMENT_CHARACTER;

/// The name of the file at `path`: each byte that is not UTF-8 is `\u{fffd}` and two hexadecimal digits.
pub fn name_of(path: &Path) -> String {
    let mut name = String::new();
    for chunk in path.as_os_str().as_encoded_bytes().utf8_chunks() {
        chunk.valid().chars().for_each(|one| push(&mut name, one));
        chunk.invalid().iter().for_each(|byte| name.push_str(&format!("{MARK}{byte:02x}")));
    }
    name
}

fn push(name: &mut String, one: char) {
    name.push(one);
    if one == MARK {
        name.push('u');
    }
}

/// The plain spelling of a path: without `.`, and with one separator between two names. `..` stays, since a link may stand
/// before it. The present folder is `.`.
pub fn plain(path: &Path) -> PathBuf {
    let plain: PathBuf = path.components().filter(|part| *part != Component::CurDir).collect();
    let is_present = plain.as_os_str().is_empty() && !path.as_os_str().is_empty();
    if is_present { PathBuf::from(".") } else { plain }
}

/// The path of the file with that name.
pub fn path_of(name: &str) -> PathBuf {
    let (first, rest) = name.split_once(MARK).unwrap_or((name, ""));
    if first.len() == name.len() {
        return PathBuf::from(name);
    }
    let mut bytes = first.as_bytes().to_vec();
    rest.split(MARK).for_each(|piece| unmark(piece, &mut bytes));
    of_bytes(bytes)
}

/// What stands behind a mark, up to the next.
fn unmark(piece: &str, bytes: &mut Vec<u8>) {
    let digits = piece.get(..2).and_then(|digits| u8::from_str_radix(digits, 16).ok());
    match (digits, piece.strip_prefix('u')) {
        (Some(byte), _) => {
            bytes.push(byte);
            bytes.extend_from_slice(&piece.as_bytes()[2..]);
        }
        (None, rest) => {
            bytes.extend_from_slice(MARK.encode_utf8(&mut [0; 4]).as_bytes());
            bytes.extend_from_slice(rest.unwrap_or(piece).as_bytes());
        }
    }
}

#[cfg(unix)]
fn of_bytes(bytes: Vec<u8>) -> PathBuf {
    use std::os::unix::ffi::OsStringExt;
    std::ffi::OsString::from_vec(bytes).into()
}

/// Elsewhere paths are not made of bytes; such a name is looked for as it reads.
#[cfg(not(unix))]
fn of_bytes(bytes: Vec<u8>) -> PathBuf {
    String::from_utf8_lossy(&bytes).into_owned().into()
}

#[cfg(all(test, unix))]
mod tests {
    use std::{collections::HashSet, ffi::OsStr, os::unix::ffi::OsStrExt};

    use super::*;

    #[test]
    fn every_path_has_a_name_of_its_own_that_leads_back_to_it() {
        let paths: [&[u8]; 9] = [
            b"a.txt",
            "\u{e9}.txt".as_bytes(),
            b"a\xff",
            b"a\xfe",
            b"a\xffu",
            "a\u{fffd}".as_bytes(),
            "a\u{fffd}ff".as_bytes(),
            "a\u{fffd}u".as_bytes(),
            b"\xe2\x82/\xff\xffb",
        ];
        let path = |bytes: &'static [u8]| Path::new(OsStr::from_bytes(bytes));
        let names: HashSet<String> = paths.iter().map(|bytes| name_of(path(bytes))).collect();
        assert_eq!(names.len(), paths.len(), "{names:?}");
        paths.iter().for_each(|bytes| assert_eq!(path_of(&name_of(path(bytes))), path(bytes)));
        assert_eq!(name_of(path(b"a\xff")), "a\u{fffd}ff");
    }

    #[test]
    fn a_path_has_one_plain_spelling() {
        let plainly = |typed: &str| plain(Path::new(typed)).to_string_lossy().into_owned();
        let typed = ["", ".", "./", "./a", "a/", ".//a/./b//c/", "/a//b/.", "../a", "./a/../b", "/", ".a/..b"];
        let spelled = ["", ".", ".", "a", "a", "a/b/c", "/a/b", "../a", "a/../b", "/", ".a/..b"];
        assert_eq!(typed.map(plainly), spelled);
    }

    #[test]
    fn names_that_nobody_gave_are_paths_all_the_same() {
        for name in ["\u{fffd}", "\u{fffd}\u{fffd}x", "\u{fffd}\u{e9}", "\u{fffd}+1"] {
            assert!(!path_of(name).as_os_str().is_empty());
        }
    }
}
