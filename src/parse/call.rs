//! A call of the declared function as the value that a JSON answer would have been.
//!
//! `<|tool_call>call:record{n:2,what:<|"|>tea<|"|>}<tool_call|>`: the marks are special tokens, told from text that only
//! spells them by where they stand. Nothing is escaped in strings; all else is read as JSON reads it.

use serde_json::{Map, Value};

use super::{leaves::Leaf, pointer};
use crate::base::shape::FUNCTION;

/// The marks of the syntax.
const BEGIN: &str = "<|tool_call>";
const END: &str = "<tool_call|>";
const QUOTE: &str = "<|\"|>";

/// Values within values that are read before an answer is refused.
const DEEPEST: usize = 128;

/// Reads a call, and where its values lie in the text. `controls` is where in `text` special tokens begin, in bytes.
///
/// # Errors
/// One line that says why it is none.
pub fn read(text: &str, controls: &[usize]) -> Result<(Value, Vec<Leaf>), String> {
    let mut reader = Reader { text, controls, at: 0, leaves: Vec::new() };
    match reader.whole() {
        Some(whole) => Ok((whole, reader.leaves)),
        None => Err(format!("the answer is no call of `{FUNCTION}`: it cannot be read from byte {} on", reader.at)),
    }
}

/// Reads a call of which only the text was kept: whatever spells a quote is taken for one.
///
/// # Errors
/// One line that says why it is none.
pub fn reread(text: &str) -> Result<Value, String> {
    let quotes = text.match_indices(QUOTE).map(|(at, _)| at);
    let end = text.strip_suffix(END).map(str::len);
    let controls: Vec<usize> = std::iter::once(0).chain(quotes).chain(end).collect();
    read(text, &controls).map(|(call, _)| call)
}

struct Reader<'a> {
    text: &'a str,
    controls: &'a [usize],
    at: usize,
    leaves: Vec<Leaf>,
}

