//! JSON in which it is noticed that a name comes twice in one object. The last value stands, as in most readers of JSON.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

/// Reads a text whole; the second is the number of values that a later one of the same name has replaced.
pub fn read(text: &str) -> serde_json::Result<(Value, usize)> {
    let mut replaced = 0;
    let mut deserializer = serde_json::Deserializer::from_str(text);
    let value = Place(&mut replaced).deserialize(&mut deserializer)?;
    deserializer.end()?;
    Ok((value, replaced))
}

/// A place in the text, with the count so far.
struct Place<'a>(&'a mut usize);

impl<'de> DeserializeSeed<'de> for Place<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Place<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(Value::from(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(Value::from(value))
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Value, E> {
        Number::from_f64(value).map(Value::Number).ok_or_else(|| E::custom("a number is out of range"))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::from(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut all = Vec::new();
        while let Some(item) = items.next_element_seed(Place(&mut *self.0))? {
            all.push(item);
        }
        Ok(Value::Array(all))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        let mut all = Map::new();
        while let Some(name) = entries.next_key::<String>()? {
            let value = entries.next_value_seed(Place(&mut *self.0))?;
            *self.0 += usize::from(all.insert(name, value).is_some());
        }
        Ok(Value::Object(all))
    }
}

#[cfg(test)]
mod tests {
    use super::read;

    #[test]
    fn a_name_that_comes_twice_is_counted_and_the_last_value_stands() {
        let text = r#"{"a":1,"b":[{"c":1.5,"c":"x","c":null}],"a":-2}"#;
        let (value, replaced) = read(text).unwrap();
        assert_eq!((value.to_string().as_str(), replaced), (r#"{"a":-2,"b":[{"c":null}]}"#, 3));
    }

    #[test]
    fn all_else_is_as_ever() {
        for text in [r#"{"v":[true,1e3,18446744073709551615,"é\n"],"w":{}}"#, "null", "3"] {
            assert_eq!(read(text).unwrap(), (serde_json::from_str(text).unwrap(), 0));
        }
        for text in ["", "{", "[1] 2", "1e999", &"[".repeat(1000)] {
            assert!(read(text).is_err(), "{text}");
        }
    }
}
