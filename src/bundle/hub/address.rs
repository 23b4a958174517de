//! Addresses of the hub and of the hosts that it sends us on to.

use crate::base::Fatal;

/// `scheme://host:port` and what follows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Address {
    /// Compared before a secret is sent.
    origin: String,
    rest: String,
}

impl Address {
    /// An absolute `http` or `https` address.
    pub fn parse(text: &str) -> Result<Self, Fatal> {
        let refuse = || {
            Fatal::new(
                format!("`{}` is no address of a hub", text.split('?').next().unwrap_or(text)),
                "set HF_ENDPOINT to an address such as https://huggingface.co, or unset it",
            )
        };
        let (scheme, after) = text.split_once("://").ok_or_else(refuse)?;
        let end = after.find(['/', '?', '#']).unwrap_or(after.len());
        let (host, rest) = after.split_at(end);
        let known = ["http", "https"].contains(&scheme.to_ascii_lowercase().as_str());
        if !known || host.is_empty() || host.contains('@') || text.contains(char::is_whitespace) {
            return Err(refuse());
        }
        let origin = format!("{scheme}://{host}").to_ascii_lowercase();
        Ok(Self { origin, rest: rest.split('#').next().unwrap_or_default().to_owned() })
    }

    /// Where a `Location` header leads from here.
    pub fn follow(&self, location: &str) -> Result<Self, Fatal> {
        let next = match location {
            relative if relative.starts_with("//") => {
                Self::parse(&format!("{}:{relative}", self.origin.split(':').next().unwrap_or("https")))?
            }
            relative if relative.starts_with('/') => Self { rest: relative.to_owned(), ..self.clone() },
            absolute => Self::parse(absolute)?,
        };
        if self.origin.starts_with("https:") && !next.origin.starts_with("https:") {
            return Err(Fatal::new(
                format!("`{}` sends us on to `{}`, which is not encrypted", self.origin, next.origin),
                "do not use this hub",
            ));
        }
        Ok(next)
    }

    /// Same scheme, host and port?
    pub fn same_origin(&self, other: &Self) -> bool {
        self.origin == other.origin
    }

    /// All of it.
    pub fn text(&self) -> String {
        format!("{}{}", self.origin, self.rest)
    }

    /// Without the query, which may hold a signature.
    pub fn shown(&self) -> String {
        format!("{}{}", self.origin, self.rest.split('?').next().unwrap_or_default())
    }
}

/// A path with everything escaped that has a meaning in addresses; `/` is kept where `slashes` says so.
pub fn escaped(path: &str, slashes: bool) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte) || (slashes && byte == b'/');
    path.bytes().map(|byte| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn redirects_are_followed_but_never_out_of_encryption() {
        let here = Address::parse("https://Hub.example/a?b").unwrap();
        assert_eq!(here.follow("/c?d").unwrap().text(), "https://hub.example/c?d");
        assert!(!here.same_origin(&here.follow("https://cdn.example/x").unwrap()));
        assert!(!here.same_origin(&here.follow("//cdn.example/x").unwrap()));
        assert!(!here.same_origin(&here.follow("https://hub.example:8443/x").unwrap()));
        for wrong in ["http://hub.example/c", "file:///etc/passwd", "", "https://", "https://a@b/"] {
            assert!(here.follow(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn revisions_and_paths_are_escaped() {
        assert_eq!(escaped("refs/pr/1", false), "refs%2Fpr%2F1");
        assert_eq!(escaped("onnx/a b?.onnx", true), "onnx/a%20b%3F.onnx");
    }
}