impl Reader<'_> {
    fn whole(&mut self) -> Option<Value> {
        self.control(BEGIN)?;
        self.plain("call:")?;
        self.plain(FUNCTION)?;
        let arguments = self.object("", DEEPEST)?;
        self.control(END)?;
        (self.at == self.text.len()).then_some(arguments)
    }

    fn rest(&self) -> &str {
        &self.text[self.at..]
    }

    fn is_control(&self) -> bool {
        self.controls.binary_search(&self.at).is_ok()
    }

    /// Takes a special token.
    fn control(&mut self, mark: &str) -> Option<()> {
        let stands = self.is_control() && self.rest().starts_with(mark);
        stands.then(|| self.at += mark.len())
    }

    /// Takes text.
    fn plain(&mut self, text: &str) -> Option<()> {
        let stands = !self.is_control() && self.rest().starts_with(text);
        stands.then(|| self.at += text.len())
    }

    /// The text up to the next special token, or up to where `ends` says; `None` where the answer ends before.
    fn until(&mut self, ends: impl Fn(char) -> bool) -> Option<&str> {
        let next = self.controls.iter().find(|place| **place >= self.at).copied();
        let stretch = &self.text[self.at..next.unwrap_or(self.text.len())];
        let end = stretch.find(ends).or(next.map(|_| stretch.len()))?;
        self.at += end;
        Some(&stretch[..end])
    }

    fn value(&mut self, path: &str, depth: usize) -> Option<Value> {
        if self.control(QUOTE).is_some() {
            return self.string(path);
        }
        match self.rest().chars().next()? {
            '{' => self.object(path, depth.checked_sub(1)?),
            '[' => self.array(path, depth.checked_sub(1)?),
            _ => self.bare(path),
        }
    }

    /// A number, `true`, `false` or `null`.
    fn bare(&mut self, path: &str) -> Option<Value> {
        let start = self.at;
        let value = serde_json::from_str(self.until(|c| matches!(c, ',' | '}' | ']'))?).ok()?;
        self.stated(path, start, false);
        Some(value)
    }

    fn string(&mut self, path: &str) -> Option<Value> {
        let start = self.at;
        let text = self.until(|_| false)?.to_owned();
        self.stated(path, start, true);
        self.control(QUOTE)?;
        Some(Value::String(text))
    }

    fn stated(&mut self, path: &str, start: usize, quoted: bool) {
        self.leaves.push(Leaf { path: path.to_owned(), span: start..self.at, quoted });
    }

    fn object(&mut self, path: &str, depth: usize) -> Option<Value> {
        let mut fields = Map::new();
        self.plain("{")?;
        while self.plain("}").is_none() {
            if !fields.is_empty() {
                self.plain(",")?;
            }
            let name = self.until(|c| !(c.is_alphanumeric() || c == '_' || c == '-'))?.to_owned();
            self.plain(":")?;
            let value = self.value(&pointer::below(path, &name), depth)?;
            fields.insert(name, value);
        }
        Some(Value::Object(fields))
    }

    fn array(&mut self, path: &str, depth: usize) -> Option<Value> {
        let mut items = Vec::new();
        self.plain("[")?;
        while self.plain("]").is_none() {
            if !items.is_empty() {
                self.plain(",")?;
            }
            items.push(self.value(&format!("{path}/{}", items.len()), depth)?);
        }
        Some(Value::Array(items))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// Reads a call in which `^` stands for each special token that ends a string or begins one.
    fn called(arguments: &str) -> Result<(Value, Vec<String>), String> {
        let (mut text, mut controls) = (BEGIN.to_owned() + "call:record", vec![0]);
        for c in arguments.chars() {
            match c {
                '^' => {
                    controls.push(text.len());
                    text += QUOTE;
                }
                c => text.push(c),
            }
        }
        controls.push(text.len());
        text += END;
        let (value, leaves) = read(&text, &controls)?;
        Ok((value, leaves.into_iter().map(|leaf| format!("{} {}", leaf.path, &text[leaf.span])).collect()))
    }

    #[test]
    fn a_call_is_read_as_the_same_json() {
        let (value, leaves) = called("{a:^tea, \"hot\"\n^,b:{c:[1,-2.5,[]],d:{}},e:null,f:true,é:^^}").unwrap();
        assert_eq!(leaves, ["/a tea, \"hot\"\n", "/b/c/0 1", "/b/c/1 -2.5", "/e null", "/f true", "/é "]);
        assert_eq!(
            value,
            json!({"a": "tea, \"hot\"\n", "b": {"c": [1, -2.5, []], "d": {}}, "e": null, "f": true, "é": ""})
        );
    }

    #[test]
    fn text_that_spells_a_mark_is_text() {
        let (value, _) = called("{a:^x<|\"|>},b:<tool_call|>\\^}").unwrap();
        assert_eq!(value, json!({"a": "x<|\"|>},b:<tool_call|>\\"}));
    }

    #[test]
    fn a_call_is_read_again_from_its_text_alone() {
        let text = "<|tool_call>call:record{a:<|\"|>tea, <tool_call|>\n<|\"|>,b:[<|\"|><|\"|>,1]}<tool_call|>";
        assert_eq!(reread(text).unwrap(), json!({"a": "tea, <tool_call|>\n", "b": ["", 1]}));
        for broken in ["", "é", "{\"a\":1}", "<|\"|>", "<tool_call|>", &text[..text.len() - 1], "x<tool_call|>"] {
            assert!(reread(broken).is_err(), "{broken}");
        }
    }

    #[test]
    fn what_is_no_call_is_refused() {
        for broken in
            ["", "{", "{a:}", "{a:^x}", "{a:^x^", "{a:1,}", "{,a:1}", "{a:[1,]}", "{a:1}}", "{a 1}", "{a:nul}"]
        {
            assert!(called(broken).is_err(), "{broken}");
        }
        assert!(called(&format!("{{a:{}{}}}", "[".repeat(500), "]".repeat(500))).is_err());
        assert!(read("{\"a\":1}", &[]).unwrap_err().contains("no call of `record`"));
        assert!(read("<|tool_call>call:record{a:1}<tool_call|>", &[]).is_err(), "spelled, but no special tokens");
    }
}
