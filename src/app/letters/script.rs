//! The command that reproduces a failure, as a script for a POSIX shell.

use std::path::Path;

use super::{Failed, settings::PIPELINE};
use crate::{
    app::recorded::Made,
    base::{Part, StageName},
};

/// What the script is given.
pub struct Subject<'a> {
    /// The file that fails: in the letter's folder, or by its full path as inputs are named.
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
            quoted(&made.device)
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
    use serde_json::{Value, json};

    use super::*;

    /// How a run was made whose device and program have these names.
    fn made(device: &str) -> Made {
        Made {
            settings: String::new(),
            file: "letters.toml".into(),
            schema: Value::Null,
            model: None,
            program: "lapidary 0.1.0".to_owned(),
            device: device.to_owned(),
        }
    }

    /// The script of a failure whose words are all meant for the shell.
    fn hostile(stage: &str) -> String {
        let (words, line) = ("'; touch x; echo \"$(touch x)`touch x`", "a\ntouch x\n.pdf");
        let columns = json!({ "_source": line, "stage": stage, "kind": line, "message": line, "_part": "whole" });
        let file = format!("{words}\n.pdf");
        let subject = Subject { file: &file, pages: pages(Part::Page { number: 3, of: 4 }) };
        let made = made("auto; touch x #");
        script(&Failed::new(columns), &subject, (&made, "settings-1"), Path::new(&format!("/opt/{words}}}/lapidary")))
    }

    #[test]
    fn the_device_is_one_word_whatever_the_dataset_says() {
        let script = hostile("generate");
        assert!(script.contains("--pages 3 --device 'auto; touch x #' --output \"$out/set\"\n"), "{script}");
    }

    #[cfg(unix)]
    #[test]
    fn no_word_of_a_dataset_is_run() {
        use std::{fs, process::Command};

        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("reproduce.sh");
        for (stage, script) in ["decode", "generate", "; touch x"].map(|stage| (stage, hostile(stage))) {
            fs::write(&path, script).unwrap();
            // Once with a program that ends well, once with the one that is named and not there.
            for (program, wanted) in [("true", 0), ("", 127)] {
                let mut shell = Command::new("sh");
                shell.arg(&path).current_dir(folder.path()).env("TMPDIR", folder.path()).env("LAPIDARY", program);
                let output = shell.output().unwrap();
                let said = String::from_utf8_lossy(&output.stderr);
                assert_eq!(output.status.code(), Some(wanted), "{stage}: {said}");
                assert!(!folder.path().join("x").exists(), "{stage}: {said}");
            }
        }
    }

    #[test]
    fn a_name_is_one_word_whatever_is_in_it() {
        assert_eq!(quoted("a b"), "'a b'");
        assert_eq!(quoted("it's $(x)"), r"'it'\''s $(x)'");
    }
}
