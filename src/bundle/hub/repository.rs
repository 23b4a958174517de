//! Which repository at which revision: `ORG/NAME@REV` as typed, checked so that it is safe in addresses and paths.

use std::{fmt, str::FromStr};

use crate::base::Fatal;

/// A model repository at a revision.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Repository {
    /// `google/gemma-4-E2B-it`.
    pub name: String,
    /// A branch, a tag, `refs/pr/1`, or a commit.
    pub revision: String,
}

impl FromStr for Repository {
    type Err = Fatal;

    fn from_str(text: &str) -> Result<Self, Fatal> {
        let (name, revision) = text.split_once('@').unwrap_or((text, "main"));
        let whole = name.split('/').count() <= 2 && name.split('/').all(is_plain) && !name.contains("--");
        if whole && is_inside(revision) {
            return Ok(Self { name: name.to_owned(), revision: revision.to_owned() });
        }
        Err(Fatal::new(
            format!("`{text}` is no name of a repository"),
            "write it as ORG/NAME or ORG/NAME@REVISION, such as `google/gemma-4-E2B-it@main`",
        ))
    }
}

impl Repository {
    /// The last part of the name.
    pub fn short(&self) -> &str {
        self.name.rsplit('/').next().unwrap_or(&self.name)
    }
}

impl fmt::Display for Repository {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.name, self.revision)
    }
}

/// Is this a full commit hash?
pub fn is_commit(revision: &str) -> bool {
    revision.len() == 40 && is_hex(revision)
}

/// Lower-case hexadecimal digits only.
pub fn is_hex(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte))
}

/// May this path of a repository be written below a folder? Relative, no `..`, no backslash, no control characters.
pub fn is_inside(path: &str) -> bool {
    let plain = |part: &str| !matches!(part, "" | "." | "..") && !part.starts_with("~");
    let clean = path.chars().all(|c| !c.is_control() && c != '\\' && c != ':');
    path.len() <= 1024 && clean && path.split('/').all(plain)
}

fn is_plain(part: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    part.bytes().all(allowed) && part.len() <= 96 && !part.starts_with(['.', '-']) && is_inside(part)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_may_carry_a_revision() {
        let parse = |text: &str| text.parse::<Repository>().map(|repository| repository.to_string()).ok();
        assert_eq!(parse("google/gemma-4-E2B-it").as_deref(), Some("google/gemma-4-E2B-it@main"));
        assert_eq!(parse("a/b@refs/pr/1").as_deref(), Some("a/b@refs/pr/1"));
        for wrong in ["", "a/b/c", "../b", "a/..", "a b/c", "a/b@", "a/b@../x", "/a", "a/b@x/../../y", "a--b/c"] {
            assert_eq!(parse(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn a_path_stays_inside() {
        assert!(is_inside("onnx/decoder_model_merged_q4f16.onnx_data_1"));
        for wrong in ["", "/etc/passwd", "../evil", "a/../../b", "a\\b", "a//b", "./a", "C:x", "a\nb"] {
            assert!(!is_inside(wrong), "{wrong}");
        }
    }
}
