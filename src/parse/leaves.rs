//! Where each value of an answer lies in its text: JSON Pointers and bytes.

use std::{collections::BTreeMap, ops::Range};

use super::pointer;

/// Objects and arrays inside one another; `serde_json` reads no deeper.
const DEEPEST: usize = 128;

/// A value that is no object or array.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Leaf {
    /// JSON Pointer.
    pub path: String,
    /// Its bytes; of a string those between the quotation marks.
    pub span: Range<usize>,
    /// True for a string.
    pub quoted: bool,
}

/// The values of the first object in the text, which has been read as JSON before: where it is none, they end.
pub fn leaves(text: &str) -> Vec<Leaf> {
    let at = text.find('{').unwrap_or(text.len());
    let mut scanner = Scanner { text, at, depth: 0, leaves: Vec::new() };
    scanner.value("");
    scanner.leaves
}

/// The leaves where the record has them, without those of items that were dropped. `kept` is that of
/// [`Settled`](crate::base::shape::Settled).
pub fn in_record(leaves: Vec<Leaf>, kept: &BTreeMap<String, Vec<usize>>) -> Vec<Leaf> {
    if kept.is_empty() {
        return leaves;
    }
    leaves.into_iter().filter_map(|leaf| Some(Leaf { path: moved(&leaf.path, kept)?, ..leaf })).collect()
}

/// The pointer in the record of what stands at this one in the answer; `None` where it was dropped.
fn moved(path: &str, kept: &BTreeMap<String, Vec<usize>>) -> Option<String> {
    let (mut moved, mut list) = (String::new(), 0);
    for step in path.split('/').skip(1) {
        moved.push('/');
        match kept.get(&path[..list]) {
            Some(places) => moved += &places.binary_search(&step.parse::<usize>().ok()?).ok()?.to_string(),
            None => moved += step,
        }
        list += 1 + step.len();
    }
    Some(moved)
}

struct Scanner<'a> {
    text: &'a str,
    at: usize,
    depth: usize,
    leaves: Vec<Leaf>,
}

impl Scanner<'_> {
    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn pass(&mut self, wanted: impl Fn(u8) -> bool) {
        while self.peek().is_some_and(&wanted) {
            self.at += 1;
        }
    }

    /// The next byte that is no white space.
    fn next(&mut self) -> Option<u8> {
        self.pass(|byte| byte.is_ascii_whitespace());
        self.peek()
    }

    fn value(&mut self, path: &str) -> Option<()> {
        match self.next()? {
            b'{' => self.members(path, b'}'),
            b'[' => self.members(path, b']'),
            b'"' => {
                let span = self.string()?;
                self.leaves.push(Leaf { path: path.to_owned(), span, quoted: true });
                Some(())
            }
            _ => self.bare(path),
        }
    }

    /// A number, `true`, `false` or `null`.
    fn bare(&mut self, path: &str) -> Option<()> {
        let start = self.at;
        self.pass(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.'));
        let span = start..self.at;
        (!span.is_empty()).then(|| self.leaves.push(Leaf { path: path.to_owned(), span, quoted: false }))
    }

    fn members(&mut self, path: &str, end: u8) -> Option<()> {
        self.at += 1;
        self.depth += 1;
        if self.depth > DEEPEST {
            return None;
        }
        for index in 0.. {
            match self.next()? {
                b',' => self.at += 1,
                byte if byte == end => break,
                _ if index == 0 => {}
                _ => return None,
            }
            let step = if end == b'}' { self.key()? } else { index.to_string() };
            self.value(&pointer::below(path, &step))?;
        }
        self.at += 1;
        self.depth -= 1;
        Some(())
    }

    fn key(&mut self) -> Option<String> {
        self.next().filter(|byte| *byte == b'"')?;
        let inside = self.string()?;
        self.next().filter(|byte| *byte == b':')?;
        self.at += 1;
        serde_json::from_str(self.text.get(inside.start - 1..inside.end + 1)?).ok()
    }

    /// The bytes between the quotation marks.
    fn string(&mut self) -> Option<Range<usize>> {
        let start = self.at + 1;
        self.at = start;
        loop {
            match self.peek()? {
                b'"' => break,
                b'\\' => self.at += 2,
                _ => self.at += 1,
            }
        }
        self.at += 1;
        Some(start..self.at - 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_value_is_where_it_stands() {
        let text = r#"```json
{ "a/b": "x\"y", "n":[1.50,{"é":null}], "e":"" }"#;
        let found: Vec<_> = leaves(text).into_iter().map(|leaf| (leaf.path, &text[leaf.span])).collect();
        let expected = [("/a~1b", "x\\\"y"), ("/n/0", "1.50"), ("/n/1/é", "null"), ("/e", "")];
        assert_eq!(found, expected.map(|(path, value)| (path.to_owned(), value)));
    }

    #[test]
    fn what_stands_behind_dropped_items_moves_up() {
        let kept = BTreeMap::from([("/v".to_owned(), vec![0, 2]), ("/v/2/w".to_owned(), vec![1])]);
        for (answer, record) in [
            ("/v/0/w/0", Some("/v/0/w/0")),
            ("/v/1/w/0", None),
            ("/v/2/w/0", None),
            ("/v/2/w/1", Some("/v/1/w/0")),
            ("/v~1/1", Some("/v~1/1")),
        ] {
            assert_eq!(moved(answer, &kept).as_deref(), record, "{answer}");
        }
    }

    #[test]
    fn what_is_no_json_ends_the_search() {
        for text in ["", "{", "{\"a", "{\"a\":", "[1]", "{\"a\" 1}", "{\"a\":\"\\", "{,}", &"{\"a\":[".repeat(500)] {
            assert_eq!(leaves(text), [], "{text}");
        }
    }
}
