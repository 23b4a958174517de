//! Files that are broken or mean harm, all of them in one run of the program: it lives, stays small, keeps its books, and
//! says of each what became of it. The catalogue stands in the modules below, one for each family.

mod case;
pub mod damage;
mod films;
mod limits;
mod names;
pub mod pdf;
mod pictures;
mod sounds;
mod texts;
mod watched;

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use serde_json::Value;

use crate::cli::shown;
use case::{Case, Family};
use pdf::encryption::PASSWORD;
use watched::{Ran, run};

/// Most memory that the program itself may take for the whole corpus, its decoders left out. 108 MB were measured: what any
/// run takes for vocabulary and libraries, and media in flight, of which the pipeline allows 64 MB.
const MOST_RESIDENT: u64 = 256 << 20;

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures").join(name)
}

fn read(name: &str) -> Vec<u8> {
    fs::read(fixture(name)).unwrap()
}

fn catalogue() -> Vec<Case> {
    let mut families = vec![
        pdf::tree::family(),
        pdf::streams::family(),
        pdf::tables::family(),
        pdf::fonts::family(),
        pdf::encryption::family(),
        damaged_pdfs(),
        films::family(),
        texts::family(),
        names::family(),
    ];
    families.extend(pictures::families());
    families.extend(sounds::families());
    families.into_iter().flat_map(|family| family.cases).collect()
}

/// A PDF cut at many places, and with bits turned over.
fn damaged_pdfs() -> Family {
    use lapidary::base::FaultKind::{Corrupt, Empty, Encrypted, TooLarge, Unsupported};
    let mut family = Family::new("pdf-damage");
    let kinds: &[_] = &[Corrupt, Empty, Encrypted, TooLarge, Unsupported];
    let whole = read("documents/receipt.pdf");
    for part in 1..20 {
        family.either(&format!("cut-{part}-of-20.pdf"), damage::cut(&whole, part, 20), kinds);
    }
    for seed in 1..20 {
        family.either(&format!("flipped-{seed}.pdf"), damage::flipped(&whole, 8, seed as usize, seed), kinds);
    }
    let encrypted = read("encrypted/r6-aes-256.pdf");
    for seed in 1..6 {
        family.either(&format!("encrypted-flipped-{seed}.pdf"), damage::flipped(&encrypted, 8, 12, seed), kinds);
    }
    family
}

/// What became of each file, by its name: how many rows, and the failures.
fn fates(set: &Path) -> BTreeMap<String, (usize, Vec<Value>)> {
    let mut fates: BTreeMap<String, (usize, Vec<Value>)> = BTreeMap::new();
    let source = |row: &Value| row["_source"].as_str().unwrap().to_owned();
    shown(set, &["--columns", "_source"]).iter().for_each(|row| fates.entry(source(row)).or_default().0 += 1);
    shown(set, &["--failures"]).into_iter().for_each(|row| fates.entry(source(&row)).or_default().1.push(row));
    fates
}

/// Which words a failure lacks.
fn lacking(failure: &Value) -> Vec<&'static str> {
    let empty = |column: &&str| failure[*column].as_str().is_none_or(str::is_empty);
    ["stage", "kind", "message", "hint"].into_iter().filter(empty).collect()
}

#[test]
fn no_file_of_the_catalogue_is_lost_and_none_takes_the_program_down() {
    let (folder, cases) = (tempfile::tempdir().unwrap(), catalogue());
    assert!(cases.len() >= 150, "{} cases", cases.len());
    let inputs = folder.path().join("in");
    cases.iter().for_each(|case| case.lay(&inputs));
    let Ran { code, said, report, resident } =
        run(folder.path(), "hostile", &format!("passwords = [\"{PASSWORD}\"]\n{LIMITS}"));
    assert_eq!((code, report["status"].as_str()), (1, Some("complete")), "{said}");
    assert_eq!((&report["totals"]["balanced"], &report["totals"]["untouched"]), (&true.into(), &0.into()), "{report}");
    assert!(resident < MOST_RESIDENT, "{} MB resident", resident >> 20);
    println!("{} files, {} MB resident, {} s", cases.len(), resident >> 20, report["seconds"]);
    let fates = fates(&folder.path().join("hostile"));
    let mut wrong = Vec::new();
    for case in &cases {
        let (rows, failures) = fates.get(text(&inputs.join(&case.name))).cloned().unwrap_or_default();
        let kinds: Vec<&str> = failures.iter().filter_map(|failure| failure["kind"].as_str()).collect();
        wrong.extend(case.judge(rows, &kinds).map(|fault| format!("{fault} {:?}", failures.first())));
    }
    assert!(wrong.is_empty(), "{} of {} cases:\n{}", wrong.len(), cases.len(), wrong.join("\n"));
    assert_eq!(fates.len(), cases.len(), "nothing else was found");
    for failure in fates.values().flat_map(|(_, failures)| failures) {
        assert_eq!(lacking(failure), Vec::<&str>::new(), "{failure}");
    }
}

/// Limits of the one run over everything: of the sizes that a small machine has, and short enough to wait for.
const LIMITS: &str = "seconds_without_progress = 20\nvideo = { frames = 2 }\nlimits = { memory = 2147483648 }\n";

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}
