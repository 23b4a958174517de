//! The command that reproduces a failure, as a script for a POSIX shell.

use std::path::Path;

use super::{Failed, settings::PIPELINE};
use crate::{
    app::recorded::Made,
    base::{Part, StageName},
};

/// What the script is given.
pub struct Subject<'a> {
    /// The file that fails: in the letter's folder, or by its full path.
    pub file: &'a str,
    /// The pages of it, where it has pages.
    pub pages: Option<String>,
}

/// The script, which runs with settings in a folder beside the letter's. What fails before the model is asked needs no model to run: it is only encoded.
pub fn script(row: &Failed, subject: &Subject, (made, settings): (&Made, &str), program: &Path) -> String {
    let pages = subject.pages.as_ref().map(|pages| format!(" --pages {pages}")).unwrap_or_default();
    let file = quoted(subject.file);
    let command = match StageName::from_name(row.text("stage")) {
        Some(StageName::Collect | StageName::Decode | StageName::Encode) => {
            format!(
                "\"$lapidary\" encode {file} --pipeline ../{settings}/{PIPELINE}{pages} --output \"$out/unit.safetensors\""
            )
        }
        _ => format!(
            "\"$lapidary\" run ../{settings}/{PIPELINE} {file}{pages} --device {} --output \"$out/set\"\nended=$?\n\
             \"$lapidary\" show \"$out/set\" --failures --json\nexit $ended",
            made.device
        ),
    };
    format!(
        "#!/bin/sh\n# {}: {}/{}: {}\n# Ends with 1 when it fails again, with 0 when it does not.\n\
         cd \"$(dirname \"$0\")\" || exit 2\nlapidary=${{LAPIDARY:-{}}}\nout=$(mktemp -d) || exit 2\n\
         LAPIDARY_LOG=${{LAPIDARY_LOG:-error,lapidary=warn,decode=debug}}\nexport LAPIDARY_LOG\n{command}\n",
        row.origin(),
        row.line("stage"),
        row.line("kind"),
        row.line("message"),
        quoted(&program.display().to_string()),
    )
}

/// The pages by which the part is asked for in its whole document.
pub fn pages(part: Part) -> Option<String> {
    let (first, last) = part.pages()?;
    Some(if first == last { first.to_string() } else { format!("{first}-{last}") })
}

/// One word for the shell, whatever is in it.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_one_word_whatever_is_in_it() {
        assert_eq!(quoted("a b"), "'a b'");
        assert_eq!(quoted("it's $(x)"), r"'it'\''s $(x)'");
    }
}
