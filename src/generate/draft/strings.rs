//! Follows JSON as it is written, byte by byte, and tells the characters of its string values; keys are left out. Follows
//! calls too, in which marks stand around strings and nothing is escaped.

/// What a byte brings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Event {
    /// Nothing that concerns a string value.
    Nothing,
    /// A string value begins.
    Begin,
    /// One more character of it, as it is meant, not as it is written.
    Character(char),
    /// It ends.
    End,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Outside,
    Inside,
    Escaped,
}

/// Where in the JSON text we are.
#[derive(Debug)]
pub(super) struct Strings {
    place: Place,
    /// The open brackets, `{` or `[`.
    open: Vec<u8>,
    /// The last byte outside strings that says what comes next.
    sign: u8,
    value: bool,
    /// A character that has begun.
    begun: Vec<u8>,
    /// True in calls: quotes and backslashes mean themselves.
    marked: bool,
}

impl Default for Strings {
    fn default() -> Self {
        Self { place: Place::Outside, open: Vec::new(), sign: b':', value: false, begun: Vec::new(), marked: false }
    }
}

impl Strings {
    /// For a call.
    pub fn of_call() -> Self {
        Self { marked: true, ..Self::default() }
    }

    /// A mark of a call: a string begins or ends.
    pub fn mark(&mut self) -> Event {
        if self.place == Place::Outside { self.begin() } else { self.end() }
    }

    /// True between two characters of a string value, or before its first or after its last.
    pub fn in_value(&self) -> bool {
        self.value && self.place == Place::Inside && self.begun.is_empty()
    }

    /// One byte on.
    pub fn take(&mut self, byte: u8) -> Event {
        match self.place {
            Place::Outside => self.outside(byte),
            Place::Escaped => self.escaped(byte),
            Place::Inside => self.inside(byte),
        }
    }

    fn outside(&mut self, byte: u8) -> Event {
        match byte {
            b'"' if !self.marked => return self.begin(),
            b'{' | b'[' => self.open.push(byte),
            b'}' | b']' => drop(self.open.pop()),
            b',' | b':' => {}
            _ => return Event::Nothing,
        }
        self.sign = byte;
        Event::Nothing
    }

    fn begin(&mut self) -> Event {
        self.place = Place::Inside;
        self.value = self.sign == b':' || self.open.last() == Some(&b'[');
        self.of_value(Event::Begin)
    }

    fn escaped(&mut self, byte: u8) -> Event {
        self.place = Place::Inside;
        let meant = match byte {
            b'n' => '\n',
            b't' => '\t',
            b'r' => '\r',
            b'b' => '\u{8}',
            b'f' => '\u{c}',
            other => char::from(other),
        };
        self.of_value(Event::Character(meant))
    }

    fn inside(&mut self, byte: u8) -> Event {
        match byte {
            _ if self.marked => self.part_of_character(byte),
            b'"' => self.end(),
            b'\\' => {
                self.place = Place::Escaped;
                Event::Nothing
            }
            _ => self.part_of_character(byte),
        }
    }

    fn end(&mut self) -> Event {
        self.place = Place::Outside;
        self.begun.clear();
        self.of_value(Event::End)
    }

    fn part_of_character(&mut self, byte: u8) -> Event {
        self.begun.push(byte);
        let whole = str::from_utf8(&self.begun).ok().and_then(|text| text.chars().next());
        if whole.is_some() || self.begun.len() >= 4 {
            self.begun.clear();
        }
        self.of_value(whole.map_or(Event::Nothing, Event::Character))
    }

    fn of_value(&self, event: Event) -> Event {
        if self.value { event } else { Event::Nothing }
    }
}

/// A character as it is written in a string of a call; nothing for what cannot be.
pub(super) fn push_plain(text: &mut String, c: char) {
    if !c.is_control() || matches!(c, '\n' | '\t') {
        text.push(c);
    }
}

/// A character as it is written in a JSON string without `\u` escapes; nothing for what cannot be.
pub(super) fn push_escaped(text: &mut String, c: char) {
    match c {
        '"' => text.push_str("\\\""),
        '\\' => text.push_str("\\\\"),
        '\n' => text.push_str("\\n"),
        '\t' => text.push_str("\\t"),
        c if c.is_control() => {}
        c => text.push(c),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values(json: &str) -> Vec<String> {
        let (mut strings, mut found) = (Strings::default(), Vec::new());
        for byte in json.bytes() {
            match strings.take(byte) {
                Event::Begin => found.push(String::new()),
                Event::Character(c) => found.last_mut().unwrap().push(c),
                Event::End => assert!(!strings.in_value()),
                Event::Nothing => {}
            }
        }
        found
    }

    #[test]
    fn values_are_told_from_keys_and_read_as_they_are_meant() {
        let json = r#"{"a":"x\"y\\","é":["日","b"],"c":{"d":1,"e":"\n"},"f":[[{"g":""}],"h"],"i":null,"j":"end"}"#;
        assert_eq!(values(json), ["x\"y\\", "日", "b", "\n", "", "h", "end"]);
    }

    #[test]
    fn in_a_call_marks_end_strings_and_quotes_do_not() {
        let (mut strings, mut found) = (Strings::of_call(), Vec::new());
        for byte in "{a:^x\"\\n,b:é^,c:[^^,1]}".bytes() {
            match if byte == b'^' { strings.mark() } else { strings.take(byte) } {
                Event::Begin => found.push(String::new()),
                Event::Character(c) => found.last_mut().unwrap().push(c),
                Event::End => assert!(!strings.in_value()),
                Event::Nothing => {}
            }
        }
        assert_eq!(found, ["x\"\\n,b:é", ""]);
        let mut written = String::new();
        "a \"b\"\n\u{1}".chars().for_each(|c| push_plain(&mut written, c));
        assert_eq!(written, "a \"b\"\n");
    }

    #[test]
    fn what_is_escaped_is_read_back() {
        let (text, mut written) = ("a \"quoted\" \\ line\nand a tab\t, 日本", String::new());
        text.chars().for_each(|c| push_escaped(&mut written, c));
        assert_eq!(values(&format!("[\"{written}\"]")), [text]);
        let json: String = serde_json::from_str(&format!("\"{written}\"")).unwrap();
        assert_eq!(json, text);
    }

    #[test]
    fn broken_json_and_broken_letters_do_no_harm() {
        let mut strings = Strings::default();
        for byte in (0..=255_u8).chain(*b"]]}}\"\\").chain(0..=255).chain([b'"', 0xf0, 0x9f]) {
            strings.take(byte);
        }
        assert!(!strings.in_value());
    }
}
