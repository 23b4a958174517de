//! Options of a bench that is a program of its own.

use std::collections::HashMap;

use lapidary::base::Fatal;

/// Options with their values; `--bench`, which cargo adds, has none.
pub struct Arguments {
    values: HashMap<String, String>,
    /// What to say where they are wrong.
    hint: &'static str,
}

impl Arguments {
    /// # Errors
    /// When a word is not an option with a value.
    pub fn read(hint: &'static str) -> Result<Self, Fatal> {
        let words: Vec<String> = std::env::args().skip(1).filter(|word| word != "--bench").collect();
        let pairs = words.chunks(2).map(|pair| match pair {
            [name, value] if name.starts_with("--") => Ok((name.clone(), value.clone())),
            _ => Err(Fatal::new(format!("`{}` is not an option with a value", pair.join(" ")), hint)),
        });
        Ok(Self { values: pairs.collect::<Result<_, _>>()?, hint })
    }

    /// The value of an option, where it is there.
    pub fn find(&self, name: &str) -> Option<&str> {
        self.values.get(name).map(String::as_str)
    }

    /// The value of an option that must be there.
    pub fn text(&self, name: &str) -> Result<&str, Fatal> {
        self.find(name).ok_or_else(|| Fatal::new(format!("`{name}` is missing"), self.hint))
    }
}
